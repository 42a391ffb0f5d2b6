"""Search of settings into a run folder, and nested cross-validation."""

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
import tomli_w

from fusion.config import NESTED, ExperimentConfig
from fusion.data.prepare import config_folds, folds_sha256, resolve_tokens, with_cold_start
from fusion.experiments.cross_validate import PARTS, collect, run_fold
from fusion.experiments.search_space import NETWORKS, Space, combinations, space_to_dict
from fusion.experiments.study import Trial, require_optuna
from fusion.experiments.train import fit_final, run_experiment, write_report
from fusion.experiments.tuning import Bench, Outcome, TuneSettings, tune
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
from mirnagraph.dataset import Dataset
from mirnagraph.evaluation.compare import compare
from mirnagraph.evaluation.metrics import AVERAGE
from mirnagraph.evaluation.splits import TRAIN_ONLY, Folds, write_folds
from mirnagraph.io import write_text, write_tsv
from mirnagraph.networks.network import NetworkSet, networks_sha256
from mirnagraph.parallel import Progress, job_folder, report
from mirnagraph.runs import cross_validation
from mirnagraph.runs.folder import RunFolder, finish_run, open_run, run_or_resume
from mirnagraph.runs.markdown import save_figure
from mirnagraph.runs.results import (
    PREDICTIONS,
    CrossValidationResult,
    FoldResult,
    read_predictions,
    write_results,
)
from mirnagraph.writing.contents import TRAIN_RUN, TUNE_RUN
from mirnagraph.writing.locks import adopt

STORE = "search.sqlite"

UNTUNED = "untuned"

CHOICES = "choices.tsv"

VERSUS = "versus_untuned.tsv"


def search_sha256(space: Space, settings: Mapping[str, Any]) -> str:
    """sha256 of what decides the trials besides model settings and data.

    Args:
        space: of the search.
        settings: of the search, as plain values.
    """
    parts = {
        "space": space_to_dict(space),
        "settings": dict(settings),
        "optuna": version("optuna"),
    }
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def write_search(space: Space, settings: TuneSettings, path: Path) -> None:
    """Write a space as TOML that ``--space`` reads, with the search settings as comments."""
    values = to_dict(settings).items()
    comments = "".join(f"# {key} = {json.dumps(value)}\n" for key, value in values)
    write_text(path, comments + tomli_w.dumps({"space": space_to_dict(space)}))


def run_search(  # noqa: PLR0913 (one function for the command)
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
    """Search on all RNAs of the protocol, and write trials, selected settings and a page.

    Writes ``trials.tsv``, ``trials.png``, ``best.toml``, ``tune.md`` and ``search.toml``. A
    finished search with fewer trials than `settings` has resumes: its trials are the first ones.

    Args:
        networks: of the dataset.
        config: settings before the search.
        space: settings to search.
        settings: of the search.
        out: folder; an unfinished search of the same settings and data in it resumes.
        cache: folder for embeddings; None stores them in `out`.
        workers: processes for inner folds; changes no number.
        overwrite: see `mirnagraph.runs.folder.open_run`.
        resume: see `mirnagraph.runs.folder.open_run`.
        progress: callback.

    Returns:
        The trials (None where `resume` kept a finished search), and the folder.

    Raises:
        InputError: see `mirnagraph.runs.folder.open_run` and `tune`.
        ConfigError: settings that the data do not allow.
        MissingExtraError: the extra ``tune`` is not installed.
    """
    require_optuna()
    dataset = networks.dataset
    rows = np.flatnonzero(config_folds(dataset, config).of_rows(dataset.index) >= TRAIN_ONLY)
    ids = "\n".join(dataset.index.ids[row] for row in rows)
    how = {key: value for key, value in to_dict(settings).items() if key != "trials"}
    inputs = {
        "networks": networks_sha256(networks),
        "rnas": hashlib.sha256(ids.encode()).hexdigest(),
        "search": search_sha256(space, how),
    }
    about = _about("search", dataset, len(rows))
    open_folder = partial(
        open_run, out, dump_toml(config), inputs, seed=config.seed, content=TUNE_RUN
    )
    run = open_folder(overwrite=overwrite, resume=not overwrite, about=about)
    if run.finished:
        if settings.grid or run.read()["trials"] >= settings.trials:
            return None, open_folder(resume=resume)
        run = run.reopen()

    def body(run: RunFolder) -> list[Trial]:
        bench = Bench(networks, str(cache or run.path / "embeddings"))
        store = run.path / STORE
        trials = tune(
            bench, config, space, rows, settings, store, workers=workers, progress=progress
        )
        search = Outcome(bench, config, space, settings, trials, len(rows))
        _write_trials(run.path, search)
        run.add(trials=len(trials), best=search.best.values, score=search.best.score)
        return trials

    return finish_run(run, body)


def _about(kind: str, dataset: Dataset, n_rnas: int) -> dict[str, Any]:
    """Entries of ``run.json``."""
    return {
        "kind": kind,
        "dataset": dataset.name,
        "synthetic": dataset.synthetic,
        "n_rnas": n_rnas,
    }


def _write_trials(folder: Path, search: Outcome) -> None:
    """Write the files of a finished search."""
    write_tsv(trials_table(search.trials, search.space), folder / "trials.tsv")
    write_search(search.space, search.settings, folder / "search.toml")
    write_choice(folder, search)
    write_text(folder / "tune.md", tune_page(search))
    figure = draw_trials(search.trials, search.space, search.settings.metric)
    save_figure(figure, folder / "trials.png")


def write_choice(folder: Path, search: Outcome) -> None:
    """Write ``best.toml``, and ``networks.toml`` where settings of the networks were searched.

    Args:
        folder: to write to.
        search: finished.
    """
    write_text(folder / "best.toml", best_toml(search))
    if any(name.startswith(NETWORKS) for name in search.space):
        write_text(folder / "networks.toml", dump_toml(search.selected[1]))


@dataclass(frozen=True, eq=False)
class NestedJob:
    """Inputs of every fold of a nested run.

    Attributes:
        bench: networks and token tables.
        folds: outer folds.
        config: settings before the search.
        space: of the searches.
        settings: of the searches.
        folder: the run folder; searches are stored in ``searches/`` below it.
    """

    bench: Bench
    folds: Folds
    config: ExperimentConfig
    space: Space
    settings: TuneSettings
    folder: Path

    def search(
        self, rows: np.ndarray, name: str, *, workers: int = 1, progress: Progress | None = None
    ) -> Outcome:
        """Search on some rows; its trials are stored under a name."""
        folder = self.folder / "searches"
        for ending in ("sqlite", "sqlite-journal", "tsv"):
            adopt(folder / f"{name}.{ending}")  # a worker of a cluster holds no lock of the run
        trials = tune(
            self.bench,
            self.config,
            self.space,
            rows,
            self.settings,
            folder / f"{name}.sqlite",
            name=name,
            workers=workers,
            progress=progress,
        )
        write_tsv(trials_table(trials, self.space), folder / f"{name}.tsv")
        return Outcome(self.bench, self.config, self.space, self.settings, trials, len(rows))


def choose_and_fit(job: NestedJob, fold: int, progress: Progress | None = None) -> FoldResult:
    """Search in the training part of one fold, fit the selected settings, predict the test part.

    The labels of the test part are NaN in the search and in the fit.

    Returns:
        The fold, with `FoldResult.choices` ``"search"``: values, inner score, metric, number of the
        trial, number of trials.
    """

    def trials_done(_: str, done: int, total: int) -> None:
        report(progress, f"trials of fold {fold}", done, total)

    train, _ = job.folds.rows(job.bench.networks.dataset.index, fold)
    outcome = job.search(train, f"fold_{fold:02d}", progress=trials_done)
    best = outcome.best
    data, resolved = job.bench.data(*outcome.selected)
    result = run_fold(data, job.folds, resolved, fold)
    search = {
        "values": best.values,
        "score": best.score,
        "metric": job.settings.metric,
        "trial": best.number,
        "n_trials": len(outcome.trials),
    }
    return replace(result, choices={**result.choices, "search": search})


def run_nested(  # noqa: PLR0913 (one function for the command)
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
    """Nested cross-validation into a run folder, compared with the same folds untuned.

    The folder is that of `run_experiment` with ``untuned/``, ``choices.tsv``, ``searches/`` (all
    trials), ``versus_untuned.tsv``, ``search.toml`` and ``best.toml`` (of the saved model).

    Args:
        networks: of the dataset.
        config: settings before the search.
        space: settings to search.
        settings: of the searches.
        out: run folder; an unfinished run of the same settings and data in it resumes.
        cache: folder for embeddings; None stores them in `out`.
        workers: processes for folds; changes no number.
        overwrite: see `mirnagraph.runs.folder.open_run`.
        resume: see `mirnagraph.runs.folder.open_run`.
        progress: callback.

    Returns:
        The result and its comparison with the untuned run (see `compare_folds`), both None where
        `resume` kept a finished run; and the run folder.

    Raises:
        InputError: see `mirnagraph.runs.folder.open_run` and `tune`.
        ConfigError: settings that the data do not allow.
        MissingExtraError: the extra ``tune`` is not installed.
    """
    require_optuna()
    dataset = networks.dataset
    text = dump_toml(resolve_tokens(networks, config))
    if settings.grid:
        combinations(space)  # Refuses too many before anything is written.
        text += "\n" + tomli_w.dumps({NESTED: space_to_dict(space)})
    folds = config_folds(dataset, config)
    inputs = {
        "networks": networks_sha256(networks),
        "folds": folds_sha256(folds),
        "search": search_sha256(space, to_dict(settings)),
    }

    def body(run: RunFolder) -> tuple[CrossValidationResult, pd.DataFrame]:
        folder = job_folder(run.path)
        bench = Bench(networks, str(job_folder(cache or folder / "embeddings")))
        job = NestedJob(bench, folds, config, space, settings, folder)
        return _run_job(job, workers, progress)

    outcome, run = run_or_resume(
        out,
        text,
        inputs,
        body,
        seed=config.seed,
        overwrite=overwrite,
        resume=resume,
        about=_about("nested", dataset, len(dataset.index)),
        content=TRAIN_RUN if settings.grid else TUNE_RUN,
    )
    return *(outcome or (None, None)), run


def _run_job(
    job: NestedJob, workers: int, progress: Progress | None
) -> tuple[CrossValidationResult, pd.DataFrame]:
    """Run untuned and nested folds, fit the final model, and write the run folder.

    Returns:
        The result and its comparison with the untuned run.
    """
    networks = job.bench.networks
    write_folds(job.folds, job.folder / "folds.tsv")
    write_search(job.space, job.settings, job.folder / "search.toml")
    run_experiment(
        networks,
        job.config,
        job.folder / UNTUNED,
        cache=job.bench.cache,
        workers=workers,
        resume=True,
        progress=progress,
    )
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
    result = collect(data, job.folds, results)
    write_results(result, job.folder, parts=PARTS)
    write_tsv(choices_table(result), job.folder / CHOICES)
    path = job.folder / UNTUNED / PREDICTIONS
    untuned = read_predictions(path, result.index, result.compartments)
    labels = result.labels_frame().set_index("rna_id")
    pooled = compare(untuned, result.to_frame(), labels, seed=job.config.seed)
    versus = compare_folds(untuned, result, pooled[pooled["compartment"] == AVERAGE])
    write_tsv(versus, job.folder / VERSUS)
    rows = np.flatnonzero(job.folds.of_rows(networks.dataset.index) >= TRAIN_ONLY)
    search = job.search(rows, "final", workers=workers, progress=progress)
    write_choice(job.folder, search)
    data, resolved = job.bench.data(*search.selected)
    data = with_cold_start(data, networks, resolved)
    fit_final(data, job.folds, resolved, job.folder / "model", result, progress=progress)
    section = nested_section(result, versus, job.settings, search.best)
    write_report(job.folder, result, networks.dataset, job.config, None, "", section)
    return result, versus
