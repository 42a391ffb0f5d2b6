"""One-hot letters: A, C, G, U in four channels; N is 0 in all of them."""

from __future__ import annotations

import numpy as np

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
