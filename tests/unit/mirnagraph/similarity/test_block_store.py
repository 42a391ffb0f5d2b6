"""Block stores: files of other blocks, of strangers, another process at work, the index resumed."""

from __future__ import annotations

import json
import logging
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mirnagraph.errors import InputError
from mirnagraph.seeds import generator
from mirnagraph.similarity import block_store, candidates
from mirnagraph.similarity.best import Keep
from mirnagraph.similarity.block_store import BlockStore, open_store, stored_blocks
from mirnagraph.similarity.candidates import KmerIndex, indexed_neighbours
from mirnagraph.similarity.smith_waterman import smith_waterman_network

ONE = {"scores": np.array([0.5, 0.25]), "places": np.array([[1], [-1]])}

INDEX = KmerIndex(k=4, candidates=8, sample=5)


def rnas(n: int) -> list[str]:
    rng = generator(0, "rnas")
    return ["".join(rng.choice(list("ACGU"), rng.integers(30, 60))) for _ in range(n)]


def double(shared: int, job: tuple[int, int]) -> tuple[tuple[int, int], dict[str, np.ndarray]]:
    return job, {"x": np.arange(*job) * shared}


def test_a_block_comes_back_as_it_was(tmp_path: Path) -> None:
    store = BlockStore(tmp_path / "store", "aa")
    assert store.read("0_0") is None
    store.write("0_0", ONE)
    found = BlockStore(tmp_path / "store", "aa").read("0_0")
    assert found is not None
    assert sorted(found) == ["places", "scores"]
    for name, array in ONE.items():
        np.testing.assert_array_equal(found[name], array)


def test_a_file_of_another_block_or_store_is_computed_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = BlockStore(tmp_path / "one", "aa")
    store.write("0_0", ONE)
    other = BlockStore(tmp_path / "two", "bb")
    for place in (store, other):
        file = place.folder / "block_0_5.safetensors"
        shutil.copyfile(tmp_path / "one" / "block_0_0.safetensors", file)
        assert place.read("0_5") is None
        assert caplog.messages.pop() == f"{file} is damaged; its block is computed again"
        caplog.clear()
    shutil.copyfile(store.folder / "block_0_0.safetensors", other.folder / "block_0_0.safetensors")
    assert other.read("0_0") is None


def foreign_type() -> bytes:
    """A file of safetensors with a number type that numpy does not have."""
    header = {"scores": {"dtype": "BF16", "shape": [1], "data_offsets": [0, 2]}}
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + b"\0\0"


@pytest.mark.parametrize("content", [b"", b"not a block\n", b"\xff" * 99, foreign_type()])
def test_a_foreign_file_in_place_of_a_block_is_computed_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    store = BlockStore(tmp_path, "aa")
    file = tmp_path / "block_0_0.safetensors"
    file.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert store.read("0_0") is None
    assert f"{file} is damaged; its block is computed again" in caplog.text
    store.write("0_0", ONE)
    assert store.read("0_0") is not None


def test_a_folder_in_place_of_a_block_is_one_sentence(tmp_path: Path) -> None:
    store = BlockStore(tmp_path, "aa")
    (tmp_path / "block_0_0.safetensors").mkdir()
    assert store.read("0_0") is None
    with pytest.raises(InputError, match=r"block_0_0\.safetensors: the output file is a folder"):
        store.write("0_0", ONE)


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"fingerprint": 3}', "\0\1"])
def test_a_damaged_list_is_one_sentence(tmp_path: Path, content: str) -> None:
    (tmp_path / "blocks.json").write_text(content)
    with pytest.raises(InputError, match=r"blocks\.json: the block store is of other") as error:
        BlockStore(tmp_path, "aa")
    assert "\n" not in str(error.value)
    assert "expected aa" in str(error.value)


def test_a_place_that_cannot_be_a_store_is_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    for place in (file, file / "below"):
        with pytest.raises(InputError) as error, open_store(place, "aa"):
            pass
        assert "\n" not in str(error.value)
    assert file.read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_what_a_killed_process_left_is_no_other_file(tmp_path: Path) -> None:
    ended = subprocess.run(
        [
            sys.executable,
            "-c",
            "import os, sys; from pathlib import Path\n"
            "from mirnagraph.writing.temporary import new_temporary\n"
            "new_temporary(Path(sys.argv[1]), Path('x')); os._exit(9)",
            str(tmp_path),
        ],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[4])},
        check=False,
    )
    assert ended.returncode == 9
    assert len(list(tmp_path.iterdir())) == 1
    with open_store(tmp_path, "aa") as store:
        assert store is not None
        store.write("0_0", ONE)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["block_0_0.safetensors", "blocks.json"]


def test_a_store_is_that_of_one_process_at_a_time(tmp_path: Path) -> None:
    hold = (
        "import sys; from mirnagraph.similarity.block_store import open_store\n"
        "with open_store(sys.argv[1], 'aa'): print('held', flush=True); sys.stdin.read()"
    )
    place = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[4])}
    words = [sys.executable, "-c", hold, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(words, env=place, **pipes) as other:  # type: ignore[call-overload]
        assert other.stdout.readline() == b"held\n"
        with (
            pytest.raises(InputError, match="another command is at work in this folder") as error,
            open_store(tmp_path, "aa"),
        ):
            pass
        assert "\n" not in str(error.value)
        other.stdin.close()
    with open_store(tmp_path, "aa") as store:
        assert store is not None
    with open_store(None, "aa") as store:
        assert store is None


def test_finished_blocks_are_not_computed_again(tmp_path: Path, monkeypatch) -> None:
    jobs = [(0, 2), (2, 4), (4, 5)]
    store = BlockStore(tmp_path, "aa")
    store.write("x_2", {"x": np.array([20, 30])})
    found = dict(stored_blocks(double, 10, jobs, store, "x", 1))
    assert {job: found[job]["x"].tolist() for job in jobs} == {
        (0, 2): [0, 10],
        (2, 4): [20, 30],
        (4, 5): [40],
    }
    monkeypatch.setattr(block_store, "map_parallel", lambda _f, _s, jobs, _w: iter(jobs * 9))
    again = dict(stored_blocks(double, 10, jobs, store, "x", 1))
    assert [again[job]["x"].tolist() for job in jobs] == [[0, 10], [20, 30], [40]]


@pytest.mark.parametrize("step", ["_block", "_align"])
def test_a_killed_index_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    sequences = rnas(50)
    monkeypatch.setattr(candidates, "TEXTS_AT_ONCE", 16)
    monkeypatch.setattr("mirnagraph.similarity.blocks.MOST_ROWS", 16)
    alone, recall = indexed_neighbours(sequences, Keep(3, above=0.2), INDEX)
    begun: list[str] = []
    kill_at: int | None = 2
    compute = block_store.map_parallel

    def killed(function, shared, jobs, workers):
        for job in jobs:
            begun.append(f"{function.__name__} {job}")
            if function.__name__ == step and kill_at == sum(
                name.startswith(step) for name in begun
            ):
                raise KeyboardInterrupt
            yield from compute(function, shared, [job], workers)

    monkeypatch.setattr(block_store, "map_parallel", killed)
    with pytest.raises(KeyboardInterrupt):
        indexed_neighbours(sequences, Keep(3, above=0.2), INDEX, store=tmp_path)
    kill_at = None
    again, second = indexed_neighbours(sequences, Keep(3, above=0.2), INDEX, store=tmp_path)
    assert second == recall
    assert (again.nearest != alone.nearest).nnz == 0
    assert (again.above != alone.above).nnz == 0
    assert again.above.nnz > 0
    repeated = {name for name in begun if begun.count(name) > 1}
    assert repeated == {f"{step} (16, 32)"}
    assert len(set(begun)) == 8


def test_a_store_of_another_index_is_refused(tmp_path: Path) -> None:
    sequences = rnas(20)
    index = KmerIndex(above=5, k=4, candidates=8, sample=5)
    smith_waterman_network(sequences, 3, index=index, store=tmp_path)
    names = {path.name.split("_")[1] for path in tmp_path.glob("block_*")}
    assert names == {"rows", "aligned"}
    for other in (KmerIndex(above=5, k=5, candidates=8), KmerIndex(above=5, k=4, candidates=7)):
        with pytest.raises(InputError, match="of other sequences or settings"):
            smith_waterman_network(sequences, 3, index=other, store=tmp_path)
    with pytest.raises(InputError, match="of other sequences or settings"):
        smith_waterman_network(sequences, 3, store=tmp_path)
