"""Repeats over seeds: mean and SD by hand, undefined metrics left out, the report's section."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fusion.experiments.repeats import (
    keeps_first_seed,
    over_seeds,
    put_section,
    repeats_done,
    shown_rows,
)
from mirnagraph.evaluation.metrics import COLUMNS
from mirnagraph.io import write_tsv


def metrics(auc: float, within: float) -> pd.DataFrame:
    shown = [("Nucleus", m, auc, 0.1, auc + 0.01, 3, 1) for m in ("AUC", "AUPR", "F1", "MCC")]
    return pd.DataFrame(
        [*shown, ("Nucleus", "within", np.nan, np.nan, within, 3, 1)], columns=COLUMNS
    )


def test_mean_and_sd_over_seeds_by_hand() -> None:
    table = over_seeds(
        {4: metrics(0.7, 0.6), 5: metrics(0.8, np.nan), 6: metrics(0.9, 0.8)}
    ).set_index(["metric", "over"])
    auc = table.loc[("AUC", "mean over folds")]
    assert auc["mean"] == pytest.approx(0.8)
    assert auc["sd"] == pytest.approx(0.1)
    assert auc["n"] == 3
    assert [auc[f"seed_{k}"] for k in (4, 5, 6)] == [0.7, 0.8, 0.9]
    assert table.loc[("AUC", "pooled"), "mean"] == pytest.approx(0.81)
    within = table.loc[("within", "pooled")]
    assert within["n"] == 2
    assert within["mean"] == pytest.approx(0.7)
    assert within["sd"] == pytest.approx(np.sqrt(0.02))
    assert ("within", "mean over folds") not in table.index


def test_one_value_has_a_mean_and_no_sd_and_none_has_neither() -> None:
    table = over_seeds({0: metrics(np.nan, np.nan), 1: metrics(0.5, np.nan)}).set_index(
        ["metric", "over"]
    )
    assert table.loc[("AUC", "mean over folds"), "mean"] == 0.5
    assert np.isnan(table.loc[("AUC", "mean over folds"), "sd"])
    assert table.loc[("within", "pooled"), "n"] == 0
    assert np.isnan(table.loc[("within", "pooled"), "mean"])


def test_what_is_shown() -> None:
    assert shown_rows(over_seeds({0: metrics(0.7, 0.6), 1: metrics(0.9, 0.6)})) == [
        ["Nucleus", *["0.800 ± 0.141"] * 4]
    ]


def test_a_section_is_put_once_and_leaves_the_others_alone(tmp_path: Path) -> None:
    report = tmp_path / "report.md"
    report.write_text("# Run\n\nwords\n\n## Before\n\nb\n", encoding="utf-8")
    put_section(report, "## Over seeds", "first")
    assert report.read_text() == "# Run\n\nwords\n\n## Before\n\nb\n\n## Over seeds\n\nfirst\n"
    report.write_text(report.read_text() + "\n## After\n\na\n", encoding="utf-8")
    put_section(report, "## Over seeds", "second")
    assert (
        report.read_text()
        == "# Run\n\nwords\n\n## Before\n\nb\n\n## Over seeds\n\nsecond\n\n## After\n\na\n"
    )


def test_repeats_are_done_only_for_just_these_seeds(tmp_path: Path) -> None:
    assert not repeats_done(tmp_path, 0, 2)
    write_tsv(over_seeds({0: metrics(0.7, 0.6), 1: metrics(0.9, 0.6)}), tmp_path / "repeats.tsv")
    assert repeats_done(tmp_path, 0, 2)
    assert not repeats_done(tmp_path, 0, 3)
    assert not repeats_done(tmp_path, 1, 2)


def test_overwrite_resumes_repeats_that_have_begun_and_no_others(tmp_path: Path) -> None:
    def kept(n: int, *, overwrite: bool) -> bool:
        return keeps_first_seed(tmp_path, 4, n, overwrite=overwrite)

    assert (kept(2, overwrite=False), kept(2, overwrite=True)) == (True, False)
    about = {"format_version": 1, "seed": 4, "status": "done"}
    (tmp_path / "run.json").write_text(json.dumps(about), encoding="utf-8")
    assert (kept(2, overwrite=False), kept(2, overwrite=True)) == (True, False)
    (tmp_path / "run.json").write_text(json.dumps(about | {"repeats": 2}), encoding="utf-8")
    assert (kept(2, overwrite=True), kept(3, overwrite=True)) == (True, False)
    write_tsv(over_seeds({4: metrics(0.7, 0.6), 5: metrics(0.8, 0.7)}), tmp_path / "repeats.tsv")
    assert (kept(2, overwrite=False), kept(2, overwrite=True)) == (False, False)
    assert kept(3, overwrite=False)
