"""Arrays of any type give the same number; shapes and values that do not fit are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mirnagraph.errors import ArgumentError, ConfigError, InputError, MirnagraphError
from mirnagraph.evaluation.calibration import best_thresholds
from mirnagraph.evaluation.compare import compare, interval, weighted_pearson, weighted_scores
from mirnagraph.evaluation.enrichment import (
    expected_sum,
    mantel_haenszel,
    permutation_test,
    stratum_tables,
)
from mirnagraph.evaluation.metrics import correlations, evaluate_by_group, undefined_as_zero
from mirnagraph.evaluation.trainable import is_trained
from mirnagraph.seeds import child_seed

PROPERTY = [1, 0, 1, 1, 0, 0]
MEMBERS = [1, 1, 0, 0, 1, 0]
STRATA = [0, 0, 0, 1, 1, 1]
KINDS: list[Callable[[list[int]], Any]] = [
    lambda values: values,
    lambda values: np.array(values),
    lambda values: np.array(values, dtype=bool),
    lambda values: np.array(values, dtype=float),
    lambda values: pd.Series(values, index=[5, 4, 3, 3, 1, 0]),
    lambda values: pd.Series(values, dtype="boolean"),
]


@pytest.mark.parametrize("kind", KINDS)
def test_lists_of_any_type_are_the_same_list(kind: Callable[[list[int]], Any]) -> None:
    tables = stratum_tables(kind(PROPERTY), kind(MEMBERS), STRATA)
    assert tables.tolist() == [[1, 1, 1, 0], [0, 1, 1, 1]]
    values = np.array(PROPERTY, dtype=float)[:, None]
    # two of three with 2 of 3, one of three with 1 of 3
    assert expected_sum(values, kind(MEMBERS), STRATA).tolist() == pytest.approx([5 / 3])
    names = ["low"] * 3 + ["high"] * 3
    assert expected_sum(values, kind(MEMBERS), names) == pytest.approx([5 / 3])  # type: ignore[arg-type]
    p = permutation_test(values, kind(MEMBERS), STRATA, 99, np.random.default_rng(0))
    expected = permutation_test(
        values, np.array(MEMBERS, dtype=bool), np.array(STRATA), 99, np.random.default_rng(0)
    )
    assert p.tolist() == expected.tolist()


TABLE = np.array([[5, 3, 2, 8], [4, 4, 1, 9]])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: stratum_tables([2, 0], [1, 0], [0, 0]), "has_property holds what is neither"),
        (lambda: stratum_tables([1, 0], [1], [0, 0]), "is_member and values differ in shape"),
        (lambda: stratum_tables([1, 0], [1, 0], [0, np.nan]), "stratum are no classes; found NaN"),
        (lambda: expected_sum([1.0, 0.0], [1, 0], [0, 0]), "values is no matrix"),
        (lambda: expected_sum([[np.nan]], [1], [0]), "a number of values is not finite"),
        (lambda: mantel_haenszel(TABLE[:, :3]), r"no fourfold tables; found \(2, 3\)"),
        (lambda: mantel_haenszel(-TABLE), "not a count of a fourfold table; found -5"),
        (lambda: weighted_scores([0, 1], [0.1, np.nan], [[1, 1]]), "predicted is not finite"),
        (lambda: weighted_scores([0, 1], [0.1, 0.2], [[1, -1]]), "weights do not fit"),
        (lambda: weighted_pearson([0, 1], [0.1, 0.2], [[1]]), r"found \(1, 1\)"),
        (lambda: interval([1.0, np.inf]), "a number of draws is not finite"),
        (lambda: is_trained([[0], [1]], [0]), "labels and folds do not fit"),
    ],
)
def test_what_does_not_fit_is_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        call()
    assert "\n" not in str(error.value)


def test_common_odds_ratio_of_lists_of_counts() -> None:
    # (5 * 8 + 4 * 9) / (3 * 2 + 4 * 1), all over 18
    assert mantel_haenszel(TABLE.tolist()).value == pytest.approx(76 / 10)  # type: ignore[arg-type]


TRUE = np.array([[0, 1], [1, 0], [0, 1], [1, 0], [0, 0], [1, 1]])
PROBABILITIES = np.array([[0.1, 0.9], [0.8, 0.3], [0.6, 0.7], [0.5, 0.2], [0.3, 0.4], [0.9, 0.6]])
FOLD = np.array([0, 0, 0, 1, 1, 1])


def groups(**changes: Any) -> pd.DataFrame:
    given: dict[str, Any] = {
        "true": TRUE,
        "predictions": {"m": PROBABILITIES},
        "fold": FOLD,
        "thresholds": {},
        "compartments": ["a", "b"],
        "groups": ["x"] * 6,
    }
    return evaluate_by_group(**{**given, **changes})


def test_groups_take_a_threshold_for_each_compartment() -> None:
    by_label = groups(thresholds={"m": np.array([0.55, 0.65])})
    by_rna = groups(thresholds={"m": np.tile([0.55, 0.65], (6, 1))})
    pd.testing.assert_frame_equal(by_label, by_rna)
    f1 = by_label.set_index(["compartment", "metric"]).loc[("a", "F1"), "pooled"]
    assert f1 == pytest.approx(2 * 2 / (2 * 2 + 1 + 1))  # .8, .6, .9 are called, .5 is missed
    assert list(groups(fold=np.full(6, -1)).columns)[:3] == ["set", "model", "compartment"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"groups": ["x"] * 5}, "labels and groups do not fit"),
        ({"predictions": {"m": PROBABILITIES[:5]}}, "predictions of m and true differ in shape"),
        ({"thresholds": {"m": np.ones((5, 2))}}, "thresholds of m do not fit"),
        ({"thresholds": {"n": np.ones(2)}}, "thresholds of a model without predictions; found n"),
        ({"decile": np.zeros(5)}, "one popularity class per RNA"),
    ],
)
def test_groups_that_do_not_fit_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        groups(**changes)


FRACTIONS = np.array([[0.2, 0.8], [0.5, 0.5], [0.9, 0.1], [0.4, 0.6]])
PREDICTED = np.array([[0.1, 0.9], [0.3, 0.7], [0.8, 0.2], [0.6, 0.4]])


def pearson(true: Any, predicted: Any, fold: Any) -> float:
    table = correlations(true, predicted, fold, ["a", "b"])
    return float(table.set_index(["compartment", "metric"]).loc[("a", "Pearson"), "pooled"])


def test_correlations_read_by_place_and_leave_out_untested_rnas() -> None:
    expected = np.corrcoef(FRACTIONS[:, 0], PREDICTED[:, 0])[0, 1]
    fold = [0, 0, 0, 0]
    frame = pd.DataFrame(FRACTIONS, index=[3, 1, 0, 2])
    assert pearson(FRACTIONS.tolist(), PREDICTED.tolist(), fold) == pytest.approx(expected)
    assert pearson(frame, pd.DataFrame(PREDICTED), pd.Series(fold)) == pytest.approx(expected)
    more = np.vstack([FRACTIONS, [[1, 0]]])
    untested = np.vstack([PREDICTED, [[np.nan, np.nan]]])
    assert pearson(more, untested, [*fold, -1]) == pytest.approx(expected)
    for true, predicted, wrong in (
        (FRACTIONS, np.where(PREDICTED > 0.8, np.nan, PREDICTED), fold),
        (np.where(FRACTIONS > 0.8, np.inf, FRACTIONS), PREDICTED, fold),
        (FRACTIONS, PREDICTED[:3], fold),
        (FRACTIONS, PREDICTED, fold[:3]),
        (FRACTIONS, PREDICTED, [-1] * 4),
        (FRACTIONS, PREDICTED, [0.5] * 4),
    ):
        with pytest.raises(InputError):
            pearson(true, predicted, wrong)


def test_pearson_does_not_depend_on_scale_or_origin() -> None:
    x = FRACTIONS[:, 0]
    y = PREDICTED[:, 0]
    expected = np.corrcoef(x, y)[0, 1]
    for values in (x, x * 1e-9, x + 1e6, x * 1e200):
        assert weighted_pearson(values, y, np.ones((1, 4)))[0] == pytest.approx(expected, abs=1e-6)
    assert np.isnan(weighted_pearson(np.full(4, 0.1), y, np.ones((1, 4)))[0])


def test_thresholds_of_one_compartment_in_one_dimension() -> None:
    true = [0, 0, 1, 1]
    scores = pd.Series([0.1, 0.2, 0.6, 0.9], index=[3, 2, 1, 0])
    assert best_thresholds(true, scores) == pytest.approx([0.4])  # type: ignore[arg-type]


def test_undefined_metrics_count_in_folds_that_there_are() -> None:
    table = pd.DataFrame(
        {"compartment": ["a"], "metric": ["AUC"], "mean": [0.8], "n_folds": [4], "n_labels": [1]}
    )
    assert undefined_as_zero(table, 5)["mean"].tolist() == pytest.approx([0.64, 0.64])
    for n_folds in (0, 3):
        with pytest.raises(ConfigError, match="'n_folds' is"):
            undefined_as_zero(table, n_folds)


IDS = [f"r{row}" for row in range(8)]
LABELS = pd.DataFrame({"a": [0, 1] * 4}, index=IDS)
FIRST = pd.DataFrame({"rna_id": IDS, "fold": [0] * 8, "a": np.linspace(0, 1, 8)})


@pytest.mark.parametrize(
    ("first", "labels", "message"),
    [
        (FIRST, pd.concat([LABELS, LABELS[:1]]), "labels hold an RNA twice"),
        (FIRST, LABELS * 2, "labels must be 0 or 1"),
        (FIRST, LABELS[["a", "a"]], "compartment names do not fit"),
        (FIRST.assign(a="x"), LABELS, "first predictions holds texts"),
        (FIRST[:0], LABELS, "the first predictions are empty"),
        ({}, LABELS, r"compare: first is \{\} \(dict\), expected DataFrame"),
    ],
)
def test_tables_that_cannot_be_compared(first: Any, labels: pd.DataFrame, message: str) -> None:
    with pytest.raises(MirnagraphError, match=message):
        compare(first, FIRST, labels, n_resamples=100)


def test_a_seed_is_a_whole_number() -> None:
    assert child_seed(np.int64(3), "walks") == child_seed(3, "walks")
    for seed in (1.5, "1", None):
        with pytest.raises(ArgumentError, match="a seed is"):
            child_seed(seed, "walks")  # type: ignore[arg-type]
