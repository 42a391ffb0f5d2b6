"""Data of the figures of a report: values worked by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fusion.report.blocks import chart_data, rounded
from fusion.report.curves import (
    FOLDS,
    GRID,
    POOLED,
    co_occurrence,
    fold_curves,
    headline_intervals,
    precision_points,
    roc_points,
    training_curves,
    wilson,
)
from fusion.report.run_data import open_run
from mirnagraph.evaluation.metrics import AVERAGE
from mirnagraph.evaluation.splits import Folds
from mirnagraph.nodes import NodeIndex
from mirnagraph.runs.results import MODEL, CrossValidationResult, FoldResult

TRUE = np.array([1, 0, 1, 0])
PROBABILITY = np.array([0.9, 0.8, 0.7, 0.1])


def result_of(
    labels: list[list[float]],
    probabilities: list[list[float]],
    fold: list[int],
    choices: list[dict] | None = None,
) -> CrossValidationResult:
    ids = [f"r{number}" for number in range(len(labels))]
    names = tuple("AB"[: len(labels[0])])
    values = np.array(probabilities, dtype=float)
    results = [
        FoldResult(number, np.flatnonzero(np.array(fold) == number), {}, choices=chosen)
        for number, chosen in enumerate(choices or [])
    ]
    return CrossValidationResult(
        NodeIndex.of(ids, "RNA"),
        names,
        Folds(pd.Series(fold, index=ids)),
        np.array(labels),
        {MODEL: values},
        {},
        {},
        tuple(results),
    )


def at(values: np.ndarray, place: float) -> float:
    return float(values[np.argmin(np.abs(GRID - place))])


def test_the_roc_curve_is_a_step_curve() -> None:
    """Thresholds .9, .8, .7, .1 give (0, .5), (.5, .5), (.5, 1), (1, 1)."""
    points = roc_points(TRUE, PROBABILITY)
    assert [at(points, x) for x in (0, 0.25, 0.49, 0.5, 0.75, 1)] == [0.5, 0.5, 0.5, 1, 1, 1]


def test_precision_is_that_of_the_highest_threshold_that_reaches_the_recall() -> None:
    """Recall .5 is reached at .9 (precision 1), recall 1 at .7 (precision 2/3)."""
    points = precision_points(TRUE, PROBABILITY)
    assert [at(points, x) for x in (0, 0.25, 0.5)] == [1, 1, 1]
    assert at(points, 0.51) == pytest.approx(2 / 3)
    assert at(points, 1.0) == pytest.approx(2 / 3)


def test_equal_probabilities_share_one_threshold() -> None:
    points = precision_points(np.array([1, 0, 0, 1]), np.array([0.6, 0.6, 0.6, 0.1]))
    assert at(points, 0.5) == pytest.approx(1 / 3)
    assert at(points, 1.0) == pytest.approx(1 / 2)


def test_the_band_is_the_sd_over_folds() -> None:
    """Fold 0 ranks its two RNAs right (1 everywhere), fold 1 wrong (0 below a rate of 1)."""
    labels = [[1], [0], [1], [0]]
    result = result_of(labels, [[0.9], [0.1], [0.2], [0.8]], [0, 0, 1, 1])
    table = fold_curves(result, "roc")
    at_half = table[(table["series"] == FOLDS) & (table["x"] == 0.5)].iloc[0]
    assert at_half["y"] == 0.5
    sd = np.sqrt(0.5)  # of 0 and 1, n - 1
    assert at_half["low"] == 0  # 0.5 - sd is below 0
    assert 0.5 + sd > 1
    assert at_half["high"] == 1
    at_one = table[(table["series"] == FOLDS) & (table["x"] == 1)].iloc[0]
    assert [at_one["y"], at_one["low"], at_one["high"]] == [1, 1, 1]
    pooled = table[(table["series"] == POOLED) & (table["x"] == 0.25)].iloc[0]
    assert pooled["y"] == 0.5
    assert np.isnan(pooled["low"])


def test_wilsons_interval() -> None:
    """5 of 10: 0.2366 to 0.7634 (Newcombe 1998 gives the formula); 0 of 10: 0 to 0.2775."""
    low, high = wilson(np.array([0.5, 0.0]), np.array([10, 10]))
    assert low == pytest.approx([0.23659, 0.0], abs=1e-5)
    assert high == pytest.approx([0.76341, 0.27753], abs=1e-5)


def test_co_occurrence_reads_along_the_row() -> None:
    """Two RNAs of A, one of them in B; one RNA of B, which is in A. One label is unknown."""
    labels = [[1, 1], [1, 0], [0, 0], [1, np.nan]]
    result = result_of(labels, [[0.5, 0.5]] * 4, [0, 0, 1, 1])
    table = co_occurrence(result).set_index(["y", "x"])
    assert table.loc[("A", "B"), "low"] == 0.5
    assert table.loc[("A", "B"), "label"] == "1 of 2"
    assert table.loc[("B", "A"), "low"] == 1
    assert table.loc[("A", "A"), "label"] == "3 of 3"


def test_intervals_hold_the_stored_value(small_run: Path) -> None:
    run = open_run(small_run)
    table = headline_intervals(run.result, run.seed, 300)
    stored = run.result.metrics.set_index(["compartment", "metric"])["pooled"]
    assert len(table) == 2 * 3
    for row in table.itertuples():
        assert row.low < stored[(row.compartment, row.metric)] < row.high
        assert row.high - row.low < 0.5
    again = headline_intervals(run.result, run.seed, 300)
    pd.testing.assert_frame_equal(table, again)
    other = headline_intervals(run.result, run.seed + 1, 300)
    assert not table.equals(other)


def test_a_perfect_ranking_has_no_width() -> None:
    labels = [[1], [1], [0], [0]]
    result = result_of(labels, [[0.9], [0.8], [0.2], [0.1]], [0, 1, 0, 1])
    table = headline_intervals(result, 0, 200).set_index(["compartment", "metric"])
    assert table.loc[(AVERAGE, "AUC")].tolist() == [1, 1]


def test_training_curves_of_stored_histories() -> None:
    choices = [{"history": [[0, 0.7, 0.6], [1, 0.5, 0.4]]}, {}]
    result = result_of([[1], [0]], [[0.5], [0.5]], [0, 1], choices)
    table = training_curves(result)
    assert table[["panel", "series", "x", "y"]].to_numpy().tolist() == [
        ["fold 0", "training", 0.0, 0.7],
        ["fold 0", "training", 1.0, 0.5],
        ["fold 0", "validation", 0.0, 0.6],
        ["fold 0", "validation", 1.0, 0.4],
    ]


def test_rounding_keeps_five_significant_digits() -> None:
    values = rounded(np.array([0.1234567, -12345.67, 0.0, np.nan, 0.00001234567]))
    np.testing.assert_array_equal(values, [0.12346, -12346.0, 0.0, np.nan, 1.2346e-05])
    table = chart_data([{"x": 1 / 3, "y": "name"}])
    assert table["x"].tolist() == [0.33333]
    assert table["y"].tolist() == ["name"]
    assert table["panel"].tolist() == [""]
