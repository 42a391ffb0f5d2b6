"""Lists of the most similar rows, filled one by one, and the networks that they make."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from scipy import sparse

from mirnagraph.config import require


@dataclass(frozen=True)
class Keep:
    """Which pairs of a similarity are kept.

    Attributes:
        nearest: neighbours of each row, 1 or more; of equally similar ones that of the earlier row
            comes first.
        above: similarity above which every pair is kept, in [0, 1); None for no such pairs.
        single: similarities are rounded to float32, as networks store them, before they are
            compared.
    """

    nearest: int
    above: float | None = None
    single: bool = False

    def __post_init__(self) -> None:
        require(self.nearest >= 1, "nearest", self.nearest, "1 or more")
        if self.above is not None:
            require(0 <= self.above < 1, "above", self.above, "at least 0, below 1")

    def rounded(self, similar: np.ndarray) -> np.ndarray:
        """Similarities as they are compared."""
        return similar.astype(np.float32).astype(np.float64) if self.single else similar

    @property
    def cutoff(self) -> float | None:
        """`above` in the precision of the comparison."""
        if self.above is None or not self.single:
            return self.above
        return float(np.float32(self.above))


@dataclass(frozen=True, eq=False)
class Neighbours:
    """What is kept of a similarity of n rows that is never stored as a whole.

    Attributes:
        nearest: the k most similar other rows of each row, similarity above 0: CSR, shape (n, n),
            sorted indices; not symmetric.
        above: all pairs above a cut-off: symmetric CSR, sorted indices, empty diagonal; None where
            no cut-off was asked for.
    """

    nearest: sparse.csr_array
    above: sparse.csr_array | None = None


class BestLists:
    """The best texts of each text so far, whatever the order in which they come.

    Attributes:
        scores: float64, shape (n_texts, k), highest first.
        places: number of the text, -1 for none: int64, same shape.
    """

    def __init__(self, n_texts: int, k: int) -> None:
        self.scores = np.zeros((n_texts, k))
        self.places = np.full((n_texts, k), -1, dtype=np.int64)


@njit(cache=True)
def insert(
    score: float, place: int, ranks: np.ndarray, scores: np.ndarray, places: np.ndarray
) -> None:
    """Put a text into a list of best ones, highest score first, then lowest rank."""
    k = len(scores)
    last = places[k - 1]
    if last >= 0 and (
        score < scores[k - 1] or (score == scores[k - 1] and ranks[place] > ranks[last])
    ):
        return
    at = k - 1
    while at > 0 and (
        places[at - 1] < 0
        or score > scores[at - 1]
        or (score == scores[at - 1] and ranks[place] < ranks[places[at - 1]])
    ):
        scores[at] = scores[at - 1]
        places[at] = places[at - 1]
        at -= 1
    scores[at] = score
    places[at] = place


@njit(cache=True)
def insert_pairs(
    similar: np.ndarray,
    text: int,
    others: np.ndarray,
    lists: tuple[int, int],
    ranks: np.ndarray,
    scores: np.ndarray,
    places: np.ndarray,
) -> None:
    """Insert the similarities of one text to others into its list and into theirs.

    `lists` are the list of the text, and what is added to the number of another to give its list.
    """
    own, shift = lists
    for number in range(len(similar)):
        if similar[number] > 0:
            other = others[number]
            insert(similar[number], other, ranks, scores[own], places[own])
            insert(similar[number], text, ranks, scores[other + shift], places[other + shift])


@njit(cache=True)
def merge(
    scores: np.ndarray,
    places: np.ndarray,
    ranks: np.ndarray,
    into_scores: np.ndarray,
    into_places: np.ndarray,
) -> None:
    """Insert lists of best texts into others."""
    for row in range(len(scores)):
        for number in range(scores.shape[1]):
            if places[row, number] >= 0:
                insert(
                    scores[row, number],
                    places[row, number],
                    ranks,
                    into_scores[row],
                    into_places[row],
                )


@njit(cache=True)
def best_of_rows(block: np.ndarray, start: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k largest numbers above 0 of each row, without that of the row itself.

    Args:
        block: rows `start` and following of a similarity, shape (n_rows, n).
        start: row of the first.
        k: numbers kept, 1 or more; of equal ones that of the earlier column.

    Returns:
        Columns (int32, -1 for none) and numbers (of the type of `block`), shape (n_rows, k),
        largest first.
    """
    n_rows, n = block.shape
    columns = np.full((n_rows, k), -1, dtype=np.int32)
    values = np.zeros((n_rows, k), dtype=block.dtype)
    for row in range(n_rows):
        for column in range(n):
            value = block[row, column]
            # columns come in order: an equal one is behind those that are there
            if not value > values[row, k - 1] or column == start + row:
                continue
            at = k - 1
            while at > 0 and value > values[row, at - 1]:
                values[row, at] = values[row, at - 1]
                columns[row, at] = columns[row, at - 1]
                at -= 1
            values[row, at] = value
            columns[row, at] = column
    return columns, values


def join_nearest(nearest: sparse.csr_array, k: int, *, least: float = 0.0) -> sparse.csr_array:
    """Join each row with the k nearest of those kept, in either direction.

    Args:
        nearest: of `Neighbours`, with k neighbours of each row or more.
        k: neighbours of each row; of equally similar ones that of the earlier row comes first.
        least: similarity that an edge must exceed.

    Returns:
        Symmetric CSR array, float64, sorted indices.
    """
    rows, columns, values = in_order(nearest, k)
    is_edge = values > least
    places = (rows[is_edge], columns[is_edge])
    found = sparse.csr_array((values[is_edge].astype(np.float64), places), shape=nearest.shape)
    result = sparse.csr_array(found.maximum(found.T))
    result.sort_indices()
    return result


def in_order(similarity: sparse.csr_array, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """List the k largest stored numbers of each row.

    Args:
        similarity: of any shape.
        k: numbers of a row; of equal ones that of the earlier column comes first.

    Returns:
        Rows, columns and numbers: by row, then largest first.
    """
    entries = sparse.coo_array(similarity)
    rows, columns = entries.coords
    order = np.lexsort((columns, -entries.data, rows))
    rows, columns, values = rows[order], columns[order], entries.data[order]
    place = np.arange(len(rows)) - np.searchsorted(rows, rows)
    is_near = place < k
    return rows[is_near], columns[is_near], values[is_near]


def nearest_lists(similarity: sparse.csr_array, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Arrange the k largest stored numbers of each row in lists of one length.

    Args:
        similarity: shape (n, m).
        k: numbers of a row, as of `in_order`.

    Returns:
        Columns, int64, and numbers, of the type of `similarity`, both of shape (n, k), largest
        first; -1 and 0 where a row has fewer.
    """
    rows, columns, values = in_order(similarity, k)
    place = np.arange(len(rows)) - np.searchsorted(rows, rows)
    near = np.full((similarity.shape[0], k), -1, dtype=np.int64)
    weights = np.zeros(near.shape, dtype=similarity.dtype)
    near[rows, place] = columns
    weights[rows, place] = values
    return near, weights
