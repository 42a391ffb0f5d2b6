"""Prediction tables: out-of-fold probabilities as every run keeps them in ``predictions.tsv``, written and read back checked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from mirnagraph.errors import InputError
from mirnagraph.evaluation.splits import Folds
from mirnagraph.nodes import NodeIndex
from mirnagraph.tables import read_table, write_tsv

PREDICTIONS, LABELS = "predictions.tsv", "labels.tsv"


def prediction_frame(index: NodeIndex, compartments: tuple[str, ...], folds: Folds, probabilities: np.ndarray) -> pd.DataFrame:
    """Out-of-fold probabilities of shape (n_rnas, n_labels) as in ``predictions.tsv``: tested RNAs only, in row order."""
    of_row = folds.of_rows(index)
    rows = np.flatnonzero(of_row >= 0)
    table = pd.DataFrame(probabilities[rows], columns=list(compartments))
    table.insert(0, "rna_id", [index.ids[row] for row in rows])
    table.insert(1, "fold", of_row[rows])
    return table


def write_predictions(table: pd.DataFrame, path: str | Path) -> None:
    """Write a prediction table (see `prediction_frame`)."""
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
