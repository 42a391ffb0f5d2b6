"""FoldResult, CrossValidationResult, prediction tables."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mirnagraph.errors import InputError
from mirnagraph.evaluation.metrics import COLUMNS
from mirnagraph.evaluation.splits import Folds
from mirnagraph.io import read_table, write_folder, write_tsv
from mirnagraph.nodes import NodeIndex

PREDICTIONS = "predictions.tsv"
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


def _fold_path(folder: Path, fold: int) -> Path:
    return folder / "folds" / f"fold_{fold:02d}"


def saved_folds(folder: Path, n_folds: int) -> list[int]:
    """Numbers of the finished folds in a run folder."""
    return [fold for fold in range(n_folds) if _fold_path(folder, fold).is_dir()]


def save_fold(folder: Path, result: FoldResult) -> None:
    """Keep a finished fold in a run folder, all or nothing."""
    with write_folder(_fold_path(folder, result.fold)) as out:
        about = {
            "fold": result.fold,
            "rows": result.rows.tolist(),
            "choices": result.choices,
            "seconds": result.seconds,
            "parts": list(result.parts),
        }
        (out / "fold.json").write_text(json.dumps(about) + "\n", encoding="utf-8")
        table = {"model": result.probabilities, **result.parts}
        if result.uncertainty is not None:
            table["uncertainty"] = result.uncertainty
        for name, values in table.items():
            pd.DataFrame(values).rename(columns=str).to_parquet(out / f"{name}.parquet")


def load_fold(folder: Path, fold: int) -> FoldResult:
    """Read a fold that `save_fold` kept; raises InputError where it is damaged."""
    path = _fold_path(folder, fold)
    try:
        about = json.loads((path / "fold.json").read_text(encoding="utf-8"))
        tables = {
            name: pd.read_parquet(path / f"{name}.parquet").to_numpy()
            for name in ("model", *about["parts"])
        }
        uncertainty = (
            pd.read_parquet(path / "uncertainty.parquet").to_numpy()
            if (path / "uncertainty.parquet").is_file()
            else None
        )
        return FoldResult(
            fold,
            np.asarray(about["rows"], dtype=np.int64),
            tables.pop("model"),
            tables,
            uncertainty,
            about["choices"],
            about["seconds"],
        )
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            "a finished fold is damaged",
            file=path,
            found=str(error),
            hint="delete its folder and run the command again",
        ) from None


def prediction_frame(
    index: NodeIndex, compartments: tuple[str, ...], folds: Folds, probabilities: np.ndarray
) -> pd.DataFrame:
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


def read_predictions(
    path: str | Path, index: NodeIndex, compartments: tuple[str, ...]
) -> pd.DataFrame:
    """Read a prediction table back, checked.

    Raises:
        InputError: a missing column, an unknown or repeated RNA, or a probability outside [0, 1]: names file, line, column.
    """
    table = read_table(path, ["rna_id", "fold", *compartments])
    for line, name in zip(table.index, table["rna_id"], strict=True):
        if name not in index:
            raise InputError(
                "unknown RNA",
                file=path,
                line=int(line),
                column="rna_id",
                found=name,
                expected="an id of the dataset",
            )
    if table["rna_id"].duplicated().any():
        line = int(table.index[table["rna_id"].duplicated()][0])
        raise InputError(
            "an RNA is predicted twice",
            file=path,
            line=line,
            column="rna_id",
            found=table.at[line, "rna_id"],
        )
    for name in ("fold", *compartments):
        numbers = pd.to_numeric(table[name], errors="coerce")
        wrong = numbers.isna() if name == "fold" else numbers.isna() | (numbers < 0) | (numbers > 1)
        if wrong.any():
            line = int(table.index[wrong][0])
            raise InputError(
                "not a number that fits",
                file=path,
                line=line,
                column=name,
                found=table.at[line, name],
                expected="a number in [0, 1]",
            )
        table[name] = numbers
    return table.astype({"fold": int}).reset_index(drop=True)


@dataclass(frozen=True, eq=False)
class CrossValidationResult:
    """All folds together.

    Attributes:
        index: all RNAs of the dataset.
        compartments: names, in column order.
        folds: which RNA was tested in which fold.
        labels: int8, shape (n_rnas, n_labels); float64 with NaN where there are labels that are not known.
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

    def tested(self, column: int) -> np.ndarray:
        """Rows that a fold tested and whose label of a compartment is known: int64."""
        return np.flatnonzero(
            (self.folds.of_rows(self.index) >= 0) & ~np.isnan(self.labels[:, column].astype(float))
        )

    @property
    def uncertainty(self) -> np.ndarray:
        """SD of the probabilities over the ensemble of the fold that tested the RNA: shape (n_rnas, n_labels), NaN in rows that no fold tested."""
        found = np.full(self.probabilities.shape, np.nan)
        for result in self.results:
            if result.uncertainty is not None:
                found[result.rows] = result.uncertainty
        return found

    def uncertainty_frame(self) -> pd.DataFrame:
        """`uncertainty` as a table; columns as in `to_frame`."""
        return prediction_frame(self.index, self.compartments, self.folds, self.uncertainty)

    def labels_frame(self) -> pd.DataFrame:
        """True labels of the tested RNAs, rows as in `to_frame`: ``rna_id`` and one 0/1 column per compartment, empty where not known."""
        rows = np.flatnonzero(self.folds.of_rows(self.index) >= 0)
        table = pd.DataFrame(self.labels[rows], columns=list(self.compartments))
        if np.isnan(self.labels.astype(float)).any():
            table = table.astype("Int64")
        table.insert(0, "rna_id", [self.index.ids[row] for row in rows])
        return table


def read_metrics(folder: str | Path) -> pd.DataFrame:
    """``metrics.tsv`` of a run folder, as `mirnagraph.evaluation.metrics.evaluate` made it; raises InputError where it is missing or not one."""
    table = read_table(Path(folder) / "metrics.tsv", COLUMNS).reset_index(drop=True)
    return table.assign(
        **{name: pd.to_numeric(table[name], errors="coerce") for name in COLUMNS[2:]}
    )
