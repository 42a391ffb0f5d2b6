"""Index of k-mers: in which sequences each occurs, in memory that grows with their length alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numba import njit

from seqtower.data.kmers import letter_codes

FEW = 2**20
"""Nucleotides below which the k-mers that occur are numbered, in place of all possible ones."""


def different_kmers(sequence: str, k: int) -> np.ndarray:
    """Return the numbers of the different k-mers without an N: int32, ascending.

    K-mers are numbered in alphabetical order, as by `seqtower.data.kmers.word_numbers`.

    Args:
        sequence: nucleotides.
        k: nucleotides of a k-mer, at most 15.
    """
    return np.unique(_numbers(letter_codes(sequence), k))


class KmerIndex:
    """Places of the sequences that have a k-mer, for sequences that are added one by one.

    Memory is 4 bytes for each different k-mer of each sequence, added or not, and 8 bytes for each
    possible k-mer (of few sequences: for each that occurs).

    Args:
        sequences: all sequences that may be added.
        k: nucleotides of a k-mer.
    """

    def __init__(self, sequences: Sequence[str], k: int) -> None:
        self.k = k
        self._columns: np.ndarray | None = None
        n_columns = 4**k
        n_nucleotides = sum(len(sequence) for sequence in sequences)
        if n_nucleotides < FEW:
            kmers = [different_kmers(sequence, k) for sequence in sequences]
            self._columns = np.unique(np.concatenate([np.zeros(0, dtype=np.int32), *kmers]))
            n_columns = len(self._columns)
        number = np.int32 if n_nucleotides < 2**31 else np.int64
        self._filled = np.zeros(n_columns, dtype=np.int32)
        for sequence in sequences:
            self._filled[self.kmers_of(sequence)] += 1
        self._starts: np.ndarray = np.cumsum(self._filled, dtype=number)
        n_places = int(self._starts[-1]) if n_columns else 0
        np.subtract(self._starts, self._filled, out=self._starts)
        self._filled[:] = 0
        self._places = np.empty(n_places, dtype=np.int32)
        self._counts = np.zeros(len(sequences), dtype=np.int32)
        self._found = np.empty(len(sequences), dtype=np.int32)

    def kmers_of(self, sequence: str) -> np.ndarray:
        """Return the columns of the different k-mers of one of the sequences, ascending."""
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
def _numbers(codes: np.ndarray, k: int) -> np.ndarray:
    """Number of every k-mer without an N, in their order in the sequence."""
    numbers = np.empty(max(len(codes) - k + 1, 0), dtype=np.int32)
    mask = 4**k - 1
    n = 0
    value = 0
    n_known = 0
    for code in codes:
        if code < 0:
            n_known = 0
            value = 0
            continue
        value = ((value << 2) | code) & mask
        n_known += 1
        if n_known >= k:
            numbers[n] = value
            n += 1
    return numbers[:n]


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
