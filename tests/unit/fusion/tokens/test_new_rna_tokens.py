"""Tokens of a new RNA from its sequence: counts and averages worked by hand, no leakage."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from fusion.tokens.builders import LEVELS, similar_counts
from fusion.tokens.neighbours import neighbour_profile_tokens, neighbour_profiles
from mirnagraph.nodes import NodeIndex

SIMILARITY = np.array(
    [[1, 0.9, 0.28, 0.1], [0.9, 1, 0.5, 0.2], [0.28, 0.5, 1, 0], [0.1, 0.2, 0, 1]], dtype=np.float32
)


def test_counts_worked_by_hand() -> None:
    assert LEVELS == (0.25, 0.3, 0.4, 0.6, 0.8)
    expected = [[2, 1, 1, 1, 1], [2, 2, 2, 1, 1], [2, 1, 1, 0, 0], [0, 0, 0, 0, 0]]
    np.testing.assert_allclose(np.expm1(similar_counts(SIMILARITY)), expected, rtol=1e-6)


def test_a_new_rna_counts_what_a_reference_rna_counts() -> None:
    """An RNA that is left out of the reference has the same counts as within it."""
    rest = [0, 2, 3]
    np.testing.assert_array_equal(
        similar_counts(SIMILARITY[[1]][:, rest], is_new=True)[0], similar_counts(SIMILARITY)[1]
    )


def test_counts_do_not_depend_on_the_diagonal() -> None:
    without = SIMILARITY.copy()
    np.fill_diagonal(without, 0)
    np.testing.assert_array_equal(similar_counts(without), similar_counts(SIMILARITY))


def test_a_similarity_at_a_level_is_not_counted() -> None:
    assert similar_counts(np.array([[0.25]], dtype=np.float32)).tolist() == [[0] * 5]


def test_profiles_read_training_rows_alone() -> None:
    random = np.random.default_rng(0)
    dense = (random.random((6, 5)) < 0.5).astype(float)
    train = np.array([0, 2, 3, 5])
    found = neighbour_profiles({"disease": sparse.csr_array(dense)}, train, 2)["disease"]
    other = dense.copy()
    other[[1, 4]] = 1 - other[[1, 4]]
    np.testing.assert_array_equal(
        found, neighbour_profiles({"disease": sparse.csr_array(other)}, train, 2)["disease"]
    )
    assert not found[[1, 4]].any()
    assert found[train].any()


def test_neighbour_profiles_worked_by_hand() -> None:
    profiles = {"drug": np.array([[1.0, 0], [0, 1], [4, 4], [9, 9]])}
    train = np.array([0, 1, 2])
    index = NodeIndex.of(["a", "b", "c", "d"], "miRNA")
    values = neighbour_profile_tokens(index, SIMILARITY, profiles, train, k=2)[
        "neighbour_profile:drug"
    ].values
    np.testing.assert_allclose(values[0], [(0.28 * 4) / 1.18, (0.9 + 0.28 * 4) / 1.18], rtol=1e-5)
    np.testing.assert_allclose(values[3], [0.1 / 0.3, 0.2 / 0.3], rtol=1e-5)
    new = neighbour_profile_tokens(
        NodeIndex.of(["x"], "miRNA"), SIMILARITY[[1]], profiles, train, k=1, is_new=True
    )["neighbour_profile:drug"].values
    assert new[0] == pytest.approx([0, 1])  # a copy of b, which it is not kept from
