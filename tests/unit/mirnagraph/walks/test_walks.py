"""Random walks: steps are edges, exact second-order frequencies, threads and blocks."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest
from scipy import sparse, stats

from mirnagraph.errors import InputError
from mirnagraph.walks.graph import _alias_tables, walk_graph
from mirnagraph.walks.rounds import walk_rounds
from mirnagraph.walks.steps import _exact_edge, _has_edge

# Node 5 is the last row; node 4's only neighbour besides 0 is that last row, so its neighbour list
# ends where the matrix ends.
EDGES = [
    (0, 1, 1.0),
    (0, 2, 2.0),
    (0, 4, 0.5),
    (1, 2, 3.0),
    (2, 3, 0.25),
    (3, 5, 4.0),
    (4, 5, 1.5),
    (2, 5, 1.0),
]


DEFAULTS = {"p": 1.0, "q": 1.0, "seed": 0}


def small_graph(weighted: bool) -> sparse.csr_array:
    rows, cols, weights = (np.array(x) for x in zip(*EDGES, strict=True))
    half = sparse.csr_array(
        (weights if weighted else np.ones(len(EDGES)), (rows, cols)), shape=(6, 6)
    )
    return sparse.csr_array(half + half.T)


def random_walks(network: sparse.csr_array, **settings: Any) -> np.ndarray:
    """All walks of a network, by default first-order with seed 0."""
    return np.concatenate(list(walk_rounds(walk_graph(network), **DEFAULTS | settings)))


def exact_second_order(dense: np.ndarray, p: float, q: float, before: int, here: int) -> np.ndarray:
    """Grover and Leskovec 2016, section 3.2.2, written out."""
    weights = np.zeros(len(dense))
    for node in np.flatnonzero(dense[here]):
        bias = 1 / p if node == before else 1.0 if dense[before, node] > 0 else 1 / q
        weights[node] = bias * dense[here, node]
    return weights / weights.sum()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    ("p", "q"),
    [(1.0, 1.0), (0.25, 4.0), (4.0, 0.25), (0.5, 0.5), (3.0, 3.0), (0.001, 1.0), (1.0, 1000.0)],
)
def test_second_order_frequencies_match_the_exact_probabilities(
    weighted: bool, p: float, q: float
) -> None:
    network = small_graph(weighted)
    dense = network.toarray()
    walks = random_walks(network, n_walks=400, walk_length=100, p=p, q=q, seed=5)
    triples = np.zeros((6, 6, 6))
    np.add.at(triples, (walks[:, :-2], walks[:, 1:-1], walks[:, 2:]), 1)
    p_values = []
    for before, here in zip(*np.nonzero(dense), strict=True):
        expected, counts = exact_second_order(dense, p, q, before, here), triples[before, here]
        assert counts[expected == 0].sum() == 0
        usable = expected * counts.sum() > 5
        if usable.sum() >= 2:
            observed = counts[usable]
            p_values.append(
                stats.chisquare(
                    observed, expected[usable] / expected[usable].sum() * observed.sum()
                ).pvalue
            )
    assert len(p_values) >= 5
    assert min(p_values) * len(p_values) > 0.01


def test_first_step_follows_the_weights() -> None:
    network = small_graph(weighted=True)
    walks = random_walks(network, n_walks=5000, walk_length=2, p=0.1, q=10.0, seed=1)
    for node in range(6):
        counts = np.bincount(walks[walks[:, 0] == node, 1], minlength=6)
        expected = network.toarray()[node] / network.toarray()[node].sum()
        linked = expected > 0
        assert counts[~linked].sum() == 0
        assert stats.chisquare(counts[linked], expected[linked] * counts.sum()).pvalue > 1e-3


def test_exact_edge_that_bounds_the_rejections_has_the_same_law() -> None:
    network = small_graph(weighted=True)
    graph = walk_graph(network)
    units = (np.arange(20_000) + 0.5) / 20_000
    edges = [
        _exact_edge(graph.indptr, graph.indices, graph.weights, 2, 0, 0.2, 7.0, unit)
        for unit in units
    ]
    np.testing.assert_allclose(
        np.bincount(graph.indices[edges], minlength=6) / 20_000,
        exact_second_order(network.toarray(), 0.2, 7.0, 2, 0),
        atol=1e-4,
    )


def test_alias_tables_hold_the_weights() -> None:
    rng = np.random.default_rng(0)
    indptr = np.array([0, 1, 1, 8, 40])
    weights = rng.random(40) ** 4 + 1e-6
    accept, alias = _alias_tables(indptr, weights)
    for lo, hi in [(0, 1), (1, 8), (8, 40)]:
        mass = np.zeros(hi - lo)
        for slot in range(hi - lo):
            mass[slot] += accept[lo + slot]
            mass[alias[lo + slot]] += 1 - accept[lo + slot]
        np.testing.assert_allclose(
            mass / (hi - lo), weights[lo:hi] / weights[lo:hi].sum(), rtol=1e-9
        )


def test_edge_lookup_never_reads_past_a_row() -> None:
    network = small_graph(weighted=False)
    graph = walk_graph(network)
    found = [[_has_edge(graph.indptr, graph.indices, i, j) for j in range(6)] for i in range(6)]
    np.testing.assert_array_equal(found, network.toarray() > 0)
    # Row 0 is {2}; row 1 begins with 3: a search for 3 in row 0 ends at row 1's first entry.
    two_rows = walk_graph(sparse.csr_array(([1.0, 1.0], ([0, 1], [2, 3])), shape=(4, 4)))
    assert not _has_edge(two_rows.indptr, two_rows.indices, 0, 3)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_seed_decides_and_the_number_of_rounds_does_not(weighted: bool) -> None:
    settings = {"n_walks": 7, "walk_length": 30, "p": 0.5, "q": 2.0}
    one = random_walks(small_graph(weighted), **settings, seed=3)
    np.testing.assert_array_equal(one, random_walks(small_graph(weighted), **settings, seed=3))
    fewer = random_walks(small_graph(weighted), **{**settings, "n_walks": 3}, seed=3)
    np.testing.assert_array_equal(one[: len(fewer)], fewer)
    assert not np.array_equal(one, random_walks(small_graph(weighted), **settings, seed=4))


def test_walks_of_a_seed_are_those_of_earlier_versions() -> None:
    settings = {"n_walks": 3, "walk_length": 8, "p": 0.5, "q": 2.0, "seed": 3}
    walks = random_walks(small_graph(weighted=True), **settings)
    assert walks[:3].tolist() == [
        [0, 2, 0, 2, 0, 2, 1, 2],
        [2, 0, 2, 0, 2, 1, 2, 0],
        [5, 3, 5, 4, 5, 3, 5, 3],
    ]
    checksum = hashlib.sha256(walks.astype("<i4").tobytes()).hexdigest()
    assert checksum.startswith("1ca4db6eba772b33")


def test_each_round_starts_once_at_every_node() -> None:
    graph = walk_graph(small_graph(weighted=False))
    rounds = list(walk_rounds(graph, n_walks=4, walk_length=5, p=1.0, q=1.0, seed=0))
    assert all(np.array_equal(np.sort(block[:, 0]), np.arange(6)) for block in rounds)
    assert len({tuple(block[:, 0]) for block in rounds}) > 1
    assert rounds[0].dtype == np.int32


def test_isolated_nodes_and_dead_ends_are_padded() -> None:
    directed = sparse.csr_array(([1.0, 1.0], ([0, 1], [1, 2])), shape=(4, 4))
    walks = random_walks(directed, n_walks=1, walk_length=5)
    by_start = {int(walk[0]): walk.tolist() for walk in walks}
    assert by_start == {
        0: [0, 1, 2, -1, -1],
        1: [1, 2, -1, -1, -1],
        2: [2, -1, -1, -1, -1],
        3: [3, -1, -1, -1, -1],
    }


def test_edges_of_weight_zero_are_no_edges_and_duplicates_add_up() -> None:
    network = sparse.coo_array(
        ([0.0, 0.0, 1.0, 1.0, 2.0, 2.0], ([0, 1, 0, 2, 0, 2], [1, 0, 2, 0, 2, 0])), shape=(3, 3)
    )
    graph = walk_graph(network)
    assert graph.indices.tolist() == [2, 0]
    walks = random_walks(network, n_walks=3, walk_length=6, p=0.5, q=2.0)
    assert set(walks[walks[:, 0] == 0].ravel().tolist()) == {0, 2}
    assert network.nnz == 6, "the caller's matrix is left as it was"


def test_equal_weights_take_the_unweighted_path() -> None:
    assert not walk_graph(small_graph(weighted=False) * 0.3).is_weighted
    assert walk_graph(small_graph(weighted=True)).is_weighted
    settings = {"n_walks": 2, "walk_length": 9, "p": 0.5, "q": 2.0}
    np.testing.assert_array_equal(
        random_walks(small_graph(False), **settings),
        random_walks(small_graph(False) * 0.3, **settings),
    )


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_bad_weights_are_named_with_row_and_column(weight: float) -> None:
    network = sparse.csr_array(([1.0, weight], ([0, 2], [1, 1])), shape=(3, 3))
    with pytest.raises(InputError, match=rf"{weight} in row 2, column 1.*expected 0 or greater"):
        walk_graph(network)


def test_what_is_no_square_sparse_matrix_is_refused() -> None:
    with pytest.raises(InputError, match=r"square.*\(2, 3\)"):
        walk_graph(sparse.csr_array((2, 3)))
    with pytest.raises(InputError, match="found ndarray, expected csr_array"):
        walk_graph(np.eye(3))
