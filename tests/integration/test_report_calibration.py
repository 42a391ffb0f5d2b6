"""The report's calibration section: values by hand, with and without temperatures."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from fusion.config import ExperimentConfig, TokenSettings
from fusion.experiments.train import write_report
from mirnagraph.dataset import Dataset
from mirnagraph.errors import InputError
from mirnagraph.evaluation.metrics import evaluate
from mirnagraph.evaluation.splits import Folds
from mirnagraph.io import write_tsv
from mirnagraph.nodes import NodeIndex
from mirnagraph.runs.calibration_report import (
    calibration_table,
    draw_reliability,
    error_by_uncertainty,
    read_uncertainty,
    write_calibration,
)
from mirnagraph.runs.results import CrossValidationResult, FoldResult

NAMES = ("Nucleus", "Exosome")


@cache
def synthetic(n: int = 300, **choices: float) -> CrossValidationResult:
    """Nucleus: calibrated. Exosome: log odds three times too large. The last RNA: not tested."""
    random = np.random.default_rng(3)
    logits = random.normal(0, 1.5, (n, 2))
    labels = (random.random((n, 2)) < 1 / (1 + np.exp(-logits))).astype(np.int8)
    probabilities = 1 / (1 + np.exp(-logits * [1, 3]))
    ids = [f"r{k}" for k in range(n)]
    fold = np.arange(n) % 3
    fold[-1] = -1
    probabilities[-1] = np.nan
    results = tuple(
        FoldResult(
            f,
            np.flatnonzero(fold == f),
            {"model": probabilities[fold == f]},
            {"model": np.full(2, 0.5)},
            choices=choices,
        )
        for f in range(3)
    )
    tested = fold >= 0
    metrics = evaluate(labels[tested], probabilities[tested], fold[tested], np.full(2, 0.5), NAMES)
    thresholds = np.full((n, 2), 0.5)
    return CrossValidationResult(
        NodeIndex.of(ids, "miRNA"),
        NAMES,
        Folds(pd.Series(fold, index=ids)),
        labels,
        {"model": probabilities},
        {"model": thresholds},
        {"model": metrics},
        results,
    )


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty picture, which is written faster."""
    monkeypatch.setattr("mirnagraph.runs.calibration_report.draw_reliability", lambda _: Figure())


def uncertainty_table(result: CrossValidationResult, values: np.ndarray) -> pd.DataFrame:
    table = result.to_frame()
    table[list(NAMES)] = values[result.folds.of_rows(result.index) >= 0]
    return table


def test_what_is_off_by_more_than_chance_is_named() -> None:
    result = synthetic()
    table = calibration_table(result).set_index("compartment")
    assert list(table.index) == ["Nucleus", "Exosome", "average"]
    assert table.loc["Nucleus", "ECE"] < table.loc["Nucleus", "by chance"]
    assert table.loc["Exosome", "ECE"] > table.loc["Exosome", "by chance"]
    pooled = result.metrics[result.metrics["metric"] == "ECE"].set_index("compartment")["pooled"]
    assert table["ECE"].to_dict() == pytest.approx(pooled[list(table.index)].to_dict())
    assert table.loc["Nucleus", "observed"] == pytest.approx(result.labels[:-1, 0].mean())
    again = calibration_table(result).set_index("compartment")
    pd.testing.assert_frame_equal(table, again)


def test_the_section_without_temperature_or_uncertainty(tmp_path: Path) -> None:
    text = write_calibration(tmp_path, synthetic())
    assert (tmp_path / "reliability.png").stat().st_size > 1000
    assert "Calibration error above chance: Exosome." in text
    assert "No temperature was fitted" in text
    assert "third" not in text
    assert [axis.get_title()[:11] for axis in draw_reliability(synthetic()).axes] == [
        "Reliability",
        "Distributio",
    ]


def test_the_temperatures_are_reported(tmp_path: Path, undrawn) -> None:
    text = write_calibration(tmp_path, synthetic(temperature=1.5))
    assert (
        "by fold: 0: 1.500, 1: 1.500, 2: 1.500. Mean 1.500: without it the model is over-confident."
        in text
    )
    assert "model is calibrated" in write_calibration(tmp_path, synthetic(temperature=1.01))
    assert "under-confident" in write_calibration(tmp_path, synthetic(temperature=0.8))


@pytest.mark.filterwarnings("ignore::mirnagraph.evaluation.metrics.UndefinedMetricWarning")
def test_errors_in_thirds_by_hand() -> None:
    whole = synthetic(7)
    p = np.array(
        [[0.9, 0.5], [0.8, 0.5], [0.7, 0.5], [0.6, 0.5], [0.5, 0.5], [0.4, 0.5], [np.nan, np.nan]]
    )
    y = np.array([[1, 0], [1, 0], [1, 0], [1, 0], [1, 0], [1, 0], [0, 0]], dtype=np.int8)
    sd = np.array(
        [
            [0.01, 0.6],
            [0.02, 0.5],
            [0.03, 0.4],
            [0.04, 0.3],
            [0.05, 0.2],
            [0.06, 0.1],
            [np.nan, np.nan],
        ]
    )
    table = error_by_uncertainty(replace(whole, predictions={"model": p}, labels=y), sd)
    assert table["third"].tolist() == ["lowest", "middle", "highest"]
    assert table["n"].tolist() == [4, 4, 4]
    assert table["sd"].tolist() == pytest.approx(
        [(0.015 + 0.15) / 2, (0.035 + 0.35) / 2, (0.055 + 0.55) / 2]
    )
    assert table["absolute error"].tolist() == pytest.approx(
        [(0.15 + 0.5) / 2, (0.35 + 0.5) / 2, (0.55 + 0.5) / 2]
    )
    assert table["Brier"].tolist() == pytest.approx(
        [
            ((0.01 + 0.04) / 2 + 0.25) / 2,
            ((0.09 + 0.16) / 2 + 0.25) / 2,
            ((0.25 + 0.36) / 2 + 0.25) / 2,
        ]
    )
    assert table["expected Brier"].iloc[0] == pytest.approx(((0.09 + 0.16) / 2 + 0.25) / 2)


@pytest.mark.parametrize(
    ("sign", "sentence"),
    [
        (1, "Larger uncertainty goes with larger errors."),
        (-1, "Larger uncertainty does not go with larger errors."),
    ],
)
def test_the_statement_follows_the_values(
    tmp_path: Path, undrawn, sign: int, sentence: str
) -> None:
    result = synthetic()
    error = np.abs(result.probabilities - result.labels)
    write_tsv(
        uncertainty_table(result, error if sign > 0 else 1 - error), tmp_path / "uncertainty.tsv"
    )
    text = write_calibration(tmp_path, result)
    assert sentence in text
    assert "| highest third |" in text
    write_tsv(uncertainty_table(result, np.full(error.shape, 0.1)), tmp_path / "uncertainty.tsv")
    assert "the same for all RNAs" in write_calibration(tmp_path, result)


def test_an_uncertainty_table_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    result = synthetic(30)
    path = tmp_path / "uncertainty.tsv"
    good = uncertainty_table(result, np.full((30, 2), 0.1))
    write_tsv(good, path)
    assert np.isfinite(read_uncertainty(path, result)).sum() == 58
    for wrong, match in (
        (good.assign(Nucleus=-1.0), r"line 2, column 'Nucleus': not a standard deviation"),
        (
            good.assign(rna_id=["x", *good["rna_id"][1:]]),
            r"line 2, column 'rna_id': unknown or repeated RNA; found x",
        ),
        (
            good.assign(rna_id=["r1", *good["rna_id"][1:]]),
            r"line 3, column 'rna_id': unknown or repeated RNA; found r1",
        ),
        (good[1:], "not those that were tested; found 28, expected 29"),
        (good.drop(columns="Exosome"), "missing column"),
    ):
        write_tsv(wrong, path)
        with pytest.raises(InputError, match=match):
            read_uncertainty(path, result)


def test_the_report_holds_the_section(tmp_path: Path) -> None:
    result = synthetic(60)
    dataset = Dataset(
        name="tiny",
        rnas=pd.DataFrame({"sequence": "ACGU"}, index=pd.Index(result.index.ids, name="rna_id")),
        associations={},
        partners={},
        labels=pd.DataFrame(
            result.labels, index=pd.Index(result.index.ids, name="rna_id"), columns=list(NAMES)
        ),
    )
    write_report(
        tmp_path,
        result,
        dataset,
        ExperimentConfig(preset="test", tokens=TokenSettings(trees=("degree",))),
    )
    text = (tmp_path / "report.md").read_text()
    assert "## Calibration and uncertainty" in text
    assert "](reliability.png)" in text
    assert (tmp_path / "reliability.png").is_file()
