"""Nucleotide alphabet, one-hot code and k-mer counts."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np

from mirnagraph.config import require
from mirnagraph.errors import InputError
from mirnagraph.reading.arguments import checked
from mirnagraph.reading.nucleotides import rna_sequences

LETTERS = "ACGU"

_CODE = np.full(256, -1, dtype=np.int8)

for _letters in (LETTERS, LETTERS.lower(), "ACGT", "acgt"):
    _CODE[[ord(letter) for letter in _letters]] = range(4)

_ONE_HOT = np.vstack([np.eye(4, dtype=np.float32), np.zeros((1, 4), dtype=np.float32)])


def letter_codes(sequence: str) -> np.ndarray:
    """Return 0 to 3 for A, C, G, U and -1 for others: int8, shape (length,).

    T and U are equal, case does not matter.
    """
    letters = sequence.encode("ascii", errors="replace")
    return np.asarray(_CODE[np.frombuffer(letters, dtype=np.uint8)])


def one_hot(sequence: str) -> np.ndarray:
    """Return the one-hot code, 0 throughout for N: float32, shape (length, 4)."""
    return _ONE_HOT[letter_codes(sequence)]


def kmer_names(k: int = 5) -> list[str]:
    """Return all k-mers of one nucleotide, then of two, …, up to `k`, in alphabetical order."""
    names = []
    for size in range(1, k + 1):
        names += ["".join(kmer) for kmer in product(LETTERS, repeat=size)]
    return names


@checked
def kmer_counts(
    sequences: Sequence[str],
    k: int = 5,
    *,
    frequencies: bool = True,
    length: bool = True,
    circular: Sequence[bool] | None = None,
) -> np.ndarray:
    """Count overlapping k-mers of 1 to `k` nucleotides; k-mers with an N are not counted.

    Args:
        sequences: nucleotides A, C, G, U (or T), N in any case; may be empty.
        k: longest k-mer, 1 to 8.
        frequencies: divide the counts of each length by their sum, which removes the effect of the
            length of the RNA.
        length: add a last column, the natural logarithm of the number of nucleotides.
        circular: whether each RNA is circular, with k-mers across its junction; None for none.

    Returns:
        float32, shape (n, 4 + 16 + … + 4**k (+ 1)).

    Raises:
        InputError: an invalid nucleotide, or another number of flags than of sequences.
        ConfigError: `k` is out of range.
    """
    require(1 <= k <= 8, "k", k, "1 to 8")
    check_flags(circular, len(sequences))
    rna_sequences(sequences)
    widths = [4**size for size in range(1, k + 1)]
    values = np.zeros((len(sequences), sum(widths) + length), dtype=np.float32)
    for row, sequence in enumerate(sequences):
        is_circular = circular is not None and circular[row]
        start = 0
        for size, width in enumerate(widths, 1):
            along = closed(sequence, size) if is_circular else sequence
            numbers = word_numbers(along, size)
            counts = np.bincount(numbers[numbers >= 0], minlength=width).astype(np.float64)
            if frequencies:
                counts /= max(counts.sum(), 1)
            values[row, start : start + width] = counts
            start += width
        if length:
            values[row, -1] = np.log(max(len(sequence), 1))
    return values


def closed(sequence: str, width: int) -> str:
    """Append the `width` - 1 nucleotides that follow the junction of a circular RNA.

    A window of that width then starts once at every nucleotide.

    >>> closed("ACGU", 3), closed("AC", 4)
    ('ACGUAC', 'ACACA')
    """
    # a circle that is shorter than the window is run around more than once
    n_turns = 1 + -(-max(width - 1, 0) // max(len(sequence), 1))
    return (sequence * n_turns)[: len(sequence) + max(width - 1, 0)]


def check_flags(circular: Sequence[bool] | None, n: int) -> None:
    """Raise InputError unless there is one flag for each of n sequences, or none at all."""
    if circular is not None and len(circular) != n:
        raise InputError("one flag per sequence is needed", found=len(circular), expected=n)


def word_numbers(sequence: str, k: int) -> np.ndarray:
    """Return the number of the k-mer at each nucleotide: int64, shape (length - k + 1,).

    K-mers of one length are numbered in alphabetical order; -1 for one with an N.
    """
    codes = letter_codes(sequence).astype(np.int64)
    n = max(len(codes) - k + 1, 0)
    value = np.zeros(n, dtype=np.int64)
    known = np.ones(n, dtype=bool)
    for offset in range(k):
        part = codes[offset : offset + n]
        value = value * 4 + np.maximum(part, 0)
        known &= part >= 0
    return np.where(known, value, -1)
