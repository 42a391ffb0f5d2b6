"""A finished run as a report reads it: predictions, labels, metrics, settings, folds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mirnagraph.errors import InputError
from mirnagraph.evaluation.metrics import COLUMNS as METRIC_COLUMNS
from mirnagraph.evaluation.metrics import FRACTIONS
from mirnagraph.evaluation.splits import Folds
from mirnagraph.io import read_table
from mirnagraph.nodes import NodeIndex
from mirnagraph.reading.entries import read_entries
from mirnagraph.reading.text import read_text
from mirnagraph.runs.compare import read_labels
from mirnagraph.runs.model_file import ENTRIES
from mirnagraph.runs.report import ABOUT_PARTS, PARTS
from mirnagraph.runs.results import (
    BASELINES,
    METRICS,
    MODEL,
    PREDICTIONS,
    CrossValidationResult,
    FoldResult,
    known_labels,
    read_fold_entries,
    read_metrics,
    read_predictions,
)
from mirnagraph.runs.run_file import read_finished_run
from seqtower.baselines.kmer import BASELINES as SEQUENCE_BASELINES
from seqtower.baselines.kmer import DESCRIPTORS, TOWER

SEQUENCE = "seqtower"
"""``kind`` in run.json of a run of `mirnagraph seq train`."""

BY_PART = "metrics_by_part.tsv"
BASELINE_TABLE = "baselines.tsv"


@dataclass(frozen=True, eq=False)
class ReportRun:
    """A finished run.

    Attributes:
        folder: of the run.
        name: of the folder.
        about: contents of ``run.json``.
        settings: contents of ``config.toml``.
        result: tested RNAs, labels, out-of-fold probabilities of the model, its metrics.
        metrics: ``"model"``, part or baseline -> table of metrics as stored.
        what: part or baseline -> what it is.
    """

    folder: Path
    name: str
    about: dict[str, Any]
    settings: str
    result: CrossValidationResult
    metrics: dict[str, pd.DataFrame]
    what: dict[str, str]

    @property
    def is_sequence(self) -> bool:
        """Whether `mirnagraph seq train` made it."""
        return bool(self.about.get("kind") == SEQUENCE)

    @property
    def is_fraction(self) -> bool:
        """Whether labels are fractions."""
        return self.result.kind == FRACTIONS

    @property
    def parts(self) -> list[str]:
        """Names of the parts of the model, of what it is made of."""
        names: set[str] = set(PARTS)
        if self.is_sequence:
            names.add(TOWER)
            weights = [fold.choices.get("weight", 0.0) for fold in self.result.results]
            if weights and all(weight == 1 for weight in weights):  # the model is these trees
                names.add(DESCRIPTORS)
        return [name for name in self.metrics if name in names]

    @property
    def baselines(self) -> list[str]:
        """Names of the baselines."""
        parts = self.parts
        return [name for name in self.metrics if name not in parts and name != MODEL]

    @property
    def seed(self) -> int:
        """Seed of the run."""
        return int(self.about.get("seed", 0))


def open_run(folder: str | Path) -> ReportRun:
    """Read a finished run of `train` or `seq train`.

    Raises:
        InputError: not a finished run, or a file in it is missing or damaged.
    """
    folder = Path(folder)
    about = read_finished_run(folder)
    if about.get("temporal"):
        raise InputError(
            "a temporal run has no cross-validation of its own",
            file=folder,
            hint="name the run of `mirnagraph train` on the same networks, and this one with "
            "--include",
        )
    kind, labels = read_labels(folder)
    index = NodeIndex.of(labels.index, "RNA")
    compartments = tuple(str(name) for name in labels.columns)
    table = read_predictions(folder / PREDICTIONS, index, compartments)
    if len(table) != len(index):
        raise InputError(
            "predictions do not cover the tested RNAs",
            file=folder / PREDICTIONS,
            found=len(table),
            expected=len(index),
        )
    probabilities = np.full((len(index), len(compartments)), np.nan)
    rows = index.positions(table["rna_id"])
    probabilities[rows] = table[list(compartments)].to_numpy(dtype=float)
    folds = Folds(table.set_index("rna_id")["fold"], _protocol(folder, about))
    metrics, what = _all_metrics(folder)
    thresholds = np.full(probabilities.shape, np.nan)
    results = _folds(folder, folds.of_rows(index), thresholds)
    values = labels.to_numpy(dtype=float)
    result = CrossValidationResult(
        index,
        compartments,
        folds,
        values if kind == FRACTIONS else known_labels(values),
        {MODEL: probabilities},
        {MODEL: thresholds},
        metrics,
        results,
        kind,
    )
    path = folder / "config.toml"
    settings = read_text(path) if path.is_file() else ""
    name = folder.resolve().name
    return ReportRun(folder, name, about, settings, result, metrics, what)


def _protocol(folder: Path, about: dict[str, Any]) -> str:
    """Name of the folds, from the header of the model where there is one."""
    path = folder / "model" / "model.json"
    try:
        header = read_entries(path, ENTRIES)
    except InputError:
        header = {}
    return str(header.get("protocol") or about.get("protocol") or "")


def _folds(folder: Path, of_row: np.ndarray, thresholds: np.ndarray) -> tuple[FoldResult, ...]:
    """Choices of every fold, and its thresholds, which are written into `thresholds`.

    The rows are those of the tested RNAs; predictions are not read again.
    """
    results = []
    for fold in np.unique(of_row).tolist():
        path = folder / "folds" / f"fold_{fold:02d}" / "fold.json"
        rows = np.flatnonzero(of_row == fold)
        if not path.exists():
            results.append(FoldResult(fold, rows, {}, choices={}, seconds=0.0))
            continue
        try:
            about = read_fold_entries(path.parent)
            chosen = about.get("thresholds", {}).get(MODEL)
            seconds = float(about.get("seconds", 0.0))
            choices = dict(about.get("choices", {}))
            if chosen is not None:
                thresholds[rows] = np.asarray(chosen, dtype=float)
        except (ValueError, TypeError, AttributeError, InputError) as error:
            raise InputError("a finished fold is damaged", file=path, found=str(error)) from None
        results.append(FoldResult(fold, rows, {}, choices=choices, seconds=seconds))
    return tuple(results)


def _all_metrics(folder: Path) -> tuple[dict[str, pd.DataFrame], dict[str, str]]:
    """Metrics of the model, its parts and its baselines as stored; what each part or baseline is.

    The order of the baselines is that of ``baselines.tsv``.
    """
    metrics = {MODEL: read_metrics(folder)}
    path = folder / BY_PART
    if path.is_file():
        table = read_table(path, ["part", *METRIC_COLUMNS]).reset_index(drop=True)
        numbers = METRIC_COLUMNS[2:]
        table[numbers] = table[numbers].apply(pd.to_numeric, errors="coerce")
        for name, part in table.groupby("part", sort=False):
            metrics[str(name)] = part.drop(columns="part").reset_index(drop=True)
    what: dict[str, str] = {**ABOUT_PARTS, **SEQUENCE_BASELINES, TOWER: "the tower, alone"}
    path = folder / BASELINE_TABLE
    if path.is_file():
        table = read_table(path, ["model", "what"])
        what |= dict(zip(table["model"], table["what"], strict=True))
    stored = {file.parent.name: file for file in sorted((folder / BASELINES).glob(f"*/{METRICS}"))}
    ordered = [name for name in what if name in stored]
    ordered += [name for name in stored if name not in what]
    for name in ordered:
        if name not in metrics:
            metrics[name] = read_metrics(stored[name].parent)
    return metrics, what
