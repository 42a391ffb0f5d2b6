"""Cells, tables and sentences of a report, worked by hand."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from mirnagraph.evaluation.metrics import COLUMNS
from mirnagraph.runs.markdown import (
    bullets,
    difference_cell,
    join_blocks,
    mean_sd,
    page,
    save_figure,
    section,
    table,
)
from mirnagraph.runs.report import (
    THIS_RUN,
    average_row,
    baseline_rows,
    baseline_section,
    metric_section,
    set_rows,
    verdict,
)


def test_markdown_blocks() -> None:
    assert table(["a", "b"], [["x", 1]]) == "| a | b |\n| --- | --- |\n| x | 1 |"
    assert bullets(["x", "y"]) == "- x\n- y"
    assert join_blocks("", "x", "", "y") == "x\n\ny"
    assert section("Title", "", "x") == "## Title\n\nx"
    assert section("Title", "", "") == ""
    assert page("Title", "x") == "# Title\n\nx\n"
    assert page("Title", "x", synthetic=True).startswith("# Title\n\n**Synthetic data**: ")


def test_number_cells() -> None:
    assert mean_sd(0.12345, 0.01) == "0.123 ± 0.010"
    assert mean_sd(0.12345, np.nan) == "0.123"
    assert mean_sd(np.nan, 0.01) == "-"
    assert difference_cell(0.01, -0.02, 0.04) == "+0.0100 [-0.0200, +0.0400]"
    assert difference_cell(0.01, np.nan, np.nan, digits=3) == "+0.010"
    assert difference_cell(np.nan, 0.0, 0.0) == "-"


def test_a_figure_is_the_same_bytes_twice(tmp_path: Path) -> None:
    from matplotlib.figure import Figure

    for name in ("one.png", "two.png"):
        save_figure(Figure(figsize=(1, 1)), tmp_path / name)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


def metrics(auc: float, sd: float = 0.02, pooled: float = 0.8) -> pd.DataFrame:
    rows = [
        (name, metric, auc, sd, pooled, 3, 1)
        for name in ("P", "average")
        for metric in ("AUC", "AUPR", "F1", "MCC")
    ]
    return pd.DataFrame([*rows, ("average", "within", np.nan, np.nan, 0.6, 3, 1)], columns=COLUMNS)


def baselines(**aucs: float) -> pd.DataFrame:
    rows = [average_row(THIS_RUN, metrics(0.9), "the model")]
    rows += [average_row(name, metrics(auc), f"it is {name}") for name, auc in aucs.items()]
    return pd.DataFrame(rows)


def test_rows_of_a_baseline_table() -> None:
    header, rows = baseline_rows(baselines(low=0.7))
    assert header == ["model", "AUC", "AUPR", "within", "F1", "MCC"]
    # within is pooled and has no SD
    assert rows[1] == ["low", "0.700 ± 0.020", "0.700 ± 0.020", "0.600", *["0.700 ± 0.020"] * 2]


def test_parts_of_the_model_are_no_baselines() -> None:
    given = baselines(low=0.7, own_trees=0.95)
    given["within"] = [0.6, 0.5, 0.5]
    assert verdict(given) == [
        "Nearest baseline in AUC: `low` (it is low), model vs baseline AUC 0.900 vs 0.700; AUPR "
        "0.900 vs 0.700.",
        "No baseline reaches the model in AUC, AUPR or within.",
    ]
    assert any("does not outperform `own_trees`" in line for line in verdict(given, parts=()))
    assert verdict(given, parts=("low", "own_trees")) == [
        "The baselines were left out of this run."
    ]
    text = baseline_section(given, ["A note."])
    assert "| own_trees | 0.950 ± 0.020 |" in text
    assert "\n- A note.\n" in text
    assert "A note." in baseline_section(None, ["A note."])


def test_values_that_three_digits_do_not_tell_apart_have_five() -> None:
    lines = verdict(baselines(near=0.90004))
    assert lines[1] == (
        "The model does not outperform `near`: AUC 0.90000 vs 0.90004; AUPR 0.90000 vs 0.90004; "
        "within 0.600 vs 0.600."
    )


def test_the_metric_table_has_labels_and_pooled_values() -> None:
    result = SimpleNamespace(
        kind="multi-label",
        compartments=("P",),
        labels=np.array([[1], [1], [0], [1]]),
        tested=lambda column: np.array([0, 1, 2]),
        metrics=metrics(0.7, pooled=0.65),
        metrics_of={"model": metrics(0.7, pooled=0.65)},
        folds=SimpleNamespace(n_folds=3),
    )
    lines = metric_section(result, "A note.").splitlines()
    cells = " | ".join(["0.700 ± 0.020"] * 4 + ["0.650"] * 2)
    # of the tested RNAs two are annotated
    assert f"| P | 2 | {cells} |" in lines
    assert f"| average |  | {cells} |" in lines
    assert lines[2] == (
        "| compartment | annotated | AUC | AUPR | F1 | MCC | AUC pooled | AUPR pooled |"
    )
    assert lines[-1] == "A note."


def test_rows_of_metrics_within_sets() -> None:
    parts = [
        metrics(auc).assign(set=name, model=model)
        for name, model, auc in (("x", "model", 0.7), ("x", "trees", 0.6), ("y", "model", 0.5))
    ]
    header, rows = set_rows(pd.concat(parts))
    assert header == ["set", "model", "AUC", "AUPR", "compartments"]
    assert rows == [
        ["x", "model", "0.700 ± 0.020", "0.700 ± 0.020", "1"],
        ["x", "trees", "0.600 ± 0.020", "0.600 ± 0.020", "1"],
        ["y", "model", "0.500 ± 0.020", "0.500 ± 0.020", "1"],
    ]


@pytest.mark.parametrize("column", ["AUC", "AUPR"])
def test_an_undefined_metric_is_a_dash(column: str) -> None:
    given = baselines(low=0.7)
    given[column] = np.nan
    header, rows = baseline_rows(given)
    assert rows[0][header.index(column)] == "-"
