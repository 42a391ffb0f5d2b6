"""Descriptors of the back-splice junction of a circular RNA, where the last letter of the given sequence meets the first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from seqtower.encoders.kmer import kmer_counts, kmer_names
from seqtower.encoders.one_hot import LETTERS, one_hot

NEAR = 10
"""Letters on either side that are read one by one: exons that are joined end and begin in letters of their own."""
SIDES = ((60, 2), (250, 3))
"""Nucleotides on either side, and letters of the longest words counted over both."""


def junction_names() -> list[str]:
    """Names in the order of the columns of `junction`."""
    letters = [f"{letter} at {place:+d} of the junction" for place in (*range(-NEAR, 0), *range(1, NEAR + 1)) for letter in LETTERS]
    words = [f"{word} in {side} nt on both sides of the junction" for side, k in SIDES for word in kmer_names(k)]
    return [*letters, *words, "length is a multiple of 3"]


def junction(sequences: Sequence[str], circular: Sequence[bool]) -> np.ndarray:
    """Letters and words around the junction, and whether a reading frame comes back to itself after one turn.

    Args:
        circular: per RNA, whether it is a circle; all columns of others are 0.

    Returns:
        float32, shape (n, 185); columns as `junction_names`. A circle shorter than a side is its own side.
    """
    letters = np.zeros((len(sequences), 2 * NEAR, len(LETTERS)), dtype=np.float32)
    for row, sequence in enumerate(sequences):
        last, first = one_hot(sequence[-NEAR:]), one_hot(sequence[:NEAR])
        letters[row, NEAR - len(last) : NEAR], letters[row, NEAR : NEAR + len(first)] = last, first
    words = [kmer_counts([s[-side:] + s[:side] for s in sequences], k, length=False) for side, k in SIDES]
    thirds = np.array([[len(s) % 3 == 0] for s in sequences], dtype=np.float32).reshape(-1, 1)
    found = np.concatenate([letters.reshape(len(sequences), -1), *words, thirds], axis=1)
    found[~np.asarray(circular, dtype=bool)] = 0
    return found
