"""Paired comparison of run folders: differences with 95 % intervals, as a table and a picture."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from mirnagraph.errors import ConfigError, InputError
from mirnagraph.evaluation.compare import compare, compare_fractions
from mirnagraph.evaluation.metrics import FRACTIONS, MULTI_LABEL
from mirnagraph.io import read_table
from mirnagraph.nodes import NodeIndex
from mirnagraph.runs.results import (
    BASELINES,
    LABELS,
    PREDICTIONS,
    baseline_files,
    read_predictions,
)
from mirnagraph.runs.run_file import read_finished_run, read_run_json

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def read_labels(folder: str | Path) -> tuple[str, pd.DataFrame]:
    """Kind of the labels of a finished run, and the true labels of its tested RNAs.

    Returns:
        One of `mirnagraph.evaluation.metrics.KINDS`; and a table with the index ``rna_id`` and one
        column per compartment: 0/1 as int8, as float with NaN where some are unknown, or fractions.

    Raises:
        InputError: not a finished run, or a cell that is no label.
    """
    about = read_finished_run(folder, LABELS)
    kind = str(about.get("labels", MULTI_LABEL))
    path = Path(folder) / LABELS
    table = read_table(path, ["rna_id"]).set_index("rna_id")
    is_unknown = table == ""
    numbers = table.apply(pd.to_numeric, errors="coerce")
    is_wrong = numbers.isna() & ~is_unknown
    expected = "a number, or nothing where unknown"
    if kind != FRACTIONS:
        is_wrong |= ~numbers.isin([0, 1]) & ~is_unknown
        expected = "0 or 1, or nothing where unknown"
    if is_wrong.to_numpy().any():
        row, column = (int(place[0]) for place in np.nonzero(is_wrong.to_numpy()))
        raise InputError(
            "not a label",
            file=path,
            line=row + 2,
            column=str(table.columns[column]),
            found=table.iloc[row, column],
            expected=expected,
        )
    if kind == FRACTIONS or is_unknown.to_numpy().any():
        return kind, numbers.astype(float)
    return kind, numbers.astype(np.int8)


def compare_runs(
    folders: Sequence[str | Path],
    baselines: Sequence[str] = (),
    *,
    n_resamples: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Compare every run with the first one, or with baselines or parts of its own.

    Runs of `mirnagraph train` and of `mirnagraph seq train` alike. A run with additional RNA sets
    (``train --sets``) is compared on the RNAs of the smallest run.

    Args:
        folders: run folders on the same RNAs and folds.
        baselines: names of baselines or parts of each run, e.g. ``trees`` or ``own_trees``; without
            them the first run is the reference.
        n_resamples: of the bootstrap.
        seed: of the bootstrap.

    Returns:
        The table of `mirnagraph.evaluation.compare.compare` (of `compare_fractions` where labels
        are fractions) with the columns ``reference`` and ``run`` in front; ``first`` is the value
        of the reference, differences are run - reference.

    Raises:
        ConfigError: nothing to compare with, a run that is given twice, or a name that is no
            baseline of a run.
        InputError: runs on other RNAs, folds, compartments or labels; a run without baselines.
    """
    if not folders or (len(folders) < 2 and not baselines):
        found = f"{len(folders)} and no baseline" if folders else "none"
        raise ConfigError(f"a comparison needs two runs or more, or a baseline; found {found}")
    paths = [Path(folder) for folder in folders]
    for number, path in enumerate(paths):
        if path.resolve() in [other.resolve() for other in paths[:number]]:
            raise ConfigError(f"the run {path} is given twice; expected different runs")
    tables = []
    for pair in _baseline_pairs(paths, baselines) if baselines else _run_pairs(paths):
        test = compare_fractions if pair.kind == FRACTIONS else compare
        table = test(pair.first, pair.second, pair.labels, n_resamples=n_resamples, seed=seed)
        table.insert(0, "reference", pair.reference)
        table.insert(1, "run", pair.run)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


class _Pair(NamedTuple):
    """Predictions to compare, with the names and the kind and values of the labels."""

    reference: str
    run: str
    first: pd.DataFrame
    second: pd.DataFrame
    kind: str
    labels: pd.DataFrame


def _run_pairs(folders: Sequence[Path]) -> Iterator[_Pair]:
    """Pair the first run with each other one."""
    kind, labels, predictions = _aligned_predictions(folders)
    for folder, table in zip(folders[1:], predictions[1:], strict=True):
        yield _Pair(folders[0].name, folder.name, predictions[0], table, kind, labels)


def _baseline_pairs(folders: Sequence[Path], names: Sequence[str]) -> Iterator[_Pair]:
    """Pair each of the named baselines of each run with its model."""
    for folder in folders:
        kind, labels = read_labels(folder)
        model = _read(folder / PREDICTIONS, labels)
        for name in names:
            baseline = _read(_baseline_file(folder, name), labels)
            yield _Pair(name, folder.resolve().name, baseline, model, kind, labels)


def _aligned_predictions(
    folders: Sequence[Path],
) -> tuple[str, pd.DataFrame, list[pd.DataFrame]]:
    """Label kind, labels of the smallest run, and every run's predictions of those RNAs."""
    every = [read_labels(folder) for folder in folders]
    smallest = min(range(len(every)), key=lambda number: len(every[number][1]))
    kind, labels = every[smallest]
    predictions = []
    for folder, (other_kind, other) in zip(folders, every, strict=True):
        same_shape = list(other.columns) == list(labels.columns) and len(other) == len(labels)
        may_be_larger = "sets" in read_run_json(folder)
        on_smallest = other.reindex(index=labels.index, columns=labels.columns).astype(float)
        same_labels = on_smallest.equals(labels.astype(float))
        if other_kind != kind or not same_labels or not (same_shape or may_be_larger):
            raise InputError(
                "the runs were made on other RNAs or labels",
                file=folder,
                expected=f"those of {folders[smallest]}",
            )
        table = _read(folder / PREDICTIONS, other)
        table = table[table["rna_id"].isin(labels.index)]
        predictions.append(table[["rna_id", "fold", *labels.columns]].reset_index(drop=True))
    return kind, labels, predictions


def _read(path: Path, labels: pd.DataFrame) -> pd.DataFrame:
    compartments = tuple(str(name) for name in labels.columns)
    return read_predictions(path, NodeIndex.of(labels.index, "RNA"), compartments)


def _baseline_file(folder: Path, name: str) -> Path:
    files = baseline_files(folder)
    if name in files:
        return files[name]
    if not (folder / BASELINES).is_dir():
        hint = "train it again without --no-baselines"
        raise InputError("the run has no baselines", file=folder, hint=hint)
    near = difflib.get_close_matches(name, list(files), n=1)
    meant = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(files)}"
    raise ConfigError(f"{folder} has no baseline {name!r}; {meant}")


def draw_differences(table: pd.DataFrame) -> Figure:
    """Differences (run - reference) with their 95 % intervals, one panel per metric.

    Args:
        table: of `compare_runs`.
    """
    from matplotlib.figure import Figure

    metrics = list(table["metric"].unique())
    compartments = list(table["compartment"].unique())
    references = list(table["reference"].unique())
    has_one_reference = len(references) == 1
    size = (5.2 * len(metrics), 1.2 + 0.42 * len(compartments))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(1, len(metrics), sharey=True, squeeze=False)[0]
    places = np.arange(len(compartments))
    pairs = table.groupby(["reference", "run"], sort=False)
    for axis, metric in zip(axes, metrics, strict=True):
        for number, ((reference, run), rows) in enumerate(pairs):
            part = rows[rows["metric"] == metric].set_index("compartment").reindex(compartments)
            difference = part["difference"].to_numpy(dtype=float)
            bounds = part[["low", "high"]].to_numpy(dtype=float).T
            axis.errorbar(
                difference,
                places + (number - (len(pairs) - 1) / 2) * 0.18,
                xerr=np.abs(bounds - difference),
                fmt="o",
                capsize=3,
                label=run if has_one_reference else f"{run} - {reference}",
            )
        axis.axvline(0, color="0.6", linestyle=":")
        compared = references[0] if has_one_reference else "the baseline"
        axis.set(title=metric, xlabel=f"difference to {compared}")
        axis.set(yticks=places, yticklabels=compartments)
    axes[0].invert_yaxis()
    axes[-1].legend(fontsize="small")
    return figure
