"""Cross-validation: every RNA predicted by the model that did not train on it; folds side by side, resumable."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from fusion.cold_start import cold_problem
from fusion.learner import fit_learner
from fusion.problem import Problem
from fusion.results import CrossValidationResult
from fusion.settings import ExperimentConfig
from mirnagraph.errors import InputError
from mirnagraph.evaluation.fold_files import FoldResult, load_fold, save_fold, saved_folds
from mirnagraph.evaluation.metrics import evaluate
from mirnagraph.evaluation.splits import Folds
from mirnagraph.progress import Progress, report
from mirnagraph.seeds import child_seed
from mirnagraph.side_by_side import one_thread, side_by_side


def run_fold(problem: Problem, folds: Folds, config: ExperimentConfig, fold: int) -> FoldResult:
    """Train on the training part of one fold and predict its test part.

    The labels of all other rows are replaced by NaN before anything else sees them, so a model that read one would
    predict NaN.
    """
    started = time.perf_counter()
    train, test = folds.rows(problem.index, fold)
    with one_thread():
        seen = cold_problem(problem, config, test) if config.folds.cold else problem
        hidden = replace(seen, labels=problem.hide(train))
        learner = fit_learner(hidden, train, config, child_seed(config.seed, "fold", fold))
        parts = learner.parts(test)
        probabilities, uncertainty = learner.predict(test), learner.spread(test)
    choices = {**learner.choices, "thresholds": [float(t) for t in learner.thresholds]}
    return FoldResult(fold, test, probabilities, parts, uncertainty, choices, time.perf_counter() - started)


def cross_validate(
    problem: Problem, folds: Folds, config: ExperimentConfig, *, folder: Path | None = None, workers: int = 1, progress: Progress | None = None
) -> CrossValidationResult:
    """Run every fold and score the out-of-fold predictions.

    Args:
        folder: where finished folds are kept as they end; those already there are not trained again.
        workers: folds side by side, each in a process of one thread; changes no number.
    """
    done = {} if folder is None else {fold: load_fold(folder, fold) for fold in saved_folds(folder, folds.n_folds)}
    report(progress, "folds", len(done), folds.n_folds)
    for result in side_by_side(_run_fold, (problem, folds, config), [f for f in range(folds.n_folds) if f not in done], workers):
        done[result.fold] = result
        if folder is not None:
            save_fold(folder, result)
        report(progress, "folds", len(done), folds.n_folds)
    return collect(problem, folds, tuple(done[f] for f in range(folds.n_folds)))


def known_labels(labels: np.ndarray) -> np.ndarray:
    """Labels as whole numbers where all of them are known, as they are otherwise."""
    return labels if np.isnan(labels).any() else labels.astype(np.int8)


def collect(problem: Problem, folds: Folds, results: tuple[FoldResult, ...]) -> CrossValidationResult:
    """Put the folds' test parts together and score them."""
    probabilities = np.full(problem.labels.shape, np.nan)
    thresholds = np.full(problem.labels.shape, np.nan)
    for result in results:
        probabilities[result.rows] = result.probabilities
        thresholds[result.rows] = result.choices["thresholds"]
    of_row = folds.of_rows(problem.index)
    tested = of_row >= 0
    if not np.isfinite(probabilities[tested]).all():
        raise InputError("a prediction is not finite: a label that may not be read was read, or training diverged")
    labels = known_labels(problem.labels)
    decile = problem.popularity[tested] if problem.joined is None else None  # other sets are not studied in the same sense
    metrics = evaluate(labels[tested], probabilities[tested], of_row[tested], thresholds[tested], problem.compartments, decile)
    return CrossValidationResult(problem.index, problem.compartments, folds, labels, probabilities, thresholds, results, metrics)


def _run_fold(work: tuple[Problem, Folds, ExperimentConfig], fold: int) -> FoldResult:
    return run_fold(*work, fold)
