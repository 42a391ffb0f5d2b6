"""Run_seq, its report sections."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from mirnagraph.config import dump_toml
from mirnagraph.evaluation.metrics import AVERAGE, FRACTIONS
from mirnagraph.evaluation.splits import write_folds
from mirnagraph.io import write_text, write_tsv
from mirnagraph.parallel import Progress, one_thread, report
from mirnagraph.runs.folder import RunFolder, run_or_resume
from mirnagraph.runs.results import MODEL, CrossValidationResult, write_results
from mirnagraph.seeds import child_seed
from seqtower.baselines.kmer import BASELINES, DESCRIPTORS, TOWER
from seqtower.config import SeqConfig
from seqtower.data.sequences import SequenceSet, sequences_sha256, vocabulary
from seqtower.encoders.base import ENCODERS, fit_encoding, warm_up
from seqtower.experiment import (
    Work,
    by_set,
    cross_validate,
    fit_rows,
    groups_of,
    prepare_work,
)
from seqtower.predict import read_in_windows
from seqtower.pretraining.checkpoint import load_pretrained
from seqtower.saved import SavedTower, save_tower

GROUPS = "groups.tsv"
LEFT_OUT = "left_out.tsv"
BY_SET = "metrics_by_set.tsv"


def run_seq(
    data: SequenceSet,
    config: SeqConfig,
    out: str | Path,
    *,
    name: str = "sequences",
    synthetic: bool = False,
    baselines: bool = True,
    workers: int = 1,
    overwrite: bool = False,
    resume: bool = False,
    progress: Progress | None = None,
) -> tuple[CrossValidationResult | None, RunFolder]:
    """Cross-validate a tower beside its k-mer baselines, fit the final model on all RNAs, and write the run folder.

    Args:
        out: run folder; an unfinished run of the same settings and data in it is gone on with, epoch by epoch.
        name: of the data, for the report. synthetic: they are made up, which the report and a model handed on then say.
        baselines: fit the baselines beside the model.
        workers: folds side by side; changes no number.

    Returns:
        The result, None where a finished run was kept; and the folder.

    Raises:
        InputError: see `mirnagraph.runs.folder.open_run`. ConfigError: settings that the data do not allow.
        CheckpointError: a pre-trained encoder that does not fit the settings.
    """
    inputs = {"sequences": sequences_sha256(data)}
    if ENCODERS[config.encoder.name].is_cached:
        inputs["encoder"] = fit_encoding(
            config.encoder, config.lengths, data.sequences
        ).fingerprint  # also says at once what the encoder lacks
    if config.pretrained:
        inputs["pretrained"] = load_pretrained(config).sha256
    about = {
        "kind": "seqtower",
        "labels": data.kind,
        "tower": config.tower.name,
        "dataset": name,
        "synthetic": synthetic,
        "n_rnas": len(data),
    }

    def body(run: RunFolder) -> CrossValidationResult:
        groups = groups_of(data, config, progress)
        warm_up(config.encoder, config.lengths, data.sequences, progress)
        work = prepare_work(data, config, run.path, groups, baselines=baselines)
        write_folds(work.folds, run.path / "folds.tsv")
        table = pd.DataFrame({"rna_id": list(data.index.ids), "group": groups})
        write_tsv(table, run.path / GROUPS)
        write_tsv(data.left_out, run.path / LEFT_OUT)
        result = cross_validate(work, workers, progress)
        others = [name for name in result.predictions if name != MODEL]
        write_results(result, run.path, baselines=others)
        if data.sets is not None:
            write_tsv(by_set(data, result), run.path / BY_SET)
        write_seq_report(run.path, data, result, config, name, groups, synthetic=synthetic)
        _final(work, run.path, name, progress)
        return result

    return run_or_resume(
        out,
        dump_toml(config),
        inputs,
        body,
        seed=config.seed,
        overwrite=overwrite,
        resume=resume,
        about=about,
    )


def _final(work: Work, folder: Path, name: str, progress: Progress | None) -> None:
    report(progress, "final model", 0, 1)
    checkpoints = folder / "checkpoints" / "final"
    data = work.data
    with one_thread():
        fitted = fit_rows(
            replace(work, baselines=False),
            np.arange(len(data)),
            child_seed(work.config.seed, "final"),
            checkpoints,
        )
    trained = fitted.trained
    model = SavedTower(work.config, data.compartments, data.kind, trained.tower, fitted.encoding, fitted.thresholds, {}, vocabulary(data.types),
                       trees=fitted.trees, weight=fitted.weight)  # fmt: skip
    save_tower(
        model,
        folder / "model",
        dataset=name,
        n_rnas=len(data),
        data_sha256=sequences_sha256(data),
        best_epoch=trained.best_epoch,
    )
    shutil.rmtree(checkpoints, ignore_errors=True)
    report(progress, "final model", 1, 1)


def shown_metrics(kind: str) -> tuple[str, ...]:
    """The measures that tables show first."""
    return ("Pearson", "Spearman") if kind == FRACTIONS else ("AUC", "AUPR", "F1", "MCC")


def result_rows(
    result: CrossValidationResult, name: str = MODEL
) -> tuple[list[str], list[list[str]]]:
    """Header and cells: mean over folds and SD per compartment and on average, of the model or a baseline."""
    metrics = shown_metrics(result.kind)
    rows = [
        [where, *(_cell(result.metrics_of[name], where, metric) for metric in metrics)]
        for where in (*result.compartments, AVERAGE)
    ]
    return ["compartment", *metrics], rows


def beside_rows(result: CrossValidationResult) -> tuple[list[str], list[list[str]]]:
    """Header and cells: averages of the model, of its tower where it is more than that, and of the baselines."""
    metrics = shown_metrics(result.kind)
    return ["model", *metrics], [
        [name, *(_cell(result.metrics_of[name], AVERAGE, metric) for metric in metrics)]
        for name in result.metrics_of
    ]


def verdict(result: CrossValidationResult) -> str:
    """One sentence: does the model beat the best baseline in the first measure?"""
    metric = shown_metrics(result.kind)[0]
    value = {
        name: _value(result.metrics_of[name], AVERAGE, metric, "mean") for name in result.metrics_of
    }
    known = [name for name in BASELINES if np.isfinite(value.get(name, np.nan))]
    if not known:
        return (
            "The baselines were left out of this run, so it does not say what simpler models reach."
        )
    best = max(known, key=lambda name: value[name])
    if best == DESCRIPTORS and all(r.choices["weight"] == 1 for r in result.results):
        return f"The answer is that of the trees on descriptors alone (their share was 1 in every fold): {metric} {value[MODEL]:.3f}, the other baselines less."
    digits = (
        3 if f"{value[MODEL]:.3f}" != f"{value[best]:.3f}" else 5
    )  # equal figures would leave open which is ahead
    own = f"{value[MODEL]:.{digits}f}"
    other = f"{value[best]:.{digits}f}"
    if value[MODEL] > value[best]:
        return f"The model is ahead of the best baseline ({best}): {metric} {own} against {other}."
    return f"**The baseline {best} is not beaten**: {metric} {other} against the model's {own}."


def few_folds(result: CrossValidationResult) -> str:
    """One sentence that names compartments whose first measure comes from some of the folds alone; empty where there are none."""
    metric = shown_metrics(result.kind)[0]
    folds = result.folds.n_folds
    counts = {
        name: int(_value(result.metrics_of[MODEL], name, metric, "n_folds"))
        for name in result.compartments
    }
    few = [f"{count} for {name}" for name, count in counts.items() if count < folds]
    return (
        f"Folds that {metric} comes from, of {folds}: {', '.join(few)}; in the others, all RNAs are of one kind."
        if few
        else ""
    )


def write_seq_report(
    folder: Path,
    data: SequenceSet,
    result: CrossValidationResult,
    config: SeqConfig,
    name: str,
    groups: np.ndarray,
    *,
    synthetic: bool = False,
) -> None:
    """Write ``report.md``."""
    lengths = data.lengths
    sizes = np.bincount(groups)
    together = f"{len(sizes)} groups, of which {int((sizes > 1).sum())} have two RNAs or more (largest {sizes.max()})"
    lines = [f"# Run on {name}: tower {config.tower.name}, seed {config.seed}", ""]
    lines += (
        [
            "**Made-up data**: this run shows how the tool works. Its figures say nothing about biology.",
            "",
        ]
        if synthetic
        else []
    )
    lines += [
        f"{len(data)} RNAs of {lengths.min()} to {lengths.max()} nt (median {int(np.median(lengths))}), {result.folds.n_folds} folds.",
        "",
    ]
    if data.types is not None:
        told = ", ".join(f"{data.types.count(name)} {name}" for name in vocabulary(data.types))
        lines += [f"Tower and baselines are told the types of RNAs: {told}.", ""]
    if config.pretrained:
        why = "It saw no labels; RNAs of test parts that were among its sequences make this run transductive for sequences"
        lines += [
            f"Every fold started from the pre-trained encoder in `{config.pretrained}`. {why}.",
            "",
        ]
    long = read_in_windows(data.sequences, config)
    limit = config.training.batch_tokens
    if long:
        lines += [
            f"{long} RNAs are longer than the {limit} positions of a batch (`training.batch_tokens`): they were read in windows.",
            "",
        ]
    lines += [
        f"Kept together in folds (`{config.group}`): {together}. {len(data.left_out)} ids were left out (left_out.tsv).",
        "",
        verdict(result),
        "",
    ]
    for header, rows in (beside_rows(result), result_rows(result)):
        lines += [
            "| " + " | ".join(header) + " |",
            "|---|" + "---|" * (len(header) - 1),
            *("| " + " | ".join(row) + " |" for row in rows),
            "",
        ]
    if data.sets is not None:
        lines += _by_set_lines(by_set(data, result))
    lines += [few_folds(result), ""] if few_folds(result) else []
    lines += [
        "Means over folds ± SD. Thresholds of the model were chosen inside the training rows; the others call at .5.",
        "",
    ]
    if TOWER in result.metrics_of:
        shares = ", ".join(f"{r.choices['weight']:g}" for r in result.results)
        lines += [
            f"- `{MODEL}`: `descriptor_trees` and `{TOWER}`, blended; share of the trees per fold: {shares}"
        ]
    lines += [f"- `{key}`: {what}" for key, what in BASELINES.items() if key in result.metrics_of]
    lines += ["", "| fold | best epoch | epochs | seconds |", "|---|---|---|---|"]
    lines += [
        f"| {r.fold} | {r.choices['best_epoch']} | {r.choices['epochs']} | {r.seconds:.0f} |"
        for r in result.results
    ]
    write_text(folder / "report.md", "\n".join([*lines, ""]))


def _by_set_lines(table: pd.DataFrame) -> list[str]:
    models = list(dict.fromkeys(table["model"]))
    lines = [
        "AUC within each set, over its own compartments:",
        "",
        "| set | " + " | ".join(models) + " |",
        "|---|" + "---|" * len(models),
    ]
    for name in dict.fromkeys(table["set"]):
        mine = table[table["set"] == name]
        lines.append(
            f"| {name} | "
            + " | ".join(_cell(mine[mine["model"] == model], AVERAGE, "AUC") for model in models)
            + " |"
        )
    return [*lines, ""]


def _value(metrics: pd.DataFrame, compartment: str, metric: str, column: str) -> float:
    return float(
        metrics.loc[
            (metrics["compartment"] == compartment) & (metrics["metric"] == metric), column
        ].iloc[0]
    )


def _cell(metrics: pd.DataFrame, compartment: str, metric: str) -> str:
    mean, sd = (_value(metrics, compartment, metric, column) for column in ("mean", "sd"))
    if not np.isfinite(mean):
        return "-"
    return f"{mean:.3f} ± {sd:.3f}" if np.isfinite(sd) else f"{mean:.3f}"
