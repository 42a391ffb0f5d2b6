"""A run folder after an error: gone where nothing was worth keeping, as it was where something is."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirnagraph.errors import InputError
from mirnagraph.runs.folder import open_run, removed_when_empty


@pytest.mark.parametrize(
    ("error", "begun", "before", "kept"),
    [
        (InputError("bad labels"), False, False, False),
        (InputError("bad labels"), True, False, True),
        (InputError("bad labels"), False, True, True),
        (KeyboardInterrupt(), False, False, True),
    ],
)
def test_an_error_removes_a_new_folder_with_nothing_to_go_on_with(
    tmp_path: Path, error: BaseException, begun: bool, before: bool, kept: bool
) -> None:
    if before:
        open_run(tmp_path / "run", "a = 1", {}, seed=0)
    run = open_run(tmp_path / "run", "a = 1", {}, seed=0)
    assert run.resumed is before
    with pytest.raises(type(error)), removed_when_empty(run, lambda: begun):
        raise error
    assert run.path.exists() is kept
