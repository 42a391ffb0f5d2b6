"""Inverse document frequency and cosine of association profiles, worked by hand."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from mirnagraph.similarity.profile import cosine, tf_idf


def test_columns_are_weighted_by_the_log_of_their_rarity() -> None:
    matrix = sparse.csr_array(np.array([[1.0, 1, 0], [1, 0, 2], [1, 0, 0]]))
    # three RNAs; columns of 3, 1 and 1 RNAs: log(4 / 4) = 0, log(4 / 2) = 0.693147 twice;
    # an entry of 2 counts as one RNA of its column and is doubled itself
    expected = [[0, 0.693147, 0], [0, 0, 1.386294], [0, 0, 0]]
    np.testing.assert_allclose(tf_idf(matrix).toarray(), expected, atol=1e-6)


def test_a_column_without_an_rna_and_no_column_at_all() -> None:
    matrix = sparse.csr_array(np.array([[1.0, 0], [0, 0]]))
    # log(3 / 2) = 0.405465
    np.testing.assert_allclose(tf_idf(matrix).toarray(), [[0.405465, 0], [0, 0]], atol=1e-6)
    assert tf_idf(sparse.csr_array((2, 0))).shape == (2, 0)


def test_cosine_of_every_two_rows() -> None:
    matrix = sparse.csr_array(np.array([[3.0, 4, 0], [0, 2, 0], [-6, -8, 0], [0, 0, 0]]))
    # norms 5, 2, 10 and 0: (4 x 2) / (5 x 2) = 0.8; opposite rows -1; a row of zeros is 0 to all,
    # itself included
    expected = [[1, 0.8, -1, 0], [0.8, 1, -0.8, 0], [-1, -0.8, 1, 0], [0, 0, 0, 0]]
    found = cosine(matrix)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert found.dtype == np.float32


def test_rarity_counts_rows_and_short_rows_have_a_length() -> None:
    # 2 rows, 3 columns; the first column is in one row: log(3 / 2)
    matrix = sparse.csr_array(np.array([[1.0, 0, 0], [0, 1, 1]]))
    np.testing.assert_allclose(tf_idf(matrix).toarray()[0], [0.405465, 0, 0], atol=1e-6)
    # lengths 0.5 and 0.5: (0.12 + 0.12) / 0.25
    short = sparse.csr_array(np.array([[0.3, 0.4], [0.4, 0.3]]))
    np.testing.assert_allclose(cosine(short), [[1, 0.96], [0.96, 1]], atol=1e-6)
