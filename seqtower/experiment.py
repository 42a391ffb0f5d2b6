"""Cross-validation of a tower and its baselines: what one fold reads, fits and predicts."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

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
from mirnagraph.writing.folders import remove_folder
from seqtower.baselines.descriptor_trees import (
    DescriptorTrees,
    blend,
    choose_weight,
    fit_typed_trees,
)
from seqtower.baselines.kmer import BASELINES, DESCRIPTORS, OWN_SET, TOWER, K, kmer_models
from seqtower.baselines.simple import simple_models
from seqtower.config import SeqConfig
from seqtower.data.clusters import cluster
from seqtower.data.kmers import kmer_counts
from seqtower.data.sequences import SequenceSet, type_numbers, vocabulary
from seqtower.encoders.base import FittedEncoding, fit_encoding
from seqtower.encoders.whole import FittedWhole, fit_whole, whole_numbers
from seqtower.predict import predict
from seqtower.pretraining.checkpoint import Pretrained
from seqtower.pretraining.start import load_start
from seqtower.retry import train_checked
from seqtower.training import processes
from seqtower.training.health import HEALTH, Health
from seqtower.training.lightning import TrainedTower
from seqtower.training.plans import count_parts


@dataclass(frozen=True, eq=False)
class Work:
    """What every fold reads.

    Attributes:
        data: sequences and labels.
        config: settings of the run.
        folds: test fold of every RNA.
        groups: group number per RNA, kept whole in validation splits too: shape (n,).
        kmers: features of the k-mer baselines, RNA types among them where the tower is conditioned
            on them: shape (n, width); without a column where there are no baselines.
        tree_features: features of the trees on descriptors, RNA types among them where there are
            some: shape (n, width).
        whole: numbers of whole RNAs that the tower reads, by block: shape (n, width) each.
        folder: the run folder.
        pretrained: encoder or tower from which every fold starts.
        baselines: whether the baselines are fitted with the model.
    """

    data: SequenceSet
    config: SeqConfig
    folds: Folds
    groups: np.ndarray
    kmers: np.ndarray
    tree_features: np.ndarray
    whole: Mapping[str, np.ndarray]
    folder: Path
    pretrained: Pretrained | None = None
    baselines: bool = True

    def types_of(self, rows: np.ndarray) -> np.ndarray | None:
        """Number in `vocabulary` of the type of some RNAs: int64, shape (len(rows),).

        None where the data have no types.
        """
        types = self.data.types
        if types is None:
            return None
        return type_numbers([types[row] for row in rows], vocabulary(types))


def prepare_work(
    data: SequenceSet,
    config: SeqConfig,
    folder: Path,
    groups: np.ndarray,
    *,
    baselines: bool = True,
) -> Work:
    """Prepare what the folds of a run read; see `Work`."""
    types = vocabulary(data.types)
    kmers = np.zeros((len(data), 0), dtype=np.float32)
    if baselines:
        kmers = kmer_counts(data.sequences, K)
        if data.types is not None:
            # Baselines read the types that the tower is conditioned on.
            is_type = np.array(data.types)[:, None] == np.array(types)
            kmers = np.hstack([kmers, is_type])
    tree_features = np.zeros((len(data), 0), dtype=np.float32)
    if baselines or config.descriptors.is_used:
        tree_features = config.descriptors.features(data.sequences, data.types, types)
    whole = whole_numbers(data.sequences, config.whole, types=data.types, tis=config.tis)
    pretrained = load_start(config, data)
    folds = make_seq_folds(data, config, groups)
    return Work(
        data,
        config,
        folds,
        groups,
        kmers,
        tree_features,
        whole,
        folder,
        pretrained=pretrained,
        baselines=baselines,
    )


def groups_of(data: SequenceSet, config: SeqConfig, progress: Progress | None = None) -> np.ndarray:
    """Group number of every RNA by `SeqConfig.group`: int64, shape (n,).

    Raises:
        InputError: the group is a column that was not read with the labels.
    """
    if config.group == "none":
        return np.arange(len(data))
    if config.group == "cluster":
        return cluster(data.sequences, progress=progress)
    if data.groups is None:
        raise InputError(f"the labels were read without their column {config.group!r}")
    return group_codes(pd.Series(data.groups))


def make_seq_folds(data: SequenceSet, config: SeqConfig, groups: np.ndarray) -> Folds:
    """Split RNAs into folds that keep groups whole, compartments spread evenly over them."""
    table = data.binary()
    if len(np.unique(groups)) == len(data):
        return random_folds(table, config.n_folds, config.seed)
    named = pd.Series([f"group {number}" for number in groups], index=table.index)
    return grouped_folds(table, named, config.n_folds, config.seed)


@dataclass(frozen=True, eq=False)
class Fitted:
    """What was fitted on training rows.

    Attributes:
        trained: the tower and its training history.
        health: of the tower.
        encoding: encoder and length policy.
        whole: kernel components of the numbers of whole RNAs; without a block where the tower reads
            none.
        trees: on descriptors; None where neither the model nor a baseline needs them.
        weight: of the trees in the prediction.
        thresholds: probability above which a compartment is called, shape (n_labels,).
    """

    trained: TrainedTower
    health: Health
    encoding: FittedEncoding
    whole: FittedWhole
    trees: DescriptorTrees | None
    weight: float
    thresholds: np.ndarray


def fit_rows(work: Work, train: np.ndarray, seed: int, folder: Path) -> Fitted:
    """Fit encoding, tower, trees on descriptors, their weight, and thresholds.

    Weight and thresholds are chosen on the validation rows that stop the tower; for the weight, the
    trees are fitted once more without these rows.

    Args:
        work: what every fold reads.
        train: row numbers of the training RNAs.
        seed: of all random steps.
        folder: of the checkpoints.
    """
    data = work.data
    config = work.config
    labels = data.binary().to_numpy(dtype=float)
    share = config.training.inner_fraction
    fit, validation = inner_split(train, labels, work.groups, share, child_seed(seed, "inner"))
    encoding, whole = _fit_inputs(work, fit, seed)
    encoded = encoding.when_read(data.sequences)
    checked = train_checked(
        encoded,
        data.labels,
        data.kind,
        fit,
        validation,
        config,
        seed,
        folder=folder,
        types=work.types_of(np.arange(len(data))),
        n_types=len(vocabulary(data.types)),
        start=None if work.pretrained is None else work.pretrained.tensors,
        numbers=whole(work.whole),
        whole=whole.widths,
    )
    predicted = checked.validation
    weight = 0.0
    if config.descriptors.is_used:
        inner_trees = _fit_trees(work, fit, seed)
        by_trees = inner_trees.predict(work.tree_features[validation])
        true = data.labels[validation]
        weight = choose_weight(config.descriptors, by_trees, predicted, true, data.kind)
        predicted = blend(weight, by_trees, predicted, data.kind)
    thresholds = np.full(data.labels.shape[1], 0.5)
    if data.kind != FRACTIONS:
        true = np.where(np.isnan(data.labels), np.nan, labels)[validation]
        thresholds = best_thresholds(true, predicted)
    trees = None
    if config.descriptors.is_used or work.baselines:
        trees = _fit_trees(work, train, seed)
    return Fitted(checked.trained, checked.health, encoding, whole, trees, weight, thresholds)


def _fit_inputs(work: Work, rows: np.ndarray, seed: int) -> tuple[FittedEncoding, FittedWhole]:
    """Encoding and kernels of whole RNAs: of the pre-trained tower, or fitted on some rows."""
    start = work.pretrained
    if start is not None and start.encoding is not None and start.whole is not None:
        return start.encoding, start.whole
    config = work.config
    sequences = [work.data.sequences[row] for row in rows]
    encoding = fit_encoding(config.encoder, config.lengths, sequences)
    return encoding, fit_whole(work.whole, rows, config.whole, child_seed(seed, "whole"))


def _fit_trees(work: Work, rows: np.ndarray, seed: int) -> DescriptorTrees:
    """Fit the trees on descriptors on some rows."""
    data = work.data
    return fit_typed_trees(
        work.tree_features[rows],
        data.labels[rows],
        data.kind,
        work.config.descriptors,
        child_seed(seed, "descriptors"),
        len(vocabulary(data.types)),
    )


def _own_set_predictions(work: Work, train: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
    """Predict the test RNAs of each set by trees fitted on the RNAs of that set alone.

    Returns:
        Shape (n_test, n_labels), 0.5 where the set has no labels.
    """
    data = work.data
    config = work.config.descriptors
    sets = np.array(data.sets, dtype=object)
    predicted = np.full((len(test), data.labels.shape[1]), 0.5)
    for name in dict.fromkeys(sets):
        rows = train[sets[train] == name]
        in_set = np.flatnonzero(sets[test] == name)
        columns = np.flatnonzero((~np.isnan(data.labels[rows])).any(axis=0))
        if len(in_set) and len(columns):
            features = work.tree_features[rows]
            labels = data.labels[rows][:, columns]
            set_seed = child_seed(seed, "own set", str(name))
            trees = fit_typed_trees(features, labels, data.kind, config, set_seed, 0)
            by_trees = trees.predict(work.tree_features[test[in_set]])
            predicted[np.ix_(in_set, columns)] = by_trees
    return predicted


def run_fold(work: Work, fold: int) -> FoldResult:
    """Train on the training rows of one fold and predict its test rows."""
    started = time.perf_counter()
    train, test = work.folds.rows(work.data.index, fold)
    seed = child_seed(work.config.seed, "fold", fold)
    with one_thread():
        fitted = fit_rows(work, train, seed, work.folder / "checkpoints" / f"fold_{fold:02d}")
        predictions = _predict_fold(work, fitted, train, test, seed)
    choices = {
        "weight": fitted.weight,
        "best_epoch": fitted.trained.best_epoch,
        "epochs": len(fitted.trained.history),
        "history": [list(entry) for entry in fitted.trained.history],
        HEALTH: fitted.health.to_dict(),
    }
    seconds = time.perf_counter() - started
    thresholds = {MODEL: fitted.thresholds}
    return FoldResult(fold, test, predictions, thresholds, None, choices, seconds)


def _predict_fold(
    work: Work, fitted: Fitted, train: np.ndarray, test: np.ndarray, seed: int
) -> dict[str, np.ndarray]:
    """Predictions of the test rows by the model, its parts and the baselines."""
    data = work.data
    encoded = fitted.encoding.when_read([data.sequences[row] for row in test])
    types = work.types_of(test)
    numbers = fitted.whole({name: values[test] for name, values in work.whole.items()})
    settings = work.config.training
    tower = predict(fitted.trained.tower, encoded, data.kind, settings, types, numbers)
    predictions = {MODEL: tower}
    if fitted.trees is not None:
        predictions[DESCRIPTORS] = fitted.trees.predict(work.tree_features[test])
    if work.config.descriptors.is_used:
        predictions[MODEL] = blend(fitted.weight, predictions[DESCRIPTORS], tower, data.kind)
    predictions[TOWER] = tower
    if data.sets is not None and fitted.trees is not None:
        predictions[OWN_SET] = _own_set_predictions(work, train, test, seed)
    if work.baselines:
        simple_seed = child_seed(seed, "simple baselines")
        predictions |= simple_models(data.lengths, data.labels, data.kind, train, test, simple_seed)
        kmer_seed = child_seed(seed, "baselines")
        predictions |= kmer_models(work.kmers, data.labels, data.kind, train, test, kmer_seed)
    return predictions


def cross_validate(
    work: Work, workers: int = 1, progress: Progress | None = None
) -> CrossValidationResult:
    """Run every fold that is not finished yet, and score model, tower and baselines.

    Args:
        work: what every fold reads.
        workers: folds that run in parallel; changes no number.
        progress: called after each fold.
    """
    training = work.config.training
    n_processes = processes.count_devices(training.devices)
    count_parts(training.batch_parts, n_processes)
    if n_processes > 1:
        workers = 1  # the processes train one tower after the other
    results = cross_validation.cross_validate(
        run_fold, work, work.folds, folder=work.folder, workers=workers, progress=progress
    )
    remove_folder(work.folder / "checkpoints")
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
    """Compute metrics within each of several joined sets (see `evaluate_by_group`).

    Raises:
        ValueError: data of a single set.
    """
    if data.sets is None:
        raise ValueError("data of a single set")
    thresholds = {MODEL: result.thresholds}
    labels = np.asarray(result.labels, dtype=float)
    return evaluate_by_group(
        labels, result.predictions, result.of_row, thresholds, result.compartments, data.sets
    )
