"""Cross-validation: fit folds in parallel, resume finished ones, collect and score predictions."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from mirnagraph.errors import InputError
from mirnagraph.evaluation.metrics import (
    FRACTIONS,
    MULTI_LABEL,
    UndefinedMetricWarning,
    score,
)
from mirnagraph.evaluation.splits import Folds
from mirnagraph.evaluation.trainable import is_trained
from mirnagraph.nodes import NodeIndex
from mirnagraph.parallel import Progress, map_parallel, report
from mirnagraph.runs.results import (
    MODEL,
    CrossValidationResult,
    FoldResult,
    known_labels,
    load_fold,
    save_fold,
    saved_folds,
)

Work = TypeVar("Work")

logger = logging.getLogger(__name__)


def cross_validate(
    fit_fold: Callable[[Work, int], FoldResult],
    work: Work,
    folds: Folds,
    *,
    folder: Path | None = None,
    workers: int = 1,
    progress: Progress | None = None,
    step: str = "folds",
) -> list[FoldResult]:
    """Fit and predict every fold, resuming finished ones.

    Args:
        fit_fold: ``fit_fold(work, fold)`` trains on the training part of a fold and predicts its
            test part; a module-level function, so that worker processes find it.
        work: what all folds read; sent to every process once.
        folds: of the cross-validation.
        folder: run folder; finished folds are saved in it as they end, and those in it are read
            back in place of being fitted again. None keeps nothing.
        workers: processes; changes no number.
        progress: callback.
        step: name for `progress`.

    Returns:
        One result per fold, in fold order.

    Raises:
        InputError: a saved fold is damaged, or has other test RNAs.
    """
    done: dict[int, FoldResult] = {}
    if folder is not None:
        done = {fold: load_fold(folder, fold) for fold in saved_folds(folder, folds.n_folds)}
    report(progress, step, len(done), folds.n_folds)
    waiting = [fold for fold in range(folds.n_folds) if fold not in done]
    for result in map_parallel(fit_fold, work, waiting, workers):
        done[result.fold] = result
        logger.info("fold %d: %d RNAs tested", result.fold, len(result.rows))
        if folder is not None:
            save_fold(folder, result)
        report(progress, step, len(done), folds.n_folds)
    return [done[fold] for fold in range(folds.n_folds)]


def collect(
    results: Sequence[FoldResult],
    index: NodeIndex,
    compartments: tuple[str, ...],
    folds: Folds,
    labels: np.ndarray,
    *,
    kind: str = MULTI_LABEL,
    decile: np.ndarray | None = None,
    names: Sequence[str] | None = None,
) -> CrossValidationResult:
    """Join the test parts of all folds and score every name that all folds predicted.

    Args:
        results: one per fold, in fold order.
        index: all RNAs.
        compartments: names, in column order.
        folds: of the cross-validation.
        labels: shape (n_rnas, n_labels), NaN where unknown.
        kind: of the labels, see `mirnagraph.evaluation.metrics.KINDS`.
        decile: popularity class of every RNA for the metric ``within``, shape (n_rnas,).
        names: predictions to collect; None for all.

    Raises:
        InputError: folds of other RNAs, or a prediction that is not finite.

    Warns:
        UndefinedMetricWarning: the model has no metric for a compartment in some fold.
    """
    of_row = folds.of_rows(index)
    tested = np.flatnonzero(of_row >= 0)
    for result in results:
        if not np.array_equal(np.sort(result.rows), np.flatnonzero(of_row == result.fold)):
            hint = "delete its folder and run the command again"
            raise InputError(f"fold {result.fold} was saved for other test RNAs", hint=hint)
    names = [
        name
        for name in results[0].predictions
        if (names is None or name in names) and all(name in r.predictions for r in results)
    ]
    predictions = {}
    thresholds = {}
    metrics = {}
    if decile is not None:
        decile = decile[tested]
    trained = np.ones(labels.shape, dtype=bool)
    if kind != FRACTIONS:
        trained = is_trained(labels, of_row)
    for name in names:
        predictions[name], thresholds[name] = _join(results, name, labels.shape)
        with warnings.catch_warnings():
            if name != MODEL:
                # The same compartments and folds as the model's, which are named once.
                warnings.simplefilter("ignore", UndefinedMetricWarning)
            metrics[name] = score(
                labels[tested],
                predictions[name][tested],
                of_row[tested],
                thresholds[name][tested],
                compartments,
                kind=kind,
                decile=decile,
                trained=trained[tested],
            )
    if kind == MULTI_LABEL:
        labels = known_labels(labels)
    return CrossValidationResult(
        index, compartments, folds, labels, predictions, thresholds, metrics, tuple(results), kind
    )


def _join(
    results: Sequence[FoldResult], name: str, shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Predictions and thresholds of one name, NaN in rows that no fold tested."""
    values = np.full(shape, np.nan)
    thresholds = np.full(shape, np.nan)
    for result in results:
        values[result.rows] = result.predictions[name]
        thresholds[result.rows] = result.thresholds.get(name, 0.5)
        if not np.isfinite(values[result.rows]).all():
            raise InputError(
                f"non-finite prediction of {name!r}: training diverged, or a masked test label "
                "reached a feature"
            )
    return values, thresholds
