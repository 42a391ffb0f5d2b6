"""Baselines of a run: fitted on the same folds as the model, scored by the same evaluator."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from fusion.baselines.models import (
    BaselineSettings,
    baseline_names,
    describe,
    predict_fold,
)
from fusion.data.baseline_inputs import BaselineInputs
from fusion.data.inputs import FusionData
from mirnagraph.errors import InputError
from mirnagraph.evaluation.splits import Folds
from mirnagraph.parallel import Progress, one_thread
from mirnagraph.runs import cross_validation, results
from mirnagraph.runs.report import average_row, part_rows
from mirnagraph.runs.results import CrossValidationResult, FoldResult, write_baselines
from mirnagraph.seeds import child_seed


@dataclass(frozen=True, eq=False)
class BaselineWork:
    """What the baselines of every fold read.

    Attributes:
        inputs: label-free inputs.
        data: labels, families and row order.
        names: which baselines (see `fusion.baselines.models.predict_fold`).
        seed: the run's seed.
    """

    inputs: BaselineInputs | None
    data: FusionData
    folds: Folds
    names: tuple[str, ...]
    seed: int
    settings: BaselineSettings


def run_baselines(
    data: FusionData,
    folds: Folds,
    seed: int,
    *,
    names: Sequence[str] | None = None,
    folder: Path | None = None,
    workers: int = 1,
    settings: BaselineSettings | None = None,
    progress: Progress | None = None,
) -> CrossValidationResult:
    """Fit every baseline in every fold on the training rows and predict the test rows.

    Args:
        data: labels, families, row order, and the inputs of the baselines (see
            `fusion.data.prepare.with_baselines`).
        folds: of the run.
        settings: sizes of the baselines; defaults where None.
        progress: called as ``progress(step, done, total)``.
        seed: the run's seed.
        names: which baselines (see `fusion.baselines.models.predict_fold`); None: all of a run,
            those of other packages included.
        folder: run folder; finished folds are kept in ``baselines/folds`` and not fitted again, and
            each baseline gets ``baselines/NAME/``.
        workers: processes; changes no number.

    Returns:
        Predictions, thresholds and metrics by baseline name.

    Raises:
        InputError: a saved fold is damaged, or is one of other folds.
    """
    baselines_folder = None if folder is None else folder / results.BASELINES
    names = baseline_names() if names is None else tuple(names)
    work = BaselineWork(data.baselines, data, folds, names, seed, settings or BaselineSettings())
    result = cross_validate_baselines(
        work, folder=baselines_folder, workers=workers, progress=progress
    )
    if folder is not None:
        write_baselines(result, folder, work.names)
    return result


def cross_validate_baselines(
    work: BaselineWork,
    *,
    folder: Path | None = None,
    workers: int = 1,
    progress: Progress | None = None,
) -> CrossValidationResult:
    """Cross-validate baselines (see `mirnagraph.runs.cross_validation.cross_validate`)."""
    fold_results = cross_validation.cross_validate(
        fit_fold,
        work,
        work.folds,
        folder=folder,
        workers=workers,
        progress=progress,
        step="baselines",
    )
    return collect(work, fold_results)


def collect(work: BaselineWork, folds: Sequence[FoldResult]) -> CrossValidationResult:
    """Join the test rows of all folds and score every baseline.

    Raises:
        InputError: a saved fold lacks a baseline.
    """
    data = work.data
    for result in folds:
        missing = [name for name in work.names if name not in result.predictions]
        if missing:
            raise InputError(
                f"fold {result.fold} of the baselines has no {missing[0]!r}",
                hint="delete the folder baselines/folds of the run and run the command again",
            )
    return cross_validation.collect(
        folds,
        data.index,
        data.compartments,
        work.folds,
        data.labels,
        decile=data.popularity,
        names=work.names,
    )


def fit_fold(work: BaselineWork, fold: int) -> FoldResult:
    """Fit the baselines of one fold; labels outside its training rows are masked."""
    if work.inputs is None:
        raise ValueError("baselines without inputs")
    started = time.perf_counter()
    train, test = work.folds.rows(work.data.index, fold)
    labels = work.data.masked_labels(train)
    seed = child_seed(work.seed, "baselines", "fold", fold)
    with one_thread():
        predictions = predict_fold(
            work.inputs, labels, train, test, work.names, seed, work.settings
        )
    return FoldResult(
        fold,
        test,
        {name: prediction.probabilities for name, prediction in predictions.items()},
        {name: prediction.thresholds for name, prediction in predictions.items()},
        seconds=time.perf_counter() - started,
    )


def baseline_table(
    baselines: CrossValidationResult, model: CrossValidationResult | None = None
) -> pd.DataFrame:
    """Average metrics of every baseline, one row each.

    Args:
        baselines: of `run_baselines`.
        model: the run's own result on the same folds; its rows come first: the whole model, and
            its parts alone where it has several (``neural``, ``own_trees``, ``kernel``).

    Returns:
        Columns ``model``, ``AUC``, ``AUC_sd``, ``AUPR`` ...: mean over folds and its SD; ``within``
        (AUC among RNAs of equal popularity) is pooled and has none; ``what`` describes the model.
    """
    rows = [] if model is None else part_rows(model)
    for name, metrics in baselines.metrics_of.items():
        rows.append(average_row(name, metrics, describe(name)))
    return pd.DataFrame(rows)
