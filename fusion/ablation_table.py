"""The table of an ablation: every variant's figures over seeds, and its paired difference to the full model with two kinds of intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import t as student

from fusion.ablation import FULL, Variant
from fusion.ablation_runs import run_folder
from fusion.bare_run import read_metrics
from fusion.comparison import read_labels
from mirnagraph.errors import InputError
from mirnagraph.evaluation.compare import compare, holm
from mirnagraph.evaluation.metrics import AVERAGE
from mirnagraph.evaluation.predictions import read_predictions
from mirnagraph.nodes import NodeIndex
from mirnagraph.progress import Progress, report

METRICS = ("AUC", "AUPR", "F1", "MCC", "within")
TESTED = ("AUC", "AUPR")
COLUMNS = [
    "variant", "compartment", "metric", "mean", "sd", "n_seeds", "seed_difference", "seed_low", "seed_high",
    "pooled_difference", "pooled_low", "pooled_high", "p", "p_holm", "test",
]  # fmt: skip


def ablation_table(
    out: str | Path, variants: Sequence[Variant], seeds: Sequence[int], *, n_resamples: int = 2000, seed: int = 0, progress: Progress | None = None
) -> pd.DataFrame:
    """Figures of the finished variants of an ablation.

    Two questions, two intervals, both of 95 % and both for variant - full:

    - ``seed_difference`` with ``seed_low``, ``seed_high``: the difference of the figures as `train` gives them (mean over folds), paired by seed;
      Student's t over the seeds. Would another seed say the same, on these RNAs? NaN with one seed.
    - ``pooled_difference`` with ``pooled_low``, ``pooled_high``: the difference of the figures of the seed-averaged out-of-fold probabilities, all
      folds together; paired bootstrap over RNAs, or DeLong for the AUC of one compartment (column ``test``). Would other RNAs say the same?
      AUC and AUPR only.

    Args:
        out: the ablation's folder.
        variants: as `fusion.ablation_runs.run_ablation` returned them; the full model must be among them.
        seeds: seeds that every variant was trained with.
        n_resamples, seed: of the bootstrap.

    Returns:
        One row per variant, compartment (and ``average``) and metric: ``mean`` and ``sd`` over ``n_seeds`` seeds of the figure (mean over folds;
        ``within`` is pooled), the differences, ``p`` of the pooled difference, and ``p_holm`` after Holm's correction over the variants.
    """
    trained = [v for v in variants if v.config and not v.is_full]
    metrics = {v.name: [_figures(run_folder(out, v.name, s)) for s in seeds] for v in trained}
    labels = read_labels(run_folder(out, FULL, seeds[0]))
    for variant in trained:
        for number in seeds:
            if not read_labels(run_folder(out, variant.name, number)).sort_index().equals(labels.sort_index()):
                raise InputError("the runs of an ablation were made on other RNAs or labels", file=run_folder(out, variant.name, number))
    full = averaged([run_folder(out, FULL, s) for s in seeds], labels)
    parts = []
    for number, variant in enumerate(v for v in variants if v.config):
        name = FULL if variant.is_full else variant.name
        part = seed_differences(metrics[name], metrics[FULL])
        if name == FULL:
            part[["seed_difference", "seed_low", "seed_high"]] = np.nan
            pooled = None
        else:
            pooled = compare(full, averaged([run_folder(out, name, s) for s in seeds], labels), labels, n_resamples=n_resamples, seed=seed)
        parts.append(_with_pooled(part, pooled).assign(variant=variant.name))
        report(progress, "comparisons", number + 1, sum(v.config is not None for v in variants))
    table = pd.concat(parts, ignore_index=True)
    table["p_holm"] = np.nan
    for _, rows in table.groupby(["compartment", "metric"], sort=False):
        table.loc[rows.index, "p_holm"] = holm([float(p) for p in rows["p"]])
    return table[COLUMNS]


def _figures(folder: Path) -> pd.Series:
    """Compartment, metric -> mean over folds; pooled for ``within``."""
    table = read_metrics(folder)
    table = table[table["metric"].isin(METRICS) & (table["compartment"] != "micro")]
    values = table["mean"].where(table["metric"] != "within", table["pooled"])
    return pd.Series(values.to_numpy(dtype=float), index=pd.MultiIndex.from_frame(table[["compartment", "metric"]]))


def averaged(folders: Sequence[Path], labels: pd.DataFrame) -> pd.DataFrame:
    """Mean over runs of every RNA's out-of-fold probabilities, in the order of `labels`; ``fold`` is that of the first run.

    Raises:
        InputError: a run predicts other RNAs, or its file is damaged.
    """
    index, names = NodeIndex.of(labels.index, "miRNA"), tuple(str(c) for c in labels.columns)
    tables = []
    for folder in folders:
        table = read_predictions(folder / "predictions.tsv", index, names).set_index("rna_id")
        if len(table) != len(labels):
            raise InputError("predictions do not cover the tested RNAs", file=folder / "predictions.tsv", found=len(table), expected=len(labels))
        tables.append(table.loc[list(labels.index)])
    mean = np.mean([table[list(names)].to_numpy(dtype=float) for table in tables], axis=0)
    result = pd.DataFrame(mean, columns=list(names))
    result.insert(0, "rna_id", list(labels.index))
    result.insert(1, "fold", tables[0]["fold"].to_numpy())
    return result


def seed_differences(variant: Sequence[pd.Series], full: Sequence[pd.Series]) -> pd.DataFrame:
    """Mean and SD over seeds, and the difference to the full model paired by seed with its t interval.

    Args:
        variant, full: per seed the figures, index (compartment, metric); the same seeds in the same order.

    Returns:
        Index (compartment, metric); columns ``mean``, ``sd``, ``n_seeds``, ``seed_difference``, ``seed_low``, ``seed_high``. Seeds in which a
        figure is undefined are left out of it; the interval needs two seeds.
    """
    rows = {}
    for key in full[0].index:
        ours = np.array([float(figures[key]) for figures in variant])
        known = ours[np.isfinite(ours)]
        difference = ours - np.array([float(figures[key]) for figures in full])
        rows[key] = (*_mean_sd(known), len(known), *t_interval(difference[np.isfinite(difference)]))
    columns = ["mean", "sd", "n_seeds", "seed_difference", "seed_low", "seed_high"]
    return pd.DataFrame(list(rows.values()), index=full[0].index, columns=columns)


def _mean_sd(values: np.ndarray) -> tuple[float, float]:
    return float(values.mean()) if len(values) else float("nan"), float(values.std(ddof=1)) if len(values) > 1 else float("nan")


def t_interval(differences: np.ndarray) -> tuple[float, float, float]:
    """Mean of paired differences and its 95 % interval by Student's t with n - 1 degrees; NaN bounds for fewer than two.

    >>> [round(x, 3) for x in t_interval(np.array([0.01, 0.02, 0.03]))]
    [0.02, -0.005, 0.045]
    """
    mean, sd = _mean_sd(differences)
    half = float(student.ppf(0.975, len(differences) - 1)) * sd / len(differences) ** 0.5 if len(differences) > 1 else float("nan")
    return mean, mean - half, mean + half


def _with_pooled(part: pd.DataFrame, pooled: pd.DataFrame | None) -> pd.DataFrame:
    part = part.rename_axis(["compartment", "metric"]).reset_index().assign(pooled_difference=np.nan, pooled_low=np.nan, pooled_high=np.nan, p=np.nan, test="")
    if pooled is None:
        return part
    found: Mapping[tuple[str, str], pd.Series] = {(str(row["compartment"]), str(row["metric"])): row for _, row in pooled.iterrows()}
    for place, key in zip(part.index, zip(part["compartment"], part["metric"], strict=True), strict=True):
        if key in found:
            row = found[key]
            part.loc[place, ["pooled_difference", "pooled_low", "pooled_high", "p"]] = [float(row[c]) for c in ("difference", "low", "high", "p")]
            part.loc[place, "test"] = str(row["test"])
    return part


def averages(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Rows of the average over compartments for one metric, index ``variant``, in the order of the table."""
    return table[(table["compartment"] == AVERAGE) & (table["metric"] == metric)].set_index("variant")


def average_row(table: pd.DataFrame, variant: str, metric: str) -> pd.Series:
    """One variant's row of the average over compartments for one metric."""
    return table[(table["compartment"] == AVERAGE) & (table["metric"] == metric) & (table["variant"] == variant)].iloc[0]
