"""Cross-validation: every RNA predicted by the model that did not train on it; folds side by side, resumable."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from fusion.learner import fit_learner
from fusion.problem import Problem
from fusion.results import CrossValidationResult, FoldResult
from fusion.settings import ExperimentConfig
from fusion.side_by_side import one_thread, side_by_side
from mirnagraph.errors import InputError
from mirnagraph.evaluation.metrics import evaluate
from mirnagraph.evaluation.splits import Folds
from mirnagraph.files import write_folder
from mirnagraph.progress import Progress, report
from mirnagraph.seeds import child_seed


def run_fold(problem: Problem, folds: Folds, config: ExperimentConfig, fold: int) -> FoldResult:
    """Train on the training part of one fold and predict its test part.

    The labels of all other rows are replaced by NaN before anything else sees them, so a model that read one would
    predict NaN.
    """
    started = time.perf_counter()
    train, test = folds.rows(problem.index, fold)
    hidden = replace(problem, labels=problem.hide(train))
    with one_thread():
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
    labels = problem.labels.astype(np.int8)
    decile = problem.popularity[tested]
    metrics = evaluate(labels[tested], probabilities[tested], of_row[tested], thresholds[tested], problem.compartments, decile)
    return CrossValidationResult(problem.index, problem.compartments, folds, labels, probabilities, thresholds, results, metrics)


def _run_fold(work: tuple[Problem, Folds, ExperimentConfig], fold: int) -> FoldResult:
    return run_fold(*work, fold)


def _fold_path(folder: Path, fold: int) -> Path:
    return folder / "folds" / f"fold_{fold:02d}"


def saved_folds(folder: Path, n_folds: int) -> list[int]:
    """Numbers of the finished folds in a run folder."""
    return [fold for fold in range(n_folds) if _fold_path(folder, fold).is_dir()]


def save_fold(folder: Path, result: FoldResult) -> None:
    """Keep a finished fold in a run folder, all or nothing."""
    with write_folder(_fold_path(folder, result.fold)) as out:
        about = {"fold": result.fold, "rows": result.rows.tolist(), "choices": result.choices, "seconds": result.seconds, "parts": list(result.parts)}
        (out / "fold.json").write_text(json.dumps(about) + "\n", encoding="utf-8")
        table = {"model": result.probabilities, **result.parts}
        if result.uncertainty is not None:
            table["uncertainty"] = result.uncertainty
        for name, values in table.items():
            pd.DataFrame(values).rename(columns=str).to_parquet(out / f"{name}.parquet")


def load_fold(folder: Path, fold: int) -> FoldResult:
    """Read a fold that `save_fold` kept; raises InputError where it is damaged."""
    path = _fold_path(folder, fold)
    try:
        about = json.loads((path / "fold.json").read_text(encoding="utf-8"))
        tables = {name: pd.read_parquet(path / f"{name}.parquet").to_numpy() for name in ("model", *about["parts"])}
        spread = pd.read_parquet(path / "uncertainty.parquet").to_numpy() if (path / "uncertainty.parquet").is_file() else None
        return FoldResult(fold, np.asarray(about["rows"], dtype=np.int64), tables.pop("model"), tables, spread, about["choices"], about["seconds"])
    except (OSError, ValueError, KeyError) as error:
        raise InputError("a finished fold is damaged", file=path, found=str(error), hint="delete its folder and run the command again") from None
