"""Metrics within groups of RNAs, worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from mirnagraph.evaluation.metrics import evaluate_by_group

NAMES = ("P", "Q", "R")
GROUPS = ["x", "x", "x", "x", "y", "y", "y", "y", "x"]
# P has both values in both groups; Q is unknown in y; R has one value in x
TRUE = np.array(
    [
        [1, 0, 0],
        [0, 1, 0],
        [1, 0, 0],
        [0, 1, 0],
        [1, np.nan, 1],
        [0, np.nan, 0],
        [1, np.nan, 1],
        [0, np.nan, 0],
        [1, 1, 1],
    ]
)
# the last RNA was not tested, and would change every value of x
FOLD = np.array([0, 0, 1, 1, 0, 0, 1, 1, -1])
SCORES = np.array([0.9, 0.2, 0.3, 0.8, 0.7, 0.6, 0.9, 0.1, 0.05])
PREDICTED = np.column_stack([SCORES, 1 - SCORES, SCORES])


def table(**more: object):
    predictions = {"model": PREDICTED, "other": 1 - PREDICTED}
    thresholds = {"model": np.full((9, 3), 0.85)}
    values = evaluate_by_group(TRUE, predictions, FOLD, thresholds, NAMES, GROUPS, **more)
    return values, values.set_index(["set", "model", "compartment", "metric"])


def test_each_group_is_scored_on_its_own_rnas_and_compartments() -> None:
    values, cells = table()
    assert list(values.columns[:3]) == ["set", "model", "compartment"]
    assert list(dict.fromkeys(values["set"])) == ["x", "y"]
    compartments = values.groupby("set")["compartment"].unique()
    assert {"P", "Q"} <= set(compartments["x"])
    assert "R" not in compartments["x"]
    assert {"P", "R"} <= set(compartments["y"])
    assert "Q" not in compartments["y"]
    # x: fold 0 in order, fold 1 not: mean 0.5; pooled 0.9, 0.3 against 0.2, 0.8: 3 of 4 pairs
    assert cells.loc[("x", "model", "P", "AUC"), "mean"] == pytest.approx(0.5)
    assert cells.loc[("x", "model", "P", "AUC"), "pooled"] == pytest.approx(0.75)
    # y: both folds in order, and all four pairs
    assert cells.loc[("y", "model", "P", "AUC"), "pooled"] == 1
    assert cells.loc[("y", "other", "P", "AUC"), "pooled"] == 0
    assert cells.loc[("x", "model", "average", "AUC"), "n_labels"] == 2


def test_thresholds_are_of_the_model_that_has_some() -> None:
    _, cells = table()
    # above 0.85 in x: 0.9, an annotated one: precision 1, recall 1 / 2, F1 2 / 3
    assert cells.loc[("x", "model", "P", "F1"), "pooled"] == pytest.approx(2 / 3)
    # the other model calls from 0.5: of 0.1, 0.8, 0.7, 0.2 a negative and a positive: F1 1 / 2
    assert cells.loc[("x", "other", "P", "F1"), "pooled"] == pytest.approx(0.5)


def test_within_is_given_where_every_tested_rna_has_a_decile() -> None:
    decile = np.array([0, 0, 1, 1, -1, -1, -1, -1, -1])
    values, cells = table(decile=decile)
    assert set(values.loc[values["metric"] == "within", "set"]) == {"x"}
    # deciles (0.9 | 0.2) in order and (0.3 | 0.8) not
    assert cells.loc[("x", "model", "P", "within"), "pooled"] == pytest.approx(0.5)


def test_a_group_without_both_values_of_any_compartment_is_left_out() -> None:
    groups = [*GROUPS[:4], "y", "z", "y", "z", "x"]
    predictions = {"model": PREDICTED}
    values = evaluate_by_group(TRUE, predictions, FOLD, {}, NAMES, groups)
    # y has annotated RNAs alone and z none
    assert set(values["set"]) == {"x"}
