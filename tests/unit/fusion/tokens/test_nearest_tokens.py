"""Tokens of the nearest training RNAs: order, ties, fewer than asked for, new RNAs."""

from __future__ import annotations

import numpy as np

from fusion.tokens.nearest import nearest_rows, nearest_tokens
from mirnagraph.nodes import NodeIndex

SIMILARITY = np.array(
    [
        [9.0, 0.5, 0.2, 0.5, 0.9],
        [0.5, 9.0, 0.0, 0.3, 0.4],
        [0.2, 0.0, 9.0, 0.0, 0.7],
        [0.5, 0.3, 0.0, 9.0, 0.1],
        [0.9, 0.4, 0.7, 0.1, 9.0],
    ]
)
TRAIN = np.array([0, 1, 2, 3])


def test_most_similar_first_equal_ones_by_row_and_itself_left_out() -> None:
    rows, similarities = nearest_rows(SIMILARITY, TRAIN, 2)
    # RNA 0: rows 1 and 3 are equal; RNA 2 has a single neighbour; RNA 4 is tested
    assert rows.tolist() == [[1, 3], [0, 3], [0, 0], [0, 1], [0, 2]]
    expected = np.array([[0.5, 0.5], [0.5, 0.3], [0.2, 0], [0.5, 0.3], [0.9, 0.7]])
    np.testing.assert_array_equal(similarities, expected.astype(np.float32))
    assert rows.dtype == np.int64
    assert similarities.dtype == np.float32


def test_ties_beyond_k_are_broken_by_row() -> None:
    rows, _ = nearest_rows(np.ones((6, 6)), np.array([1, 3, 4, 5]), 2)
    assert rows.tolist() == [[1, 3], [3, 4], [1, 3], [1, 4], [1, 3], [1, 3]]


def test_fewer_training_rnas_than_neighbours() -> None:
    rows, similarities = nearest_rows(SIMILARITY, np.array([1, 4]), 4)
    assert rows.tolist() == [[4, 1, 0, 0], [4, 0, 0, 0], [4, 0, 0, 0], [1, 4, 0, 0], [1, 0, 0, 0]]
    assert similarities[0].tolist() == np.array([0.9, 0.5, 0, 0], dtype=np.float32).tolist()
    assert not nearest_rows(SIMILARITY, TRAIN[:0], 3)[1].any()


def test_similarities_below_0_are_none() -> None:
    rows, similarities = nearest_rows(-SIMILARITY, TRAIN, 2)
    assert not rows.any()
    assert not similarities.any()


def test_new_rnas_are_no_reference_rnas() -> None:
    rows, similarities = nearest_rows(SIMILARITY[:2], TRAIN, 2, is_new=True)
    assert rows.tolist() == [[0, 1], [1, 0]]
    assert similarities.tolist() == [[9, 0.5], [9, 0.5]]


def test_rows_and_similarities_are_one_token() -> None:
    index = NodeIndex.of(list("abcde"), "RNA")
    none = np.zeros((5, 5))
    tokens = nearest_tokens(index, {"sequence": SIMILARITY, "mature": none}, TRAIN, 2)
    token = tokens["nearest:sequence"]
    expected = np.array([0, 2, 0.9, 0.7], dtype=np.float32)
    assert token.values[4].tolist() == expected.tolist()
    assert token.present.all()
    assert not tokens["nearest:mature"].present.any()
    assert tokens["nearest:mature"].width == 4
