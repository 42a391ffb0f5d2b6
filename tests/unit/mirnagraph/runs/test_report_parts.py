"""Parts of a model in a report: rows, sentences with intervals, weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from mirnagraph.evaluation.compare import compare
from mirnagraph.evaluation.splits import Folds
from mirnagraph.nodes import NodeIndex
from mirnagraph.runs.cross_validation import collect
from mirnagraph.runs.report import (
    ABOUT_PARTS,
    PARTS,
    part_names,
    part_rows,
    part_sentences,
    run_summary,
    verdict,
    weight_sentence,
)
from mirnagraph.runs.results import CrossValidationResult, FoldResult

N = 40
WEIGHTS = {"attention": 2.0, "extra_trees": 0.5, "boosting": 0.5, "kernel": 1.0}


def result_of(*names: str) -> CrossValidationResult:
    """Two folds; a prediction is the label with noise that grows from name to name."""
    random = np.random.default_rng(2)
    index = NodeIndex.of([f"rna{number}" for number in range(N)], "miRNA")
    labels = (random.random((N, 2)) < 0.5).astype(float)
    of_row = np.arange(N) % 2
    folds = Folds(pd.Series(of_row, index=list(index.ids)), "test")
    results = []
    for fold in range(2):
        rows = np.flatnonzero(of_row == fold)
        predictions = {}
        for number, name in enumerate(("model", *names), 1):
            noisy = labels[rows] + number * random.normal(size=(len(rows), 2)) / 2
            predictions[name] = 1 / (1 + np.exp(-noisy))
        results.append(FoldResult(fold, rows, predictions, choices={"weights": dict(WEIGHTS)}))
    return collect(results, index, ("Nucleus", "Exosome"), folds, labels)


def test_rows_and_sentences_of_every_part() -> None:
    result = result_of("attention", "own_trees", "kernel")
    assert part_names(result) == ["neural", "own_trees", "kernel"]
    rows = part_rows(result)
    assert [row["model"] for row in rows] == ["this run", "neural", "own_trees", "kernel"]
    assert rows[3]["what"] == ABOUT_PARTS["kernel"]
    average = result.metrics_of["kernel"].set_index(["compartment", "metric"])["mean"]
    assert rows[3]["AUC"] == average["average", "AUC"]
    lines = part_sentences(result, seed=4)
    assert [line.split(" (")[0] for line in lines] == [
        "Whole - `neural`",
        "Whole - `own_trees`",
        "Whole - `kernel`",
        "`neural` - `own_trees`",
    ]
    labels = result.labels_frame().set_index("rna_id")
    for line, (first, second) in zip(
        lines[2:], (("kernel", "model"), ("own_trees", "attention")), strict=True
    ):
        table = compare(result.to_frame(first), result.to_frame(second), labels, seed=4)
        is_row = (table["compartment"] == "average") & (table["metric"] == "AUC")
        row = table[is_row].iloc[0]
        expected = f"AUC {row['difference']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]"
        assert expected in line
    table = pd.DataFrame(rows)
    assert verdict(table) == ["The baselines were left out of this run."]


def test_a_single_part_is_the_model() -> None:
    result = result_of("own_trees")
    assert part_names(result) == []
    assert len(part_rows(result)) == 1
    assert part_sentences(result, seed=0) == []
    assert list(run_summary(result)["model"].unique()) == ["whole"]


def test_weights_are_shares_and_say_where_folds_differ() -> None:
    result = result_of("attention", "own_trees", "kernel")
    (line,) = weight_sentence(result)
    expected = "neural 0.50, extra trees 0.12, boosting 0.12, kernel 0.25."
    assert line.endswith(f"the same in every fold: {expected}")
    other = replace(result.results[1], choices={"weights": {**WEIGHTS, "kernel": 5.0}})
    (line,) = weight_sentence(replace(result, results=(result.results[0], other)))
    # shares of the kernel: 1 of 4 and 5 of 8
    assert line.endswith("kernel 0.44.")
    assert "mean over folds" in line
    without = replace(result.results[1], choices={"weights": {**WEIGHTS, "kernel": 0.0}})
    (line,) = weight_sentence(replace(result, results=(result.results[0], without)))
    assert "kernel left out in 1 of 2 folds" in line
    assert "boosting left out" not in line
    bare = replace(other, choices={})
    assert weight_sentence(replace(result, results=(bare, bare))) == []


def test_the_summary_has_every_part() -> None:
    result = result_of("attention", "kernel")
    table = run_summary(result)
    assert list(table["model"].unique()) == ["whole", "neural", "kernel"]
    assert list(table.columns[:3]) == ["model", "compartment", "AUC mean"]
    is_row = (table["model"] == "kernel") & (table["compartment"] == "Exosome")
    metrics = result.metrics_of[PARTS["kernel"]].set_index(["compartment", "metric"])
    assert table[is_row]["AUPR pooled"].iloc[0] == pytest.approx(
        metrics.loc[("Exosome", "AUPR"), "pooled"]
    )
