"""Training run of a sequence tower: cross-validation, final model, report."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from mirnagraph.config import dump_toml
from mirnagraph.evaluation.splits import write_folds
from mirnagraph.io import write_text, write_tsv
from mirnagraph.parallel import Progress, one_thread, report
from mirnagraph.runs.folder import RunFolder, run_or_resume
from mirnagraph.runs.markdown import page, section, table
from mirnagraph.runs.report import (
    THIS_RUN,
    average_row,
    baseline_section,
    metric_section,
    set_section,
    shown_metrics,
)
from mirnagraph.runs.results import MODEL, CrossValidationResult, write_results
from mirnagraph.seeds import child_seed
from seqtower.baselines.kmer import BASELINES, DESCRIPTORS, TOWER
from seqtower.config import SeqConfig
from seqtower.data.sequences import SequenceSet, sequences_sha256, vocabulary
from seqtower.encoders.base import ENCODERS, check_encoder, warm_up
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


def run_seq(  # noqa: PLR0913 (one function for the command)
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
    """Cross-validate a tower and k-mer baselines, fit the final model, and write the run folder.

    Args:
        data: labelled sequences.
        config: settings.
        out: run folder; an unfinished run of the same settings and data resumes, epoch by epoch.
        name: of the data, for the report.
        synthetic: the data are synthetic, which report and exported model then state.
        baselines: fit the baselines on the same folds.
        workers: processes for folds; changes no number.
        overwrite: see `mirnagraph.runs.folder.open_run`.
        resume: see `mirnagraph.runs.folder.open_run`.
        progress: callback.

    Returns:
        The result, None where `resume` kept a finished run; and the folder.

    Raises:
        InputError: see `mirnagraph.runs.folder.open_run`.
        ConfigError: settings that the data do not allow.
        CheckpointError: a pre-trained encoder that does not fit the settings.
    """
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
        _write_inputs(work)
        result = cross_validate(work, workers, progress)
        others = [name for name in result.predictions if name != MODEL]
        write_results(result, run.path, baselines=others)
        if data.sets is not None:
            write_tsv(by_set(data, result), run.path / BY_SET)
        write_seq_report(work, result, name, synthetic=synthetic)
        _final(work, name, progress)
        return result

    return run_or_resume(
        out,
        dump_toml(config),
        _input_hashes(data, config),
        body,
        seed=config.seed,
        overwrite=overwrite,
        resume=resume,
        about=about,
    )


def _input_hashes(data: SequenceSet, config: SeqConfig) -> dict[str, str]:
    """sha256 of the inputs of a run, by name."""
    inputs = {"sequences": sequences_sha256(data)}
    if ENCODERS[config.encoder.name].is_cached:
        # Also fails here, before the folder is made, where the encoder lacks a package or a file.
        inputs["encoder"] = check_encoder(config.encoder)
    if config.pretrained:
        inputs["pretrained"] = load_pretrained(config).sha256
    return inputs


def _write_inputs(work: Work) -> None:
    """Write folds, groups and the ids that were left out."""
    write_folds(work.folds, work.folder / "folds.tsv")
    by_rna = pd.DataFrame({"rna_id": list(work.data.index.ids), "group": work.groups})
    write_tsv(by_rna, work.folder / GROUPS)
    write_tsv(work.data.left_out, work.folder / LEFT_OUT)


def _final(work: Work, name: str, progress: Progress | None) -> None:
    """Fit the final model on all RNAs and save it."""
    report(progress, "final model", 0, 1)
    checkpoints = work.folder / "checkpoints" / "final"
    data = work.data
    seed = child_seed(work.config.seed, "final")
    without_baselines = replace(work, baselines=False)
    with one_thread():
        fitted = fit_rows(without_baselines, np.arange(len(data)), seed, checkpoints)
    model = SavedTower(
        work.config,
        data.compartments,
        data.kind,
        fitted.trained.tower,
        fitted.encoding,
        fitted.thresholds,
        {},
        vocabulary(data.types),
        trees=fitted.trees,
        weight=fitted.weight,
    )
    save_tower(
        model,
        work.folder / "model",
        dataset=name,
        n_rnas=len(data),
        data_sha256=sequences_sha256(data),
        best_epoch=fitted.trained.best_epoch,
    )
    shutil.rmtree(checkpoints, ignore_errors=True)
    report(progress, "final model", 1, 1)


def comparison_table(result: CrossValidationResult) -> pd.DataFrame:
    """Baseline table of a run (see `mirnagraph.runs.report.average_row`): model, tower, baselines.

    The tower has a row where the model is a blend of tower and trees.
    """
    described = {MODEL: "the model of this run", TOWER: "the tower of the model, alone"}
    described |= BASELINES
    shown = shown_metrics(result.kind)
    rows = []
    for name, metrics in result.metrics_of.items():
        row_name = THIS_RUN if name == MODEL else name
        rows.append(average_row(row_name, metrics, described[name], shown))
    return pd.DataFrame(rows)


def parts_of_model(result: CrossValidationResult) -> tuple[str, ...]:
    """Rows of `comparison_table` that are parts of the model: the tower, and trees of weight 1."""
    if all(fold.choices["weight"] == 1 for fold in result.results):
        return (TOWER, DESCRIPTORS)
    return (TOWER,)


def model_notes(result: CrossValidationResult) -> list[str]:
    """Sentence on the weight of the trees in the model; none for a tower alone."""
    if TOWER not in result.metrics_of:
        return []
    weights = ", ".join(f"{fold.choices['weight']:g}" for fold in result.results)
    note = (
        f"The model blends `{TOWER}` and `{DESCRIPTORS}`; weight of the trees per fold: {weights}."
    )
    if DESCRIPTORS in parts_of_model(result):
        note = (
            "The selected weight of the trees is 1 in every fold: the predictions of the model "
            f"are those of `{DESCRIPTORS}`."
        )
    return [note]


def write_seq_report(
    work: Work, result: CrossValidationResult, name: str, *, synthetic: bool = False
) -> None:
    """Write ``report.md``.

    Args:
        work: of the run.
        result: of the cross-validation.
        name: of the data.
        synthetic: the data are synthetic.
    """
    set_text = ""
    if work.data.sets is not None:
        set_text = set_section(by_set(work.data, result))
    folds = [
        [fold.fold, fold.choices["best_epoch"], fold.choices["epochs"], f"{fold.seconds:.0f}"]
        for fold in result.results
    ]
    baselines = comparison_table(result)
    config = work.config
    text = page(
        f"Run on {name}: tower {config.tower.name}, seed {config.seed}",
        "\n".join(_data_lines(work)),
        metric_section(result),
        baseline_section(baselines, model_notes(result), parts_of_model(result)),
        set_text,
        section("Training", table(["fold", "best epoch", "epochs", "seconds"], folds)),
        synthetic=synthetic,
    )
    write_text(work.folder / "report.md", text)


def _data_lines(work: Work) -> list[str]:
    """Sentences on the sequences, their groups and what the model reads."""
    data = work.data
    config = work.config
    lengths = data.lengths
    sizes = np.bincount(work.groups)
    n_joined = int((sizes > 1).sum())
    median = int(np.median(lengths))
    lines = [
        f"{len(data)} RNAs of {lengths.min()} to {lengths.max()} nt (median {median}), "
        f"{work.folds.n_folds} folds.",
        f"Groups kept in one fold (`{config.group}`): {len(sizes)}, of which {n_joined} have two "
        f"RNAs or more (largest: {sizes.max()}).",
        f"{len(data.left_out)} ids were left out (left_out.tsv).",
    ]
    if data.types is not None:
        counts = ", ".join(f"{data.types.count(t)} {t}" for t in vocabulary(data.types))
        lines.append(f"Tower and baselines are conditioned on the types of RNAs: {counts}.")
    if config.pretrained:
        lines.append(
            f"Every fold started from the pre-trained encoder in `{config.pretrained}`, which was "
            "trained without labels. If tested RNAs were among its sequences, the run is "
            "transductive for sequences."
        )
    n_long = read_in_windows(data.sequences, config)
    if n_long:
        lines.append(
            f"{n_long} RNAs are longer than the {config.training.batch_tokens} positions of a "
            "batch (`training.batch_tokens`): they were read in windows."
        )
    return lines
