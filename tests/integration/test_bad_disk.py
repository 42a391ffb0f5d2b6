"""A disk that is full: every command, at its writes, and on small real disks.

The first write of each kind is refused; with MIRNAGRAPH_EVERY_WRITE=1, as in `make stress`, each.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from contents import contents, hidden, small_disk
from full_disk import full_disk, kind_of

from mirnagraph.dataset import Dataset
from mirnagraph.io import write_tsv


@dataclass(frozen=True)
class Writing:
    """A command that writes.

    Attributes:
        words: of the command.
        is_run: whether what is finished stays, to be resumed.
        overwrite: the option that lets it write again.
        resume: the option that lets it go on, of a run.
    """

    words: tuple[str, ...]
    is_run: bool = False
    overwrite: tuple[str, ...] = ("--overwrite",)
    resume: tuple[str, ...] = ("--resume",)


SMALL = ("--fold", "2", "--config", "quick.toml", "--workers", "1")
FOLDER = ("--out", "out")
EXPLAIN = ("explain", "--run", "run", "--rna", "syn-mir-0001", "--networks", "nets")

COMMANDS = {
    "build-dataset": Writing(("build-dataset", "recipe.toml", *FOLDER)),
    "build-networks": Writing(("build-networks", "--data", "ds", *FOLDER)),
    "export": Writing(("export", "run", "--networks", "nets", *FOLDER)),
    "explain": Writing((*EXPLAIN, *FOLDER)),
    "predict": Writing(
        ("predict", "--run", "run", "--fasta", "mini.fa", "--out", "out.tsv"), overwrite=()
    ),
    "atlas": Writing(("atlas", "--run", "run", "--out", "out.parquet"), overwrite=()),
    "report": Writing(("report", "run", "--out", "out.html"), overwrite=()),
    "train": Writing(("train", "--networks", "nets", *SMALL, "--no-baselines", *FOLDER), True),
    "tune": Writing(
        ("tune", "--networks", "nets", *SMALL, "--space", "space.toml", "--trials", "2", *FOLDER),
        True,
    ),
    "seq train": Writing(
        ("seq", "train", "--data", "ds", "--fold", "2", "--config", "seq.toml", "--workers", "1",
         "--no-baselines", *FOLDER),
        True,
    ),
    "ablate": Writing(
        ("ablate", "--networks", "nets", *SMALL, "--repeats", "1", "--only", "without-disease",
         "--resamples", "100", *FOLDER),
        True,
        resume=(),
    ),
}  # fmt: skip

RECIPE = """name = "own"
species = "Homo sapiens"
[rnas]
from = "list"
file = "ids.txt"
sequences = "rnas.fa"
[labels]
format = "table"
file = "labels.tsv"
columns = { rna = "Name" }
"""

SPACE = "[space]\nfusion.dropout = { low = 0.05, high = 0.3, step = 0.05 }\n"

SEQ = """[rnatracker]
filters = 4
units = 4
attention_units = 4
[training]
epochs = 1
[descriptors]
members = 1
[descriptors.trees]
n_trees = 5
rounds = 5
boosting_width = 20
"""


@pytest.fixture
def inputs(place: Path, quick, small_dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with what each of `COMMANDS` reads."""
    quick()
    sequences = small_dataset.rnas["sequence"].dropna()
    texts = {
        "ids.txt": "\n".join(small_dataset.index) + "\n",
        "rnas.fa": "".join(f">{name}\n{sequence}\n" for name, sequence in sequences.items()),
        "recipe.toml": RECIPE,
        "space.toml": SPACE,
        "seq.toml": SEQ,
    }
    for name, text in texts.items():
        (place / name).write_text(text, encoding="utf-8")
    write_tsv(small_dataset.labels.rename_axis("Name").reset_index(), place / "labels.tsv")
    monkeypatch.setattr("seqtower.experiment.K", 2)
    names = ["syn-mir-0001", "syn-mir-0002"]
    monkeypatch.setattr("fusion.atlas.atlas_names", lambda model: names)
    return place


def clean(place: Path) -> None:
    for path in place.glob("out*"):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def steps_of(seen: list[str]) -> list[str] | list[int]:
    """Writes that are refused: the first of each kind, or every one by its number."""
    if is_every_write():
        return list(range(1, len(seen) + 1))
    return list(dict.fromkeys(map(kind_of, seen)))


def is_every_write() -> bool:
    return bool(os.environ.get("MIRNAGRAPH_EVERY_WRITE"))


FULL = "(No space left on device|database or disk is full)"


def assert_refused(ended, reason: str = FULL) -> None:
    """One sentence that names the place that was asked for, and why."""
    assert ended.returncode == 3, ended.stderr
    assert ended.stderr.count("\n") == 1, ended.stderr
    assert ended.stderr.startswith("Error: out"), ended.stderr
    assert re.search(f"could not be written: {reason}", ended.stderr), ended.stderr
    assert ".mirnagraph-" not in ended.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in COMMANDS if not COMMANDS[name].is_run])
@pytest.mark.parametrize("is_there", [False, True], ids=["new", "replaced"])
def test_a_full_disk_at_every_write(run, inputs: Path, name: str, is_there: bool) -> None:
    """Refused from the first write of each kind on; what was there stays as it was."""
    command = COMMANDS[name]
    words = (*command.words, *(command.overwrite if is_there else ()), "-q")
    if is_there:
        assert run(*command.words, "-q").returncode == 0
    with full_disk(inputs) as disk:
        assert run(*words).returncode == 0
    if not is_there:
        clean(inputs)
    before = contents(inputs)
    n_refused = 0
    steps = steps_of(disk.seen)
    for step in steps:
        with full_disk(inputs, step) as disk:
            ended = run(*words)
        assert (disk.is_full, hidden(inputs)) == (True, []), step
        if ended.returncode == 0:  # a name that the file system could not give to the disk
            assert disk.refused.startswith("fsync"), step
            if is_there:
                before = contents(inputs)
            else:
                clean(inputs)
            continue
        n_refused += 1
        assert_refused(ended)
        assert contents(inputs) == before, step
    print(f"{name}: {len(steps)} writes, {n_refused} refused")  # noqa: T201  shown with -s


def results_in(folder: Path) -> dict[str, bytes]:
    names = ("predictions.tsv", "best.toml", "folds.tsv", "ablation.tsv")
    return {path: text for path, text in contents(folder).items() if Path(path).name in names}


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in COMMANDS if COMMANDS[name].is_run])
def test_a_full_disk_at_every_write_of_a_run(run, inputs: Path, name: str) -> None:
    """Refused at the first write of a kind, resumed, refused at that of the next, and so on: the
    end has the results of a run that was never refused. Of every write, each begins anew.
    """
    words = (*COMMANDS[name].words, *COMMANDS[name].resume, "-q")
    before = contents(inputs)
    with full_disk(inputs) as disk:
        assert run(*words).returncode == 0
    expected = results_in(Path("out"))
    clean(inputs)
    steps = steps_of(disk.seen)
    n_refused = 0
    for step in steps:
        if is_every_write():
            clean(inputs)
        with full_disk(inputs, step) as disk:
            ended = run(*words)
        after = contents(inputs)
        assert hidden(inputs) == [], step
        assert {path: after.get(path) for path in before} == before
        if ended.returncode == 0:  # nothing of this kind was left to write
            clean(inputs)
            continue
        assert_refused(ended)
        n_refused += 1
    assert n_refused > 0.6 * len(steps)
    assert run(*words).returncode == 0
    assert results_in(Path("out")) == expected
    print(f"{name}: {len(steps)} writes, {n_refused} refused")  # noqa: T201  shown with -s


@pytest.mark.slow
def test_a_full_disk_at_every_write_of_a_run_that_replaces_another(run, inputs: Path) -> None:
    """The earlier run is whole until the new one has its place."""
    words = (*COMMANDS["tune"].words, "-q")
    assert run(*words, "--seed", "1").returncode == 0
    before = contents(inputs)
    shutil.copytree("out", "kept")
    words = (*words, "--overwrite")
    with full_disk(inputs) as disk:
        assert run(*words).returncode == 0
    expected = results_in(Path("out"))
    steps = steps_of(disk.seen)
    n_refused = 0
    for step in steps:
        if is_every_write() or results_in(Path("out")) == expected:
            clean(inputs)
            shutil.copytree("kept", "out")
        with full_disk(inputs, step) as disk:
            ended = run(*words)
        assert hidden(inputs) == [], step
        if ended.returncode == 0:
            continue
        assert_refused(ended)
        n_refused += 1
        after = contents(inputs)
        if results_in(Path("out")) != expected:
            assert {path: after.get(path) for path in before} == before, step
    assert n_refused > 0.6 * len(steps)
    assert run(*words).returncode == 0
    assert (results_in(Path("out")), Path("out.unfinished").exists()) == (expected, False)
    print(f"tune --overwrite: {len(steps)} writes, {n_refused} refused")  # noqa: T201  shown with -s


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (errno.EACCES, "Permission denied"),
        (errno.EROFS, "Read-only file system"),
        (errno.EDQUOT, "Disk quota exceeded"),
        (errno.EIO, "Input/output error"),
    ],
)
def test_what_a_disk_refuses_is_one_sentence(run, inputs: Path, code: int, reason: str) -> None:
    before = contents(inputs)
    for name in ("build-dataset", "predict", "train"):
        for number in (1, 2):
            with full_disk(inputs, number, code):
                ended = run(*COMMANDS[name].words, "-q")
            assert_refused(ended, reason)
            assert (contents(inputs), hidden(inputs)) == (before, [])


@pytest.fixture
def disk(place: Path) -> Iterator[Callable[[str], Path]]:
    """Mount a small disk of the given options."""
    with small_disk(place) as mount:
        yield mount


@pytest.mark.slow
@pytest.mark.parametrize("name", ["build-networks", "export", "train", "seq train", "tune"])
def test_a_small_disk(run, inputs: Path, disk: Callable[[str], Path], name: str) -> None:
    """What C libraries write, which no hook sees: full after a part of all bytes."""
    command = COMMANDS[name]
    assert run(*command.words, "-q").returncode == 0
    pages = sum(-(-path.stat().st_size // 4096) for path in Path("out").rglob("*"))
    clean(inputs)
    before = contents(inputs)
    for share in (0.3, 0.6, 0.9):
        folder = disk(f"size={4 * max(1, int(share * pages))}k")
        os.symlink(folder / "out", "out")
        ended = run(*command.words, "-q")
        assert_refused(ended)
        assert hidden(inputs) == []
        Path("out").unlink()
        after = contents(inputs)
        assert {path: after.get(path) for path in before} == before
        if not command.is_run:
            assert not (folder / "out").exists()


def test_a_full_disk_is_one_sentence_with_the_place_that_was_asked_for(
    run, place: Path, quick, disk: Callable[[str], Path]
) -> None:
    config = str(quick())
    full = disk("size=64k")
    read_only = disk("size=64k,ro")
    train = ("train", "--networks", "nets", "--fold", "2", "--config", config, "--no-baselines")
    for words, where, reason in (
        (("build-networks", "--data", "ds"), f"{full}/n", "No space left on device"),
        ((*train, "--workers", "1"), f"{full}/r", "No space left on device"),
        (("export", "run"), f"{full}/m", "No space left on device"),
        (("predict", "--run", "run"), f"{read_only}/o.tsv", "Read-only file system"),
        (("build-networks", "--data", "ds"), f"{read_only}/n", "Read-only file system"),
        ((*train, "--workers", "1"), f"{read_only}/r", "Read-only file system"),
    ):
        ended = run(*words, "--out", where, "-q")
        assert ended.returncode == 3, ended.stderr
        assert ended.stderr.startswith(f"Error: {where}"), ended.stderr
        assert f"could not be written: {reason}" in ended.stderr
        assert (ended.stderr.count("\n"), hidden(place)) == (1, [])


def test_a_mount_is_an_output_folder_and_is_replaced(run, inputs: Path, disk) -> None:
    """It cannot give its place to another: what is in it gives its place."""
    mount = disk("size=4m")
    words = ("build-networks", "--data", "ds", "--workers", "1", "-q", "--out", str(mount))
    first = run(*words)
    assert first.returncode == 0, first.stderr
    before = contents(mount)
    assert "networks.json" in before
    again = run(*words, "--overwrite", "--graphml")
    assert again.returncode == 0, again.stderr
    assert set(contents(mount)) - set(before) == {
        "disease.graphml", "drug.graphml", "functional.graphml", "mRNA.graphml",
        "sequence.graphml", "cytoscape-style.xml",
    }  # fmt: skip
    assert run(*words, "--overwrite").returncode == 0
    assert contents(mount) == before
    assert hidden(inputs) == []
