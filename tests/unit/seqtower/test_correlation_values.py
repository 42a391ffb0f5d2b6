"""Pearson and Spearman of fractions by hand: over folds, pooled, unknown, without variance."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

from mirnagraph.evaluation.metrics import correlations

FOLD = np.array([0, 0, 0, 0, 1, 1, 1, 1])
TRUE = np.array([[0, 1], [1, 2], [2, np.nan], [3, np.nan], [0, 0], [1, np.nan], [2, 2], [3, 3]])
PREDICTED = np.array([[1, 3], [3, 1], [2, 7], [9, 8], [4, 1], [3, 9], [2, 2], [1, 3.0]])


def cells(
    true: np.ndarray, predicted: np.ndarray, fold: np.ndarray
) -> dict[tuple[str, str], dict[str, float]]:
    names = [f"c{column}" for column in range(true.shape[1])]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = correlations(true, predicted, fold, names)
    return {(row["compartment"], row["metric"]): row for row in table.to_dict("records")}


def test_two_folds_by_hand() -> None:
    found = cells(TRUE, PREDICTED, FOLD)
    # fold 0: products of deviations 11.5, squares 5 and 38.75; ranks 1 3 2 4: 1 - 6 x 2 / 60 = .8;
    # fold 1: -1 by both
    first = 11.5 / math.sqrt(5 * 38.75)
    row = found[("c0", "Pearson")]
    assert row["mean"] == pytest.approx((first - 1) / 2)
    assert row["sd"] == pytest.approx((first + 1) / math.sqrt(2))
    # all eight: products 11.5 - 5, squares 10 and 125 - 8 x 3.125^2
    assert row["pooled"] == pytest.approx(6.5 / math.sqrt(10 * 46.875))
    assert (row["n_folds"], row["n_labels"]) == (2, 1)
    row = found[("c0", "Spearman")]
    assert row["mean"] == pytest.approx((0.8 - 1) / 2)
    assert row["sd"] == pytest.approx(1.8 / math.sqrt(2))
    # mean ranks: products of deviations -1, squares 40 and 40.5
    assert row["pooled"] == pytest.approx(-1 / math.sqrt(40 * 40.5))


def test_unknown_fractions_and_folds_without_an_answer() -> None:
    found = cells(TRUE, PREDICTED, FOLD)
    # fold 0 has two known RNAs, fold 1 three: products 3, squares 42 / 9 and 2
    row = found[("c1", "Pearson")]
    second = 3 / math.sqrt(42 / 9 * 2)
    assert row["mean"] == pytest.approx(second)
    assert math.isnan(row["sd"])
    assert row["n_folds"] == 1
    # five known: products 2, squares 5.2 and 4
    assert row["pooled"] == pytest.approx(2 / math.sqrt(5.2 * 4))
    average = found[("average", "Pearson")]
    first = 11.5 / math.sqrt(5 * 38.75)
    assert average["mean"] == pytest.approx(((first - 1) / 2 + second) / 2)
    assert average["pooled"] == pytest.approx((6.5 / math.sqrt(468.75) + 2 / math.sqrt(20.8)) / 2)
    assert (average["n_folds"], average["n_labels"]) == (2, 2)
    assert math.isnan(average["sd"])


def test_a_side_that_does_not_vary_has_no_answer() -> None:
    varies = np.array([[1.0], [2.0], [4.0]])
    same = np.full((3, 1), 0.5)
    for true, predicted in ((varies, same), (same, varies), (np.full((3, 1), np.nan), varies)):
        found = cells(true, predicted, np.zeros(3, int))
        for metric in ("Pearson", "Spearman"):
            assert math.isnan(found[("c0", metric)]["mean"])
            assert math.isnan(found[("average", metric)]["pooled"])
            assert found[("c0", metric)]["n_folds"] == 0


def test_a_compartment_without_an_answer_is_left_out_of_the_average() -> None:
    true = np.array([[1.0, 0.5], [2.0, 0.5], [3.0, 0.5]])
    predicted = np.array([[1.0, 1.0], [3.0, 2.0], [2.0, 3.0]])
    found = cells(true, predicted, np.zeros(3, int))
    assert found[("average", "Spearman")]["mean"] == pytest.approx(0.5)
    assert found[("average", "Pearson")]["pooled"] == pytest.approx(0.5)
