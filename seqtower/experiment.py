"""Cross-validation of a tower and its k-mer baselines: every RNA predicted by models that saw neither it nor its near-copies."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from mirnagraph.errors import InputError
from mirnagraph.evaluation.fold_files import FoldResult, load_fold, save_fold, saved_folds
from mirnagraph.evaluation.metrics import evaluate
from mirnagraph.evaluation.splits import Folds, group_codes, grouped_folds, inner_split, random_folds
from mirnagraph.evaluation.thresholds import best_thresholds
from mirnagraph.progress import Progress, report
from mirnagraph.seeds import child_seed
from mirnagraph.side_by_side import one_thread, side_by_side
from seqtower.clusters import cluster
from seqtower.correlations import correlations
from seqtower.encoders.kmer import kmer_counts
from seqtower.encoding import FittedEncoding, fit_encoding
from seqtower.kmer_baselines import BASELINES, K, kmer_models
from seqtower.pretrained import load_pretrained
from seqtower.rna_types import type_numbers, vocabulary
from seqtower.sequences import FRACTIONS, SequenceSet
from seqtower.settings import SeqConfig
from seqtower.training import TrainedTower, predict, train_tower

TOWER = "tower"


@dataclass(frozen=True, eq=False)
class Work:
    """What every fold reads.

    Attributes:
        groups: group number per RNA, which inner parts keep whole too: shape (n,).
        kmers: features of the baselines, types of RNAs among them where towers are told them: shape (n, width).
        folder: the run folder.
        start: weights of a pre-trained encoder, from which every fold starts.
    """

    data: SequenceSet
    config: SeqConfig
    folds: Folds
    groups: np.ndarray
    kmers: np.ndarray
    folder: Path
    start: Mapping[str, torch.Tensor] | None = None

    def types_of(self, rows: np.ndarray) -> np.ndarray | None:
        """Number of the type of some RNAs in `vocabulary`: int64, shape (len(rows),); None where there are no types."""
        types = self.data.types
        return None if types is None else type_numbers([types[row] for row in rows], vocabulary(types))


def groups_of(data: SequenceSet, config: SeqConfig, progress: Progress | None = None) -> np.ndarray:
    """Group number of every RNA as the settings say (see `SeqConfig.group`): int64, shape (n,)."""
    if config.group == "none":
        return np.arange(len(data))
    if config.group == "cluster":
        return cluster(data.sequences, progress=progress)
    if data.groups is None:
        raise InputError(f"the labels were read without their column {config.group!r}")
    return group_codes(pd.Series(data.groups))


def make_seq_folds(data: SequenceSet, config: SeqConfig, groups: np.ndarray) -> Folds:
    """Folds that part no group, compartments spread evenly over them."""
    table = data.binary()
    if len(np.unique(groups)) == len(data):
        return random_folds(table, config.n_folds, config.seed)
    named = pd.Series([f"group {number}" for number in groups], index=table.index)
    return grouped_folds(table, named, config.n_folds, config.seed)


def fit_rows(work: Work, train: np.ndarray, seed: int, folder: Path, progress: Progress | None = None) -> tuple[TrainedTower, FittedEncoding, np.ndarray]:
    """Fit encoding, tower and thresholds on training rows: (tower, encoding, thresholds of shape (n_labels,))."""
    data, config = work.data, work.config
    labels = np.nan_to_num(data.binary().to_numpy(dtype=float))
    fit, stop = inner_split(train, labels, work.groups, config.training.inner_fraction, child_seed(seed, "inner"))
    encoding = fit_encoding(config, [data.sequences[row] for row in fit])
    encoded = encoding(data.sequences)
    types, n_types = work.types_of(np.arange(len(data))), len(vocabulary(data.types))
    trained = train_tower(encoded, data.labels, data.kind, fit, stop, config, seed, folder=folder, types=types, n_types=n_types, start=work.start,
                          progress=progress)  # fmt: skip
    thresholds = np.full(data.labels.shape[1], 0.5)
    if data.kind != FRACTIONS:
        said = predict(trained.tower, [encoded[row] for row in stop], data.kind, config.training, work.types_of(stop))
        thresholds = best_thresholds(labels[stop], said)
    return trained, encoding, thresholds


def run_fold(work: Work, fold: int) -> FoldResult:
    """Train on the training part of one fold and predict its test part."""
    started = time.perf_counter()
    data, config = work.data, work.config
    train, test = work.folds.rows(data.index, fold)
    seed = child_seed(config.seed, "fold", fold)
    checkpoints = work.folder / "checkpoints" / f"fold_{fold:02d}"
    with one_thread():
        trained, encoding, thresholds = fit_rows(work, train, seed, checkpoints)
        said = predict(trained.tower, encoding([data.sequences[row] for row in test]), data.kind, config.training, work.types_of(test))
        beside = kmer_models(work.kmers, data.labels, data.kind, train, test, child_seed(seed, "baselines"))
    choices = {
        "thresholds": thresholds.tolist(),
        "best_epoch": trained.best_epoch,
        "epochs": len(trained.history),
        "history": [list(h) for h in trained.history],
    }
    return FoldResult(fold, test, said, {TOWER: said, **beside}, None, choices, time.perf_counter() - started)


@dataclass(frozen=True, eq=False)
class SeqResult:
    """All folds together.

    Attributes:
        predictions: name (``"tower"`` and the baselines) -> out-of-fold probabilities or fractions, shape (n, n_labels); NaN in rows that
            no fold tested.
        metrics: name -> table; of `mirnagraph.evaluation.metrics.evaluate`, or of `seqtower.correlations` for fractions.
    """

    data: SequenceSet
    folds: Folds
    predictions: dict[str, np.ndarray]
    metrics: dict[str, pd.DataFrame]
    results: tuple[FoldResult, ...]


def cross_validate(work: Work, workers: int = 1, progress: Progress | None = None) -> SeqResult:
    """Run every fold that is not finished yet."""
    done = {fold: load_fold(work.folder, fold) for fold in saved_folds(work.folder, work.folds.n_folds)}
    report(progress, "folds", len(done), work.folds.n_folds)
    for result in side_by_side(run_fold, work, [f for f in range(work.folds.n_folds) if f not in done], workers):
        done[result.fold] = result
        save_fold(work.folder, result)
        shutil.rmtree(work.folder / "checkpoints" / f"fold_{result.fold:02d}", ignore_errors=True)
        report(progress, "folds", len(done), work.folds.n_folds)
    return collect(work.data, work.folds, tuple(done[fold] for fold in sorted(done)))


def collect(data: SequenceSet, folds: Folds, results: tuple[FoldResult, ...]) -> SeqResult:
    """Put the folds' test parts together and score them, tower and baselines alike."""
    of_row = folds.of_rows(data.index)
    predictions = {name: np.full(data.labels.shape, np.nan) for name in (TOWER, *BASELINES)}
    thresholds = np.full(data.labels.shape, 0.5)
    for result in results:
        thresholds[result.rows] = result.choices["thresholds"]
        for name, values in result.parts.items():
            predictions[name][result.rows] = values
    tested = np.flatnonzero(of_row >= 0)
    if not np.isfinite(predictions[TOWER][tested]).all():
        raise InputError("a prediction is not finite: a label that may not be read was read, or training diverged")
    metrics = {}
    for name, said in predictions.items():
        if data.kind == FRACTIONS:
            metrics[name] = correlations(data.labels[tested], said[tested], of_row[tested], data.compartments)
        else:
            cuts = thresholds if name == TOWER else np.full(data.labels.shape, 0.5)
            metrics[name] = evaluate(np.nan_to_num(data.labels[tested]), said[tested], of_row[tested], cuts[tested], data.compartments)
    return SeqResult(data, folds, predictions, metrics, results)


def prepare_work(data: SequenceSet, config: SeqConfig, folder: Path, groups: np.ndarray) -> Work:
    """What the folds of a run read."""
    kmers = kmer_counts(data.sequences, K)
    if data.types is not None:  # baselines are told what the tower is told
        kmers = np.hstack([kmers, np.array(data.types)[:, None] == np.array(vocabulary(data.types))])
    return Work(data, config, make_seq_folds(data, config, groups), groups, kmers, folder, load_pretrained(config).tensors if config.pretrained else None)
