"""Values of the letters of patches, by nucleotide; what masking reads, and no masking."""

from __future__ import annotations

import numpy as np

from seqtower.interpret.attribution import (
    MaskingConfig,
    _of_letters,
    masked_nucleotides,
    no_windows,
    zipcodes,
)


def test_letters_of_two_patches_by_hand() -> None:
    """Two patches of two nucleotides; channel 4 i + j is letter j of nucleotide i."""
    values = np.zeros((2, 1, 8))
    values[0, 0, 1] = 1.0  # first nucleotide, C
    values[0, 0, 4] = 2.0  # second, A
    values[0, 0, 7] = 0.5  # second, U
    values[1, 0, 2] = -3.0  # third, G
    values[1, 0, 5] = 9.0  # fourth, beyond the end
    np.testing.assert_allclose(_of_letters(values, 3)[:, 0], [1.0, 2.5, -3.0])


def test_nucleotides_that_masking_reads_by_hand() -> None:
    """Windows of 4, every 3 nt of 10, start at 0, 3 and 6; with the RNA itself four reads."""
    config = MaskingConfig(window=4, stride=3, shuffles=1)
    assert masked_nucleotides([10], config) == 2 * 4 * 10
    # an RNA shorter than the window has one
    assert masked_nucleotides([10, 2], config) == 80 + 2 * 2 * 2


def test_no_window_has_no_zipcode() -> None:
    assert zipcodes(no_windows(("A", "B")), ("A", "B")).empty
