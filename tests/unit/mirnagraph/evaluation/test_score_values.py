"""Scores of one compartment and of sets by hand: single RNAs, one class, meanings of metrics."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

from mirnagraph.evaluation import scores
from mirnagraph.evaluation.metrics import METRICS, UndefinedMetricWarning, evaluate
from mirnagraph.evaluation.scores import ranking_scores, set_scores


def test_what_is_undefined_is_nan_without_a_warning() -> None:
    probabilities = np.array([0.2, 0.4])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert math.isnan(scores.auc(np.zeros(2, int), probabilities))
        assert math.isnan(scores.auc(np.ones(2, int), probabilities))
        assert math.isnan(scores.aupr(np.zeros(2, int), probabilities))
        assert math.isnan(scores.brier(np.zeros(0), np.zeros(0)))
        for function in (scores.precision, scores.recall, scores.f1, scores.mcc):
            assert math.isnan(function(np.zeros(2, int), np.ones(2, int)))


def test_a_single_annotated_rna_is_enough() -> None:
    # annotated .4 lies above .2 and below .9: AUC 1/2, first found at rank 2
    true = np.array([0, 1, 0])
    probabilities = np.array([0.2, 0.4, 0.9])
    assert scores.auc(true, probabilities) == 0.5
    assert scores.aupr(true, probabilities) == 0.5
    assert scores.brier(true, probabilities) == pytest.approx((0.04 + 0.36 + 0.81) / 3)
    chosen = np.array([0, 1, 1])
    assert scores.precision(true, chosen) == 0.5
    assert scores.recall(true, chosen) == 1
    assert scores.f1(true, chosen) == pytest.approx(2 / 3)
    # (3 x 1 - 1 x 2) / sqrt(1 x 2 x 2 x 1)
    assert scores.mcc(true, chosen) == pytest.approx(0.5)
    # (3 x 0 - 1 x 1) / sqrt(1 x 2 x 1 x 2)
    assert scores.mcc(true, 1 - chosen) == pytest.approx(-0.5)


def test_within_of_two_rnas_of_a_decile() -> None:
    # decile 0: one pair, lost; decile 3: 1 x 2 pairs, both won
    true = np.array([1, 0, 1, 0, 0])
    probabilities = np.array([0.1, 0.2, 0.9, 0.3, 0.4])
    assert scores.within_auc(true, probabilities, np.array([0, 0, 3, 3, 3])) == pytest.approx(2 / 3)


def test_sets_of_one_rna() -> None:
    # T = {0, 1, 3}, P = {0, 2, 3, 4} of 5: 2 common, 5 in either
    found = set_scores(np.array([[1, 1, 0, 1, 0]]), np.array([[1, 0, 1, 1, 1]]))
    assert found["aiming"] == pytest.approx(2 / 4)
    assert found["coverage"] == pytest.approx(2 / 3)
    assert found["accuracy"] == pytest.approx(2 / 5)
    assert found["absolute true"] == 0
    assert found["absolute false"] == pytest.approx(3 / 5)


def test_ranking_of_a_single_compartment_is_right() -> None:
    expected = {
        "average precision": 1.0,
        "coverage error": 0.0,
        "ranking loss": 0.0,
        "one-error": 0.0,
    }
    assert ranking_scores(np.array([[1], [0]]), np.array([[0.1], [0.9]])) == expected


def test_ranking_of_two_rnas() -> None:
    true = np.array([[0, 1, 1], [1, 0, 0]])
    probabilities = np.array([[0.9, 0.5, 0.1], [0.6, 0.7, 0.2]])
    found = ranking_scores(true, probabilities)
    # ranks of true compartments: 2 and 3 of the first, 2 of the second
    assert found["average precision"] == pytest.approx(((1 / 2 + 2 / 3) / 2 + 1 / 2) / 2)
    assert found["coverage error"] == pytest.approx((2 + 1) / 2)
    assert found["ranking loss"] == pytest.approx((1 + 1 / 2) / 2)
    assert found["one-error"] == 1


def test_ranges_and_directions_of_the_metrics() -> None:
    ranges = {name: (metric.low, metric.high) for name, metric in METRICS.items()}
    assert ranges.pop("MCC") == (-1, 1)
    assert ranges.pop("coverage error") == (0, math.inf)
    assert set(ranges.values()) == {(0, 1)}
    lower = {name for name, metric in METRICS.items() if not metric.higher_is_better}
    assert lower == {
        "Brier",
        "ECE",
        "absolute false",
        "coverage error",
        "ranking loss",
        "one-error",
    }


LABELS = np.array([[1, 0], [0, 1], [1, 1], [0, 0], [1, 0], [0, 1]])
PROBABILITIES = np.array([[0.9, 0.2], [0.6, 0.7], [0.8, 0.4], [0.1, 0.5], [0.3, 0.1], [0.4, 0.9]])


def cells(**changes: object) -> dict[tuple[str, str], dict[str, float]]:
    fold = np.array([0, 0, 0, 1, 1, 1])
    given = {
        "true": LABELS,
        "probabilities": PROBABILITIES,
        "fold": fold,
        "thresholds": np.full(2, 0.5),
    }
    table = evaluate(**{**given, **changes})
    return {(row["compartment"], row["metric"]): row for row in table.to_dict("records")}


def test_counts_of_folds_and_compartments() -> None:
    found = cells(decile=np.array([0, 0, 1, 1, 2, 2]))
    assert {(key[0], row["n_labels"]) for key, row in found.items()} == {
        ("0", 1),
        ("1", 1),
        ("average", 2),
        ("micro", 2),
        ("all compartments", 2),
    }
    assert {row["n_folds"] for row in found.values()} == {2}


def test_pooled_means_and_sd_by_hand() -> None:
    found = cells(decile=np.array([0, 0, 1, 1, 2, 2]))
    # compartment 0, fold 0: .9 and .8 above .6; fold 1: .3 above .1, below .4
    row = found[("0", "AUC")]
    assert (row["mean"], row["sd"]) == (pytest.approx(0.75), pytest.approx(math.sqrt(2 * 0.25**2)))
    # pooled: .9 and .8 beat .6 .1 .4; .3 beats .1
    assert row["pooled"] == pytest.approx(7 / 9)
    # compartment 1, fold 0: .7 and .4 above .2; fold 1: .9 above .5 and .1
    assert found[("1", "AUC")]["mean"] == 1
    assert found[("1", "AUC")]["sd"] == 0
    average = found[("average", "AUC")]
    assert average["mean"] == pytest.approx((0.75 + 1) / 2)
    # folds: (1 + 1) / 2 and (.5 + 1) / 2
    assert average["sd"] == pytest.approx(math.sqrt(2 * 0.125**2))
    # within, compartment 0: .9 above .6, .8 above .1, .3 below .4; compartment 1: .7 above .2, .4
    # below .5, .9 above .1
    assert found[("0", "within")]["pooled"] == pytest.approx(2 / 3)
    assert found[("1", "within")]["pooled"] == pytest.approx(2 / 3)
    # calls at .5: {0}, {0, 1}, {0}, {1}, {}, {1}; truth {0}, {1}, {0, 1}, {}, {0}, {1}
    accuracy = found[("all compartments", "accuracy")]
    assert accuracy["pooled"] == pytest.approx((1 + 1 / 2 + 1 / 2 + 0 + 0 + 1) / 6)
    assert accuracy["mean"] == pytest.approx((2 / 3 + 1 / 3) / 2)
    assert accuracy["sd"] == pytest.approx(math.sqrt(2 * (1 / 6) ** 2))


def test_a_single_fold_has_no_sd_and_warns_of_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = cells(fold=np.zeros(6, int))
    assert found[("0", "AUC")]["mean"] == found[("0", "AUC")]["pooled"] == pytest.approx(7 / 9)
    assert math.isnan(found[("0", "AUC")]["sd"])


def test_every_rna_annotated_is_named() -> None:
    labels = LABELS.copy()
    labels[3:, 1] = 1
    with pytest.warns(UndefinedMetricWarning, match=r"means: 1 in fold 1 \(every RNA annotated\)$"):
        found = cells(true=labels)
    assert found[("1", "AUC")]["n_folds"] == 1


def test_sets_are_of_rnas_with_every_label_known() -> None:
    labels = LABELS.astype(float)
    labels[1, 1] = np.nan
    labels[4, 0] = np.nan
    with pytest.warns(UndefinedMetricWarning, match="0 in fold 1"):
        found = cells(true=labels)
    # RNAs 0, 2, 3, 5 are known in both
    assert found[("all compartments", "accuracy")]["pooled"] == pytest.approx(
        (1 + 1 / 2 + 0 + 1) / 4
    )
