"""Results of a cross-validation: folds, out-of-fold predictions and their files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mirnagraph.errors import InputError, raise_problems
from mirnagraph.evaluation.metrics import COLUMNS, FRACTIONS, MULTI_LABEL
from mirnagraph.evaluation.splits import Folds
from mirnagraph.io import (
    cell_problems,
    check_sha256,
    read_table,
    sha256_of,
    write_folder,
    write_tsv,
)
from mirnagraph.nodes import NodeIndex
from mirnagraph.reading.entries import EVERY, read_entries
from mirnagraph.reading.parquet import read_parquet_table
from mirnagraph.reading.schema import is_count
from mirnagraph.reading.seals import check_seal, sealed
from mirnagraph.runs.model_file import HEALTH_ENTRIES

MODEL = "model"
"""Name of the model among the predictions of a fold or a run."""

PREDICTIONS = "predictions.tsv"
LABELS = "labels.tsv"
METRICS = "metrics.tsv"
UNCERTAINTY = "uncertainty.tsv"
FOLD_ENTRIES: dict[str, Any] = {
    "fold": int,
    "rows": [int],
    "names": [str],
    "thresholds": {EVERY: [float]},
    "choices": {"health": HEALTH_ENTRIES, "weight": float},
    "seconds": float,
    "sha256": {EVERY: str},
}
"""Entries of ``fold.json`` that are read, and their kinds (see `mirnagraph.reading.entries`)."""

BASELINES = "baselines"
PARTS = "parts"


@dataclass(frozen=True, eq=False)
class FoldResult:
    """Predictions of one fold.

    Attributes:
        fold: its number.
        rows: tested rows: int64, shape (n_test,).
        predictions: name -> probabilities (or fractions), shape (n_test, n_labels). ``"model"`` is
            the model of the run; the others are its parts or baselines.
        thresholds: name -> probability above which a compartment is called, shape (n_labels,),
            chosen in the training part; 0.5 for names that are not given.
        uncertainty: SD of the probabilities over the ensemble, shape (n_test, n_labels), or None.
        choices: further choices made in the training part (weights, epochs), as plain values.
        seconds: wall-clock time.
    """

    fold: int
    rows: np.ndarray
    predictions: dict[str, np.ndarray]
    thresholds: dict[str, np.ndarray] = field(default_factory=dict)
    uncertainty: np.ndarray | None = None
    choices: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def probabilities(self) -> np.ndarray:
        """Predictions of the model itself."""
        return self.predictions[MODEL]


def read_fold_entries(path: Path) -> dict[str, Any]:
    """Read ``fold.json`` of a fold's folder.

    Raises:
        InputError: missing, damaged, or an entry of a wrong kind.
    """
    return read_entries(path / "fold.json", FOLD_ENTRIES)


def _fold_path(folder: Path, fold: int) -> Path:
    return folder / "folds" / f"fold_{fold:02d}"


def saved_folds(folder: Path, n_folds: int) -> list[int]:
    """Numbers of the finished folds in a run folder."""
    return [fold for fold in range(n_folds) if _fold_path(folder, fold).is_dir()]


def save_fold(folder: Path, result: FoldResult) -> None:
    """Write a finished fold into a run folder, all or nothing."""
    with write_folder(_fold_path(folder, result.fold)) as out:
        about = {
            "fold": result.fold,
            "rows": result.rows.tolist(),
            "names": list(result.predictions),
            "thresholds": {name: list(map(float, t)) for name, t in result.thresholds.items()},
            "choices": result.choices,
            "seconds": result.seconds,
        }
        tables = dict(result.predictions)
        if result.uncertainty is not None:
            tables["uncertainty"] = result.uncertainty
        about["sha256"] = {}
        for name, values in tables.items():
            path = out / f"{name}.parquet"
            pd.DataFrame(values).rename(columns=str).to_parquet(path)
            about["sha256"][name] = sha256_of(path)
        (out / "fold.json").write_text(json.dumps(sealed(about)) + "\n", encoding="utf-8")


def load_fold(folder: Path, fold: int) -> FoldResult:
    """Read a fold that `save_fold` wrote.

    Raises:
        InputError: the fold is damaged, or was written by a version before this format.
    """
    path = _fold_path(folder, fold)
    hint = "delete its folder and run the command again"
    try:
        about = read_fold_entries(path)
        if "names" not in about:
            raise InputError("a finished fold of an older version", file=path, hint=hint)
        check_seal(about, path / "fold.json", "it was changed after it was written")
        for name, sha256 in about.get("sha256", {}).items():
            check_sha256(path / f"{name}.parquet", sha256, "not the table that the fold wrote")
        tables = {file.stem: read_parquet_table(file).to_numpy() for file in path.glob("*.parquet")}
        return FoldResult(
            fold,
            np.asarray(about["rows"], dtype=np.int64),
            {name: tables[name] for name in about["names"]},
            {name: np.array(values, float) for name, values in about["thresholds"].items()},
            tables.get("uncertainty"),
            about["choices"],
            about["seconds"],
        )
    except (OSError, ValueError, KeyError, TypeError, InputError) as error:
        if isinstance(error, InputError) and "older version" in str(error):
            raise
        raise InputError(
            "a finished fold is damaged", file=path, found=str(error), hint=hint
        ) from None


def prediction_frame(
    index: NodeIndex, compartments: tuple[str, ...], folds: Folds, probabilities: np.ndarray
) -> pd.DataFrame:
    """Out-of-fold probabilities as in ``predictions.tsv``: tested RNAs only, in row order.

    Args:
        index: all RNAs.
        compartments: names, in column order.
        folds: which RNA was tested in which fold.
        probabilities: shape (n_rnas, n_labels).
    """
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
        InputError: a missing column, an unknown or repeated RNA, or a probability outside [0, 1];
            names file, line and column.
    """
    table = read_table(path, ["rna_id", "fold", *compartments])
    ids = table["rna_id"]
    expected = "an id of the dataset"
    raise_problems(
        cell_problems(table, "rna_id", ~ids.isin(index.ids), "unknown RNA", path, expected)
    )
    raise_problems(
        cell_problems(table, "rna_id", ids.duplicated(), "an RNA is predicted twice", path)
    )
    for name in ("fold", *compartments):
        numbers = pd.to_numeric(table[name], errors="coerce")
        wrong = ~numbers.between(0, 1)
        expected = "a number in [0, 1]"
        if name == "fold":
            wrong = ~is_count(table[name]) & (table[name] != "-1")
            expected = "a fold: -1, 0, 1, 2, …"
        what = "not a number that fits"
        raise_problems(cell_problems(table, name, wrong, what, path, expected))
        table[name] = numbers
    return table.astype({"fold": int}).reset_index(drop=True)


@dataclass(frozen=True, eq=False)
class CrossValidationResult:
    """Out-of-fold predictions of all folds, and their metrics.

    Attributes:
        index: all RNAs.
        compartments: names, in column order.
        folds: which RNA was tested in which fold.
        labels: int8, shape (n_rnas, n_labels); float64 with NaN where some are unknown, or for
            fractions.
        predictions: name -> float64, shape (n_rnas, n_labels), NaN in rows that no fold tested.
            ``"model"`` is the model; the others are parts of it or baselines.
        thresholds_of: name -> shape (n_rnas, n_labels): probability above which a compartment is
            called, chosen in the training part of the fold that tested the RNA.
        metrics_of: name -> table of `mirnagraph.evaluation.metrics.evaluate` (of ``correlations``
            for fractions).
        results: one per fold, in fold order.
        kind: of the labels, see `mirnagraph.evaluation.metrics.KINDS`.
    """

    index: NodeIndex
    compartments: tuple[str, ...]
    folds: Folds
    labels: np.ndarray
    predictions: dict[str, np.ndarray]
    thresholds_of: dict[str, np.ndarray]
    metrics_of: dict[str, pd.DataFrame]
    results: tuple[FoldResult, ...]
    kind: str = MULTI_LABEL

    @property
    def probabilities(self) -> np.ndarray:
        """Predictions of the model: shape (n_rnas, n_labels)."""
        return self.predictions[MODEL]

    @property
    def thresholds(self) -> np.ndarray:
        """Thresholds of the model: shape (n_rnas, n_labels)."""
        return self.thresholds_of[MODEL]

    @property
    def metrics(self) -> pd.DataFrame:
        """Metrics of the model."""
        return self.metrics_of[MODEL]

    @property
    def of_row(self) -> np.ndarray:
        """Test fold of every RNA: int64, shape (n_rnas,), negative where never tested."""
        return self.folds.of_rows(self.index)

    def to_frame(self, name: str = MODEL) -> pd.DataFrame:
        """Predictions as in ``predictions.tsv``: ``rna_id``, ``fold``, one column per compartment.

        Tested RNAs only.
        """
        return prediction_frame(self.index, self.compartments, self.folds, self.predictions[name])

    def tested(self, column: int) -> np.ndarray:
        """Rows that a fold tested and whose label of a compartment is known: int64."""
        is_known = ~np.isnan(self.labels[:, column].astype(float))
        return np.flatnonzero((self.of_row >= 0) & is_known)

    def pooled(self) -> Iterator[tuple[str, np.ndarray, np.ndarray, np.ndarray]]:
        """Yield each compartment with its tested rows, their labels and their probabilities."""
        for column, name in enumerate(self.compartments):
            rows = self.tested(column)
            yield name, rows, self.labels[rows, column], self.probabilities[rows, column]

    @property
    def uncertainty(self) -> np.ndarray:
        """SD of the probabilities over the ensemble of the fold that tested the RNA.

        Shape (n_rnas, n_labels); NaN in rows that no fold tested, or without an ensemble.
        """
        values = np.full(self.labels.shape, np.nan)
        for result in self.results:
            if result.uncertainty is not None:
                values[result.rows] = result.uncertainty
        return values

    def uncertainty_frame(self) -> pd.DataFrame:
        """`uncertainty` as a table; columns as in `to_frame`."""
        return prediction_frame(self.index, self.compartments, self.folds, self.uncertainty)

    def labels_frame(self) -> pd.DataFrame:
        """True labels of the tested RNAs, rows as in `to_frame`.

        ``rna_id`` and one column per compartment: 0/1 (fractions where `kind` says so), empty where
        unknown.
        """
        table = prediction_frame(self.index, self.compartments, self.folds, self.labels)
        table = table.drop(columns="fold")
        if self.kind == FRACTIONS:
            return table
        return table.astype(dict.fromkeys(self.compartments, "Int64"))


def empty_result(
    index: NodeIndex, compartments: tuple[str, ...], folds: Folds, labels: np.ndarray
) -> CrossValidationResult:
    """A result without a cross-validation: no prediction, no threshold, no metric."""
    nothing = {MODEL: np.full(labels.shape, np.nan)}
    metrics = {MODEL: pd.DataFrame(columns=COLUMNS)}
    return CrossValidationResult(
        index, compartments, folds, known_labels(labels), nothing, nothing, metrics, ()
    )


def known_labels(labels: np.ndarray) -> np.ndarray:
    """Labels as int8 where all of them are known, else unchanged."""
    return labels if np.isnan(labels).any() else labels.astype(np.int8)


def write_results(
    result: CrossValidationResult,
    folder: Path,
    *,
    parts: Mapping[str, str] | None = None,
    baselines: Sequence[str] = (),
) -> None:
    """Write predictions, labels, metrics and uncertainty of a cross-validation into a run folder.

    Args:
        result: of the run.
        folder: the run folder.
        parts: file name -> name of the prediction that goes to ``parts/NAME.tsv``, where there is
            one.
        baselines: names that go to ``baselines/NAME/`` (see `write_baselines`).
    """
    write_predictions(result.to_frame(), folder / PREDICTIONS)
    write_tsv(result.labels_frame(), folder / LABELS)
    write_tsv(result.metrics, folder / METRICS)
    if any(fold.uncertainty is not None for fold in result.results):
        write_tsv(result.uncertainty_frame(), folder / UNCERTAINTY)
    for name, prediction in (parts or {}).items():
        if prediction in result.predictions:
            write_predictions(result.to_frame(prediction), folder / PARTS / f"{name}.tsv")
    write_baselines(result, folder, baselines)


def write_baselines(result: CrossValidationResult, folder: Path, names: Sequence[str]) -> None:
    """Write ``baselines/NAME/predictions.tsv`` and ``metrics.tsv`` for each name."""
    for name in names:
        target = folder / BASELINES / name
        write_predictions(result.to_frame(name), target / PREDICTIONS)
        write_tsv(result.metrics_of[name], target / METRICS)


def baseline_files(folder: Path) -> dict[str, Path]:
    """Prediction tables of a run's baselines and parts, by name.

    Reads ``baselines/NAME/predictions.tsv``, ``parts/NAME.tsv``, and ``baselines/NAME.tsv`` of runs
    by earlier versions.
    """
    files = {path.stem: path for path in sorted((folder / BASELINES).glob("*.tsv"))}
    files |= {path.stem: path for path in sorted((folder / PARTS).glob("*.tsv"))}
    nested = sorted((folder / BASELINES).glob(f"*/{PREDICTIONS}"))
    return files | {path.parent.name: path for path in nested}


def read_metrics(folder: str | Path) -> pd.DataFrame:
    """Read ``metrics.tsv`` of a run folder (see `mirnagraph.evaluation.metrics.evaluate`).

    Raises:
        InputError: it is missing or malformed.
    """
    table = read_table(Path(folder) / METRICS, COLUMNS).reset_index(drop=True)
    table[COLUMNS[2:]] = table[COLUMNS[2:]].apply(pd.to_numeric, errors="coerce")
    return table
