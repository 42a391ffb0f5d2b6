"""Cross-validation of a tower and its k-mer baselines: every RNA predicted by models that saw neither it nor its near-copies."""

from __future__ import annotations

import shutil
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from mirnagraph.errors import InputError
from mirnagraph.evaluation.calibration import best_thresholds
from mirnagraph.evaluation.metrics import FRACTIONS, UndefinedMetricWarning, evaluate_by_group
from mirnagraph.evaluation.splits import (
    Folds,
    group_codes,
    grouped_folds,
    inner_split,
    random_folds,
)
from mirnagraph.parallel import Progress, one_thread
from mirnagraph.runs import cross_validation
from mirnagraph.runs.results import MODEL, CrossValidationResult, FoldResult
from mirnagraph.seeds import child_seed
from seqtower.baselines.descriptor_trees import (
    DescriptorTrees,
    blend,
    choose_weight,
    fit_typed_trees,
)
from seqtower.baselines.kmer import BASELINES, DESCRIPTORS, OWN_SET, TOWER, K, kmer_models
from seqtower.config import SeqConfig
from seqtower.data.clusters import cluster
from seqtower.data.kmers import kmer_counts
from seqtower.data.sequences import SequenceSet, type_numbers, vocabulary
from seqtower.encoders.base import FittedEncoding, fit_encoding
from seqtower.predict import predict
from seqtower.pretraining.checkpoint import load_pretrained
from seqtower.training.lightning import TrainedTower, train_tower


@dataclass(frozen=True, eq=False)
class Work:
    """What every fold reads.

    Attributes:
        groups: group number per RNA, which inner parts keep whole too: shape (n,).
        baselines: fit the baselines beside the model.
        kmers: features of the baselines on words, types of RNAs among them where towers are told them: shape (n, width).
        described: features of the trees on descriptors, types of RNAs among them where there are some, shape (n, width).
        folder: the run folder.
        start: weights of a pre-trained encoder, from which every fold starts.
    """

    data: SequenceSet
    config: SeqConfig
    folds: Folds
    groups: np.ndarray
    kmers: np.ndarray
    described: np.ndarray
    folder: Path
    start: Mapping[str, torch.Tensor] | None = None
    baselines: bool = True

    def types_of(self, rows: np.ndarray) -> np.ndarray | None:
        """Number of the type of some RNAs in `vocabulary`: int64, shape (len(rows),); None where there are no types."""
        types = self.data.types
        return (
            None if types is None else type_numbers([types[row] for row in rows], vocabulary(types))
        )


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


@dataclass(frozen=True, eq=False)
class Fitted:
    """What was fitted on training rows.

    Attributes:
        trees: on descriptors; None where neither the answer nor a baseline needs them.
        weight: their share of the answer.
        thresholds: above which a compartment is called, shape (n_labels,).
    """

    trained: TrainedTower
    encoding: FittedEncoding
    trees: DescriptorTrees | None
    weight: float
    thresholds: np.ndarray


def fit_rows(
    work: Work, train: np.ndarray, seed: int, folder: Path, progress: Progress | None = None
) -> Fitted:
    """Fit encoding, tower, trees on descriptors, their weight, and thresholds.

    Weight and thresholds are chosen on the inner part that stops the tower, for which the trees are fitted once more without it.
    """
    data = work.data
    config = work.config
    labels = np.nan_to_num(data.binary().to_numpy(dtype=float))
    fit, stop = inner_split(
        train, labels, work.groups, config.training.inner_fraction, child_seed(seed, "inner")
    )
    encoding = fit_encoding(config.encoder, config.lengths, [data.sequences[row] for row in fit])
    encoded = encoding(data.sequences)
    types = work.types_of(np.arange(len(data)))
    n_types = len(vocabulary(data.types))
    trained = train_tower(encoded, data.labels, data.kind, fit, stop, config, seed, folder=folder, types=types, n_types=n_types, start=work.start,
                          progress=progress)  # fmt: skip
    said = predict(
        trained.tower,
        [encoded[row] for row in stop],
        data.kind,
        config.training,
        work.types_of(stop),
    )
    weight = 0.0
    if config.descriptors.share:
        beside = _fit_trees(work, fit, seed).predict(work.described[stop])
        weight = choose_weight(config.descriptors, beside, said, data.labels[stop], data.kind)
        said = blend(weight, beside, said, data.kind)
    thresholds = (
        np.full(data.labels.shape[1], 0.5)
        if data.kind == FRACTIONS
        else best_thresholds(_known_binary(data)[stop], said)
    )
    return Fitted(
        trained,
        encoding,
        _fit_trees(work, train, seed) if config.descriptors.share or work.baselines else None,
        weight,
        thresholds,
    )


def _known_binary(data: SequenceSet) -> np.ndarray:
    """Labels as 0/1, NaN where unknown: shape (n, n_labels)."""
    return np.where(np.isnan(data.labels), np.nan, data.binary().to_numpy(dtype=float))


def _fit_trees(work: Work, rows: np.ndarray, seed: int) -> DescriptorTrees:
    data = work.data
    n_types = len(vocabulary(work.data.types))
    config = work.config.descriptors
    own = child_seed(seed, "descriptors")
    return fit_typed_trees(work.described[rows], data.labels[rows], data.kind, config, own, n_types)


def _own_sets(work: Work, train: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
    """What trees say that were fitted on the RNAs of one set alone, for the test RNAs of that set; 0.5 where the set has no labels."""
    data = work.data
    sets = np.array(work.data.sets, dtype=object)
    said = np.full((len(test), data.labels.shape[1]), 0.5)
    for name in dict.fromkeys(sets):
        rows = train[sets[train] == name]
        mine = np.flatnonzero(sets[test] == name)
        columns = np.flatnonzero((~np.isnan(data.labels[rows])).any(axis=0))
        if len(mine) and len(columns):
            described = work.described[rows]
            labels = data.labels[rows][:, columns]
            own = child_seed(seed, "own set", str(name))
            trees = fit_typed_trees(described, labels, data.kind, work.config.descriptors, own, 0)
            said[np.ix_(mine, columns)] = trees.predict(work.described[test[mine]])
    return said


def run_fold(work: Work, fold: int) -> FoldResult:
    """Train on the training part of one fold and predict its test part."""
    started = time.perf_counter()
    data = work.data
    config = work.config
    train, test = work.folds.rows(data.index, fold)
    seed = child_seed(config.seed, "fold", fold)
    checkpoints = work.folder / "checkpoints" / f"fold_{fold:02d}"
    with one_thread():
        fitted = fit_rows(work, train, seed, checkpoints)
        tower = predict(
            fitted.trained.tower,
            fitted.encoding([data.sequences[row] for row in test]),
            data.kind,
            config.training,
            work.types_of(test),
        )
        said = tower
        parts = {}
        if fitted.trees is not None:
            parts[DESCRIPTORS] = fitted.trees.predict(work.described[test])
        if config.descriptors.share:
            said, parts[TOWER] = blend(fitted.weight, parts[DESCRIPTORS], tower, data.kind), tower
        if data.sets is not None and fitted.trees is not None:
            parts[OWN_SET] = _own_sets(work, train, test, seed)
        if work.baselines:
            parts |= kmer_models(
                work.kmers, data.labels, data.kind, train, test, child_seed(seed, "baselines")
            )
    choices = {
        "weight": fitted.weight,
        "best_epoch": fitted.trained.best_epoch,
        "epochs": len(fitted.trained.history),
        "history": [list(entry) for entry in fitted.trained.history],
    }
    seconds = time.perf_counter() - started
    thresholds = {MODEL: fitted.thresholds}
    return FoldResult(fold, test, {MODEL: said, **parts}, thresholds, None, choices, seconds)


def cross_validate(
    work: Work, workers: int = 1, progress: Progress | None = None
) -> CrossValidationResult:
    """Run every fold that is not finished yet, and score model, tower and baselines."""
    results = cross_validation.cross_validate(
        run_fold, work, work.folds, folder=work.folder, workers=workers, progress=progress
    )
    shutil.rmtree(work.folder / "checkpoints", ignore_errors=True)
    data = work.data
    with warnings.catch_warnings():
        # The report names compartments without a value in some folds.
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        return cross_validation.collect(
            results,
            data.index,
            data.compartments,
            work.folds,
            data.labels,
            kind=data.kind,
            names=(MODEL, TOWER, *BASELINES),
        )


def by_set(data: SequenceSet, result: CrossValidationResult) -> pd.DataFrame:
    """Metrics within each of several joined sets (see `evaluate_by_group`)."""
    if data.sets is None:
        raise ValueError("data of one set")
    thresholds = {MODEL: result.thresholds}
    labels = np.asarray(result.labels, dtype=float)
    return evaluate_by_group(
        labels, result.predictions, result.of_row, thresholds, result.compartments, data.sets
    )


def prepare_work(
    data: SequenceSet,
    config: SeqConfig,
    folder: Path,
    groups: np.ndarray,
    *,
    baselines: bool = True,
) -> Work:
    """What the folds of a run read."""
    kmers = kmer_counts(data.sequences, K)
    if data.types is not None:  # baselines are told what the tower is told
        kmers = np.hstack(
            [kmers, np.array(data.types)[:, None] == np.array(vocabulary(data.types))]
        )
    described = np.zeros((len(data), 0), dtype=np.float32)
    if baselines or config.descriptors.share:
        described = config.descriptors.features(data.sequences, data.types, vocabulary(data.types))
    start = load_pretrained(config).tensors if config.pretrained else None
    return Work(
        data,
        config,
        make_seq_folds(data, config, groups),
        groups,
        kmers,
        described,
        folder,
        start,
        baselines,
    )
