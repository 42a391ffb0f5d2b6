"""A folder of another kind than the one that is asked for is named in the error."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirnagraph.errors import CheckpointError, InputError
from mirnagraph.networks.network import NetworkSet
from mirnagraph.runs.compare import read_labels
from mirnagraph.runs.folder import run_or_resume
from mirnagraph.runs.model_file import read_header
from mirnagraph.runs.run_file import read_run_json
from mirnagraph.writing.contents import AUDIT, TUNE_RUN, what_is_at
from mirnagraph.writing.files import write_text
from mirnagraph.writing.folders import write_folder


def test_what_stands_in_place_of_a_folder(tmp_path: Path) -> None:
    assert what_is_at(tmp_path / "none", "run.json") == "no such folder"
    (tmp_path / "file").write_text("")
    assert what_is_at(tmp_path / "file", "run.json") == "a file"
    assert what_is_at(tmp_path, "run.json") == "no run.json in it"
    with write_folder(tmp_path / "audit", content=AUDIT) as part:
        write_text(part / "audit.tsv", "")
    assert what_is_at(tmp_path / "audit", "run.json") == "an audit"


@pytest.mark.parametrize("read", [read_run_json, NetworkSet.load, "model"])
def test_readers_of_folders_say_what_they_found(tmp_path: Path, read) -> None:
    with write_folder(tmp_path / "audit", content=AUDIT) as part:
        write_text(part / "audit.tsv", "")
    with pytest.raises((InputError, CheckpointError), match=r"audit: not a .*; found an audit"):
        read_header(tmp_path / "audit", "toy", (1,)) if read == "model" else read(
            tmp_path / "audit"
        )


def test_a_run_of_another_command_is_named(tmp_path: Path) -> None:
    run = run_or_resume(
        tmp_path / "search",
        "a = 1",
        {},
        lambda run: write_text(run.path / "trials.tsv", "trial\n"),
        seed=0,
        content=TUNE_RUN,
    )[1]
    message = "search: the run has no labels.tsv; found a run of tune, expected a run of `mirna"
    with pytest.raises(InputError, match=message):
        read_labels(run.path)
