"""Run_fold, variants without a final model, per-set metrics."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fusion.config import ExperimentConfig
from fusion.data.problem import FusionData, cold_start_data, folds_sha256, prepare
from fusion.models.ensemble import BOOSTING, EXTRA_TREES, fit_fusion_model, join
from fusion.tokens.partners import partner_inputs
from mirnagraph.config import dump_toml
from mirnagraph.errors import InputError
from mirnagraph.evaluation.metrics import UndefinedMetricWarning, evaluate
from mirnagraph.evaluation.splits import Folds, write_folds
from mirnagraph.io import write_tsv
from mirnagraph.networks.network import NetworkSet
from mirnagraph.parallel import Progress, map_parallel, one_thread, report
from mirnagraph.runs.folder import RunFolder, open_run
from mirnagraph.runs.results import (
    LABELS,
    CrossValidationResult,
    FoldResult,
    load_fold,
    save_fold,
    saved_folds,
    write_predictions,
)
from mirnagraph.seeds import child_seed

BY_SET = "metrics_by_set.tsv"

MODEL = "model"
TREES = "trees"


def run_fold(data: FusionData, folds: Folds, config: ExperimentConfig, fold: int) -> FoldResult:
    """Train on the training part of one fold and predict its test part.

    The labels of all other rows are replaced by NaN before anything else sees them, so a model that read one would
    predict NaN.
    """
    started = time.perf_counter()
    train, test = folds.rows(data.index, fold)
    with one_thread():
        seen = cold_start_data(data, config, test) if config.folds.cold else data
        hidden = replace(seen, labels=data.masked_labels(train))
        fusion_model = fit_fusion_model(
            hidden, train, config, child_seed(config.seed, "fold", fold)
        )
        parts = fusion_model.parts(test)
        probabilities = fusion_model.predict(test)
        uncertainty = fusion_model.uncertainty(test)
    choices = {**fusion_model.choices, "thresholds": [float(t) for t in fusion_model.thresholds]}
    return FoldResult(
        fold, test, probabilities, parts, uncertainty, choices, time.perf_counter() - started
    )


def cross_validate(
    data: FusionData,
    folds: Folds,
    config: ExperimentConfig,
    *,
    folder: Path | None = None,
    workers: int = 1,
    progress: Progress | None = None,
) -> CrossValidationResult:
    """Run every fold and score the out-of-fold predictions.

    Args:
        folder: where finished folds are kept as they end; those already there are not trained again.
        workers: folds side by side, each in a process of one thread; changes no number.
    """
    done = (
        {}
        if folder is None
        else {fold: load_fold(folder, fold) for fold in saved_folds(folder, folds.n_folds)}
    )
    report(progress, "folds", len(done), folds.n_folds)
    for result in map_parallel(
        _run_fold,
        (data, folds, config),
        [f for f in range(folds.n_folds) if f not in done],
        workers,
    ):
        done[result.fold] = result
        if folder is not None:
            save_fold(folder, result)
        report(progress, "folds", len(done), folds.n_folds)
    return collect(data, folds, tuple(done[f] for f in range(folds.n_folds)))


def known_labels(labels: np.ndarray) -> np.ndarray:
    """Labels as whole numbers where all of them are known, as they are otherwise."""
    return labels if np.isnan(labels).any() else labels.astype(np.int8)


def collect(
    data: FusionData, folds: Folds, results: tuple[FoldResult, ...]
) -> CrossValidationResult:
    """Put the folds' test parts together and score them."""
    probabilities = np.full(data.labels.shape, np.nan)
    thresholds = np.full(data.labels.shape, np.nan)
    for result in results:
        probabilities[result.rows] = result.probabilities
        thresholds[result.rows] = result.choices["thresholds"]
    of_row = folds.of_rows(data.index)
    tested = of_row >= 0
    if not np.isfinite(probabilities[tested]).all():
        raise InputError(
            "a prediction is not finite: a label that may not be read was read, or training diverged"
        )
    labels = known_labels(data.labels)
    decile = (
        data.popularity[tested] if data.extra_rnas is None else None
    )  # other sets are not studied in the same sense
    metrics = evaluate(
        labels[tested],
        probabilities[tested],
        of_row[tested],
        thresholds[tested],
        data.compartments,
        decile,
    )
    return CrossValidationResult(
        data.index,
        data.compartments,
        folds,
        labels,
        probabilities,
        thresholds,
        results,
        metrics,
    )


def _run_fold(work: tuple[FusionData, Folds, ExperimentConfig], fold: int) -> FoldResult:
    return run_fold(*work, fold)


def bare_run(
    networks: NetworkSet,
    config: ExperimentConfig,
    folds: Folds,
    out: str | Path,
    *,
    networks_sha256: str,
    cache: str | Path,
    workers: int = 1,
    popularity: np.ndarray | None = None,
    about: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> RunFolder:
    """Cross-validate into a folder; a finished run is kept as it is, an unfinished one is gone on with.

    Args:
        config: its tokens name the kinds of the dataset (see `fusion.data.problem.resolve_tokens`).
        networks_sha256: of `networks` (see `mirnagraph.networks.network.networks_sha256`).
        cache: folder for embeddings, shared between runs.
        workers: processes; changes no number.
        popularity: decile of every RNA for the metric ``within``, where it is not to be that of `networks`: shape (n_rnas,).
        about: more to keep in ``run.json``.

    Raises:
        InputError: the folder holds something else. ConfigError: tokens that the networks do not allow.
    """
    inputs = {
        "networks": networks_sha256,
        "folds": folds_sha256(folds),
        **partner_inputs(config.tower),
    }
    run = open_run(out, dump_toml(config), inputs, seed=config.seed, resume=True, about=about)
    if run.finished:
        return run
    write_folds(folds, run.path / "folds.tsv")
    data = prepare(networks, config, cache=str(cache), workers=workers, progress=progress)
    if popularity is not None:
        data = replace(data, popularity=popularity)
    result = cross_validate(
        data, folds, config, folder=run.path, workers=workers, progress=progress
    )
    write_predictions(result.to_frame(), run.path / "predictions.tsv")
    write_tsv(result.labels_frame(), run.path / LABELS)
    write_tsv(result.metrics, run.path / "metrics.tsv")
    run.finish()
    return run


def by_set(data: FusionData, result: CrossValidationResult) -> pd.DataFrame:
    """Figures of every set of RNAs.

    Returns:
        Columns ``set``, ``model`` (``model``, ``attention``, and ``trees``: the trees of the type alone), and those of
        `mirnagraph.evaluation.metrics.evaluate`, with ``within`` for the networks' RNAs. Compartments that a set has no label for, or one value of, are
        left out.
    """
    if data.extra_rnas is None:
        raise ValueError("a problem of one set")
    sets = np.array(data.extra_rnas.sets, dtype=object)
    found = []
    of_row = result.folds.of_rows(result.index)
    answers = {MODEL: result.probabilities, **_parts(result)}
    for name in dict.fromkeys(data.extra_rnas.sets):
        rows = np.flatnonzero((sets == name) & (of_row >= 0))
        true = np.asarray(result.labels[rows], dtype=float)
        columns = [
            k for k in range(true.shape[1]) if len(np.unique(true[~np.isnan(true[:, k]), k])) > 1
        ]
        if not columns:
            continue
        decile = data.popularity[rows] if rows.max() < data.n_network_rnas else None
        for model, said in answers.items():
            cuts = (
                result.thresholds[rows][:, columns]
                if model == MODEL
                else np.full(len(columns), 0.5)
            )
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UndefinedMetricWarning)
                part = evaluate(
                    true[:, columns],
                    said[rows][:, columns],
                    of_row[rows],
                    cuts,
                    [result.compartments[k] for k in columns],
                    decile,
                )
            part.insert(0, "model", model)
            part.insert(0, "set", name)
            found.append(part)
    return pd.concat(found, ignore_index=True)


def by_set_lines(table: pd.DataFrame) -> list[str]:
    """The section of a report."""
    chosen = table[(table["compartment"] == "average") & table["metric"].isin(["AUC", "AUPR"])]
    lines = [
        "## Within each set",
        "",
        "| set | answer | AUC (SD over folds) | AUPR (SD over folds) | compartments |",
        "|---|---|---|---|---|",
    ]
    for (name, model), part in chosen.groupby(["set", "model"], sort=False):
        cells = [
            f"{row['mean']:.3f} ({row['sd']:.3f})"
            for row in part.set_index("metric").loc[["AUC", "AUPR"]].to_dict("records")
        ]
        lines.append(
            f"| {name} | {model} | {cells[0]} | {cells[1]} | {int(part['n_labels'].iloc[0])} |"
        )
    return [
        *lines,
        "",
        "*trees* are those of one type of RNAs, fitted for each compartment on the RNAs of that type that are labelled for it.",
        "`predictions.tsv` has a number for every compartment; where no RNA of a type was labelled for one it means nothing, and `predict` leaves it out.",
        "",
    ]


def _parts(result: CrossValidationResult) -> dict[str, np.ndarray]:
    """What attention and the trees say by themselves, out of fold; only what every fold has."""
    found = {}
    for name, of in (("attention", ("attention",)), (TREES, (EXTRA_TREES, BOOSTING))):
        said = np.full(result.probabilities.shape, np.nan)
        for one in result.results:
            parts = {part: one.parts[part] for part in of if part in one.parts}
            if parts:
                said[one.rows] = join(parts, dict.fromkeys(parts, 1.0))
        if np.isfinite(said[result.folds.of_rows(result.index) >= 0]).all():
            found[name] = said
    return found
