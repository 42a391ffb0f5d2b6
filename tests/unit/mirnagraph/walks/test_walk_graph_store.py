"""Stored networks: memory-mapped equals in memory, pieces equal rounds, damage is named."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from mirnagraph.embedding.node2vec import Node2VecConfig, count_visits, node2vec
from mirnagraph.errors import InputError
from mirnagraph.parallel import use_mapper
from mirnagraph.walks.graph import (
    WalkGraph,
    open_walk_graph,
    row_pointers,
    store_walk_graph,
    walk_graph,
)
from mirnagraph.walks.rounds import map_rounds, walk_rounds

SETTINGS = {"n_walks": 3, "walk_length": 7, "p": 0.5, "q": 2.0, "seed": 4}


def network(weighted: bool, n_nodes: int = 300) -> sparse.csr_array:
    """Random and symmetric, with files above the size that is read whole."""
    rng = np.random.default_rng(0)
    ends = rng.integers(0, n_nodes, (2, 5 * n_nodes))
    weights = rng.random(5 * n_nodes) + 0.1 if weighted else np.ones(5 * n_nodes)
    half = sparse.coo_array((weights, ends), shape=(n_nodes, n_nodes)).tocsr()
    both = sparse.csr_array(half + half.T)
    return both if weighted else both.astype(bool).astype(np.float64)


@pytest.fixture(params=[False, True], ids=["plain", "weighted"])
def graph(request: pytest.FixtureRequest) -> WalkGraph:
    return walk_graph(network(request.param))


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    store_walk_graph(walk_graph(network(weighted=True)), tmp_path / "graph")
    return tmp_path / "graph"


def test_a_stored_network_is_the_network_bit_for_bit(graph: WalkGraph, tmp_path: Path) -> None:
    store_walk_graph(graph, tmp_path / "graph")
    opened = open_walk_graph(tmp_path / "graph")
    for name, values in graph._asdict().items():
        mapped = getattr(opened, name)
        assert mapped.dtype == values.dtype
        np.testing.assert_array_equal(mapped, values, err_msg=name)
    assert isinstance(opened.indices.base, np.memmap)
    assert opened.is_weighted == graph.is_weighted
    for ours, theirs in zip(
        walk_rounds(graph, **SETTINGS), walk_rounds(opened, **SETTINGS), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)
    config = Node2VecConfig(dim=4, n_walks=1, walk_length=5, epochs=1)
    from_folder = node2vec(tmp_path / "graph", config, 3)
    np.testing.assert_array_equal(from_folder, node2vec(graph, config, 3))


def test_row_pointers_are_as_short_as_the_number_of_edges_lets_them() -> None:
    assert row_pointers(np.array([0, 2**31 - 1])).dtype == np.int32
    assert row_pointers(np.array([0, 2**31])).tolist() == [0, 2**31]


@pytest.mark.parametrize(("p", "q"), [(1.0, 1.0), (0.5, 2.0)])
def test_walks_do_not_depend_on_the_type_of_row_pointers(
    graph: WalkGraph, p: float, q: float
) -> None:
    assert graph.indptr.dtype == np.int32
    long = graph._replace(indptr=graph.indptr.astype(np.int64))
    how = {"n_walks": 2, "walk_length": 9, "p": p, "q": q, "seed": 1}
    for one, other in zip(walk_rounds(graph, **how), walk_rounds(long, **how), strict=True):
        np.testing.assert_array_equal(one, other)


def test_walking_and_opening_leave_the_files_as_they_are(stored: Path) -> None:
    before = {path.name: path.read_bytes() for path in stored.iterdir()}
    opened = open_walk_graph(stored)
    opened.indices[0] = 0  # a copy on write, never the file
    list(walk_rounds(open_walk_graph(stored), **SETTINGS))
    assert {path.name: path.read_bytes() for path in stored.iterdir()} == before


@pytest.mark.parametrize("piece", [1, 7, 100, 10**6])
def test_pieces_are_the_rounds_cut(graph: WalkGraph, piece: int) -> None:
    whole = list(walk_rounds(graph, **SETTINGS))
    assert [len(walks) for walks in whole] == [graph.n_nodes] * 3
    pieces = list(walk_rounds(graph, **SETTINGS, piece=piece))
    assert max(walks.size for walks in pieces) <= max(piece, 7)
    np.testing.assert_array_equal(np.concatenate(pieces), np.concatenate(whole))
    second = np.concatenate(list(walk_rounds(graph, **SETTINGS, rounds=[1], piece=piece)))
    np.testing.assert_array_equal(second, whole[1])


def test_a_round_of_a_large_network_comes_in_small_pieces() -> None:
    ring = sparse.csr_array(sparse.eye_array(50_000, k=1) + sparse.eye_array(50_000, k=-1))
    sizes = [
        walks.shape
        for walks in walk_rounds(walk_graph(ring), **{**SETTINGS, "walk_length": 80}, rounds=[0])
    ]
    assert sizes == [(13_107, 80)] * 3 + [(10_679, 80)]


class Backwards:
    """A place for jobs that does the last one first."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, list[int]]] = []

    def submit(self, function: Any, /, *args: Any) -> Any:
        raise NotImplementedError

    def as_finished(self, function: Any, shared: Any, jobs: Any) -> Iterator[Any]:
        self.asked.append((shared[1], list(jobs)))
        return (function(shared, job) for job in reversed(jobs))

    in_order = as_finished

    def folder(self, path: Path, *, is_written: bool = True) -> Path:
        assert not is_written
        return path

    def check_answer(self, question: Any, *args: Any) -> None:
        raise NotImplementedError


def test_rounds_elsewhere_are_those_of_one_process(stored: Path) -> None:
    graph = open_walk_graph(stored)
    expected = count_visits(partial(walk_rounds, graph, **SETTINGS), graph.n_nodes)
    assert expected.sum() == 3 * 300 * 7
    elsewhere = Backwards()
    config = Node2VecConfig(dim=4, n_walks=3, walk_length=5, epochs=1)
    alone = node2vec(stored, config, 3)
    with use_mapper(elsewhere):
        counts = list(map_rounds(partial(_visits, n_nodes=300), stored, SETTINGS))
        np.testing.assert_array_equal(node2vec(stored, config, 3), alone)
    assert elsewhere.asked == [(stored, [0, 1, 2])] * 2, "a folder is sent as its path"
    np.testing.assert_array_equal(sum(counts), expected)


@pytest.mark.slow
def test_rounds_of_two_processes_are_those_of_one(stored: Path) -> None:
    config = Node2VecConfig(dim=4, n_walks=3, walk_length=5, epochs=1)
    for source in (stored, walk_graph(stored)):
        two = node2vec(source, config, 3, workers=2)
        np.testing.assert_array_equal(two, node2vec(source, config, 3))


def _visits(pieces: Iterator[np.ndarray], n_nodes: int) -> np.ndarray:
    return count_visits(lambda: pieces, n_nodes)


def test_a_damaged_store_is_told_with_its_file_and_the_way_on(stored: Path) -> None:
    file = stored / "indices.npy"
    whole = file.read_bytes()
    again = "; store the network again with store_walk_graph$"
    file.write_bytes(whole[:-1])
    n_bytes = f"found {len(whole) - 1} bytes, expected {len(whole)}"
    with pytest.raises(InputError, match=rf"indices\.npy: .* was cut or grew; {n_bytes}{again}"):
        open_walk_graph(stored)
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 64]))
    with pytest.raises(InputError, match=rf"indices\.npy: .* was altered{again}"):
        open_walk_graph(stored)
    file.unlink()
    with pytest.raises(InputError, match=rf"indices\.npy: .* is missing{again}"):
        walk_graph(stored)
    (stored / "graph.json").write_text('{"format_version": 1}', encoding="utf-8")
    with pytest.raises(InputError, match=rf"graph\.json: not the list of a stored network{again}"):
        open_walk_graph(stored)
    with pytest.raises(InputError, match=r"graph\.json"):
        open_walk_graph(stored.parent)


def test_another_version_of_the_format_is_refused(stored: Path) -> None:
    contents = (stored / "graph.json").read_text(encoding="utf-8")
    newer = contents.replace('"format_version": 1', '"format_version": 2')
    (stored / "graph.json").write_text(newer, encoding="utf-8")
    with pytest.raises(InputError, match=r"another format; found 2, expected 1; store the network"):
        open_walk_graph(stored)


def test_a_folder_that_is_not_empty_is_replaced_on_request_alone(stored: Path) -> None:
    graph = walk_graph(network(weighted=False))
    with pytest.raises(InputError, match="not empty"):
        store_walk_graph(graph, stored)
    store_walk_graph(graph, stored, overwrite=True)
    assert not open_walk_graph(stored).is_weighted
