"""Runs side by side: the same RNAs in the same folds, their differences with intervals, as a table and a picture."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mirnagraph.errors import ConfigError, InputError
from mirnagraph.evaluation.compare import compare
from mirnagraph.io import read_table
from mirnagraph.nodes import NodeIndex
from mirnagraph.runs.folder import read_run_json
from mirnagraph.runs.results import LABELS, read_predictions

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def read_labels(folder: str | Path) -> pd.DataFrame:
    """True labels of a run's tested RNAs: index ``rna_id``, int8, one column per compartment; floats with NaN where some are not known.

    Raises:
        InputError: not a finished run, or a cell other than 0 and 1.
    """
    about = read_run_json(folder)
    if about["status"] != "done":
        raise InputError(
            "the run is not finished",
            file=folder,
            found=about["status"],
            expected="done",
            hint="run its command again",
        )
    path = Path(folder) / LABELS
    table = read_table(path, ["rna_id"]).set_index("rna_id")
    wrong = ~table.isin(["0", "1", ""])
    if wrong.to_numpy().any():
        row, column = (int(i[0]) for i in np.nonzero(wrong.to_numpy()))
        raise InputError(
            "not a label",
            file=path,
            line=row + 2,
            column=str(table.columns[column]),
            found=table.iloc[row, column],
            expected="0 or 1, or nothing where unknown",
        )
    unknown = table == ""
    return (
        table.mask(unknown, "nan").astype(float)
        if unknown.to_numpy().any()
        else table.astype(np.int8)
    )


def compare_runs(
    folders: Sequence[str | Path], *, n_resamples: int = 2000, seed: int = 0
) -> pd.DataFrame:
    """Compare every run with the first one; a run in which RNAs of other sets learned along (``train --sets``), on the RNAs of the smallest.

    Returns:
        The table of `mirnagraph.evaluation.compare.compare` with the columns ``reference`` and ``run`` (folder names) in front;
        ``first`` is the value of the reference, differences are run - reference.

    Raises:
        ConfigError: fewer than two runs. InputError: runs on other RNAs, folds, compartments or labels.
    """
    if len(folders) < 2:
        raise ConfigError(f"a comparison needs two runs or more, found {len(folders)}")
    every = [read_labels(folder) for folder in folders]
    smallest = min(range(len(every)), key=lambda number: len(every[number]))
    labels = every[smallest]
    tables = []
    for folder, theirs in zip(folders, every, strict=True):
        larger = "sets" in read_run_json(folder)  # RNAs of other sets learned along
        fits = list(theirs.columns) == list(labels.columns) and len(theirs) == len(labels)
        if not (fits or larger) or not theirs.reindex(
            index=labels.index, columns=labels.columns
        ).astype(float).equals(labels.astype(float)):
            raise InputError(
                "the runs were made on other RNAs or labels",
                file=folder,
                expected=f"those of {folders[smallest]}",
            )
        said = read_predictions(
            Path(folder) / "predictions.tsv",
            NodeIndex.of(theirs.index, "miRNA"),
            tuple(str(c) for c in theirs.columns),
        )
        tables.append(
            said[said["rna_id"].isin(labels.index)][
                ["rna_id", "fold", *labels.columns]
            ].reset_index(drop=True)
        )
    found = []
    for folder, table in zip(folders[1:], tables[1:], strict=True):
        part = compare(tables[0], table, labels, n_resamples=n_resamples, seed=seed)
        part.insert(0, "run", Path(folder).name)
        part.insert(0, "reference", Path(folders[0]).name)
        found.append(part)
    return pd.concat(found, ignore_index=True)


def compare_with_baselines(
    folders: Sequence[str | Path], names: Sequence[str], *, n_resamples: int = 2000, seed: int = 0
) -> pd.DataFrame:
    """Compare every run with baselines of its own: those that `mirnagraph train` fitted on its folds.

    Returns:
        As `compare_runs`; ``reference`` is the baseline's name, so a positive difference is what the run adds to it.

    Raises:
        InputError: a run without baselines. ConfigError: no run, no name, or a name that is no baseline of the run.
    """
    if not folders or not names:
        raise ConfigError("a comparison with baselines needs a run and the name of a baseline")
    found = []
    for folder in map(Path, folders):
        labels = read_labels(folder)
        compartments = tuple(str(c) for c in labels.columns)
        index = NodeIndex.of(labels.index, "miRNA")
        own = read_predictions(folder / "predictions.tsv", index, compartments)
        for name in names:
            baseline = read_predictions(_baseline_file(folder, name), index, compartments)
            part = compare(baseline, own, labels, n_resamples=n_resamples, seed=seed)
            part.insert(0, "run", folder.resolve().name)
            part.insert(0, "reference", name)
            found.append(part)
    return pd.concat(found, ignore_index=True)


def _baseline_file(folder: Path, name: str) -> Path:
    known = sorted(path.stem for path in (folder / "baselines").glob("*.tsv"))
    if not known:
        raise InputError(
            "the run has no baselines", file=folder, hint="train it again without --no-baselines"
        )
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        raise ConfigError(
            f"{folder} has no baseline {name!r}; "
            + (f"did you mean {near[0]!r}?" if near else f"it has {', '.join(known)}")
        )
    return folder / "baselines" / f"{name}.tsv"


def draw_differences(table: pd.DataFrame) -> Figure:
    """Differences (run - reference) with their 95 % intervals, one panel per metric."""
    from matplotlib.figure import Figure

    metrics = list(table["metric"].unique())
    pairs = list(dict.fromkeys(zip(table["reference"], table["run"], strict=True)))
    one = len({reference for reference, _ in pairs}) == 1
    rows = list(table["compartment"].unique())
    figure = Figure(figsize=(5.2 * len(metrics), 1.2 + 0.42 * len(rows)), layout="constrained")
    for axis, metric in zip(
        np.atleast_1d(figure.subplots(1, len(metrics), sharey=True)), metrics, strict=True
    ):
        for number, (reference, name) in enumerate(pairs):
            chosen = (
                (table["metric"] == metric)
                & (table["run"] == name)
                & (table["reference"] == reference)
            )
            part = table[chosen].set_index("compartment").reindex(rows)
            place = np.arange(len(rows)) + (number - (len(pairs) - 1) / 2) * 0.18
            spread = np.abs(part[["low", "high"]].to_numpy().T - part["difference"].to_numpy())
            axis.errorbar(
                part["difference"],
                place,
                xerr=spread,
                fmt="o",
                capsize=3,
                label=name if one else f"{name} - {reference}",
            )
        axis.axvline(0, color="0.6", linestyle=":")
        axis.set(
            title=metric,
            xlabel=f"difference to {table['reference'].iloc[0] if one else 'the baseline'}",
            yticks=range(len(rows)),
            yticklabels=rows,
        )
        axis.invert_yaxis()
    axis.legend(fontsize="small")
    return figure
