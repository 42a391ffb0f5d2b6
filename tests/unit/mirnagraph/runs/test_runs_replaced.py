"""A run that replaces another: written beside it, resumed there, in its place when it is whole."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mirnagraph.errors import InputError
from mirnagraph.io import write_text
from mirnagraph.runs.folder import RunFolder, open_run, run_or_resume
from mirnagraph.writing.contents import TRAIN_RUN, TUNE_RUN
from mirnagraph.writing.locks import unlock_all
from mirnagraph.writing.marker import listed_files

BESIDE = "run.unfinished"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a finished run of the settings ``old``."""
    run_or_resume(tmp_path / "run", "old", {}, writes("old"), seed=0)
    return tmp_path / "run"


def writes(text: str):
    """Body of a run that writes a fold and a result."""

    def body(run: RunFolder) -> str:
        write_text(run.path / "folds" / "fold_00" / f"{text}.tsv", text)
        write_text(run.path / "report.md", text)
        return text

    return body


def fails(error: BaseException, *, has_fold: bool = True):
    """Body of a run that ends with an error, after its first fold."""

    def body(run: RunFolder) -> None:
        if has_fold:
            write_text(run.path / "folds" / "fold_00" / "new.tsv", "first")
        raise error

    return body


def files(folder: Path) -> dict[str, str]:
    """Contents of a folder but for the files of times."""
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in ("run.json", "mirnagraph.jsonl")
    }


def replace_run(folder: Path, body, settings: str = "new", **how):
    return run_or_resume(folder, settings, {}, body, seed=0, overwrite=True, **how)


def status(folder: Path) -> str:
    return json.loads((folder / "run.json").read_text())["status"]


def test_a_new_run_takes_the_place_of_another_when_it_is_whole(folder: Path) -> None:
    before = files(folder)

    def body(run: RunFolder) -> str:
        assert (run.path, run.replaces) == (folder.with_name(BESIDE), folder)
        assert (files(folder) | {"mirnagraph.lock": ""}).keys() == {*before, "mirnagraph.lock"}
        assert status(folder) == "done"
        return writes("new")(run)

    result, run = replace_run(folder, body)
    assert (result, run) == ("new", RunFolder(folder))
    expected = {"folds/fold_00/new.tsv": "new", "report.md": "new", "config.toml": "new"}
    assert files(folder) == expected  # nothing of the old one, no lock
    assert [path.name for path in folder.parent.iterdir()] == ["run"]
    assert "replaces" not in run.read()
    assert (status(folder), run.add(more=1), run.read()["more"]) == ("done", None, 1)


@pytest.mark.parametrize("settings", ["old", "new"])
def test_a_killed_one_resumes_and_the_other_stays_meanwhile(folder: Path, settings: str) -> None:
    before = files(folder)
    for is_resumed in (False, True):

        def body(run: RunFolder, is_resumed: bool = is_resumed) -> None:
            assert run.resumed is is_resumed
            fails(KeyboardInterrupt())(run)

        with pytest.raises(KeyboardInterrupt):
            replace_run(folder, body, settings)
        assert (files(folder), status(folder)) == (before, "done")
        assert files(folder.with_name(BESIDE))["folds/fold_00/new.tsv"] == "first"
    _, run = replace_run(folder, writes("second"), settings)
    assert set(files(run.path)) == {
        "folds/fold_00/new.tsv", "folds/fold_00/second.tsv", "report.md", "config.toml"
    }  # fmt: skip
    assert not folder.with_name(BESIDE).exists()


def test_a_failing_one_leaves_the_other(folder: Path) -> None:
    before = files(folder)
    with pytest.raises(InputError, match="bad labels"):
        replace_run(folder, fails(InputError("bad labels"), has_fold=False))
    assert (files(folder), list(folder.parent.iterdir())) == (before, [folder])
    with pytest.raises(InputError, match="bad labels"):  # with a finished fold it is kept too
        replace_run(folder, fails(InputError("bad labels")))
    assert files(folder) == before
    assert status(folder.with_name(BESIDE)) == "running"


def test_an_unfinished_run_resumes_also_with_overwrite(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        replace_run(folder, fails(KeyboardInterrupt()))
    assert status(folder) == "running"
    _, run = replace_run(folder, writes("new"))
    assert files(run.path)["folds/fold_00/new.tsv"] == "new"
    with pytest.raises(KeyboardInterrupt):  # that of other settings stays until then
        replace_run(folder, fails(KeyboardInterrupt()), "other")
    assert (status(folder), status(folder.with_name(BESIDE))) == ("done", "running")


def test_other_settings_begin_anew_beside(folder: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        replace_run(folder, fails(KeyboardInterrupt()), "first")
    _, run = replace_run(folder, writes("second"), "second")
    expected = {
        "folds/fold_00/second.tsv": "second",
        "report.md": "second",
        "config.toml": "second",
    }
    assert files(run.path) == expected
    assert not folder.with_name(BESIDE).exists()


def test_a_run_that_was_killed_before_its_change_of_names(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("mirnagraph.runs.folder.replace_folder", killed)
        with pytest.raises(KeyboardInterrupt):
            replace_run(folder, writes("new"))
    beside = folder.with_name(BESIDE)
    assert (status(beside), files(folder)["report.md"]) == ("done", "old")
    os.rename(folder, folder.with_name("away"))  # between two changes of names, nothing is there
    _, run = run_or_resume(folder, "new", {}, writes("new"), seed=0)
    assert (files(run.path)["report.md"], beside.exists()) == ("new", False)


def test_a_folder_of_that_name_that_is_no_unfinished_run_is_not_touched(folder: Path) -> None:
    beside = folder.with_name(BESIDE)
    run_or_resume(beside, "mine", {}, writes("mine"), seed=0)
    before = files(beside)
    with pytest.raises(InputError, match=r"run\.unfinished: the folder of the new run"):
        replace_run(folder, writes("new"))
    assert (files(beside), files(folder)["report.md"]) == (before, "old")
    beside.rename(folder.with_name("else"))
    beside.mkdir()
    (beside / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"run\.unfinished: the folder of the new run"):
        replace_run(folder, writes("new"))
    assert (beside / "notes.txt").read_text() == "mine"


def test_notes_that_come_while_it_is_written_stay(folder: Path) -> None:
    def body(run: RunFolder) -> None:
        (folder / "notes.txt").write_text("mine")
        writes("new")(run)

    replace_run(folder, body)
    assert (files(folder)["notes.txt"], files(folder)["report.md"]) == ("mine", "new")


def test_a_link_stays_and_the_folder_behind_it_is_replaced(folder: Path) -> None:
    link = folder.parent / "elsewhere" / "link"
    link.parent.mkdir()
    link.symlink_to(folder)
    _, run = replace_run(link, writes("new"))
    assert (run.path, link.is_symlink(), files(folder)["report.md"]) == (link, True, "new")
    assert list(link.parent.iterdir()) == [link]


@pytest.fixture
def fixed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of `folder`, which cannot be renamed, such as a mount."""
    monkeypatch.setattr("mirnagraph.writing.folders._can_move", lambda folder: False)
    return folder


@pytest.mark.parametrize("is_listed", [True, False], ids=["list", "earlier version"])
def test_a_folder_that_cannot_be_renamed_keeps_its_run_until_the_new_one_is_whole(
    fixed: Path, is_listed: bool
) -> None:
    if not is_listed:
        (fixed / "mirnagraph.jsonl").unlink()
    before = files(fixed)
    for has_fold in (False, True):
        with pytest.raises(KeyboardInterrupt):
            replace_run(fixed, fails(KeyboardInterrupt(), has_fold=has_fold))
        after = files(fixed)
        assert {name: after[name] for name in before} == before
        assert {name.split("/")[0] for name in after.keys() - before} == {"unfinished"}
        assert status(fixed / "unfinished") == "running"
    (fixed / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"found notes\.txt"):
        replace_run(fixed, writes("new"))
    (fixed / "notes.txt").unlink()
    _, run = replace_run(fixed, writes("new"))
    assert run.path == fixed
    assert files(fixed) == {
        "folds/fold_00/new.tsv": "new", "report.md": "new", "config.toml": "new"
    }  # fmt: skip
    assert listed_files(fixed) == {*files(fixed), "run.json"}
    assert "replaces" not in run.read()
    assert sorted(path.name for path in fixed.iterdir()) == [
        "config.toml", "folds", "mirnagraph.jsonl", "report.md", "run.json"
    ]  # fmt: skip


@pytest.mark.parametrize("number", range(1, 10))
def test_an_exchange_that_fails_leaves_both_runs(
    fixed: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Five files of the old run move away, then five of the new one move in."""
    replaced = os.replace
    before = files(fixed)
    calls: list[object] = []

    def refuse(source: Path, target: Path) -> None:
        if fixed.name in Path(target).parts and ".mirnagraph-" not in Path(source).name:
            calls.append(source)
            if len(calls) == number:
                raise OSError(28, "No space left on device")
        replaced(source, target)

    with monkeypatch.context() as patch:
        patch.setattr("mirnagraph.writing.folders.os.replace", refuse)
        with pytest.raises(InputError, match="run: could not be written: No space left"):
            replace_run(fixed, writes("new"))
    after = files(fixed)
    assert {name: after.get(name) for name in before} == before
    assert (status(fixed), status(fixed / "unfinished")) == ("done", "done")
    assert not list(fixed.rglob(".mirnagraph-*"))
    replace_run(fixed, writes("new"))
    assert (files(fixed)["report.md"], (fixed / "unfinished").exists()) == ("new", False)


def test_a_failing_one_in_a_folder_that_cannot_be_renamed_leaves_nothing(fixed: Path) -> None:
    before = files(fixed)
    with pytest.raises(InputError, match="bad labels"):
        replace_run(fixed, fails(InputError("bad labels"), has_fold=False))
    assert (files(fixed), (fixed / "unfinished").exists()) == (before, False)


def test_a_run_of_another_command_is_not_replaced(folder: Path) -> None:
    """That of an earlier version, whose list does not say the command, is."""
    replace_run(folder, writes("one"), "one", content=TRAIN_RUN)
    before = files(folder)
    refused = pytest.raises(
        InputError, match="holds a run of train, and is not replaced by a run of tune"
    )
    with refused:
        replace_run(folder, writes("two"), "two", content=TUNE_RUN)
    assert (files(folder), list(folder.parent.iterdir())) == (before, [folder])
    replace_run(folder, writes("two"), "two", content=TRAIN_RUN)
    assert files(folder)["report.md"] == "two"


def test_overwrite_with_resume_keeps_the_same_run_and_replaces_another(folder: Path) -> None:
    result, run = replace_run(folder, writes("new"), "old", resume=True)
    assert (result, run.finished, files(folder)["report.md"]) == (None, True, "old")
    result, run = replace_run(folder, writes("new"), "new", resume=True)
    assert (result, files(folder)["report.md"]) == ("new", "new")


def test_both_folders_are_locked(folder: Path) -> None:
    run = open_run(folder, "new", {}, seed=0, overwrite=True)
    assert {(path / "mirnagraph.lock").exists() for path in (run.path, folder)} == {True}
    unlock_all()  # as at the end of a command after a signal
    assert not list(folder.parent.rglob("mirnagraph.lock"))


@pytest.mark.parametrize("n_before", [0, 1])
def test_a_change_of_names_that_fails_leaves_both_runs_and_no_lock(
    folder: Path, monkeypatch: pytest.MonkeyPatch, n_before: int
) -> None:
    """The disk refuses the new name of the earlier run, or then that of the new one."""
    replaced = os.replace
    beside = folder.with_name(BESIDE)
    refused = [(folder, None), (beside, folder)][n_before]

    def refuse(source: Path, target: Path) -> None:
        if (source, target) == refused or (source, None) == refused:
            raise OSError(28, "No space left on device")
        replaced(source, target)

    before = files(folder)
    with monkeypatch.context() as patch:
        patch.setattr("mirnagraph.writing.folders.os.replace", refuse)
        with pytest.raises(InputError, match="run: could not be written: No space left"):
            replace_run(folder, writes("new"))
    assert (files(folder), status(beside)) == (before, "done")
    assert sorted(path.name for path in folder.parent.iterdir()) == ["run", BESIDE]
    assert not list(folder.parent.rglob("mirnagraph.lock"))
    replace_run(folder, writes("new"))
    assert (files(folder)["report.md"], beside.exists()) == ("new", False)


def test_a_second_run_names_the_first_while_that_begins(tmp_path: Path) -> None:
    """The first has written no more than a temporary of its ``run.json``."""
    code = (
        "import sys; from mirnagraph.writing.locks import lock; from pathlib import Path\n"
        "lock('run'); Path('run/.mirnagraph-0-0').write_text(''); print(1, flush=True)\n"
        "sys.stdin.read()"
    )
    first = subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert first.stdout is not None
    first.stdout.readline()
    with pytest.raises(InputError, match=f"at work in this folder; found process {first.pid}"):
        run_or_resume(tmp_path / "run", "new", {}, writes("new"), seed=0)
    first.communicate()
    with pytest.raises(InputError, match="exists and is not empty"):  # what is left is unknown
        run_or_resume(tmp_path / "run", "new", {}, writes("new"), seed=0)
