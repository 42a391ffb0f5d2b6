"""Classes that no fold could train, folds of one class, leave-one-out, ties of popularity."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pandas as pd
import pytest

from mirnagraph.evaluation.metrics import (
    UndefinedMetricWarning,
    evaluate,
    evaluate_by_group,
)
from mirnagraph.evaluation.scores import deciles, within_auc
from mirnagraph.evaluation.splits import Folds
from mirnagraph.evaluation.trainable import is_trained
from mirnagraph.nodes import NodeIndex
from mirnagraph.runs.cross_validation import collect
from mirnagraph.runs.results import MODEL, FoldResult
from seqtower.data.clusters import cluster, identity


def scored(table: pd.DataFrame, compartment: str, metric: str) -> pd.Series:
    is_row = (table["compartment"] == compartment) & (table["metric"] == metric)
    return table[is_row].iloc[0]


def test_a_class_of_one_rna_is_never_trained_where_it_is_tested() -> None:
    true = np.array([[1, 1], [0, 0], [0, 1], [0, 0], [0, 1], [0, 0]], dtype=float)
    fold = np.array([0, 1, 0, 1, 1, 0])
    # fold 0 tests the only RNA of the first class; both labels of the second train both folds
    expected = [[False, True], [True, True], [False, True], [True, True], [True, True],
                [False, True]]  # fmt: skip
    assert is_trained(true, fold).tolist() == expected
    # an RNA of fold -1 is trained on in all folds, one of -2 in none
    more = np.vstack([true, [[1, 0]]])
    assert is_trained(more, np.append(fold, -1))[:6].all()
    assert not is_trained(more, np.append(fold, -2))[0, 0]
    # a class that all training RNAs have is not learned either
    assert is_trained(1 - true, fold).tolist() == expected
    assert is_trained(true, np.zeros(6, dtype=int)).all()


@pytest.fixture
def results() -> pd.DataFrame:
    """Metrics of a cross-validation in which the class `rare` is of one RNA."""
    rng = np.random.default_rng(0)
    n = 12
    true = np.zeros((n, 2))
    true[0, 0] = 1
    true[::3, 1] = 1
    fold = np.arange(n) % 2
    index = NodeIndex.of([f"r{i}" for i in range(n)], "miRNA")
    folds = Folds(pd.Series(fold, index=list(index.ids)), name="x")
    predicted = rng.random((n, 2))
    parts = [
        FoldResult(number, np.flatnonzero(fold == number), {MODEL: predicted[fold == number]})
        for number in (0, 1)
    ]
    with pytest.warns(UndefinedMetricWarning, match=r"rare in fold 0 \(no training RNA of one"):
        result = collect(parts, index, ("rare", "often"), folds, true)
    return result.metrics


def test_no_number_counts_for_a_class_never_trained(results: pd.DataFrame) -> None:
    for metric in ("AUC", "AUPR", "F1", "MCC", "precision", "recall"):
        row = scored(results, "rare", metric)
        assert math.isnan(row["mean"]), metric
        assert math.isnan(row["pooled"]), metric
        assert row["n_folds"] == 0
        assert scored(results, "average", metric)["n_labels"] == 1
        often = scored(results, "often", metric)["mean"]
        assert scored(results, "average", metric)["mean"] == pytest.approx(often)


def test_leave_one_out_has_pooled_numbers_alone() -> None:
    n = 10
    true = np.zeros((n, 1))
    true[:4] = 1
    predicted = np.linspace(1, 0, n)[:, None]
    predicted[3], predicted[4] = predicted[4].copy(), predicted[3].copy()
    with pytest.warns(UndefinedMetricWarning):
        table = evaluate(true, predicted, np.arange(n), np.array([0.5]), ["a"])
    for metric in ("AUC", "AUPR", "F1", "MCC", "precision", "recall"):
        row = scored(table, "a", metric)
        assert math.isnan(row["mean"]), metric
        assert row["n_folds"] == 0
    # 4 x 6 pairs, one of them in the wrong order
    assert scored(table, "a", "AUC")["pooled"] == pytest.approx(23 / 24)


def test_a_fold_of_one_class_gives_no_number() -> None:
    true = np.array([[1], [1], [1], [0]])
    fold = np.array([0, 0, 1, 1])
    predicted = np.array([[0.9], [0.8], [0.7], [0.1]])
    with pytest.warns(UndefinedMetricWarning, match="a in fold 0"):
        table = evaluate(true, predicted, fold, np.array([0.5]), ["a"])
    for metric in ("AUC", "AUPR", "F1", "MCC", "precision", "recall"):
        assert scored(table, "a", metric)["n_folds"] == 1, metric


def test_within_a_group_what_others_train_counts() -> None:
    true = np.array([[1, 1], [0, 0], [1, 0], [0, 1], [1, 0], [0, 1], [1, 0], [0, 1]], dtype=float)
    true[4:, 0] = [1, 0, np.nan, np.nan]
    fold = np.array([0, 0, 1, 1, 0, 0, 1, 1])
    groups = list("aaaabbbb")
    predictions = {"m": np.full((8, 2), 0.5)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        table = evaluate_by_group(true, predictions, fold, {}, ["x", "y"], groups)
    of_b = table[table["set"] == "b"]
    # b alone trains x nowhere in fold 0, but a does
    assert scored(of_b, "x", "AUC")["n_folds"] == 1


def test_popularity_does_not_depend_on_the_order_of_rows() -> None:
    rng = np.random.default_rng(4)
    values = rng.integers(0, 6, 60)
    true = rng.integers(0, 2, 60)
    predicted = rng.random(60)
    expected = within_auc(true, predicted, deciles(values))
    for _ in range(5):
        order = rng.permutation(60)
        again = deciles(values[order])
        assert (again == deciles(values)[order]).all()
        assert within_auc(true[order], predicted[order], again) == pytest.approx(expected)
    # equals share a class: 1 1 2 2 2 3 -> mean ranks 1.5 1.5 4 4 4 6
    assert deciles(np.array([1, 1, 2, 2, 2, 3])).tolist() == [1, 1, 5, 5, 5, 9]


def test_n_matches_nothing() -> None:
    rng = np.random.default_rng(1)

    def random(n: int) -> str:
        return "".join(rng.choice(list("ACGU"), n))

    common = random(150)
    end = random(30)
    first = common + "N" * 800 + end + random(170)
    second = common + "N" * 800 + end + random(170)
    assert cluster([first, second]).tolist() == [0, 1]
    # 180 of 350 known letters, and a few of the random ends by chance
    assert 180 / 350 <= identity(first, second) < 0.7
    assert identity("N" * 50, "N" * 50) == 0
    assert identity("ACGUACGUACGU", "ACGUACGUACGU") == 1
    assert identity("ACGUNNACGUAC", "ACGUNNACGUAC") == 1
