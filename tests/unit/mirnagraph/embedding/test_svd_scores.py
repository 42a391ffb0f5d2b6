"""Truncated SVD scores, worked by hand: scale, sign and width."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from mirnagraph.embedding.factorization import svd_scores


def test_scores_are_left_vectors_times_singular_values() -> None:
    matrix = sparse.csr_array(np.array([[1.0, 1, 0], [1, 1, 0], [0, 0, 1]]))
    # M M^T has the eigenvalues 4 and 1: singular values 2 and 1, left vectors (1, 1, 0) / sqrt(2)
    # and (0, 0, 1); 2 / sqrt(2) = 1.414214
    expected = [[1.414214, 0], [1.414214, 0], [0, 1]]
    np.testing.assert_allclose(svd_scores(matrix, 2), expected, atol=1e-6)


def test_columns_are_neither_centred_nor_scaled() -> None:
    # two columns at right angles: the scores are the columns themselves, the longer one first
    # (norms 10 and 5)
    matrix = np.array([[3.0, 0, 0], [4, 0, 0], [0, 6, 0], [0, 8, 0]])
    expected = [[0, 3], [0, 4], [6, 0], [8, 0]]
    np.testing.assert_allclose(svd_scores(matrix, 2), expected, atol=1e-6)


def test_the_largest_entry_of_each_component_is_positive() -> None:
    column = np.array([-4.0, 1, 1, 0])
    matrix = np.zeros((4, 3))
    matrix[:, 0] = column
    expected = [[4], [-1], [-1], [0]]
    np.testing.assert_allclose(svd_scores(matrix, 1), expected, atol=1e-6)
    np.testing.assert_allclose(svd_scores(-matrix, 1), expected, atol=1e-6)


def test_there_is_one_component_fewer_than_the_smaller_side() -> None:
    matrix = np.array([[3.0, 0, 0], [0, 2, 0], [0, 0, 1]])
    np.testing.assert_allclose(svd_scores(matrix, 32), [[3, 0], [0, 2], [0, 0]], atol=1e-6)


def test_a_table_too_small_for_a_component_gives_one_column_of_zeros() -> None:
    assert svd_scores(np.array([[5.0], [7.0]]), 8).tolist() == [[0], [0]]
    assert svd_scores(sparse.csr_array((3, 0)), 8).tolist() == [[0], [0], [0]]


def test_a_table_without_a_value_gives_zeros() -> None:
    for table in (np.zeros((4, 3)), sparse.csr_array((4, 3))):
        assert svd_scores(table, 8).tolist() == [[0, 0]] * 4
    one = np.zeros((4, 3))
    one[2, 1] = 1
    np.testing.assert_allclose(svd_scores(one, 8), [[0, 0], [0, 0], [1, 0], [0, 0]], atol=1e-9)
