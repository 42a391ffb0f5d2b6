"""Similarities in blocks of rows: values by hand, equal to the dense way, ties, processes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse

from mirnagraph.networks.sparsify import cut_off, top_k
from mirnagraph.seeds import generator
from mirnagraph.similarity import blocks
from mirnagraph.similarity.best import (
    Keep,
    best_of_rows,
    in_order,
    join_nearest,
    nearest_lists,
)
from mirnagraph.similarity.blocks import NamedRows, row_neighbours, rows_at_once
from mirnagraph.similarity.disease import (
    BlendedRows,
    blend,
    functional_rows,
    functional_similarity,
)
from mirnagraph.similarity.kmer import KmerConfig, kmer_rows, kmer_similarity
from mirnagraph.similarity.profile import (
    correlation_rows,
    correlation_similarity,
    cosine,
    cosine_rows,
    gip_rows,
    gip_similarity,
)
from mirnagraph.similarity.scorer import DEFAULT_SCORES
from mirnagraph.similarity.smith_waterman import AlignedRows, mature_similarity

FOUR = np.array(
    [[1.0, 0.9, 0.5, 0.5], [0.9, 1.0, 0.0, 0.6], [0.5, 0.0, 1.0, 0.0], [0.5, 0.6, 0.0, 1.0]]
)

ASSOCIATIONS = hnp.arrays(
    np.float64,
    st.tuples(st.integers(1, 12), st.just(5)),
    elements=st.sampled_from([0.0, 0.0, 1.0]),
)


class Dense:
    """Rows of a dense array."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array
        self.n_rows = len(array)

    def similarity(self, start: int, stop: int) -> np.ndarray:
        return self.array[start:stop].copy()


def assert_blocks(rows, dense: np.ndarray, side: int = 5) -> None:
    """Blocks of several sizes hold the numbers of the dense way, to the last bit."""
    n = rows.n_rows
    assert dense.shape == (n, n)
    for size in (side, n):
        for start in range(0, n, size):
            block = rows.similarity(start, min(start + size, n))
            assert (block == dense[start : start + size]).all()


def random_associations(n: int = 23, n_partners: int = 9, *, weighted: bool = False) -> np.ndarray:
    rng = generator(1, "associations")
    matrix = (rng.random((n, n_partners)) < 0.3).astype(float)
    matrix[[4, 11]] = 0
    return matrix * rng.random(matrix.shape) if weighted else matrix


def semantic_of(n: int = 9) -> np.ndarray:
    values = generator(2, "semantic").random((n, n))
    values = (values + values.T) / 2
    np.fill_diagonal(values, 1.0)
    return values


def test_gip_of_blocks_by_hand() -> None:
    """Squared norms 1, 2 and 0, mean 1, so g = 1; rows 0 and 1 differ in one partner: exp(-1)."""
    rows = gip_rows(np.array([[1, 0], [1, 1], [0, 0]]))
    np.testing.assert_allclose(rows.similarity(1, 2), [[np.exp(-1), 1, 0]], rtol=1e-12)
    np.testing.assert_allclose(rows.similarity(0, 1), [[1, np.exp(-1), 0]], rtol=1e-12)
    assert rows.similarity(2, 3).tolist() == [[0, 0, 1]]


def test_cosine_of_blocks_by_hand() -> None:
    """(3, 4) to (4, 3): (12 + 12) / 25."""
    rows = cosine_rows(np.array([[3, 4], [4, 3], [0, 0]]))
    np.testing.assert_allclose(rows.similarity(1, 2), [[24 / 25, 1, 0]], rtol=1e-6)


def test_functional_of_blocks_by_hand() -> None:
    """Diseases of row 0: a; of row 1: a, b; S(a, b) = 0.4.

    Best match: (1 + 1 + 0.4) / 3. GTMALoc: mean similarity of a to {a} is 1, to {a, b} 0.7; half of
    their sum over the one common disease.
    """
    semantic = np.array([[1, 0.4], [0.4, 1]])
    profiles = np.array([[1, 0], [1, 1], [0, 0]])
    rows = functional_rows(profiles, semantic)
    np.testing.assert_allclose(rows.similarity(1, 3), [[2.4 / 3, 1, 0], [0, 0, 1]], rtol=1e-12)
    rows = functional_rows(profiles, semantic, method="gtmaloc")
    np.testing.assert_allclose(rows.similarity(1, 2), [[0.85, 1, 0]], rtol=1e-12)


def test_blend_of_blocks_by_hand() -> None:
    """0.25 * 0.8 + 0.75 * GIP; norms 1 and 2, mean 1.5, distance 1: exp(-1 / 1.5)."""
    profiles = np.array([[1, 0], [1, 1]])
    semantic = functional_rows(profiles, np.array([[1, 0.4], [0.4, 1]]))
    rows = BlendedRows(semantic, gip_rows(profiles), 0.25).rows(1, 2)
    expected = 0.25 * 0.8 + 0.75 * np.exp(-1 / 1.5)
    np.testing.assert_allclose(rows["functional"], [[expected, 1]], rtol=1e-6)
    assert {array.dtype for array in rows.values()} == {np.dtype(np.float32)}


def test_correlation_of_blocks_by_hand() -> None:
    """Ranks of the rows: 1 2 3, 1 2 3 and 3 2 1; the negative correlation counts as 0."""
    profiles = np.array([[1, 2, 3], [1, 2, 9], [3, 2, 1.0]])
    rows = correlation_rows(profiles, side=2)
    np.testing.assert_allclose(rows.similarity(0, 2), [[1, 1, 0], [1, 1, 0]], rtol=1e-6)
    assert rows.similarity(2, 3).tolist() == [[0, 0, 1]]


@pytest.mark.parametrize("weighted", [False, True])
def test_profiles_in_blocks_are_those_of_the_dense_way(weighted: bool) -> None:
    matrix = random_associations(weighted=weighted)
    assert_blocks(gip_rows(matrix, gamma=0.7), gip_similarity(matrix, gamma=0.7))
    assert_blocks(cosine_rows(matrix), cosine(matrix))
    # stored columns in another order are the same matrix
    mixed = sparse.csr_array(matrix)
    for row in range(len(matrix)):
        part = slice(mixed.indptr[row], mixed.indptr[row + 1])
        mixed.indices[part] = mixed.indices[part][::-1]
        mixed.data[part] = mixed.data[part][::-1]
    assert (gip_similarity(mixed) == gip_similarity(matrix)).all()


@pytest.mark.parametrize("method", ["best_match", "gtmaloc"])
def test_functional_blocks_are_those_of_the_dense_way(method: str) -> None:
    matrix = random_associations()
    semantic = functional_similarity(matrix, semantic_of(), method=method)
    rows = functional_rows(matrix, semantic_of(), method=method)
    assert_blocks(rows, semantic)
    both = BlendedRows(rows, gip_rows(matrix), 0.3)
    expected = blend(semantic, gip_similarity(matrix), lambda_=0.3).astype(np.float32)
    assert (both.rows(3, 9)["functional"] == expected[3:9]).all()
    assert (both.rows(3, 9)["semantic"] == semantic[3:9].astype(np.float32)).all()


@pytest.mark.parametrize("measure", ["cosine", "jaccard"])
def test_kmer_blocks_are_those_of_the_dense_way(measure: str) -> None:
    rng = generator(3, "texts")
    texts = ["".join(rng.choice(list("ACGU"), 30)) for _ in range(12)] + [None, "NNNN"]
    config = KmerConfig(k=4, measure=measure)
    circular = [row % 3 == 0 for row in range(len(texts))]
    rows = kmer_rows(texts, config, circular=circular)
    assert_blocks(rows, kmer_similarity(texts, config, circular=circular))


def test_aligned_blocks_are_those_of_the_dense_way() -> None:
    rng = generator(4, "texts")
    texts = ["".join(rng.choice(list("ACGU"), 20)) for _ in range(9)]
    groups = [[texts[0], texts[1]], [], [texts[1]], texts[2:5], [texts[8], "NN"], ["NN"], texts[5:]]
    rows = AlignedRows.of(groups, DEFAULT_SCORES, "parasail")
    assert_blocks(rows, mature_similarity(groups), side=2)


def test_correlation_in_blocks_is_that_of_the_dense_way() -> None:
    profiles = generator(5, "profiles").random((23, 40))
    profiles[3] = 1.0
    profiles[5, 7] = np.nan
    dense = correlation_similarity(profiles)
    for side in (5, 23):
        rows = correlation_rows(profiles, side=side)
        starts = range(0, 23, side)
        whole = np.vstack([rows.similarity(start, min(start + side, 23)) for start in starts])
        np.testing.assert_allclose(whole, dense, atol=1e-6)
        assert (whole == whole.T).all()


def test_the_largest_of_each_row_by_hand() -> None:
    columns, values = best_of_rows(FOUR, 0, 2)
    # of the equal 0.5 to rows 2 and 3 the earlier; what is 0 is none
    assert columns.tolist() == [[1, 2], [0, 3], [0, -1], [1, 0]]
    assert values.tolist() == [[0.9, 0.5], [0.9, 0.6], [0.5, 0.0], [0.6, 0.5]]
    columns, _ = best_of_rows(FOUR[2:], 2, 1)
    assert columns.tolist() == [[0], [1]]


def test_stored_numbers_in_order_by_hand() -> None:
    matrix = sparse.csr_array(np.array([[0, 0.5, 0.9, 0.5], [0.1, 0, 0, 0]]))
    rows, columns, values = in_order(matrix, 2)
    assert (rows.tolist(), columns.tolist()) == ([0, 0, 1], [2, 1, 0])
    assert values.tolist() == [0.9, 0.5, 0.1]
    near, weights = nearest_lists(matrix, 3)
    assert near.tolist() == [[2, 1, 3], [0, -1, -1]]
    assert weights.tolist() == [[0.9, 0.5, 0.5], [0.1, 0, 0]]


def test_what_is_kept_by_hand() -> None:
    found = row_neighbours(NamedRows("x", Dense(FOUR)), {"x": Keep(1, above=0.5)})["x"]
    assert found.nearest.toarray().tolist() == [
        [0, 0.9, 0, 0],
        [0.9, 0, 0, 0],
        [0.5, 0, 0, 0],
        [0, 0.6, 0, 0],
    ]
    assert found.above is not None
    assert found.above.toarray().tolist() == cut_off(FOUR, 0.5).toarray().tolist()
    assert (join_nearest(found.nearest, 1) != top_k(FOUR, 1)).nnz == 0
    above = join_nearest(found.nearest, 1, least=0.6)
    assert np.argwhere(above.toarray()).tolist() == [[0, 1], [1, 0]]


def test_compared_as_float32() -> None:
    """0.6 as float32 is above 0.6, and equal to the number next to it."""
    near = np.array([[1, 0.6, 0.6 + 1e-12], [0.6, 1, 0], [0.6 + 1e-12, 0, 1]])
    exact = row_neighbours(NamedRows("x", Dense(near)), {"x": Keep(1, above=0.6)})["x"]
    assert exact.nearest.indices.tolist() == [2, 0, 0]
    assert exact.above is not None
    assert exact.above.nnz == 2
    single = row_neighbours(NamedRows("x", Dense(near)), {"x": Keep(1, 0.6, single=True)})["x"]
    assert single.nearest.indices.tolist() == [1, 0, 0]
    assert single.above is not None
    assert single.above.nnz == 0
    assert cut_off(near.astype(np.float32), 0.6).nnz == 0


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(
        np.float32,
        st.integers(0, 9).map(lambda n: (n, n)),
        elements=st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]),
    ),
    st.sampled_from([0.0, 0.25, 0.6]),
    st.integers(1, 10),
    st.integers(1, 20),
)
def test_edges_are_those_of_the_dense_way_with_ties(
    values: np.ndarray, threshold: float, k: int, numbers: int
) -> None:
    similarity = np.maximum(values, values.T)
    before = blocks.NUMBERS
    blocks.NUMBERS = numbers  # rows of a block
    try:
        keep = {"x": Keep(k, above=threshold)}
        found = row_neighbours(NamedRows("x", Dense(similarity)), keep)["x"]
    finally:
        blocks.NUMBERS = before
    assert found.above is not None
    for made, expected in (
        (found.above, cut_off(similarity, threshold)),
        (join_nearest(found.nearest, k), top_k(similarity, k)),
    ):
        assert made.nnz == expected.nnz
        assert (made != expected).nnz == 0


@settings(max_examples=40, deadline=None)
@given(ASSOCIATIONS, st.sampled_from(["best_match", "gtmaloc"]), st.integers(1, 12))
def test_functional_and_gip_in_blocks_of_any_size(
    associations: np.ndarray, method: str, size: int
) -> None:
    semantic = semantic_of(5)
    both = BlendedRows(
        functional_rows(associations, semantic, method=method), gip_rows(associations)
    )
    dense = functional_similarity(associations, semantic, method=method)
    gip = gip_similarity(associations)
    expected = {"functional": blend(dense, gip), "semantic": dense, "gip": gip}
    for start in range(0, len(associations), size):
        stop = min(start + size, len(associations))
        for name, block in both.rows(start, stop).items():
            assert (block == expected[name][start:stop].astype(np.float32)).all()


def test_blocks_get_fewer_rows_where_rows_are_long() -> None:
    assert [rows_at_once(n) for n in (1, 100, 2**13, 2**14, 2**30)] == [256, 256, 256, 128, 1]


def test_progress_counts_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "NUMBERS", 8)
    seen: list[tuple[str, int, int]] = []

    def progress(step: str, done: int, total: int) -> None:
        seen.append((step, done, total))

    row_neighbours(NamedRows("x", Dense(FOUR)), {"x": Keep(1)}, step="s", progress=progress)
    assert seen == [("s", 0, 4), ("s", 2, 4), ("s", 4, 4)]


@pytest.mark.slow
def test_two_processes_find_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "NUMBERS", 100)
    matrix = random_associations()
    rows = BlendedRows(functional_rows(matrix, semantic_of()), gip_rows(matrix))
    keep = {"functional": Keep(3, above=0.4, single=True), "gip": Keep(2)}
    one = row_neighbours(rows, keep)
    two = row_neighbours(rows, keep, workers=2)
    for name in keep:
        assert (one[name].nearest != two[name].nearest).nnz == 0
    assert (one["functional"].above != two["functional"].above).nnz == 0
