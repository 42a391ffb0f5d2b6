"""Index of k-mers: in which sequences each occurs, in memory that grows with their length alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numba import njit

from seqtower.data.kmers import word_numbers


def different_kmers(sequence: str, k: int) -> np.ndarray:
    """Return the numbers of the different k-mers without an N: int64, ascending."""
    numbers = np.unique(word_numbers(sequence, k))
    return numbers[1:] if len(numbers) and numbers[0] < 0 else numbers


class KmerIndex:
    """Places of the sequences that have a k-mer, for sequences that are added one by one.

    Memory is 4 bytes per different k-mer of each sequence, added or not, and 16 bytes per different
    k-mer of all.

    Args:
        sequences: all sequences that may be added.
        k: nucleotides of a k-mer.
    """

    def __init__(self, sequences: Sequence[str], k: int) -> None:
        self.k = k
        self._columns: np.ndarray | None = None
        n_columns = 4**k
        if sum(len(sequence) for sequence in sequences) < n_columns:
            # a short list of the k-mers that occur, in place of one entry for each possible one
            kmers = [different_kmers(sequence, k) for sequence in sequences]
            self._columns = np.unique(np.concatenate([np.zeros(0, dtype=np.int64), *kmers]))
            n_columns = len(self._columns)
        n_places = np.zeros(n_columns, dtype=np.int32)
        for sequence in sequences:
            n_places[self.kmers_of(sequence)] += 1
        ends = np.cumsum(n_places, dtype=np.int64)
        self._starts = ends - n_places
        self._filled = np.zeros(n_columns, dtype=np.int32)
        self._places = np.empty(int(ends[-1]) if n_columns else 0, dtype=np.int32)
        self._counts = np.zeros(len(sequences), dtype=np.int32)
        self._found = np.empty(len(sequences), dtype=np.int32)

    def kmers_of(self, sequence: str) -> np.ndarray:
        """Return the columns of the different k-mers of one of the sequences: int64, ascending."""
        kmers = different_kmers(sequence, self.k)
        return kmers if self._columns is None else np.searchsorted(self._columns, kmers)

    def add(self, place: int, kmers: np.ndarray) -> None:
        """Add a sequence.

        Args:
            place: its number among the sequences.
            kmers: of `kmers_of`.
        """
        self._places[self._starts[kmers] + self._filled[kmers]] = place
        self._filled[kmers] += 1

    def shared(self, kmers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Count the k-mers that a sequence shares with each of those that were added.

        Args:
            kmers: of `kmers_of`.

        Returns:
            Places of the sequences that share one or more, ascending, and how many they share.
        """
        n = _count_shared(
            kmers, self._starts, self._filled, self._places, self._counts, self._found
        )
        places = np.sort(self._found[:n])
        counts = self._counts[places]
        self._counts[places] = 0
        return places, counts


@njit(cache=True)
def _count_shared(
    kmers: np.ndarray,
    starts: np.ndarray,
    filled: np.ndarray,
    places: np.ndarray,
    counts: np.ndarray,
    found: np.ndarray,
) -> int:
    """Add 1 to the count of each place of each k-mer; the places that had none go to `found`."""
    n = 0
    for kmer in kmers:
        for at in range(starts[kmer], starts[kmer] + filled[kmer]):
            place = places[at]
            if counts[place] == 0:
                found[n] = place
                n += 1
            counts[place] += 1
    return n
