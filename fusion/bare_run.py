"""A cross-validation kept in a folder of its own, without final model and report: one further seed, or one variant of a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fusion.experiment import cross_validate
from fusion.partners import partner_inputs
from fusion.problem import folds_sha256, prepare
from fusion.settings import ExperimentConfig
from mirnagraph.config import dump_toml
from mirnagraph.evaluation.metrics import COLUMNS
from mirnagraph.evaluation.predictions import LABELS, write_predictions
from mirnagraph.evaluation.splits import Folds, write_folds
from mirnagraph.networks.types import NetworkSet
from mirnagraph.progress import Progress
from mirnagraph.runs import RunFolder, open_run
from mirnagraph.tables import read_table, write_tsv


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
        config: its tokens name the kinds of the dataset (see `fusion.problem.resolve_tokens`).
        networks_sha256: of `networks` (see `fusion.run.networks_sha256`).
        cache: folder for embeddings, shared between runs.
        workers: processes; changes no number.
        popularity: decile of every RNA for the metric ``within``, where it is not to be that of `networks`: shape (n_rnas,).
        about: more to keep in ``run.json``.

    Raises:
        InputError: the folder holds something else. ConfigError: tokens that the networks do not allow.
    """
    inputs = {"networks": networks_sha256, "folds": folds_sha256(folds), **partner_inputs(config.tower)}
    run = open_run(out, dump_toml(config), inputs, seed=config.seed, resume=True, about=about)
    if run.finished:
        return run
    write_folds(folds, run.path / "folds.tsv")
    problem = prepare(networks, config, cache=str(cache), workers=workers, progress=progress)
    if popularity is not None:
        problem = replace(problem, popularity=popularity)
    result = cross_validate(problem, folds, config, folder=run.path, workers=workers, progress=progress)
    write_predictions(result.to_frame(), run.path / "predictions.tsv")
    write_tsv(result.labels_frame(), run.path / LABELS)
    write_tsv(result.metrics, run.path / "metrics.tsv")
    run.finish()
    return run


def read_metrics(folder: str | Path) -> pd.DataFrame:
    """``metrics.tsv`` of a run folder, as `mirnagraph.evaluation.metrics.evaluate` made it; raises InputError where it is missing or not one."""
    table = read_table(Path(folder) / "metrics.tsv", COLUMNS).reset_index(drop=True)
    return table.assign(**{name: pd.to_numeric(table[name], errors="coerce") for name in COLUMNS[2:]})
