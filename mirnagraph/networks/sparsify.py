"""Sparse networks from dense similarities: a cut-off, or the k most similar nodes of each."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from mirnagraph.config import require
from mirnagraph.errors import InputError
from mirnagraph.reading.arguments import checked
from mirnagraph.reading.arrays import number_array


@checked
def cut_off(similarity: np.ndarray, threshold: float, *, weighted: bool = True) -> sparse.csr_array:
    """Join the pairs whose similarity is above a threshold (GTMALoc Eq. 6: strictly above).

    Args:
        similarity: shape (n, n), symmetric, in [0, 1].
        threshold: T, in [0, 1); compared in the precision of `similarity`.
        weighted: edges have the similarity as weight; otherwise 1, as Eq. 6 prints it.

    Returns:
        Symmetric CSR array of shape (n, n), float64, sorted indices, empty diagonal, weights in (0,
        1].

    Raises:
        InputError: `similarity` is not a symmetric square array of numbers in [0, 1].

    >>> cut_off(np.array([[1, 0.7, 0.6], [0.7, 1, 0], [0.6, 0, 1]]), 0.6).toarray().tolist()
    [[0.0, 0.7, 0.0], [0.7, 0.0, 0.0], [0.0, 0.0, 0.0]]
    """
    require(0 <= threshold < 1, "threshold", threshold, "at least 0, below 1")
    similarity = _checked(similarity)
    return _network(similarity, similarity > similarity.dtype.type(threshold), weighted)


@checked
def top_k(similarity: np.ndarray, k: int, *, weighted: bool = True) -> sparse.csr_array:
    """Join each node with the k nodes most similar to it, in either direction.

    Of equally similar nodes the one in the earlier row comes first. Similarity 0 gives no edge, so
    a node may have fewer than k edges; as a neighbour of others, it may have more.

    Args:
        similarity: shape (n, n), symmetric, in [0, 1].
        k: neighbours of each node, 1 or more.
        weighted: edges have the similarity as weight; otherwise 1.

    Returns:
        As `cut_off`.

    Raises:
        InputError: as `cut_off`.
    """
    require(k >= 1, "k", k, "1 or more")
    similarity = _checked(similarity)
    others = similarity.copy()
    np.fill_diagonal(others, -1.0)
    is_near = np.zeros(similarity.shape, dtype=bool)
    nearest = np.argsort(-others, axis=1, kind="stable")[:, :k]
    np.put_along_axis(is_near, nearest, True, axis=1)
    return _network(similarity, (is_near | is_near.T) & (similarity > 0), weighted)


def _network(similarity: np.ndarray, is_edge: np.ndarray, weighted: bool) -> sparse.csr_array:
    np.fill_diagonal(is_edge, False)
    rows, columns = np.nonzero(is_edge)
    weights = similarity[rows, columns].astype(np.float64) if weighted else np.ones(len(rows))
    result = sparse.csr_array((weights, (rows, columns)), shape=similarity.shape)
    result.sort_indices()
    return result


def _checked(similarity: np.ndarray) -> np.ndarray:
    numbers = number_array(similarity, "similarity")
    is_float = similarity.dtype.kind == "f"
    array = similarity if is_float else numbers  # of float32, the precision stays
    if array.ndim != 2 or array.shape[0] != array.shape[1]:
        raise InputError(
            "a similarity must be a square array", found=array.shape, expected="(n, n)"
        )
    outside = ~((array >= 0) & (array <= 1))  # also where it is not a number
    for row, column in np.argwhere(outside).tolist():
        raise InputError(
            f"similarity out of range at row {row}, column {column}",
            found=float(array[row, column]),
            expected="a number in [0, 1]",
        )
    for row, column in np.argwhere(array != array.T).tolist():
        raise InputError(
            f"the similarity is not symmetric at row {row}, column {column}",
            found=f"{array[row, column]} and {array[column, row]}",
            expected="equal values",
        )
    return array
