"""Search run, nested cross-validation."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fusion.config import NESTED, ExperimentConfig
from fusion.data.prepare import config_folds, folds_sha256, resolve_tokens, with_cold_start
from fusion.experiments.cross_validate import PARTS, collect, run_fold
from fusion.experiments.search_space import NETWORKS, Space, apply, combinations, space_to_dict
from fusion.experiments.study import Trial, best_of, require_optuna
from fusion.experiments.train import fit_final, run_experiment, write_report
from fusion.experiments.tuning import Bench, TuneSettings, tune
from fusion.experiments.tuning_report import (
    best_toml,
    choices_table,
    compare_folds,
    draw_trials,
    nested_section,
    trials_table,
    tune_page,
)
from mirnagraph.config import dump_toml, to_dict
from mirnagraph.evaluation.compare import compare
from mirnagraph.evaluation.metrics import AVERAGE
from mirnagraph.evaluation.splits import TRAIN_ONLY, Folds, write_folds
from mirnagraph.io import write_file, write_text, write_tsv
from mirnagraph.networks.build import NetworkConfig
from mirnagraph.networks.network import NetworkSet, networks_sha256
from mirnagraph.parallel import Progress, report
from mirnagraph.runs import cross_validation
from mirnagraph.runs.folder import RunFolder, finish_run, open_run, run_or_resume
from mirnagraph.runs.results import (
    CrossValidationResult,
    FoldResult,
    read_predictions,
    write_results,
)

STORE = "search.sqlite"

UNTUNED = "untuned"

CHOICES = "choices.tsv"

VERSUS = "versus_untuned.tsv"


def search_sha256(space: Space, settings: Mapping[str, Any]) -> str:
    """sha256 of what decides the trials beside the model's settings and the data: space, how it is searched, and optuna's version."""
    text = json.dumps(
        {"space": space_to_dict(space), "settings": dict(settings), "optuna": version("optuna")}
    )
    return hashlib.sha256(text.encode()).hexdigest()


def write_search(space: Space, settings: TuneSettings, path: Path) -> None:
    """Write a space as a TOML file that ``--space`` reads, with how it was searched as a comment."""
    import tomli_w

    about = "".join(f"# {key} = {json.dumps(value)}\n" for key, value in to_dict(settings).items())
    write_text(path, about + tomli_w.dumps({"space": space_to_dict(space)}))


def run_search(
    networks: NetworkSet,
    config: ExperimentConfig,
    space: Space,
    settings: TuneSettings,
    out: str | Path,
    *,
    cache: str | Path | None = None,
    workers: int = 1,
    overwrite: bool = False,
    resume: bool = False,
    progress: Progress | None = None,
) -> tuple[list[Trial] | None, RunFolder]:
    """Search on all RNAs of the protocol and write ``trials.tsv``, ``trials.png``, ``best.toml``, ``tune.md`` and ``search.toml``.

    A finished search with fewer trials than are now asked for is gone on with: its trials are the first of the longer one.

    Args:
        out: folder; an unfinished search of the same settings and data in it is gone on with.
        cache: folder for embeddings; None keeps them in `out`.
        workers: inner folds side by side; changes no number.

    Returns:
        The trials (None where a finished search was kept by `resume`), and the folder.

    Raises:
        InputError: see `mirnagraph.runs.folder.open_run` and `tune`.
        ConfigError: settings that the data do not allow.
        MissingExtraError: the extra ``tune`` is not installed.
    """
    require_optuna()
    dataset = networks.dataset
    rows = np.flatnonzero(
        config_folds(networks.dataset, config).of_rows(dataset.index) >= TRAIN_ONLY
    )
    ids = hashlib.sha256("\n".join(dataset.index.ids[row] for row in rows).encode()).hexdigest()
    how = {key: value for key, value in to_dict(settings).items() if key != "trials"}
    inputs = {
        "networks": networks_sha256(networks),
        "rnas": ids,
        "search": search_sha256(space, how),
    }
    about = {
        "kind": "search",
        "dataset": dataset.name,
        "synthetic": dataset.synthetic,
        "n_rnas": len(rows),
    }
    run = open_run(
        out,
        dump_toml(config),
        inputs,
        seed=config.seed,
        overwrite=overwrite,
        resume=True,
        about=about,
    )
    if run.finished:
        if run.read()["trials"] < settings.trials and not settings.grid:
            run = run.reopen()
        else:
            run = open_run(out, dump_toml(config), inputs, seed=config.seed, resume=resume)
            return None, run

    def body(run: RunFolder) -> list[Trial]:
        bench = Bench(networks, str(cache or run.path / "embeddings"))
        store = run.path / STORE
        trials = tune(
            bench, config, space, rows, settings, store, workers=workers, progress=progress
        )
        write_tsv(trials_table(trials, space), run.path / "trials.tsv")
        write_search(space, settings, run.path / "search.toml")
        best = best_of(trials)
        chosen, below = apply(config, bench.network_config, best.values)
        write_choice(run.path, chosen, below, trials, settings, networks, len(rows), space)
        page = tune_page(config, space, trials, settings, dataset, len(rows))
        write_text(run.path / "tune.md", page)
        figure = draw_trials(trials, space, settings.metric)
        with write_file(run.path / "trials.png") as part:
            figure.savefig(part, format="png", dpi=110, metadata={"Software": None})
        run.add(trials=len(trials), best=best.values, score=best.score)
        return trials

    return finish_run(run, body), run


def write_choice(
    folder: Path,
    chosen: ExperimentConfig,
    below: NetworkConfig,
    trials: list[Trial],
    settings: TuneSettings,
    networks: NetworkSet,
    n_rnas: int,
    space: Space,
) -> None:
    """Write ``best.toml``, and ``networks.toml`` where settings of the networks were searched."""
    write_text(
        folder / "best.toml", best_toml(chosen, below, trials, settings, networks.dataset, n_rnas)
    )
    if any(name.startswith(NETWORKS) for name in space):
        write_text(folder / "networks.toml", dump_toml(below))


@dataclass(frozen=True, eq=False)
class NestedJob:
    """What every fold of a nested run needs.

    Attributes:
        folder: the run folder; searches are kept in ``searches/`` below it.
    """

    bench: Bench
    folds: Folds
    config: ExperimentConfig
    space: Space
    settings: TuneSettings
    folder: Path


def choose_and_fit(job: NestedJob, fold: int, progress: Progress | None = None) -> FoldResult:
    """Search in the training part of one fold, fit with what was found, and predict the test part.

    The labels of the test part are NaN in the search and in the fit. `FoldResult.choices` gets ``"search"``: the values,
    their inner score, the metric, and how many trials there were.
    """

    def trials_done(_: str, done: int, total: int) -> None:
        report(progress, f"trials of fold {fold}", done, total)

    train, _ = job.folds.rows(job.bench.networks.dataset.index, fold)
    name = f"fold_{fold:02d}"
    trials = tune(
        job.bench,
        job.config,
        job.space,
        train,
        job.settings,
        job.folder / "searches" / f"{name}.sqlite",
        name=name,
        progress=trials_done,
    )
    write_tsv(trials_table(trials, job.space), job.folder / "searches" / f"{name}.tsv")
    best = best_of(trials)
    data, resolved = job.bench.data(*apply(job.config, job.bench.network_config, best.values))
    result = run_fold(data, job.folds, resolved, fold)
    about = {
        "values": best.values,
        "score": best.score,
        "metric": job.settings.metric,
        "trial": best.number,
        "n_trials": len(trials),
    }
    return replace(result, choices={**result.choices, "search": about})


def run_nested(
    networks: NetworkSet,
    config: ExperimentConfig,
    space: Space,
    settings: TuneSettings,
    out: str | Path,
    *,
    cache: str | Path | None = None,
    workers: int = 1,
    overwrite: bool = False,
    resume: bool = False,
    progress: Progress | None = None,
) -> tuple[CrossValidationResult | None, pd.DataFrame | None, RunFolder]:
    """Nested cross-validation into a run folder like that of `run_experiment`, and the same folds untuned beside it (``untuned/``).

    Further files: ``choices.tsv`` (fold, setting, value, inner score), ``versus_untuned.tsv``, ``searches/`` (all trials of each
    fold), ``search.toml`` (the space), ``best.toml`` (what a last search on all RNAs chose: the saved model's settings).

    Args:
        out: run folder; finished folds and finished trials of an unfinished run of the same settings and data are kept.
        workers: folds side by side; changes no number.

    Returns:
        The result and its table against the untuned run (see `compare_folds`), both None where a finished run was kept by
        `resume`; and the run folder.

    Raises:
        InputError: see `mirnagraph.runs.folder.open_run` and `tune`.
        ConfigError: settings that the data do not allow.
        MissingExtraError: the extra ``tune`` is not installed.
    """
    require_optuna()
    dataset = networks.dataset
    if settings.grid:
        combinations(space)  # too many end here, before anything is written
    folds = config_folds(networks.dataset, config)
    plain = resolve_tokens(networks, config)
    inputs = {
        "networks": networks_sha256(networks),
        "folds": folds_sha256(folds),
        "search": search_sha256(space, to_dict(settings)),
    }
    about = {
        "kind": "nested",
        "dataset": dataset.name,
        "synthetic": dataset.synthetic,
        "n_rnas": len(dataset.index),
    }

    def body(run: RunFolder) -> tuple[CrossValidationResult, pd.DataFrame]:
        write_folds(folds, run.path / "folds.tsv")
        write_search(space, settings, run.path / "search.toml")
        shared = str(cache or run.path / "embeddings")
        run_experiment(
            networks,
            config,
            run.path / UNTUNED,
            cache=shared,
            workers=workers,
            resume=True,
            progress=progress,
        )
        job = NestedJob(Bench(networks, shared), folds, config, space, settings, run.path)
        result = _cross_validate(job, workers, progress)
        _write_result(job, result)
        versus = _compare(job, result)
        _finish(job, result, versus, workers, progress)
        return result, versus

    found, run = run_or_resume(
        out,
        _settings_text(plain, space, settings),
        inputs,
        body,
        seed=config.seed,
        overwrite=overwrite,
        resume=resume,
        about=about,
    )
    result, versus = found if found is not None else (None, None)
    return result, versus, run


def _settings_text(config: ExperimentConfig, space: Space, settings: TuneSettings) -> str:
    """``config.toml`` of the run: with the table ``[nested]`` where that alone says how it was made."""
    import tomli_w

    return dump_toml(config) + (
        "\n" + tomli_w.dumps({NESTED: space_to_dict(space)}) if settings.grid else ""
    )


def _cross_validate(
    job: NestedJob, workers: int, progress: Progress | None
) -> CrossValidationResult:
    # Progress of the trials cannot be reported from another process.
    fit = partial(choose_and_fit, progress=progress) if workers <= 1 else choose_and_fit
    results = cross_validation.cross_validate(
        fit,
        job,
        job.folds,
        folder=job.folder,
        workers=workers,
        progress=progress,
        step="nested folds",
    )
    data, _ = job.bench.data(job.config, job.bench.network_config)
    return collect(data, job.folds, results)


def _write_result(job: NestedJob, result: CrossValidationResult) -> None:
    write_results(result, job.folder, parts=PARTS)
    write_tsv(choices_table(result), job.folder / CHOICES)


def _compare(job: NestedJob, result: CrossValidationResult) -> pd.DataFrame:
    untuned = read_predictions(
        job.folder / UNTUNED / "predictions.tsv", result.index, result.compartments
    )
    pooled = compare(
        untuned, result.to_frame(), result.labels_frame().set_index("rna_id"), seed=job.config.seed
    )
    versus = compare_folds(untuned, result, pooled[pooled["compartment"] == AVERAGE])
    write_tsv(versus, job.folder / VERSUS)
    return versus


def _finish(
    job: NestedJob,
    result: CrossValidationResult,
    versus: pd.DataFrame,
    workers: int,
    progress: Progress | None,
) -> None:
    """The model for RNAs outside: the same procedure, search and fit, on all RNAs of the protocol; and the report."""
    networks = job.bench.networks
    rows = np.flatnonzero(job.folds.of_rows(networks.dataset.index) >= TRAIN_ONLY)
    store = job.folder / "searches" / "final.sqlite"
    trials = tune(
        job.bench,
        job.config,
        job.space,
        rows,
        job.settings,
        store,
        name="final",
        workers=workers,
        progress=progress,
    )
    write_tsv(trials_table(trials, job.space), job.folder / "searches" / "final.tsv")
    chosen, below = apply(job.config, job.bench.network_config, best_of(trials).values)
    write_choice(job.folder, chosen, below, trials, job.settings, networks, len(rows), job.space)
    data, resolved = job.bench.data(chosen, below)
    data = with_cold_start(data, networks, resolved)
    fit_final(data, job.folds, resolved, job.folder / "model", result, progress=progress)
    write_report(job.folder, result, networks.dataset, job.config)
    page = (job.folder / "report.md").read_text(encoding="utf-8")
    write_text(
        job.folder / "report.md",
        page + nested_section(result, versus, job.settings, best_of(trials)),
    )
