"""Numbers of the calibration section of a report, worked by hand."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mirnagraph.evaluation.metrics import UndefinedMetricWarning, evaluate
from mirnagraph.evaluation.splits import Folds
from mirnagraph.io import write_tsv
from mirnagraph.nodes import NodeIndex
from mirnagraph.runs.calibration_report import (
    calibration_table,
    error_by_uncertainty,
    write_calibration,
)
from mirnagraph.runs.results import CrossValidationResult, FoldResult

NAMES = ("P", "Q")
# P: 0.5 for all four tested RNAs; Q: four different probabilities; the fifth RNA was not tested
PROBABILITIES = np.array([[0.5, 0.125], [0.5, 0.875], [0.5, 0.625], [0.5, 0.375], [np.nan, np.nan]])
TRUE = np.array([[1, 0], [1, 1], [1, 0], [0, 1], [0, 0]], dtype=np.int8)


def result(temperatures: tuple[float, ...] = ()) -> CrossValidationResult:
    ids = ["a", "b", "c", "d", "e"]
    fold = np.array([0, 0, 1, 1, -1])
    choices: list[dict[str, float]] = [{"temperature": value} for value in temperatures] or [{}, {}]
    results = []
    for number in (0, 1):
        rows = np.flatnonzero(fold == number)
        results.append(
            FoldResult(number, rows, {"model": PROBABILITIES[rows]}, choices=choices[number])
        )
    tested = fold >= 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        metrics = evaluate(
            TRUE[tested], PROBABILITIES[tested], fold[tested], np.full(2, 0.5), NAMES
        )
    thresholds = np.full((5, 2), 0.5)
    folds = Folds(pd.Series(fold, index=ids))
    index = NodeIndex.of(ids, "miRNA")
    return CrossValidationResult(
        index,
        NAMES,
        folds,
        TRUE,
        {"model": PROBABILITIES},
        {"model": thresholds},
        {"model": metrics},
        tuple(results),
    )


def test_calibration_of_pooled_probabilities() -> None:
    table = calibration_table(result()).set_index("compartment")
    p = table.loc["P"]
    # one bin: 0.5 predicted, 3 of 4 observed; Brier 0.25 = 0.0625 - 0 + 0.75 x 0.25
    columns = ["predicted", "observed", "ECE", "brier", "reliability", "resolution", "uncertainty"]
    assert p[columns].tolist() == pytest.approx([0.5, 0.75, 0.25, 0.25, 0.0625, 0, 0.1875])
    # of four RNAs at 0.5 none or all are drawn in 2 of 16 cases, which is an error of 0.5: the 95th
    # percentile
    assert p["by chance"] == pytest.approx(0.5)
    q = table.loc["Q"]
    # a bin each: (0.125 + 0.125 + 0.625 + 0.625) / 4 = 0.375; Brier (2 x 0.015625 + 2 x 0.390625) /
    # 4 = 0.203125, all of it reliability; resolution and uncertainty 0.25 both
    assert q[columns].tolist() == pytest.approx([0.5, 0.5, 0.375, 0.203125, 0.203125, 0.25, 0.25])
    average = table.loc["average", columns].tolist()
    assert average == pytest.approx(
        [0.5, 0.625, 0.3125, 0.226562, 0.132812, 0.125, 0.21875], abs=1e-6
    )


def test_errors_in_thirds_of_uncertainty() -> None:
    uncertainty = np.array([[0.1, 0.4], [0.1, 0.3], [0.1, 0.2], [0.1, 0.1], [np.nan, np.nan]])
    table = error_by_uncertainty(result(), uncertainty).set_index("third")
    # P: equal uncertainties are one third, the middle one; Q: d, then b and c (ranks 2 and 3), then
    # a
    assert table["n"].to_dict() == {"lowest": 1, "middle": 6, "highest": 1}
    assert table["sd"].tolist() == pytest.approx([0.1, (0.1 + 0.25) / 2, 0.4])
    # d: |0.375 - 1|; P 0.5 and Q (0.125 + 0.625) / 2 = 0.375, mean 0.4375; a: 0.125
    assert table["absolute error"].tolist() == pytest.approx([0.625, 0.4375, 0.125])
    # 0.390625; P 0.25 and Q (0.015625 + 0.390625) / 2 = 0.203125, mean 0.226562; 0.015625
    assert table["Brier"].tolist() == pytest.approx([0.390625, 0.226562, 0.015625], abs=1e-6)
    # p (1 - p): 0.234375; P 0.25 and Q (0.109375 + 0.234375) / 2 = 0.171875, mean 0.210938;
    # 0.109375
    assert table["expected Brier"].tolist() == pytest.approx(
        [0.234375, 0.210938, 0.109375], abs=1e-6
    )


def test_the_section_gives_these_numbers(tmp_path: Path) -> None:
    given = result((1.5, 0.9))
    table = given.to_frame()
    table["P"] = 0.1
    table["Q"] = [0.4, 0.3, 0.2, 0.1]
    write_tsv(table, tmp_path / "uncertainty.tsv")
    text = write_calibration(tmp_path, given)
    assert "| P | 0.500 | 0.750 | 0.250 | 0.500 | 0.250 | 0.062 | 0.000 | 0.188 |" in text
    assert "by fold: 0: 1.500, 1: 0.900. Mean 1.200" in text
    # log 1.2 = 0.18, off by more than 0.02
    assert "without it the model is over-confident" in text
    assert "| lowest third | 1 | 0.100 | 0.625 | 0.391 | 0.234 |" in text
    # Q: uncertainties of rank 4, 3, 2, 1, errors 0.125, 0.125, 0.625, 0.625 of rank 1.5, 1.5, 3.5,
    # 3.5: deviations 1.5, 0.5, -0.5, -1.5 and -1, -1, 1, 1: -4 / sqrt(5 x 4) = -0.894427; P never
    # varies
    assert "0.625 to 0.125" in text
    assert "mean over compartments (n = 1): -0.89" in text
    # Brier less expected Brier: 0.390625 - 0.234375 and 0.015625 - 0.109375
    assert "+0.156 in the lowest" in text
    assert "-0.094 in the highest" in text
