"""One call from labelled sequences to a finished run folder: what `mirnagraph seq train` does."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from mirnagraph.config import dump_toml
from mirnagraph.evaluation.fold_files import saved_folds
from mirnagraph.evaluation.predictions import LABELS, PREDICTIONS, prediction_frame, write_predictions
from mirnagraph.evaluation.splits import write_folds
from mirnagraph.progress import Progress, report
from mirnagraph.runs import RunFolder, left_when_begun, open_run
from mirnagraph.seeds import child_seed
from mirnagraph.side_by_side import one_thread
from mirnagraph.tables import write_tsv
from seqtower.encoding import fit_encoding, warm_up
from seqtower.experiment import SeqResult, Work, by_set, cross_validate, fit_rows, groups_of, prepare_work
from seqtower.kmer_baselines import MODEL
from seqtower.model_files import SavedTower, save_tower
from seqtower.pretrained import load_pretrained
from seqtower.report import write_seq_report
from seqtower.rna_types import vocabulary
from seqtower.sequences import FRACTIONS, SequenceSet, sequences_sha256
from seqtower.settings import LANGUAGE_MODEL, STRUCTURE, SeqConfig

GROUPS, LEFT_OUT, METRICS, BY_SET = "groups.tsv", "left_out.tsv", "metrics.tsv", "metrics_by_set.tsv"


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
) -> tuple[SeqResult | None, RunFolder]:
    """Cross-validate a tower beside its k-mer baselines, fit the final model on all RNAs, and write the run folder.

    Args:
        out: run folder; an unfinished run of the same settings and data in it is gone on with, epoch by epoch.
        name: of the data, for the report. synthetic: they are made up, which the report and a model handed on then say.
        baselines: fit the baselines beside the model.
        workers: folds side by side; changes no number.

    Returns:
        The result, None where a finished run was kept; and the folder.

    Raises:
        InputError: see `mirnagraph.runs.open_run`. ConfigError: settings that the data do not allow.
        CheckpointError: a pre-trained encoder that does not fit the settings.
    """
    inputs = {"sequences": sequences_sha256(data)}
    if config.encoder.kind in (STRUCTURE, LANGUAGE_MODEL):
        inputs["encoder"] = fit_encoding(config, data.sequences).fingerprint  # also says at once what the encoder lacks
    if config.pretrained:
        inputs["pretrained"] = load_pretrained(config).sha256
    about = {"kind": "seqtower", "labels": data.kind, "tower": config.tower, "dataset": name, "synthetic": synthetic, "n_rnas": len(data)}
    run = open_run(out, dump_toml(config), inputs, seed=config.seed, overwrite=overwrite, resume=resume, about=about)
    if run.finished:
        return None, run
    with left_when_begun(run, lambda: saved_folds(run.path, config.n_folds)):
        groups = groups_of(data, config, progress)
        warm_up(config, data.sequences, progress)
        work = prepare_work(data, config, run.path, groups, baselines=baselines)
        write_folds(work.folds, run.path / "folds.tsv")
        write_tsv(pd.DataFrame({"rna_id": list(data.index.ids), "group": groups}), run.path / GROUPS)
        write_tsv(data.left_out, run.path / LEFT_OUT)
        result = cross_validate(work, workers, progress)
    write_result(run.path, result)
    write_seq_report(run.path, result, config, name, groups, synthetic=synthetic)
    _final(work, run.path, name, progress)
    run.finish()
    return result, run


def write_result(folder: Path, result: SeqResult) -> None:
    """Write predictions, labels and metrics of the model, and those of its tower and of the baselines below ``baselines/``."""
    data = result.data
    for name, said in result.predictions.items():
        target = folder if name == MODEL else folder / "baselines" / name
        target.mkdir(parents=True, exist_ok=True)
        write_predictions(prediction_frame(data.index, data.compartments, result.folds, said), target / PREDICTIONS)
        write_tsv(result.metrics[name], target / METRICS)
    if data.sets is not None:
        write_tsv(by_set(result), folder / BY_SET)
    truth = prediction_frame(data.index, data.compartments, result.folds, data.labels).drop(columns="fold")
    write_tsv(truth if data.kind == FRACTIONS else truth.astype(dict.fromkeys(data.compartments, "Int64")), folder / LABELS)


def _final(work: Work, folder: Path, name: str, progress: Progress | None) -> None:
    report(progress, "final model", 0, 1)
    checkpoints = folder / "checkpoints" / "final"
    data = work.data
    with one_thread():
        fitted = fit_rows(replace(work, baselines=False), np.arange(len(data)), child_seed(work.config.seed, "final"), checkpoints)
    trained = fitted.trained
    model = SavedTower(work.config, data.compartments, data.kind, trained.tower, fitted.encoding, fitted.thresholds, {}, vocabulary(data.types),
                       trees=fitted.trees, weight=fitted.weight)  # fmt: skip
    save_tower(model, folder / "model", dataset=name, n_rnas=len(data), data_sha256=sequences_sha256(data), best_epoch=trained.best_epoch)
    shutil.rmtree(checkpoints, ignore_errors=True)
    report(progress, "final model", 1, 1)
