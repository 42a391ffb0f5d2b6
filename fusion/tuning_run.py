"""One call from networks to a finished search folder: what `mirnagraph tune` does."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from fusion.problem import config_folds
from fusion.run import networks_sha256
from fusion.search import NETWORKS, Space, apply, space_to_dict
from fusion.settings import ExperimentConfig
from fusion.tuning import Bench, TuneSettings, best_of, tune
from fusion.tuning_report import best_toml, draw_trials, trials_table, tune_page
from fusion.tuning_store import Trial, require_optuna
from mirnagraph.config import dump_toml, to_dict
from mirnagraph.evaluation.splits import TRAIN_ONLY
from mirnagraph.files import write_file, write_text
from mirnagraph.networks.build import NetworkConfig
from mirnagraph.networks.types import NetworkSet
from mirnagraph.progress import Progress
from mirnagraph.runs import RunFolder, open_run
from mirnagraph.tables import write_tsv

STORE = "search.sqlite"


def search_sha256(space: Space, settings: Mapping[str, Any]) -> str:
    """sha256 of what decides the trials beside the model's settings and the data: space, how it is searched, and optuna's version."""
    text = json.dumps({"space": space_to_dict(space), "settings": dict(settings), "optuna": version("optuna")})
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
        InputError: see `mirnagraph.runs.open_run` and `tune`.
        ConfigError: settings that the data do not allow.
        MissingExtraError: the extra ``tune`` is not installed.
    """
    require_optuna()
    dataset = networks.dataset
    rows = np.flatnonzero(config_folds(networks.dataset, config).of_rows(dataset.index) >= TRAIN_ONLY)
    ids = hashlib.sha256("\n".join(dataset.index.ids[row] for row in rows).encode()).hexdigest()
    how = {key: value for key, value in to_dict(settings).items() if key != "trials"}
    inputs = {"networks": networks_sha256(networks), "rnas": ids, "search": search_sha256(space, how)}
    about = {"kind": "search", "dataset": dataset.name, "synthetic": dataset.synthetic, "n_rnas": len(rows)}
    run = open_run(out, dump_toml(config), inputs, seed=config.seed, overwrite=overwrite, resume=True, about=about)
    if run.finished:
        if run.read()["trials"] < settings.trials and not settings.grid:
            run = run.reopen()
        else:
            run = open_run(out, dump_toml(config), inputs, seed=config.seed, resume=resume)
            return None, run
    bench = Bench(networks, str(cache or run.path / "embeddings"))
    trials = tune(bench, config, space, rows, settings, run.path / STORE, workers=workers, progress=progress)
    write_tsv(trials_table(trials, space), run.path / "trials.tsv")
    write_search(space, settings, run.path / "search.toml")
    chosen, below = apply(config, bench.network_config, best_of(trials).values)
    write_choice(run.path, chosen, below, trials, settings, networks, len(rows), space)
    write_text(run.path / "tune.md", tune_page(config, space, trials, settings, dataset, len(rows)))
    with write_file(run.path / "trials.png") as part:
        draw_trials(trials, space, settings.metric).savefig(part, format="png", dpi=110, metadata={"Software": None})
    run.finish(trials=len(trials), best=best_of(trials).values, score=best_of(trials).score)
    return trials, run


def write_choice(
    folder: Path, chosen: ExperimentConfig, below: NetworkConfig, trials: list[Trial], settings: TuneSettings, networks: NetworkSet, n_rnas: int, space: Space
) -> None:
    """Write ``best.toml``, and ``networks.toml`` where settings of the networks were searched."""
    write_text(folder / "best.toml", best_toml(chosen, below, trials, settings, networks.dataset, n_rnas))
    if any(name.startswith(NETWORKS) for name in space):
        write_text(folder / "networks.toml", dump_toml(below))
