"""The report of a run of the sequence tower: what was measured, beside what, in words and tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from mirnagraph.evaluation.metrics import AVERAGE
from mirnagraph.files import write_text
from seqtower.experiment import SeqResult, by_set
from seqtower.kmer_baselines import BASELINES, DESCRIPTORS, MODEL, TOWER
from seqtower.prediction import read_in_windows
from seqtower.rna_types import vocabulary
from seqtower.sequences import FRACTIONS
from seqtower.settings import SeqConfig


def shown_metrics(kind: str) -> tuple[str, ...]:
    """The measures that tables show first."""
    return ("Pearson", "Spearman") if kind == FRACTIONS else ("AUC", "AUPR", "F1", "MCC")


def result_rows(result: SeqResult, name: str = MODEL) -> tuple[list[str], list[list[str]]]:
    """Header and cells: mean over folds and SD per compartment and on average, of the model or a baseline."""
    metrics = shown_metrics(result.data.kind)
    rows = [[where, *(_cell(result.metrics[name], where, metric) for metric in metrics)] for where in (*result.data.compartments, AVERAGE)]
    return ["compartment", *metrics], rows


def beside_rows(result: SeqResult) -> tuple[list[str], list[list[str]]]:
    """Header and cells: averages of the model, of its tower where it is more than that, and of the baselines."""
    metrics = shown_metrics(result.data.kind)
    return ["model", *metrics], [[name, *(_cell(result.metrics[name], AVERAGE, metric) for metric in metrics)] for name in result.metrics]


def verdict(result: SeqResult) -> str:
    """One sentence: does the model beat the best baseline in the first measure?"""
    metric = shown_metrics(result.data.kind)[0]
    value = {name: _value(result.metrics[name], AVERAGE, metric, "mean") for name in result.metrics}
    known = [name for name in BASELINES if np.isfinite(value.get(name, np.nan))]
    if not known:
        return "The baselines were left out of this run, so it does not say what simpler models reach."
    best = max(known, key=lambda name: value[name])
    if best == DESCRIPTORS and all(r.choices["weight"] == 1 for r in result.results):
        return f"The answer is that of the trees on descriptors alone (their share was 1 in every fold): {metric} {value[MODEL]:.3f}, the other baselines less."
    digits = 3 if f"{value[MODEL]:.3f}" != f"{value[best]:.3f}" else 5  # equal figures would leave open which is ahead
    own, other = f"{value[MODEL]:.{digits}f}", f"{value[best]:.{digits}f}"
    if value[MODEL] > value[best]:
        return f"The model is ahead of the best baseline ({best}): {metric} {own} against {other}."
    return f"**The baseline {best} is not beaten**: {metric} {other} against the model's {own}."


def few_folds(result: SeqResult) -> str:
    """One sentence that names compartments whose first measure comes from some of the folds alone; empty where there are none."""
    metric, folds = shown_metrics(result.data.kind)[0], result.folds.n_folds
    counts = {name: int(_value(result.metrics[MODEL], name, metric, "n_folds")) for name in result.data.compartments}
    few = [f"{count} for {name}" for name, count in counts.items() if count < folds]
    return f"Folds that {metric} comes from, of {folds}: {', '.join(few)}; in the others, all RNAs are of one kind." if few else ""


def write_seq_report(folder: Path, result: SeqResult, config: SeqConfig, name: str, groups: np.ndarray, *, synthetic: bool = False) -> None:
    """Write ``report.md``."""
    data = result.data
    lengths, sizes = data.lengths, np.bincount(groups)
    together = f"{len(sizes)} groups, of which {int((sizes > 1).sum())} have two RNAs or more (largest {sizes.max()})"
    lines = [f"# Run on {name}: tower {config.tower}, seed {config.seed}", ""]
    lines += ["**Made-up data**: this run shows how the tool works. Its figures say nothing about biology.", ""] if synthetic else []
    lines += [f"{len(data)} RNAs of {lengths.min()} to {lengths.max()} nt (median {int(np.median(lengths))}), {result.folds.n_folds} folds.", ""]
    if data.types is not None:
        told = ", ".join(f"{data.types.count(name)} {name}" for name in vocabulary(data.types))
        lines += [f"Tower and baselines are told the types of RNAs: {told}.", ""]
    if config.pretrained:
        why = "It saw no labels; RNAs of test parts that were among its sequences make this run transductive for sequences"
        lines += [f"Every fold started from the pre-trained encoder in `{config.pretrained}`. {why}.", ""]
    long, limit = read_in_windows(data.sequences, config), config.training.batch_tokens
    if long:
        lines += [f"{long} RNAs are longer than the {limit} positions of a batch (`training.batch_tokens`): they were read in windows.", ""]
    lines += [f"Kept together in folds (`{config.group}`): {together}. {len(data.left_out)} ids were left out (left_out.tsv).", "", verdict(result), ""]
    for header, rows in (beside_rows(result), result_rows(result)):
        lines += ["| " + " | ".join(header) + " |", "|---|" + "---|" * (len(header) - 1), *("| " + " | ".join(row) + " |" for row in rows), ""]
    if data.sets is not None:
        lines += _by_set_lines(result)
    lines += [few_folds(result), ""] if few_folds(result) else []
    lines += ["Means over folds ± SD. Thresholds of the model were chosen inside the training rows; the others call at .5.", ""]
    if TOWER in result.metrics:
        shares = ", ".join(f"{r.choices['weight']:g}" for r in result.results)
        lines += [f"- `{MODEL}`: `descriptor_trees` and `{TOWER}`, blended; share of the trees per fold: {shares}"]
    lines += [f"- `{key}`: {what}" for key, what in BASELINES.items() if key in result.metrics]
    lines += ["", "| fold | best epoch | epochs | seconds |", "|---|---|---|---|"]
    lines += [f"| {r.fold} | {r.choices['best_epoch']} | {r.choices['epochs']} | {r.seconds:.0f} |" for r in result.results]
    write_text(folder / "report.md", "\n".join([*lines, ""]))


def _by_set_lines(result: SeqResult) -> list[str]:
    table = by_set(result)
    models = list(dict.fromkeys(table["model"]))
    lines = ["AUC within each set, over its own compartments:", "", "| set | " + " | ".join(models) + " |", "|---|" + "---|" * len(models)]
    for name in dict.fromkeys(table["set"]):
        mine = table[table["set"] == name]
        lines.append(f"| {name} | " + " | ".join(_cell(mine[mine["model"] == model], AVERAGE, "AUC") for model in models) + " |")
    return [*lines, ""]


def _value(metrics: pd.DataFrame, compartment: str, metric: str, column: str) -> float:
    return float(metrics.loc[(metrics["compartment"] == compartment) & (metrics["metric"] == metric), column].iloc[0])


def _cell(metrics: pd.DataFrame, compartment: str, metric: str) -> str:
    mean, sd = (_value(metrics, compartment, metric, column) for column in ("mean", "sd"))
    if not np.isfinite(mean):
        return "-"
    return f"{mean:.3f} ± {sd:.3f}" if np.isfinite(sd) else f"{mean:.3f}"
