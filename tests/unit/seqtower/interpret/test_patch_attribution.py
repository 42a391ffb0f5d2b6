"""Values of the letters of patches, by nucleotide."""

from __future__ import annotations

import numpy as np

from seqtower.interpret.attribution import _of_letters


def test_letters_of_two_patches_by_hand() -> None:
    """Two patches of two nucleotides; channel 4 i + j is letter j of nucleotide i."""
    values = np.zeros((2, 1, 8))
    values[0, 0, 1] = 1.0  # first nucleotide, C
    values[0, 0, 4] = 2.0  # second, A
    values[0, 0, 7] = 0.5  # second, U
    values[1, 0, 2] = -3.0  # third, G
    values[1, 0, 5] = 9.0  # fourth, beyond the end
    np.testing.assert_allclose(_of_letters(values, 3)[:, 0], [1.0, 2.5, -3.0])
