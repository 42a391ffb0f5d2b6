"""Files and folders as a whole, their lists, locks and temporaries."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from cli.outputs import check_paths
from mirnagraph.errors import ConfigError, InputError
from mirnagraph.io import read_table
from mirnagraph.runs.table_file import format_of
from mirnagraph.writing import locks, temporary
from mirnagraph.writing.cells import guard_cell, guard_table, plain_cell
from mirnagraph.writing.contents import DATASET, NETWORKS, RUN, TRAIN_RUN, content_of
from mirnagraph.writing.files import copy_file, open_output, write_file, write_text
from mirnagraph.writing.folders import (
    check_output_folder,
    empty_folder,
    remove_folder,
    write_folder,
)
from mirnagraph.writing.locks import claim, lock, locked, start_list, unlock
from mirnagraph.writing.marker import LOCK, MARKER, header, listed_files
from mirnagraph.writing.tables import write_tsv
from mirnagraph.writing.targets import check_outputs, check_suffix, folder_name

TELLING = {"networks.json": "{}", "dataset.toml": "", "run.json": "{}"}


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def half_written(part: Path) -> None:
    assert (part.parent.name, part.read_text()) == ("new", "")  # on the file system of the target
    part.write_text("half")
    raise ValueError("boom")


def test_a_file_is_whole_or_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    write_text(path, "one\n")
    with pytest.raises(ValueError, match="boom"), write_file(path) as part:
        half_written(part)
    assert (path.read_text(), names(tmp_path)) == ("one\n", ["new", "new/a.txt"])
    with open_output(path) as stream:
        stream.write(b"two\n")
    copy_file(path, tmp_path / "b.txt")
    assert (tmp_path / "b.txt").read_text() == "two\n"


def test_a_missing_input_in_the_block_is_not_called_an_output(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), write_file(tmp_path / "a") as part:
        part.write_text((tmp_path / "missing").read_text())
    gone = pytest.raises(InputError, match=r"a: could not be written: No such file")
    with gone, write_file(tmp_path / "a") as part:
        part.unlink()
    assert names(tmp_path) == []


def test_messages_name_the_place_that_was_asked_for(tmp_path: Path) -> None:
    named = pytest.raises(InputError, match=rf"^{tmp_path}/out/in/x.tsv, column 'a': a cell holds")
    with named, write_folder(tmp_path / "out") as out, write_folder(out / "in") as inner:
        write_tsv(pd.DataFrame({"a": ["x\ty"]}), inner / "x.tsv")
    assert names(tmp_path) == []


def test_a_folder_lists_its_files_and_is_replaced_with_them(tmp_path: Path) -> None:
    out = tmp_path / "out"
    for text in ("one", "two"):
        with write_folder(out, overwrite=True) as part:
            write_text(part / "a" / f"{text}.txt", text)
    assert names(out) == ["a", "a/two.txt", MARKER]
    assert listed_files(out) == {"a/two.txt"}
    (out / "a" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"found a/notes.txt; move it elsewhere"):
        check_output_folder(out, overwrite=True)
    remove_folder(out)
    assert names(tmp_path) == ["out", "out/a", "out/a/notes.txt"]


def test_a_file_that_comes_during_the_work_is_kept(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with write_folder(out) as part:
        write_text(part / "a", "one")
    refused = pytest.raises(InputError, match="found late")
    with refused, write_folder(out, overwrite=True):
        (out / "late").write_text("mine")
    assert (names(out), (out / "a").read_text()) == (["a", "late", MARKER], "one")


def test_links_in_our_folder_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "a").write_text("mine")
    out = tmp_path / "out"
    with write_folder(out) as part:
        write_text(part / "in" / "a", "one")
    (out / "in" / "a").unlink()
    (out / "in").rmdir()
    os.symlink(tmp_path / "theirs", out / "in")
    with pytest.raises(InputError, match="found in"):
        check_output_folder(out, overwrite=True)
    empty_folder(out)
    assert (tmp_path / "theirs" / "a").read_text() == "mine"


@pytest.mark.parametrize(
    "line",
    ['"../../victim"', '"/etc/passwd"', '{"a": 1}', "[" * 99_999, '"half', "\0"],
    ids=["up", "absolute", "object", "deep", "cut", "zero"],
)
def test_a_list_that_someone_made_up_removes_nothing_outside(tmp_path: Path, line: str) -> None:
    (tmp_path / "victim").write_text("mine")
    out = tmp_path / "in" / "out"
    with write_folder(out) as part:
        write_text(part / "a", "one")
    with (out / MARKER).open("a") as stream:
        stream.write(line + "\n")
    with write_folder(out, overwrite=True) as part:
        write_text(part / "b", "two")
    assert (names(out), (tmp_path / "victim").read_text()) == (["b", MARKER], "mine")


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; "
        "from mirnagraph.writing.files import write_file; "
        "out = Path(sys.argv[1]); "
        "part = write_file(out / 'a').__enter__(); part.write_text('half'); os.kill(os.getpid(), 9)"
    )
    root = Path(__file__).parents[4]
    command = [sys.executable, "-c", code, str(tmp_path)]
    assert subprocess.run(command, cwd=root, check=False).returncode == -9
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(temporary.PREFIX)
    foreign = tmp_path / f"{temporary.PREFIX}1-000000-0"  # of another machine
    foreign.write_text("")
    write_text(tmp_path / "b", "x")
    assert names(tmp_path) == sorted([foreign.name, "b"])


def test_a_lock_is_taken_over_only_from_the_dead(tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    with locked(out):
        assert (out / LOCK).is_file()
        assert not lock(out)  # this process holds it
        assert not lock(out / "inner")
    assert names(tmp_path) == []  # what was made for the lock is gone with it
    out.mkdir(parents=True)
    (out / LOCK).write_text('{"pid": 1, "host": "elsewhere"}')  # no process holds it
    assert lock(out)
    (out / "a").write_text("")
    unlock(out)
    assert names(out) == ["a"]


def test_without_locks_of_the_system_the_process_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "fcntl", None)
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    about = f'{{"pid": {process.pid}, "host": "{locks.platform.node()}", "since": "today"}}'
    (tmp_path / LOCK).write_text(about)
    with pytest.raises(InputError, match=f"another command is at work.*process {process.pid}"):
        lock(tmp_path)
    process.communicate(b"\n")
    assert lock(tmp_path)
    unlock(tmp_path)


def test_files_of_an_open_folder_are_listed_before_they_take_their_place(tmp_path: Path) -> None:
    out = tmp_path / "run"
    lock(out)
    start_list(out, "fingerprint")
    write_text(out / "a.txt", "x")
    with write_folder(out / "folds" / "fold_00") as part:
        write_text(part / "b.txt", "x")
    write_text(tmp_path / "beside.txt", "x")
    assert listed_files(out) == {"a.txt", "folds/fold_00/b.txt"}
    assert not (out / "folds" / "fold_00" / MARKER).exists()
    unlock(out)
    write_text(out / "predictions-of-mine.tsv", "x")  # of another command: its user's
    with pytest.raises(InputError, match=r"found predictions-of-mine\.tsv"):
        check_output_folder(out, overwrite=True)


def test_outputs_and_inputs(tmp_path: Path) -> None:
    (tmp_path / "ds").mkdir()
    (tmp_path / "x.fa").write_text("")
    os.symlink(tmp_path / "x.fa", tmp_path / "y.fa")
    fasta = {"--fasta": tmp_path / "x.fa"}
    for out in ("x.fa", "y.fa", "ds/../x.fa"):
        with pytest.raises(InputError, match="--out and --fasta are the same"):
            check_outputs({"--out": tmp_path / out}, fasta)
    with pytest.raises(InputError, match="--out is a folder that holds --fasta"):
        check_outputs({"--out": tmp_path}, fasta)
    with pytest.raises(InputError, match="--out and --plot are the same"):
        check_outputs({"--out": tmp_path / "z", "--plot": tmp_path / "z"}, {})
    check_outputs({"--out": tmp_path / "ds" / "z"}, {"--data": tmp_path / "ds", "--ids": "-"})
    check_outputs({"--out": "/dev/stdout"}, {"--fasta": "/dev/stdin"})


def test_a_suffix_says_what_a_file_holds() -> None:
    for out in ("o.xlsx", "o.tsv.bz2", "o.PNG"):
        with pytest.raises(ConfigError, match=r"not written as \.\w+; expected .* \.tsv or \.txt"):
            check_suffix(Path(out), (".tsv", ".txt"))
        with pytest.raises(ConfigError, match=rf"{out}: not written as"):
            format_of(Path(out))
    for out in ("o.tsv", "o.TXT", "o", "o.v2", "/dev/stdout"):
        check_suffix(Path(out), (".tsv", ".txt"))
        assert format_of(Path(out)) == "tsv"
    check_suffix(Path("o.xlsx"), ())
    with pytest.raises(ConfigError, match=r"o\.csv\.gz: not written as \.gz"):
        check_paths("rank", {"out": Path("o.csv.gz")})
    with pytest.raises(ConfigError, match=r"o\.pdf: not written as \.pdf; .* ends with \.png"):
        check_paths("enrich", {"out": Path("o.csv"), "plot": Path("o.pdf")})


def test_a_file_of_our_folder_is_no_output(tmp_path: Path) -> None:
    with write_folder(tmp_path / "run") as folder:
        (folder / "model").mkdir()
        for name in ("run.json", "model/model.json"):
            (folder / name).write_text("{}")
    (tmp_path / "link").symlink_to(tmp_path / "run" / "run.json")
    (tmp_path / "run" / "report.html").write_text("")
    message = "--out is a file of the folder run, which mirnagraph wrote; choose another output"
    for out in ("run/run.json", "run/model/model.json", "run/mirnagraph.jsonl", "link"):
        with pytest.raises(InputError, match=message):
            check_outputs({"--out": tmp_path / out}, {})
    for out in ("run/report.html", "run/new.tsv", "run", "new.tsv"):
        check_outputs({"--out": tmp_path / out}, {})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("../../x", "x"),
        ("/etc/x", "etc_x"),
        ("a:b\\c", "a_b_c"),
        ("", "unnamed"),
        ("..", "unnamed"),
    ],
)
def test_a_name_becomes_one_part_of_a_path(text: str, expected: str) -> None:
    assert folder_name(text) == expected


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("=1+1", "'=1+1"), ("@SUM(A1)", "'@SUM(A1)"), ("+cmd", "'+cmd"), ("-2+3", "'-2+3"),
        ("'=1", "''=1"), ("''=1", "'''=1"), ("\tx", "'\tx"),
        ("-0.5", "-0.5"), ("+1e3", "+1e3"), ("-inf", "-inf"), ("+", "+"), ("-", "-"), ("", ""),
        ("'5", "'5"), ("5'-UTR", "5'-UTR"), ("miR-21", "miR-21"),
    ],
)  # fmt: skip
def test_cells_are_guarded_and_come_back(cell: str, written: str) -> None:
    assert guard_cell(cell) == written
    assert plain_cell(written) == cell


def test_a_table_comes_back_with_its_formulas_as_text(tmp_path: Path) -> None:
    table = pd.DataFrame({"=id": ["=1+1", "'=2", "-"], "p": [-0.5, 1e-300, 0.1]})
    write_tsv(table, tmp_path / "t.tsv")
    lines = (tmp_path / "t.tsv").read_text().splitlines()
    assert lines == ["'=id\tp", "'=1+1\t-0.5", "''=2\t1e-300", "-\t0.1"]
    found = read_table(tmp_path / "t.tsv", ["=id", "p"])
    assert found["=id"].tolist() == table["=id"].tolist()
    assert guard_table(pd.DataFrame()).empty
    assert guard_table(table)["p"].equals(table["p"])


def test_files_that_go_together_take_their_places_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "t.tsv"
    about = tmp_path / "t.json"

    def write(text: str) -> None:
        with write_file(table, beside={about: text}) as part:
            part.write_text(text)

    replace = os.replace

    def refuse(source: Path, target: Path) -> None:
        if Path(target) == table:
            raise OSError(errno.ENOSPC, "No space left on device", str(source))
        replace(source, target)

    for before in (None, "old"):
        if before is not None:
            write(before)
        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", refuse)
            with pytest.raises(InputError, match=r"t.tsv: could not be written: No space left"):
                write("new")
        assert {path.read_text() for path in tmp_path.iterdir()} == ({before} - {None})
    write("new")
    assert [path.read_text() for path in sorted(tmp_path.iterdir())] == ["new", "new"]


def test_folders_without_a_file_go_with_those_that_held_them(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with locked(folder):
        start_list(folder, "x")
        write_text(folder / "config.toml", "a = 1\n")
        (folder / "folds" / "fold_00").mkdir(parents=True)
        (folder / "notes").mkdir()
        (folder / "notes" / "mine.txt").write_text("mine")
        remove_folder(folder)
        names = sorted(path.name for path in folder.rglob("*"))
    assert names == ["mine.txt", LOCK, "notes"]


def test_outputs_that_are_no_names_are_refused(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for out, what in (("-", "--out is no file or folder"), ("~/x.tsv", "--out begins with ~")):
        with pytest.raises(InputError, match=what):
            check_outputs({"--out": out}, {})
    (tmp_path / "~").mkdir()
    check_outputs({"--out": "~/x.tsv"}, {})  # a folder of this name is there


def test_nothing_is_written_among_files_that_are_checked_as_a_whole(tmp_path: Path) -> None:
    model = tmp_path / "model"
    dataset = tmp_path / "nets" / "dataset"
    for folder, file in (
        (model, model / "export.json"),
        (dataset, tmp_path / "nets/networks.json"),
    ):
        folder.mkdir(parents=True)
        file.write_text("{}")
        with pytest.raises(InputError, match=r"--out is inside (an exported|the dataset of)"):
            check_outputs({"--out": folder / "deep" / "p.tsv"}, {})
    check_outputs({"--out": model, "--plot": tmp_path / "nets" / "x.png"}, {})


def test_an_output_folder_that_links_to_itself_is_named(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(InputError, match="loop: could not be written: Too many levels"):
        check_output_folder(tmp_path / "loop")


@pytest.mark.parametrize("told", ["list", *TELLING])
def test_a_folder_replaces_its_own_kind_alone(tmp_path: Path, told: str) -> None:
    """Earlier versions have no list, or one that does not say what the folder holds."""
    out = tmp_path / "out"
    with write_folder(out, content=NETWORKS) as part:
        write_text(part / "edges.tsv", "one")
        if told != "list":
            write_text(part / told, TELLING[told])
    if told != "list":
        lines = (out / MARKER).read_text().splitlines(keepends=True)
        (out / MARKER).write_text(header("fingerprint") + "".join(lines[1:]))
    before = names(out)
    kinds = {"list": NETWORKS, "networks.json": NETWORKS, "dataset.toml": DATASET, "run.json": RUN}
    kind = kinds[told]
    for other in {NETWORKS, DATASET, TRAIN_RUN} - {kind, TRAIN_RUN if kind == RUN else ""}:
        for function in (check_output_folder, write_folder):
            refused = pytest.raises(
                InputError, match=f"the folder holds {kind}, and is not replaced by {other}"
            )
            with refused, contextlib.ExitStack() as stack:
                done = function(out, overwrite=True, content=other)
                stack.enter_context(done)
    assert names(out) == before
    again = TRAIN_RUN if kind == RUN else kind
    with write_folder(out, overwrite=True, content=again) as part:
        write_text(part / "new", "two")
    assert (names(out), content_of(out)) == ([MARKER, "new"], again)


def test_a_folder_that_says_nothing_of_its_content_is_replaced(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with write_folder(out) as part:
        write_text(part / "a", "one")
    assert content_of(out) == ""
    check_output_folder(out, overwrite=True, content=NETWORKS)


def test_a_list_that_cannot_grow_names_what_was_to_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    out = Path("out")
    opened = os.open

    def refuse(path: Path, *args: int) -> int:
        if Path(path).name == MARKER:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return opened(path, *args)

    with locked(out):
        start_list(out, "fingerprint")
        monkeypatch.setattr(os, "open", refuse)
        for function in (claim, lambda path: write_text(path, "one")):
            with pytest.raises(InputError, match=r"^out/a: could not be written: No space left"):
                function(out / "a")


@pytest.mark.parametrize("refused", [None, *range(1, 5)])
def test_a_folder_that_cannot_be_renamed_is_replaced_by_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: int | None
) -> None:
    """Two files go and two come, or the disk refuses one and all are as they were."""
    monkeypatch.setattr("mirnagraph.writing.folders._can_move", lambda folder: False)
    out = tmp_path / "out"
    out.mkdir()
    with write_folder(out, content=NETWORKS) as part:
        write_text(part / "a" / "x", "one")
    left = subprocess.Popen(["true"])
    left.wait()
    leftover = out / f"{temporary.PREFIX}{left.pid}-{temporary.machine()}-0"
    leftover.mkdir()
    (leftover / "half").write_text("half")
    replaced = os.replace
    calls: list[object] = []

    def refuse(source: Path, target: Path) -> None:
        calls.append(source)
        if len(calls) == refused:
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(source))
        replaced(source, target)

    monkeypatch.setattr("mirnagraph.writing.folders.os.replace", refuse)
    words = pytest.raises(InputError, match=r"out: could not be written: Input/output error")
    replacing = write_folder(out, overwrite=True, content=NETWORKS)
    with words if refused else contextlib.nullcontext(), replacing as part:
        assert part.parent == out
        (part / "b").write_text("two")
    if refused:
        assert names(out) == ["a", "a/x", MARKER]
        assert (out / "a" / "x").read_text() == "one"
        monkeypatch.setattr("mirnagraph.writing.folders.os.replace", replaced)
        with write_folder(out, overwrite=True, content=NETWORKS) as part:
            (part / "b").write_text("two")
    assert (names(out), listed_files(out)) == (["b", MARKER], {"b"})
