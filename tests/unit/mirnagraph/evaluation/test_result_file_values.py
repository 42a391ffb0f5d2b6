"""Prediction tables and finished folds, written and read back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mirnagraph.errors import InputError
from mirnagraph.evaluation.splits import Folds
from mirnagraph.nodes import NodeIndex
from mirnagraph.runs.results import (
    FoldResult,
    load_fold,
    prediction_frame,
    read_predictions,
    save_fold,
    saved_folds,
    write_predictions,
)

INDEX = NodeIndex.of(list("abcd"), "miRNA")
COMPARTMENTS = ("Nucleus", "Exosome")


def made() -> pd.DataFrame:
    folds = Folds(pd.Series({"a": 0, "c": 1, "d": -1}))
    values = np.array([[0.0, 1.0], [0.3, 0.4], [0.5, 0.25], [0.7, 0.8]])
    return prediction_frame(INDEX, COMPARTMENTS, folds, values)


def test_tested_rnas_in_row_order(tmp_path: Path) -> None:
    table = made()
    assert table.columns.tolist() == ["rna_id", "fold", "Nucleus", "Exosome"]
    assert table.to_numpy().tolist() == [["a", 0, 0.0, 1.0], ["c", 1, 0.5, 0.25]]
    write_predictions(table, tmp_path / "predictions.tsv")
    again = read_predictions(tmp_path / "predictions.tsv", INDEX, COMPARTMENTS)
    assert again.to_dict("list") == table.to_dict("list")


@pytest.mark.parametrize(
    ("rows", "line", "column"),
    [
        ("a\t0\t0.1\t0.2\nc\t1\t1.01\t0.2\nd\t1\t2\t0.2", 3, "Nucleus"),
        ("a\t0\t0.1\t-0.01\nc\t1\t1\t-1", 2, "Exosome"),
        ("a\t0\t0.1\tx\nc\t1\t1\ty", 2, "Exosome"),
        ("a\tone\t0.1\t0.2\nc\ttwo\t1\t0.2", 2, "fold"),
        ("a\t0\t0.1\t0.2\nc\t1\t1\t0.2\na\t0\t0.1\t0.2\nc\t1\t1\t0.2", 4, "rna_id"),
        ("a\t0\t0.1\t0.2\nz\t1\t1\t0.2", 3, "rna_id"),
    ],
)
def test_what_does_not_fit_is_named_by_its_first_line(
    tmp_path: Path, rows: str, line: int, column: str
) -> None:
    path = tmp_path / "predictions.tsv"
    path.write_text(f"rna_id\tfold\tNucleus\tExosome\n{rows}\n")
    with pytest.raises(InputError) as caught:
        read_predictions(path, INDEX, COMPARTMENTS)
    assert (caught.value.line, caught.value.column) == (line, column)


def test_folds_beyond_one_and_negative_ones_are_read(tmp_path: Path) -> None:
    path = tmp_path / "predictions.tsv"
    path.write_text("rna_id\tfold\tNucleus\tExosome\na\t7\t0\t1\nb\t-1\t1\t0\n")
    assert read_predictions(path, INDEX, COMPARTMENTS)["fold"].tolist() == [7, -1]


def test_a_finished_fold_comes_back(tmp_path: Path) -> None:
    values = np.array([[0.25, 0.5], [0.75, 1.0]])
    full = FoldResult(
        2,
        np.array([3, 1]),
        {"model": values, "trees": values / 2},
        {"model": np.array([0.25, 0.75])},
        values / 4,
        {"weight": 0.3},
        1.5,
    )
    save_fold(tmp_path, full)
    save_fold(tmp_path, FoldResult(11, np.array([0]), {"model": values[:1]}))
    assert saved_folds(tmp_path, 12) == [2, 11]
    assert saved_folds(tmp_path, 11) == [2]
    assert sorted(path.name for path in (tmp_path / "folds").iterdir()) == ["fold_02", "fold_11"]
    again = load_fold(tmp_path, 2)
    assert (again.fold, again.rows.tolist(), again.choices, again.seconds) == (
        2,
        [3, 1],
        {"weight": 0.3},
        1.5,
    )
    np.testing.assert_array_equal(again.probabilities, values)
    np.testing.assert_array_equal(again.predictions["trees"], values / 2)
    assert again.thresholds["model"].tolist() == [0.25, 0.75]
    np.testing.assert_array_equal(again.uncertainty, values / 4)
    bare = load_fold(tmp_path, 11)
    assert (bare.thresholds, bare.uncertainty, bare.choices, bare.seconds) == ({}, None, {}, 0)
