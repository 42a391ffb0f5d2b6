"""Thresholds of best Matthews correlation: scikit-learn's values, by hand, one class."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import matthews_corrcoef

from fusion.models.ensemble import join
from mirnagraph.evaluation.calibration import best_thresholds


def test_worked_by_hand() -> None:
    true = np.array([[0], [0], [1], [1]])
    assert best_thresholds(true, np.array([[0.1], [0.2], [0.6], [0.9]]))[0] == 0.4
    # one annotated RNA is ranked lowest: cutting below the other two positives is best
    found = best_thresholds(
        np.array([[1], [0], [0], [1], [1]]), np.array([[0.1], [0.2], [0.3], [0.8], [0.9]])
    )
    assert 0.3 < found[0] < 0.8


def test_one_class_or_one_probability_leaves_a_half() -> None:
    np.testing.assert_array_equal(
        best_thresholds(np.zeros((4, 1)), np.random.default_rng(0).random((4, 1))), [0.5]
    )
    np.testing.assert_array_equal(
        best_thresholds(np.array([[0], [1]]), np.full((2, 1), 0.3)), [0.5]
    )


@pytest.mark.slow
@given(st.integers(0, 10_000))
def test_no_other_cut_is_better(seed: int) -> None:
    random = np.random.default_rng(seed)
    true, probability = random.integers(0, 2, (25, 1)), random.random((25, 1)).round(1)
    cut = best_thresholds(true, probability)[0]
    if 0 < true.sum() < 25:
        ours = matthews_corrcoef(true[:, 0], probability[:, 0] >= cut)
        for other in np.arange(-0.05, 1.1, 0.1):
            assert ours >= matthews_corrcoef(true[:, 0], probability[:, 0] >= other) - 1e-9


def test_joining_is_a_mean_of_logits() -> None:
    parts = {"a": np.array([[0.8]]), "b": np.array([[0.2]])}
    np.testing.assert_allclose(join(parts, {"a": 1.0, "b": 1.0}), [[0.5]])
    assert join(parts, {"a": 3.0, "b": 1.0})[0, 0] > 0.5
    # weights of parts that are not there do not count
    np.testing.assert_allclose(
        join({"a": parts["a"]}, {"a": 0.1, "b": 5.0}), join({"a": parts["a"]}, {"a": 1.0})
    )
