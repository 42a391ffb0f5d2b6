"""Summary of a transcript's patches, by hand."""

from __future__ import annotations

import numpy as np

from seqtower.encoders.tis_network import DIM
from seqtower.encoders.tis_summary import FIRST, LAST, N_SCORES, WIDTH, summarise_patches


def patches(n: int) -> np.ndarray:
    """Patch i has mean i in every hidden value, SD 2 i, and a start score of -i."""
    rows = np.arange(n, dtype=np.float32)[:, None]
    return np.hstack([np.repeat(rows, DIM, 1), np.repeat(2 * rows, DIM, 1), -rows])


def test_three_patches_by_hand() -> None:
    found = summarise_patches(patches(3))
    assert found.shape == (WIDTH,)
    blocks = found[: 5 * DIM].reshape(5, DIM)
    # mean of 0, 1, 2; their SD, the square root of 2/3; both ends are the whole; mean SD 2
    np.testing.assert_allclose(blocks[0], 1)
    np.testing.assert_allclose(blocks[1], np.sqrt(2 / 3), rtol=1e-6)
    np.testing.assert_allclose(blocks[2:4], 1)
    np.testing.assert_allclose(blocks[4], 2)
    # highest score 0 at the first patch, mean -1, no patch above 0
    np.testing.assert_allclose(found[-N_SCORES:], [0, -1, 0, 0, 0])


def test_ends_of_a_long_rna() -> None:
    n = 100
    found = summarise_patches(patches(n))[: 5 * DIM].reshape(5, DIM)
    np.testing.assert_allclose(found[2], (FIRST - 1) / 2)
    np.testing.assert_allclose(found[3], n - 1 - (LAST - 1) / 2)


def test_place_of_the_best_start() -> None:
    rows = patches(4)
    rows[:, -1] = [-1, -2, 3, 0.5]
    highest, mean, share, place, above = summarise_patches(rows)[-N_SCORES:]
    assert (highest, above) == (3, 2)
    np.testing.assert_allclose([mean, share, place], [0.125, 0.5, np.log(3)], rtol=1e-6)


def test_an_rna_without_nucleotides_is_zeros() -> None:
    assert not summarise_patches(np.zeros((0, 2 * DIM + 1), dtype=np.float32)).any()
