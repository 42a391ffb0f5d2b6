"""Means over runs and intervals over seeds of an ablation, worked by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fusion.config import ExperimentConfig, TokenSettings
from fusion.experiments.ablation import FULL, Variant, run_folder
from fusion.experiments.ablation_report import (
    ablation_table,
    average_row,
    averaged,
    averages,
    t_interval,
)
from mirnagraph.evaluation.metrics import COLUMNS
from mirnagraph.runs.run_file import FORMAT_VERSION

IDS = ["a", "b", "c", "d"]
LABELS = pd.DataFrame({"P": [1, 1, 0, 0]}, index=pd.Index(IDS, name="rna_id"))


def write_run(
    folder: Path,
    probabilities: list[float],
    auc: float,
    within: float,
    order: list[int] | None = None,
) -> None:
    """A finished run of one compartment, as far as the table of an ablation reads it."""
    folder.mkdir(parents=True)
    about = {"format_version": FORMAT_VERSION, "status": "done"}
    (folder / "run.json").write_text(json.dumps(about))
    table = pd.DataFrame({"rna_id": IDS, "fold": [0, 1, 0, 1], "P": probabilities})
    table.iloc[order or [0, 1, 2, 3]].to_csv(folder / "predictions.tsv", sep="\t", index=False)
    LABELS.reset_index().to_csv(folder / "labels.tsv", sep="\t", index=False)
    rows = []
    for compartment in ("P", "average"):
        rows.append((compartment, "AUC", auc, 0.1, 0.99, 2, 1))
        rows.append((compartment, "within", np.nan, np.nan, within, 2, 1))
    rows.append(("micro", "AUC", 0.5, 0.1, 0.5, 2, 1))
    pd.DataFrame(rows, columns=COLUMNS).to_csv(folder / "metrics.tsv", sep="\t", index=False)


def test_the_interval_over_seeds_is_a_t_interval() -> None:
    # mean 0.02, SD 0.01, t of two degrees of freedom 4.302653: 4.302653 x 0.01 / sqrt(3) = 0.024841
    found = t_interval(np.array([0.01, 0.02, 0.03]))
    assert found == pytest.approx((0.02, -0.004841, 0.044841), abs=1e-6)
    assert t_interval(np.array([0.01]))[0] == pytest.approx(0.01)
    assert np.isnan(t_interval(np.array([0.01]))[1:]).all()


def test_probabilities_are_averaged_over_runs_row_by_row(tmp_path: Path) -> None:
    write_run(tmp_path / "one", [0.2, 0.4, 0.6, 0.8], 0.5, 0.5)
    write_run(tmp_path / "two", [0.4, 0.8, 0.6, 0.0], 0.5, 0.5, order=[3, 1, 0, 2])
    found = averaged([tmp_path / "one", tmp_path / "two"], LABELS)
    assert found["rna_id"].tolist() == IDS
    assert found["fold"].tolist() == [0, 1, 0, 1]
    assert found["P"].tolist() == pytest.approx([0.3, 0.6, 0.6, 0.4])


def test_the_table_of_an_ablation(tmp_path: Path) -> None:
    config = ExperimentConfig(TokenSettings(trees=("degree",)))
    variants = [
        Variant(FULL, "", config),
        Variant("less", "", config),
        Variant("no", "", reason="none"),
    ]
    # full: in both runs a and b are above c and d
    write_run(run_folder(tmp_path, FULL, 0), [0.9, 0.8, 0.2, 0.1], 0.9, 0.7)
    write_run(run_folder(tmp_path, FULL, 1), [0.7, 0.8, 0.2, 0.3], 0.7, 0.7)
    # less: the means 0.8, 0.3, 0.4, 0.1 leave b below c
    write_run(run_folder(tmp_path, "less", 0), [0.9, 0.5, 0.3, 0.1], 0.6, 0.6)
    write_run(run_folder(tmp_path, "less", 1), [0.7, 0.1, 0.5, 0.1], 0.6, 0.4)
    table = ablation_table(tmp_path, variants, [0, 1], n_resamples=100)
    assert list(dict.fromkeys(table["variant"])) == [FULL, "less"]
    assert set(table["compartment"]) == {"P", "average"}
    full = average_row(table, FULL, "AUC")
    # 0.9 and 0.7: mean 0.8, SD sqrt(0.02) = 0.141421
    assert full["mean"] == pytest.approx(0.8)
    assert full["sd"] == pytest.approx(0.141421, abs=1e-6)
    assert np.isnan(
        full[["seed_difference", "seed_low", "pooled_difference", "p"]].astype(float)
    ).all()
    less = averages(table, "AUC").loc["less"]
    assert less["mean"] == pytest.approx(0.6)
    assert less["n_seeds"] == 2
    # -0.3 and -0.1: mean -0.2, SD 0.141421, t of one degree 12.706205: 12.706205 x 0.1 = 1.270620
    assert less["seed_difference"] == pytest.approx(-0.2)
    assert less["seed_low"] == pytest.approx(-1.470620, abs=1e-5)
    assert less["seed_high"] == pytest.approx(1.070620, abs=1e-5)
    # pooled over the mean probabilities: 3 of 4 pairs in order against 4 of 4
    assert less["pooled_difference"] == pytest.approx(-0.25)
    # within is pooled: 0.6 and 0.4, mean 0.5, no pooled comparison
    within = average_row(table, "less", "within")
    assert within["mean"] == pytest.approx(0.5)
    assert within["seed_difference"] == pytest.approx(-0.2)
    assert np.isnan(float(within["pooled_difference"]))
