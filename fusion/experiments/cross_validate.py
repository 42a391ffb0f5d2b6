"""Cross-validation of a fusion model: one fold, all folds, runs without a final model."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fusion.config import ExperimentConfig
from fusion.data.cold_start import cold_start_data
from fusion.data.inputs import FusionData
from fusion.data.prepare import folds_sha256, prepare
from fusion.models.ensemble import (
    ATTENTION,
    BOOSTING,
    EXTRA_TREES,
    KERNEL,
    fit_fusion_model,
    join,
)
from fusion.tokens.partners import partner_inputs
from mirnagraph.config import dump_toml
from mirnagraph.evaluation.metrics import evaluate_by_group
from mirnagraph.evaluation.splits import Folds, write_folds
from mirnagraph.io import write_tsv
from mirnagraph.networks.network import NetworkSet
from mirnagraph.parallel import Progress, one_thread
from mirnagraph.runs import cross_validation
from mirnagraph.runs.folder import RunFolder, run_or_resume
from mirnagraph.runs.report import OWN_TREES, PARTS, set_section
from mirnagraph.runs.results import MODEL, CrossValidationResult, FoldResult, write_results
from mirnagraph.seeds import child_seed

BY_SET = "metrics_by_set.tsv"
BY_PART = "metrics_by_part.tsv"


def run_fold(data: FusionData, folds: Folds, config: ExperimentConfig, fold: int) -> FoldResult:
    """Train on the training part of one fold and predict its test part.

    The labels of all other rows are replaced by NaN first, so that a model which read one would
    predict NaN.
    """
    started = time.perf_counter()
    train, test = folds.rows(data.index, fold)
    with one_thread():
        fold_data = cold_start_data(data, config, test) if config.folds.cold else data
        masked = replace(fold_data, labels=data.masked_labels(train), cold_start=None)
        seed = child_seed(config.seed, "fold", fold)
        fusion_model = fit_fusion_model(masked, train, config, seed)
        parts = fusion_model.parts(test)
        predictions = {MODEL: fusion_model.predict(test), **parts}
        uncertainty = fusion_model.uncertainty(test)
    trees = {name: parts[name] for name in (EXTRA_TREES, BOOSTING) if name in parts}
    if trees:
        given = {name: getattr(config.mix, name) for name in trees}
        predictions[OWN_TREES] = join(trees, given)
    return FoldResult(
        fold,
        test,
        predictions,
        {MODEL: fusion_model.thresholds},
        uncertainty,
        fusion_model.choices,
        time.perf_counter() - started,
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
        data: of the model, labels included.
        folds: of the cross-validation.
        config: with resolved tokens.
        folder: run folder (see `mirnagraph.runs.cross_validation.cross_validate`); None keeps
            nothing.
        workers: processes; changes no number.
        progress: callback.

    Returns:
        Predictions ``model``, and ``attention``, ``own_trees`` and ``kernel`` where the model has
        them.
    """
    results = cross_validation.cross_validate(
        _run_fold, (data, folds, config), folds, folder=folder, workers=workers, progress=progress
    )
    return collect(data, folds, results)


def collect(data: FusionData, folds: Folds, results: list[FoldResult]) -> CrossValidationResult:
    """Join the folds' test parts and score them."""
    # Additional RNA sets are not studied in the same sense, so that `within` has no meaning there.
    decile = data.popularity if data.extra_rnas is None else None
    names = (MODEL, *PARTS.values())
    return cross_validation.collect(
        results, data.index, data.compartments, folds, data.labels, decile=decile, names=names
    )


def _run_fold(work: tuple[FusionData, Folds, ExperimentConfig], fold: int) -> FoldResult:
    return run_fold(*work, fold)


def bare_run(  # noqa: PLR0913 (the settings of a run, as of `run_experiment`)
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
    """Cross-validate into a folder without a final model; a finished run is kept, others resume.

    Args:
        networks: of the dataset.
        out: run folder.
        folds: of the cross-validation.
        config: its tokens name the kinds of the dataset (see `fusion.data.prepare.resolve_tokens`).
        networks_sha256: of `networks` (see `mirnagraph.networks.network.networks_sha256`).
        cache: folder for embeddings, shared between runs.
        workers: processes; changes no number.
        popularity: decile of every RNA for the metric ``within``, shape (n_rnas,); None for that of
            `networks`.
        progress: callback.
        about: further entries of ``run.json``, besides the dataset.

    Raises:
        InputError: the folder holds something else.
        ConfigError: tokens that the networks do not allow.
    """

    def body(run: RunFolder) -> CrossValidationResult:
        write_folds(folds, run.path / "folds.tsv")
        data = prepare(networks, config, cache=str(cache), workers=workers, progress=progress)
        if popularity is not None:
            data = replace(data, popularity=popularity)
        result = cross_validate(
            data, folds, config, folder=run.path, workers=workers, progress=progress
        )
        write_results(result, run.path, parts=PARTS)
        write_parts(result, run.path)
        return result

    inputs = {"networks": networks_sha256, "folds": folds_sha256(folds)}
    inputs |= partner_inputs(config.tower)
    about = {
        "dataset": networks.dataset.name,
        "synthetic": networks.dataset.synthetic,
        **(about or {}),
    }
    settings = dump_toml(config)
    _, run = run_or_resume(out, settings, inputs, body, seed=config.seed, resume=True, about=about)
    return run


def write_parts(result: CrossValidationResult, folder: Path) -> None:
    """Write the metrics of each part into `BY_PART`: column ``part``, then as ``metrics.tsv``."""
    tables = []
    for name, prediction in PARTS.items():
        if prediction in result.metrics_of:
            table = result.metrics_of[prediction].copy()
            table.insert(0, "part", name)
            tables.append(table)
    if tables:
        write_tsv(pd.concat(tables, ignore_index=True), folder / BY_PART)


def by_set(data: FusionData, result: CrossValidationResult) -> pd.DataFrame:
    """Metrics within every RNA set.

    Returns:
        Columns ``set``, ``model`` (``model``, ``attention``, ``trees``: those of the RNA type
        alone, and ``kernel``), and those of `mirnagraph.evaluation.metrics.evaluate`, with
        ``within`` for the RNAs of the networks. Compartments without a label or with one value in a
        set are left out.
    """
    if data.extra_rnas is None:
        raise ValueError("data of one RNA set")
    decile = np.full(len(data.index), -1)
    decile[: data.n_network_rnas] = data.popularity[: data.n_network_rnas]
    names = {MODEL: MODEL, ATTENTION: ATTENTION, "trees": OWN_TREES, KERNEL: KERNEL}
    predictions = {
        shown: result.predictions[name]
        for shown, name in names.items()
        if name in result.predictions
    }
    return evaluate_by_group(
        np.asarray(result.labels, dtype=float),
        predictions,
        result.of_row,
        {MODEL: result.thresholds},
        result.compartments,
        data.extra_rnas.sets,
        decile,
    )


def by_set_section(table: pd.DataFrame, *notes: str) -> str:
    """The section of a report on the metrics within each set (see `by_set`)."""
    about = (
        "`trees`: one model per RNA type and compartment, fitted on the labelled RNAs of that type."
    )
    unlabelled = (
        "`predictions.tsv` has a number for every compartment. Where no training RNA of a type is "
        "labelled for a compartment the number has no meaning, and `predict` leaves it out."
    )
    return set_section(table, about, unlabelled, *notes)
