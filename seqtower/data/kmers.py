"""Alphabet, one-hot, k-mer counts."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np

from mirnagraph.config import require

LETTERS = "ACGU"

_CODE = np.full(256, -1, dtype=np.int8)

_CODE[[ord(letter) for letter in LETTERS]] = range(4)


def letter_codes(sequence: str) -> np.ndarray:
    """0 to 3 for A, C, G, U and -1 for every other letter: int8, shape (length,)."""
    return np.asarray(_CODE[np.frombuffer(sequence.encode("ascii"), dtype=np.uint8)])


def one_hot(sequence: str) -> np.ndarray:
    """float32, shape (length, 4)."""
    codes = letter_codes(sequence)
    table = np.vstack([np.eye(4, dtype=np.float32), np.zeros((1, 4), dtype=np.float32)])
    return np.asarray(table[codes])


def kmer_names(k: int = 5) -> list[str]:
    """Words in the order of the columns: all of one letter, all of two, …, up to `k`."""
    return ["".join(word) for size in range(1, k + 1) for word in product(LETTERS, repeat=size)]


def kmer_counts(
    sequences: Sequence[str],
    k: int = 5,
    *,
    frequencies: bool = True,
    length: bool = True,
    circular: Sequence[bool] | None = None,
) -> np.ndarray:
    """Counts of overlapping words of 1 to `k` letters; words with an N are not counted.

    Args:
        k: longest word, 1 to 8.
        frequencies: divide the counts of each word length by their sum, so that they say what an RNA is made of and not how long it is.
        length: add a last column, the natural logarithm of the number of letters.
        circular: per RNA, whether it is a circle, whose words go on from its last letter to its first; None for none.

    Returns:
        float32, shape (n, 4 + 16 + … + 4**k (+ 1)).
    """
    require(1 <= k <= 8, "k", k, "1 to 8")
    widths = [4**size for size in range(1, k + 1)]
    found = np.zeros((len(sequences), sum(widths) + length), dtype=np.float32)
    for row, sequence in enumerate(sequences):
        start = 0
        for size, width in enumerate(widths, 1):
            numbers = word_numbers(
                closed(sequence, size) if circular is not None and circular[row] else sequence, size
            )
            counts = np.bincount(numbers[numbers >= 0], minlength=width).astype(np.float64)
            found[row, start : start + width] = (
                counts / max(counts.sum(), 1) if frequencies else counts
            )
            start += width
        if length:
            found[row, -1] = np.log(max(len(sequence), 1))
    return found


def closed(sequence: str, width: int) -> str:
    """A circle with its first `width` - 1 letters once more at the end, so that a window of that width starts at every letter once.

    >>> closed("ACGU", 3)
    'ACGUAC'
    """
    return sequence + sequence[: max(width - 1, 0)]


def word_numbers(sequence: str, k: int) -> np.ndarray:
    """Number of the word that starts at each letter, in the order of `kmer_names`; -1 where it holds an N: int64, shape (length - k + 1,)."""
    codes = letter_codes(sequence).astype(np.int64)
    n = len(codes) - k + 1
    if n < 1:
        return np.zeros(0, dtype=np.int64)
    value = np.zeros(n, dtype=np.int64)
    known = np.ones(n, dtype=bool)
    for offset in range(k):
        part = codes[offset : offset + n]
        value = value * 4 + np.maximum(part, 0)
        known &= part >= 0
    return np.asarray(np.where(known, value, -1))
