"""Baselines on the folds of a run: fitted beside the model on the same training rows, kept per fold, scored by the same evaluator."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fusion.baselines.models import (
    BASELINES,
    COLD_BASELINES,
    BaselineInputs,
    BaselineSettings,
    Prediction,
    baseline_inputs,
    predict_fold,
)
from fusion.data.problem import FusionData
from mirnagraph.errors import InputError
from mirnagraph.evaluation.metrics import AVERAGE, UndefinedMetricWarning, evaluate
from mirnagraph.evaluation.splits import Folds
from mirnagraph.io import write_text
from mirnagraph.networks.network import NetworkSet
from mirnagraph.parallel import Progress, map_parallel, one_thread, report
from mirnagraph.runs.report import FOLDER, MEASURES, THIS_RUN
from mirnagraph.runs.results import prediction_frame, write_predictions
from mirnagraph.seeds import child_seed


@dataclass(frozen=True, eq=False)
class Job:
    """One fold of baselines to fit.

    Attributes:
        key: what the result is found under.
        labels: shape (n_rnas, n_labels), NaN in every row that may not be read.
        train, test: row numbers. names: which baselines. seed: of this fold.
    """

    key: tuple[str, int]
    labels: np.ndarray
    train: np.ndarray
    test: np.ndarray
    names: tuple[str, ...]
    seed: int
    settings: BaselineSettings


@dataclass(frozen=True, eq=False)
class BaselineResult:
    """Out-of-fold answers of all baselines.

    Attributes:
        predictions: name -> table as in ``predictions.tsv``: ``rna_id``, ``fold``, one probability per compartment.
        thresholds: name -> shape (n_folds, n_labels), chosen inside the training rows of each fold.
    """

    predictions: Mapping[str, pd.DataFrame]
    thresholds: Mapping[str, np.ndarray]


def run_baselines(
    networks: NetworkSet,
    data: FusionData,
    folds: Folds,
    seed: int,
    *,
    names: Sequence[str] = tuple(BASELINES),
    folder: Path | None = None,
    workers: int = 1,
    settings: BaselineSettings | None = None,
    progress: Progress | None = None,
) -> BaselineResult:
    """Fit every baseline in every fold on the training rows and predict the test rows.

    The labels of all other rows are NaN before a baseline sees them.

    Args:
        problem: gives labels, families and row order; its tokens are not used: baselines read the same whatever the model reads.
        seed: the run's seed.
        names: which baselines (see `fusion.baselines.models.predict_fold`).
        folder: run folder; finished folds are kept in ``baselines/folds`` and not fitted again, and when all are there
            ``baselines/NAME.tsv`` is written for each baseline.
        workers: folds side by side, each in a process of one thread; changes no number.

    Raises:
        InputError: a kept fold is damaged, or is one of other folds.
    """
    chosen = settings or BaselineSettings()
    names = tuple(names)
    done = {
        fold: _load_fold(folder, fold, data, folds, names)
        for fold in range(folds.n_folds)
        if folder is not None and _path(folder, fold).exists()
    }
    report(progress, "baselines", len(done), folds.n_folds)
    wanted = [fold for fold in range(folds.n_folds) if fold not in done]
    if wanted:
        inputs = baseline_inputs(networks, data.groups)
        for (_, fold), result in run_jobs(
            inputs, fold_jobs(data, folds, wanted, names, seed, chosen), workers
        ):
            done[fold] = result
            if folder is not None:
                _save_fold(folder, fold, result)
            report(progress, "baselines", len(done), folds.n_folds)
    found = collect(data, folds, done, names)
    if folder is not None:
        for name, table in found.predictions.items():
            write_predictions(table, folder / FOLDER / f"{name}.tsv")
    return found


def fold_jobs(
    data: FusionData,
    folds: Folds,
    wanted: Sequence[int],
    names: Sequence[str],
    seed: int,
    settings: BaselineSettings,
    key: str = "",
) -> list[Job]:
    """One Job per wanted fold, with the labels of all but its training rows hidden."""
    jobs = []
    for fold in wanted:
        train, test = folds.rows(data.index, fold)
        jobs.append(
            Job(
                (key, fold),
                data.masked_labels(train),
                train,
                test,
                tuple(names),
                child_seed(seed, "baselines", "fold", fold),
                settings,
            )
        )
    return jobs


def run_jobs(
    inputs: BaselineInputs, jobs: Sequence[Job], workers: int
) -> Iterator[tuple[tuple[str, int], dict[str, Prediction]]]:
    """Fit jobs, in any order: yields (key, predictions by name) as each ends."""
    yield from map_parallel(_fit, inputs, jobs, workers)


def _fit(inputs: BaselineInputs, job: Job) -> tuple[tuple[str, int], dict[str, Prediction]]:
    with one_thread():
        return job.key, predict_fold(
            inputs, job.labels, job.train, job.test, job.names, job.seed, job.settings
        )


def collect(
    data: FusionData,
    folds: Folds,
    done: Mapping[int, Mapping[str, Prediction]],
    names: Sequence[str],
) -> BaselineResult:
    """Put the folds' test parts together.

    Raises:
        InputError: a prediction is not finite, which means that a hidden label was read.
    """
    predictions = {}
    thresholds = {}
    for name in names:
        probabilities = np.full(data.labels.shape, np.nan)
        for fold in range(folds.n_folds):
            probabilities[folds.rows(data.index, fold)[1]] = done[fold][name].probabilities
        table = prediction_frame(data.index, data.compartments, folds, probabilities)
        if not np.isfinite(table[list(data.compartments)].to_numpy()).all():
            raise InputError(
                f"a prediction of the baseline {name!r} is not finite: a label that may not be read was read"
            )
        predictions[name] = table
        thresholds[name] = np.array([done[fold][name].thresholds for fold in range(folds.n_folds)])
    return BaselineResult(predictions, thresholds)


def score_baseline(
    data: FusionData, table: pd.DataFrame, thresholds: np.ndarray | None = None
) -> pd.DataFrame:
    """The evaluator's table for one baseline (see `mirnagraph.evaluation.metrics.evaluate`).

    Undefined metrics are NaN without a warning: the run itself, on the same RNAs and folds, has said so.

    Args:
        table: as in ``predictions.tsv``. thresholds: shape (n_folds, n_labels); 0.5 everywhere when left out.
    """
    rows = data.index.positions(table["rna_id"])
    fold = table["fold"].to_numpy()
    cuts = np.full(len(data.compartments), 0.5) if thresholds is None else thresholds[fold]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        probabilities = table[list(data.compartments)].to_numpy()
        return evaluate(
            data.labels[rows].astype(np.int8),
            probabilities,
            fold,
            cuts,
            data.compartments,
            data.popularity[rows],
        )


def baseline_table(
    data: FusionData, result: BaselineResult, model: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Average figures of every baseline, one row each; the run's own first where its metrics are given.

    Args:
        model: table of `mirnagraph.evaluation.metrics.evaluate`, made on the same RNAs and folds.

    Returns:
        Columns ``model``, ``AUC``, ``AUC_sd``, ``AUPR`` … : mean over folds and its SD; ``within`` (AUC among equally well studied RNAs)
        is pooled and has none; ``what`` says what each is.
    """
    tables = {THIS_RUN: model} if model is not None else {}
    tables |= {
        name: score_baseline(data, table, result.thresholds[name])
        for name, table in result.predictions.items()
    }
    rows = []
    for name, metrics in tables.items():
        average: dict[Any, dict[str, Any]] = (
            metrics[metrics["compartment"] == AVERAGE].set_index("metric").to_dict("index")
        )  # type: ignore[assignment]
        row: dict[str, object] = {"model": name}
        for measure in MEASURES:
            if measure == "within":
                row[measure] = float(average[measure]["pooled"]) if measure in average else np.nan
            else:
                row |= {
                    measure: float(average[measure]["mean"]),
                    f"{measure}_sd": float(average[measure]["sd"]),
                }
        rows.append(
            {**row, "what": {**BASELINES, **COLD_BASELINES}.get(name, "the model of this run")}
        )
    return pd.DataFrame(rows)


def _path(folder: Path, fold: int) -> Path:
    return folder / FOLDER / "folds" / f"fold_{fold:02d}.json"


def _save_fold(folder: Path, fold: int, result: Mapping[str, Prediction]) -> None:
    plain = {
        name: {"probabilities": p.probabilities.tolist(), "thresholds": p.thresholds.tolist()}
        for name, p in result.items()
    }
    write_text(_path(folder, fold), json.dumps(plain) + "\n")


def _load_fold(
    folder: Path, fold: int, data: FusionData, folds: Folds, names: Sequence[str]
) -> dict[str, Prediction]:
    path = _path(folder, fold)
    n_test = len(folds.rows(data.index, fold)[1])
    found = {}
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        for name in names:
            found[name] = Prediction(
                *(
                    np.array(plain[name][part], dtype=np.float64)
                    for part in ("probabilities", "thresholds")
                )
            )
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            "a kept fold of the baselines is damaged",
            file=path,
            found=repr(error),
            hint="delete it: it is made again",
        ) from None
    n_labels = len(data.compartments)
    if any(
        p.probabilities.shape != (n_test, n_labels) or p.thresholds.shape != (n_labels,)
        for p in found.values()
    ):
        raise InputError(
            "a kept fold of the baselines does not fit these folds",
            file=path,
            expected=f"{n_test} RNAs",
            hint="delete it: it is made again",
        )
    return found
