"""Label averages over training neighbours, worked by hand, without own and test labels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusion.tokens.neighbours import neighbour_labels

SIMILARITY = np.array(
    [[0, 0.5, 0.25, 0.9], [0.5, 0, 0, 0.1], [0.25, 0, 0, 0.3], [0.9, 0.1, 0.3, 0]]
)
LABELS = np.array([[1.0, 0], [0, 1], [1, 1], [np.nan, np.nan]])
TRAIN = np.array([0, 1, 2])


def test_worked_by_hand() -> None:
    found = neighbour_labels(SIMILARITY, LABELS, TRAIN, k=2)
    # RNA 3 is tested: its two nearest training neighbours are 0 (0.9) and 2 (0.3)
    np.testing.assert_allclose(found[3], [1.0, 0.3 / 1.2, 1.2, 0.9], rtol=1e-6)
    # RNA 0 is trained on: itself excluded, neighbours 1 (0.5) and 2 (0.25)
    np.testing.assert_allclose(found[0], [0.25 / 0.75, 1.0, 0.75, 0.5], rtol=1e-6)


def test_without_neighbours_the_training_mean_and_no_weight() -> None:
    found = neighbour_labels(np.zeros((4, 4)), LABELS, TRAIN, k=2)
    np.testing.assert_allclose(found, np.tile([2 / 3, 2 / 3, 0, 0], (4, 1)), rtol=1e-6)


def test_a_relative_that_is_not_allowed_is_not_asked() -> None:
    allowed = np.ones((4, 4), dtype=bool)
    allowed[3, 0] = False
    found = neighbour_labels(SIMILARITY, LABELS, TRAIN, k=2, allowed=allowed)
    np.testing.assert_allclose(found[3], [0.3 / 0.4, 1.0, 0.4, 0.3], rtol=1e-6)


@given(st.integers(0, 1000), st.integers(1, 6))
def test_neither_its_own_label_nor_a_test_label_reaches_an_rna(seed: int, k: int) -> None:
    random = np.random.default_rng(seed)
    raw = random.random((8, 8))
    similarity, labels = (raw + raw.T) / 2, random.integers(0, 2, (8, 3)).astype(float)
    train = np.sort(random.choice(8, 5, replace=False))
    before = neighbour_labels(similarity, labels, train, k)
    test = np.setdiff1d(np.arange(8), train)
    poisoned = labels.copy()
    poisoned[test] = np.nan
    np.testing.assert_array_equal(before, neighbour_labels(similarity, poisoned, train, k))
    flipped = labels.copy()
    flipped[train[0]] = 1 - flipped[train[0]]
    # its own row moves by the training mean at most, and that only where nobody weighs
    np.testing.assert_array_equal(
        before[train[0]], neighbour_labels(similarity, flipped, train, k)[train[0]]
    )


@pytest.mark.parametrize("k", [1, 3, 50])
def test_averages_stay_between_zero_and_one(k: int) -> None:
    found = neighbour_labels(SIMILARITY, LABELS, TRAIN, k)
    assert ((found[:, :2] >= 0) & (found[:, :2] <= 1)).all()
