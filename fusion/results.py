"""Results of a cross-validation: out-of-fold predictions, metrics, and the files they are kept in."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mirnagraph.errors import InputError
from mirnagraph.evaluation.splits import Folds
from mirnagraph.nodes import NodeIndex
from mirnagraph.tables import read_table, write_tsv

LABELS = "labels.tsv"
UNCERTAINTY = "uncertainty.tsv"


@dataclass(frozen=True, eq=False)
class FoldResult:
    """One fold.

    Attributes:
        fold: its number.
        rows: rows that were tested: int64, shape (n_test,).
        probabilities: shape (n_test, n_labels), in [0, 1].
        parts: name of each part of the model (``"attention"``, ``"extra_trees"`` …) -> its own probabilities, same shape.
        uncertainty: SD of the probabilities over the ensemble, same shape; None where it was not asked for.
        choices: what was chosen inside the training part (weights, epochs, thresholds), as plain values.
        seconds: wall-clock time.
    """

    fold: int
    rows: np.ndarray
    probabilities: np.ndarray
    parts: dict[str, np.ndarray] = field(default_factory=dict)
    uncertainty: np.ndarray | None = None
    choices: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True, eq=False)
class CrossValidationResult:
    """All folds together.

    Attributes:
        index: all RNAs of the dataset.
        compartments: names, in column order.
        folds: which RNA was tested in which fold.
        labels: int8, shape (n_rnas, n_labels).
        probabilities: float64, shape (n_rnas, n_labels); NaN in rows that no fold tested.
        thresholds: float64, shape (n_rnas, n_labels): probability above which a compartment is called, chosen in the
            training part of the fold that tested the RNA.
        results: one per fold, in fold order.
        metrics: table of `mirnagraph.evaluation.metrics.evaluate`.
    """

    index: NodeIndex
    compartments: tuple[str, ...]
    folds: Folds
    labels: np.ndarray
    probabilities: np.ndarray
    thresholds: np.ndarray
    results: tuple[FoldResult, ...]
    metrics: pd.DataFrame

    def to_frame(self) -> pd.DataFrame:
        """Predictions as in ``predictions.tsv``: ``rna_id``, ``fold``, one probability per compartment, tested RNAs only."""
        return prediction_frame(self.index, self.compartments, self.folds, self.probabilities)

    def uncertainty_frame(self) -> pd.DataFrame:
        """SD of the probabilities over the ensemble of the fold that tested the RNA; columns as in `to_frame`."""
        spread = np.full(self.probabilities.shape, np.nan)
        for result in self.results:
            if result.uncertainty is not None:
                spread[result.rows] = result.uncertainty
        return prediction_frame(self.index, self.compartments, self.folds, spread)

    def labels_frame(self) -> pd.DataFrame:
        """True labels of the tested RNAs, rows as in `to_frame`: ``rna_id`` and one 0/1 column per compartment."""
        rows = np.flatnonzero(self.folds.of_rows(self.index) >= 0)
        table = pd.DataFrame(self.labels[rows], columns=list(self.compartments))
        table.insert(0, "rna_id", [self.index.ids[row] for row in rows])
        return table


def prediction_frame(index: NodeIndex, compartments: tuple[str, ...], folds: Folds, probabilities: np.ndarray) -> pd.DataFrame:
    """Out-of-fold probabilities of shape (n_rnas, n_labels) as in ``predictions.tsv``: tested RNAs only, in row order."""
    of_row = folds.of_rows(index)
    rows = np.flatnonzero(of_row >= 0)
    table = pd.DataFrame(probabilities[rows], columns=list(compartments))
    table.insert(0, "rna_id", [index.ids[row] for row in rows])
    table.insert(1, "fold", of_row[rows])
    return table


def write_predictions(table: pd.DataFrame, path: str | Path) -> None:
    """Write a prediction table (see `CrossValidationResult.to_frame`)."""
    write_tsv(table, path)


def read_predictions(path: str | Path, index: NodeIndex, compartments: tuple[str, ...]) -> pd.DataFrame:
    """Read a prediction table back, checked.

    Raises:
        InputError: a missing column, an unknown or repeated RNA, or a probability outside [0, 1]: names file, line, column.
    """
    table = read_table(path, ["rna_id", "fold", *compartments])
    for line, name in zip(table.index, table["rna_id"], strict=True):
        if name not in index:
            raise InputError("unknown RNA", file=path, line=int(line), column="rna_id", found=name, expected="an id of the dataset")
    if table["rna_id"].duplicated().any():
        line = int(table.index[table["rna_id"].duplicated()][0])
        raise InputError("an RNA is predicted twice", file=path, line=line, column="rna_id", found=table.at[line, "rna_id"])
    for name in ("fold", *compartments):
        numbers = pd.to_numeric(table[name], errors="coerce")
        wrong = numbers.isna() if name == "fold" else numbers.isna() | (numbers < 0) | (numbers > 1)
        if wrong.any():
            line = int(table.index[wrong][0])
            raise InputError("not a number that fits", file=path, line=line, column=name, found=table.at[line, name], expected="a number in [0, 1]")
        table[name] = numbers
    return table.astype({"fold": int}).reset_index(drop=True)
