"""Search of settings by inner cross-validation of training rows: repeatable, pruned, resumable."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from fusion.config import ExperimentConfig
from fusion.data.inputs import FusionData
from fusion.data.prepare import prepare, resolve_tokens
from fusion.experiments.cross_validate import run_fold
from fusion.experiments.search_space import (
    Space,
    apply,
    as_params,
    combinations,
    start_values,
    suggest,
)
from fusion.experiments.study import (
    DONE,
    PRUNED,
    REFUSED,
    Trial,
    best_of,
    keep_trial,
    next_draw,
    open_study,
    read_trials,
)
from mirnagraph.config import AtLeastTwo, Checked, Count, dump_toml, from_dict, require
from mirnagraph.errors import ConfigError, InputError
from mirnagraph.evaluation.scores import FROM_PROBABILITIES
from mirnagraph.evaluation.splits import Folds, grouped_folds
from mirnagraph.networks.build import NetworkConfig, build_networks
from mirnagraph.networks.network import SIMILARITY_NETWORKS, NetworkSet
from mirnagraph.parallel import Progress, one_thread_pool, report
from mirnagraph.seeds import child_seed

if TYPE_CHECKING:
    import optuna

METRICS = {"AUC": ("AUC",), "AUPR": ("AUPR",), "AUC+AUPR": ("AUC", "AUPR")}

MAX_DRAWS = 50
"""Draws of a trial whose values do not fit each other, before the trial is refused."""

MAX_CACHED = 3
"""Token tables that a search holds; those of a real dataset take some hundred MB each."""


@dataclass(frozen=True)
class TuneSettings(Checked):
    """Settings of a search.

    Attributes:
        trials: values tried; the first ten are drawn at random, the others by a tree-structured
            Parzen estimator.
        inner_folds: family-grouped folds of the training rows that each trial is scored on.
        metric: ``"AUC"``, ``"AUPR"`` or ``"AUC+AUPR"`` (their mean), over compartments and inner
            folds.
        prune: stop a trial whose mean over the inner folds so far is below the median of earlier
            trials (from the sixth trial on).
        grid: try every combination of choices instead; `trials` and `prune` are not used then.
    """

    trials: Count = 20
    inner_folds: AtLeastTwo = 3
    metric: str = "AUC"
    prune: bool = True
    grid: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.metric in METRICS, "metric", self.metric, " or ".join(METRICS))


@dataclass(frozen=True, eq=False)
class Bench:
    """Inputs of all trials: the networks, and the last token tables built from them.

    Attributes:
        networks: as built; a trial that changes a setting of theirs has those networks rebuilt that
            it changes.
        cache: folder for embeddings; None stores none.
        cached: the last token tables, by the settings they depend on.
    """

    networks: NetworkSet
    cache: str | None = None
    cached: dict[str, FusionData] = field(default_factory=dict, repr=False)

    @property
    def network_config(self) -> NetworkConfig:
        """Settings that the networks were built with."""
        settings = dict(self.networks.settings)
        return from_dict(NetworkConfig, settings, where="settings of the networks")

    def data(
        self,
        config: ExperimentConfig,
        networks: NetworkConfig,
        *,
        workers: int = 1,
    ) -> tuple[FusionData, ExperimentConfig]:
        """Data of a model with these settings, labels included, and its settings resolved.

        Args:
            config: settings of the model; wildcards of tokens are resolved.
            networks: settings of the networks.
            workers: processes; changes no number.

        Raises:
            ConfigError: tokens or networks that the dataset does not have.
        """
        parts = [networks, config.embedding, config.tokens]
        key = json.dumps([*map(dump_toml, parts), config.seed])
        if key in self.cached:
            self.cached[key] = self.cached.pop(key)  # The last used is the last to be removed.
            return self.cached[key], resolve_tokens(self.networks, config)
        built = rebuild(self.networks, self.network_config, networks, workers=workers)
        resolved = resolve_tokens(built, config)
        data = prepare(built, resolved, cache=self.cache, workers=workers)
        while len(self.cached) >= MAX_CACHED:
            del self.cached[next(iter(self.cached))]
        self.cached[key] = data
        return data, resolved


def rebuild(
    networks: NetworkSet, before: NetworkConfig, wanted: NetworkConfig, *, workers: int = 1
) -> NetworkSet:
    """Networks with other settings, equal to those of `build_networks`; recomputes what changes.

    Args:
        networks: built with `before`.
        before: their settings.
        wanted: the new settings.
        workers: processes; changes no number.

    Raises:
        ConfigError: the dataset has nothing to build a network from.
    """
    if wanted == before:
        return networks
    changed = tuple(
        name
        for name in SIMILARITY_NETWORKS
        if getattr(wanted, name) != getattr(before, name) and name in networks.networks
    )
    if wanted.networks != before.networks or not changed:
        return build_networks(networks.dataset, wanted, workers=workers)
    fresh = build_networks(networks.dataset, replace(wanted, networks=changed), workers=workers)
    return replace(
        networks,
        networks={n: fresh.networks.get(n, old) for n, old in networks.networks.items()},
        similarities={n: fresh.similarities.get(n, m) for n, m in networks.similarities.items()},
        settings={**networks.settings, **{n: fresh.settings[n] for n in changed}},
    )


def inner_folds(data: FusionData, train: np.ndarray, n_folds: int, seed: int) -> Folds:
    """Family-grouped, label-stratified folds of the training rows; other rows are in none.

    Args:
        data: of the model.
        train: training rows, int64.
        n_folds: number of folds.
        seed: of the split.

    Raises:
        ConfigError: fewer families than folds.
    """
    ids = [data.index.ids[row] for row in train]
    labels = pd.DataFrame(data.labels[train].astype(np.int8), index=ids)
    groups = pd.Series(data.groups[train], index=ids)
    return replace(grouped_folds(labels, groups, n_folds, seed), name="inner")


def fold_table(true: np.ndarray, probabilities: np.ndarray, metric: str) -> np.ndarray:
    """Scores of one test part, NaN where a compartment has one class.

    Args:
        true: 0/1, shape (n_test, n_labels).
        probabilities: same shape.
        metric: a key of `METRICS`.

    Returns:
        float64, shape (n_metrics, n_labels).
    """
    rows = []
    for name in METRICS[metric]:
        score = FROM_PROBABILITIES[name]
        rows.append([score(t, p) for t, p in zip(true.T, probabilities.T, strict=True)])
    return np.array(rows)


def mean_score(tables: list[np.ndarray]) -> float:
    """Mean over folds, then compartments and metrics, of the defined scores.

    Args:
        tables: one `fold_table` per fold.

    Returns:
        NaN where no score is defined.
    """
    stacked = np.array(tables)
    is_defined = ~np.isnan(stacked)
    count = is_defined.sum(axis=0)
    of_label = np.where(is_defined, stacked, 0).sum(axis=0)[count > 0] / count[count > 0]
    return float(of_label.mean()) if of_label.size else np.nan


@dataclass(frozen=True, eq=False)
class Search:
    """Inputs of a search.

    Attributes:
        bench: networks and token tables.
        config: settings before the search.
        space: of the search.
        settings: of the search.
    """

    bench: Bench
    config: ExperimentConfig
    space: Space
    settings: TuneSettings

    def apply(self, values: Mapping[str, Any]) -> tuple[ExperimentConfig, NetworkConfig]:
        """Settings of the model and of the networks with some values.

        Raises:
            ConfigError: see `fusion.experiments.search_space.apply`.
        """
        return apply(self.config, self.bench.network_config, values)


@dataclass(frozen=True, eq=False)
class Outcome(Search):
    """A finished search.

    Attributes:
        trials: all of it, in order.
        n_rnas: number of RNAs that it used.
    """

    trials: list[Trial]
    n_rnas: int

    @property
    def best(self) -> Trial:
        """See `fusion.experiments.study.best_of`."""
        return best_of(self.trials)

    @property
    def selected(self) -> tuple[ExperimentConfig, NetworkConfig]:
        """Settings of the model and of the networks, with the values of the best trial."""
        return self.apply(self.best.values)


@dataclass(frozen=True, eq=False)
class _RunningSearch(Search):
    """Inputs of every trial of a search.

    Attributes:
        train: rows to fit and select on.
        seed: of the inner folds and draws.
        workers: processes for networks and embeddings.
        pool: of processes for the inner folds, or None.
    """

    train: np.ndarray
    seed: int
    workers: int
    pool: Any


def tune(  # noqa: PLR0913 (space, data, settings and store of a search)
    bench: Bench,
    config: ExperimentConfig,
    space: Space,
    train: np.ndarray,
    settings: TuneSettings,
    store: Path,
    *,
    name: str = "search",
    workers: int = 1,
    progress: Progress | None = None,
) -> list[Trial]:
    """Try settings on inner folds of the training rows; the labels of all other rows are NaN.

    The first trial has the settings as they are, as far as the space contains them. Each further
    one is a function of the seed and of the trials before it, so that a resumed search has the same
    trials as an uninterrupted one.

    Args:
        bench: networks and token tables.
        config: settings before the search.
        space: settings to search.
        train: rows to fit and select on, int64.
        settings: of the search.
        store: SQLite file (an optuna study) of the finished trials, which are not run again.
        name: of this search; seeds its inner folds and draws.
        workers: processes for inner folds; changes no number.
        progress: callback.

    Returns:
        All trials in order, those of the store included.

    Raises:
        ConfigError: every trial was refused, or there are fewer families than inner folds.
        InputError: no compartment has both classes in any inner fold, or the store is damaged.
    """
    if settings.grid:
        fixed = combinations(space)
        total = len(fixed)
    else:
        fixed = [start_values(config, bench.network_config, space)]
        total = settings.trials
    seed = child_seed(config.seed, "search", name)
    with open_study(store, name) as study, one_thread_pool(workers) as pool:
        search = _RunningSearch(bench, config, space, settings, train, seed, workers, pool)
        trials = read_trials(study, space, store)
        report(progress, "trials", len(trials), total)
        while len(trials) < total:
            given = fixed[len(trials)] if len(trials) < len(fixed) else {}
            draw, values, note = _draw(study, search, given, len(trials))
            same = [trial for trial in trials if trial.values == values]
            if same:
                repeated = f"same values as trial {same[0].number}"
                trial = replace(same[0], number=len(trials), seconds=0.0, note=repeated)
            else:
                started = time.perf_counter()
                trial = _run_trial(search, draw, values)
                trial = replace(trial, seconds=time.perf_counter() - started)
            trial = replace(trial, note="; ".join(filter(None, (note, trial.note))))
            keep_trial(study, draw, trial)
            trials.append(trial)
            report(progress, "trials", len(trials), total)
    best_of(trials)
    return trials


def _draw(
    study: optuna.Study, search: _RunningSearch, given: dict[str, Any], number: int
) -> tuple[optuna.Trial, dict[str, Any], str]:
    """Draw values that fit each other, and a note on the draws passed over.

    The last values are returned if no draw succeeds.
    """
    params = as_params(search.space, given)
    seed = child_seed(search.seed, "draw", number)
    n_draws = 1 if search.settings.grid else MAX_DRAWS
    note = ""
    for attempt in range(n_draws):
        draw = next_draw(study, params, child_seed(seed, attempt))
        values = suggest(draw, search.space)
        try:
            search.apply(values)
        except ConfigError as error:
            if attempt + 1 < n_draws:
                note = f"{attempt + 1} draws passed over ({error})"
        else:
            break
    return draw, values, note


def _run_trial(search: _RunningSearch, draw: optuna.Trial, values: dict[str, Any]) -> Trial:
    """Score values on the inner folds; refused where they do not fit or training diverges."""
    trial = Trial(draw.number, values, np.nan, state=REFUSED)
    try:
        config, networks = search.apply(values)
        data, resolved = search.bench.data(config, networks, workers=search.workers)
    except (ConfigError, InputError) as error:
        # A file in the error: damaged, or a full disk; without one, a diverging embedding.
        if isinstance(error, InputError) and error.file is not None:
            raise
        return replace(trial, note=str(error))
    masked = replace(data, labels=data.masked_labels(search.train))
    settings = search.settings
    inner = inner_folds(masked, search.train, settings.inner_folds, search.seed)
    tables: list[np.ndarray] = []
    so_far: list[float] = []
    resolved = replace(resolved, seed=search.seed)
    for probabilities, fold in _predictions(masked, inner, resolved, search.pool):
        _, test = inner.rows(masked.index, fold)
        if not np.isfinite(probabilities).all():
            note = f"non-finite prediction in inner fold {fold}: training diverged"
            return replace(trial, note=note)
        true = masked.labels[test].astype(np.int64)
        tables.append(fold_table(true, probabilities, settings.metric))
        so_far.append(mean_score(tables))
        is_last = fold + 1 == inner.n_folds
        # No score yet: a rare compartment may be in the next inner fold.
        if np.isfinite(so_far[-1]):
            draw.report(so_far[-1], fold)
            is_pruned = settings.prune and not settings.grid and draw.should_prune()
            if is_pruned and not is_last:
                break
    if not np.isfinite(so_far[-1]):
        raise InputError(
            "nothing can be selected: no compartment has both classes in any inner fold",
            found=f"{len(search.train)} training RNAs",
        )
    return replace(
        trial,
        score=so_far[-1],
        fold_scores=tuple(mean_score([table]) for table in tables),
        so_far=tuple(so_far),
        state=DONE if len(tables) == inner.n_folds else PRUNED,
    )


def _predictions(
    data: FusionData, inner: Folds, config: ExperimentConfig, pool: Any
) -> Iterator[tuple[np.ndarray, int]]:
    """Probabilities of each inner fold's test rows, in fold order; a pool starts all at once."""
    run = partial(run_fold, data, inner, config)
    if pool is None:
        for fold in range(inner.n_folds):
            yield run(fold).probabilities, fold
        return
    futures = [pool.submit(run, fold) for fold in range(inner.n_folds)]
    try:
        for fold, future in enumerate(futures):
            yield future.result().probabilities, fold
    finally:
        for future in futures:
            future.cancel()
