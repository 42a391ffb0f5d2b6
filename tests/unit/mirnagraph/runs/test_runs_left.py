"""A run folder after an error: removed where no fold is finished, kept where one is."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirnagraph.errors import InputError
from mirnagraph.runs.folder import RunFolder, open_run, run_or_resume


@pytest.mark.parametrize(
    ("error", "has_fold", "is_resumed", "is_kept"),
    [
        (InputError("bad labels"), False, False, False),
        (InputError("bad labels"), True, False, True),
        (InputError("bad labels"), False, True, True),
        (KeyboardInterrupt(), False, False, True),
    ],
)
def test_an_error_removes_a_new_folder_without_a_finished_fold(
    tmp_path: Path, error: BaseException, has_fold: bool, is_resumed: bool, is_kept: bool
) -> None:
    folder = tmp_path / "run"
    if is_resumed:
        open_run(folder, "a = 1", {}, seed=0)

    def body(run: RunFolder) -> None:
        assert run.resumed is is_resumed
        if has_fold:
            (run.path / "folds" / "fold_00").mkdir(parents=True)
        raise error

    with pytest.raises(type(error)):
        run_or_resume(folder, "a = 1", {}, body, seed=0)
    assert folder.exists() is is_kept


def test_a_finished_run_is_kept_and_its_body_not_run_again(tmp_path: Path) -> None:
    result, run = run_or_resume(tmp_path / "run", "a = 1", {}, lambda run: 7, seed=0)
    assert result == 7
    assert run.read()["status"] == "done"
    again, kept = run_or_resume(tmp_path / "run", "a = 1", {}, lambda run: 8, seed=0, resume=True)
    assert again is None
    assert kept.finished


def test_an_error_keeps_finished_folds_of_runs_below_the_folder(tmp_path: Path) -> None:
    def body(run: RunFolder) -> None:
        (run.path / "variants" / "full" / "seed_0" / "folds" / "fold_00").mkdir(parents=True)
        raise InputError("bad labels")

    with pytest.raises(InputError):
        run_or_resume(tmp_path / "run", "a = 1", {}, body, seed=0)
    assert (tmp_path / "run" / "run.json").exists()
