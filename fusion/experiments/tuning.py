"""Choosing settings by inner cross-validation of training rows alone: repeatable, pruned, and gone on with after a kill."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
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
from mirnagraph.config import dump_toml, from_dict, require, to_dict
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

MOST_DRAWS = 50  # before values that do not go together are taken for the trial's own

KEPT_PROBLEMS = 3  # token tables of a real dataset are some hundred MB


@dataclass(frozen=True)
class TuneSettings:
    """How settings are chosen.

    Attributes:
        trials: values tried. Until ten have been tried they are drawn at random, then by a tree-structured Parzen estimator.
        inner_folds: parts of the training rows, families kept whole; each trial is scored on them in turn.
        metric: ``"AUC"``, ``"AUPR"`` or ``"AUC+AUPR"`` (their mean), over compartments and inner folds.
        prune: stop a trial whose mean over the inner folds so far is below the median of earlier trials (from the sixth trial on).
        grid: try every combination of choices instead; `trials` and `prune` are not used then.
    """

    trials: int = 20
    inner_folds: int = 3
    metric: str = "AUC"
    prune: bool = True
    grid: bool = False

    def __post_init__(self) -> None:
        require(self.trials >= 1, "trials", self.trials, "1 or more")
        require(self.inner_folds >= 2, "inner_folds", self.inner_folds, "2 or more")
        require(self.metric in METRICS, "metric", self.metric, " or ".join(METRICS))


@dataclass(frozen=True, eq=False)
class Bench:
    """What all trials share: the networks as given, and the last few token tables made from them, by what they were made with.

    Attributes:
        networks: as built; a trial that changes a setting of theirs gets them built anew, those alone that it changes.
        cache: folder where embeddings are kept by content; None keeps none.
    """

    networks: NetworkSet
    cache: str | None = None
    kept: dict[str, FusionData] = field(default_factory=dict, repr=False)

    @property
    def network_config(self) -> NetworkConfig:
        """Settings that the networks were built with."""
        return from_dict(
            NetworkConfig, dict(self.networks.settings), where="settings of the networks"
        )

    def data(
        self,
        config: ExperimentConfig,
        networks: NetworkConfig,
        *,
        workers: int = 1,
        progress: Progress | None = None,
    ) -> tuple[FusionData, ExperimentConfig]:
        """The problem that these settings pose, labels included, and the settings with their tokens resolved.

        Raises:
            ConfigError: tokens or networks that the dataset does not have.
        """
        key = json.dumps(
            [
                dump_toml(networks),
                dump_toml(config.embedding),
                dump_toml(config.tokens),
                config.seed,
            ]
        )
        if key in self.kept:
            self.kept[key] = self.kept.pop(key)
            return self.kept[key], resolve_tokens(self.networks, config)
        built = rebuild(self.networks, self.network_config, networks, workers=workers)
        resolved = resolve_tokens(built, config)
        made = prepare(built, resolved, cache=self.cache, workers=workers, progress=progress)
        while len(self.kept) >= KEPT_PROBLEMS:
            del self.kept[next(iter(self.kept))]
        self.kept[key] = made
        return made, resolved


def rebuild(
    networks: NetworkSet, before: NetworkConfig, wanted: NetworkConfig, *, workers: int = 1
) -> NetworkSet:
    """Networks with other settings: equal to `build_networks` with them, but only what the settings change is computed.

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
    whole = {name: fresh.networks.get(name, network) for name, network in networks.networks.items()}
    similarities = {
        name: fresh.similarities.get(name, matrix) for name, matrix in networks.similarities.items()
    }
    return replace(networks, networks=whole, similarities=similarities, settings=to_dict(wanted))


def inner_folds(data: FusionData, train: np.ndarray, n_folds: int, seed: int) -> Folds:
    """Folds of the training rows alone: families whole, compartments spread evenly; every other row is in none.

    Raises:
        ConfigError: fewer families than folds.
    """
    ids = [data.index.ids[row] for row in train]
    labels = pd.DataFrame(data.labels[train].astype(np.int8), index=ids)
    return replace(
        grouped_folds(labels, pd.Series(data.groups[train], index=ids), n_folds, seed),
        name="inner",
    )


def fold_table(true: np.ndarray, probabilities: np.ndarray, metric: str) -> np.ndarray:
    """Scores of one test part, shape (n metrics, n_labels); NaN where a compartment has one class."""
    return np.array(
        [
            [FROM_PROBABILITIES[m](true[:, k], probabilities[:, k]) for k in range(true.shape[1])]
            for m in METRICS[metric]
        ]
    )


def mean_score(tables: list[np.ndarray]) -> float:
    """Mean over folds, then compartments, then metrics, of `fold_table`; what has no answer is left out. NaN where nothing has one."""
    stacked = np.array(tables)
    answered = ~np.isnan(stacked)
    count = answered.sum(axis=0)
    of_label = np.where(answered, stacked, 0).sum(axis=0)[count > 0] / count[count > 0]
    return float(of_label.mean()) if of_label.size else float("nan")


def tune(
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
    """Try settings on inner folds of the training rows; the labels of all other rows are NaN for everything that happens here.

    The first trial takes the settings as they are, as far as they lie in the space. Each further one is a function of the seed
    and of the trials before it, so a search that was stopped and is gone on with has the same trials as one that was not.

    Args:
        train: rows to learn and choose from.
        store: SQLite file (an optuna study) that keeps the finished trials; those in it are not run again.
        name: of this search; its inner folds and draws have a seed of their own by it.
        workers: inner folds side by side; changes no number.

    Returns:
        All trials in order, those of the store included.

    Raises:
        ConfigError: every trial was refused, or there are fewer families than inner folds.
        InputError: no compartment has both classes in any inner fold, or the store is damaged.
    """
    known = bench.network_config
    fixed = combinations(space) if settings.grid else [start_values(config, known, space)]
    total = len(fixed) if settings.grid else settings.trials
    seed = child_seed(config.seed, "search", name)
    with open_study(store, name) as study, one_thread_pool(workers) as pool:
        found = read_trials(study, space, store)
        report(progress, "trials", len(found), total)
        while len(found) < total:
            number = len(found)
            given = as_params(space, fixed[number]) if number < len(fixed) else {}
            draw, values, note = _draw(
                study,
                config,
                known,
                space,
                given,
                child_seed(seed, "draw", number),
                1 if settings.grid else MOST_DRAWS,
            )
            same = next((trial for trial in found if trial.values == values), None)
            if same is not None:
                trial = replace(
                    same,
                    number=number,
                    seconds=0.0,
                    note=_joined(note, f"same values as trial {same.number}"),
                )
            else:
                trial = _run_trial(
                    draw, bench, config, known, values, train, settings, seed, workers, pool
                )
                trial = replace(trial, note=_joined(note, trial.note))
            keep_trial(study, draw, trial)
            found.append(trial)
            report(progress, "trials", len(found), total)
    best_of(found)
    return found


def _draw(
    study: optuna.Study,
    config: ExperimentConfig,
    known: NetworkConfig,
    space: Space,
    given: dict[str, Any],
    seed: int,
    most: int,
) -> tuple[optuna.Trial, dict[str, Any], str]:
    """Draw values that go together, passing over those that do not; the last ones where `most` draws were in vain, and a note."""
    note = ""
    for attempt in range(most):
        draw = next_draw(study, given, child_seed(seed, attempt))
        values = suggest(draw, space)
        try:
            apply(config, known, values)
        except ConfigError as error:
            if attempt + 1 < most:
                note = f"{attempt + 1} draws passed over ({error})"
        else:
            break
    return draw, values, note


def _joined(*notes: str) -> str:
    return "; ".join(note for note in notes if note)


def _run_trial(
    draw: optuna.Trial, bench: Bench, config: ExperimentConfig, known: NetworkConfig, values: dict[str, Any], train: np.ndarray, settings: TuneSettings,
    seed: int, workers: int, pool: Any,
) -> Trial:  # fmt: skip
    started = time.perf_counter()

    def refused(why: str) -> Trial:
        return Trial(
            draw.number,
            values,
            float("nan"),
            state=REFUSED,
            seconds=time.perf_counter() - started,
            note=why,
        )

    try:
        chosen, networks = apply(config, known, values)
        data, resolved = bench.data(chosen, networks, workers=workers)
    except (ConfigError, InputError) as error:
        if isinstance(error, InputError) and error.file is not None:
            raise  # a damaged file or a full disk is no fault of the values; a diverging embedding is
        return refused(str(error))
    hidden = replace(data, labels=data.masked_labels(train))
    inner = inner_folds(hidden, train, settings.inner_folds, seed)
    tables: list[np.ndarray] = []
    so_far: list[float] = []
    for probabilities, fold in _predictions(hidden, inner, replace(resolved, seed=seed), pool):
        _, test = inner.rows(hidden.index, fold)
        if not np.isfinite(probabilities).all():
            return refused(f"a prediction of inner fold {fold} is not finite: training diverged")
        tables.append(
            fold_table(hidden.labels[test].astype(np.int64), probabilities, settings.metric)
        )
        so_far.append(mean_score(tables))
        if not np.isfinite(so_far[-1]):
            continue  # a rare compartment may be in the next inner fold
        draw.report(so_far[-1], fold)
        if (
            settings.prune
            and not settings.grid
            and fold + 1 < inner.n_folds
            and draw.should_prune()
        ):
            break
    if not np.isfinite(so_far[-1]):
        raise InputError(
            "nothing can be chosen: no compartment has RNAs with and without it in any inner fold",
            found=f"{len(train)} training RNAs",
        )
    each = tuple(mean_score([table]) for table in tables)
    state = DONE if len(tables) == inner.n_folds else PRUNED
    return Trial(
        draw.number, values, so_far[-1], each, tuple(so_far), state, time.perf_counter() - started
    )


def _predictions(
    data: FusionData, inner: Folds, config: ExperimentConfig, pool: Any
) -> Iterator[tuple[np.ndarray, int]]:
    """Probabilities of each inner fold's test rows, in fold order; with a pool all folds are begun at once."""
    if pool is None:
        for fold in range(inner.n_folds):
            yield run_fold(data, inner, config, fold).probabilities, fold
        return
    begun = [pool.submit(run_fold, data, inner, config, fold) for fold in range(inner.n_folds)]
    try:
        for fold, future in enumerate(begun):
            yield future.result().probabilities, fold
    finally:
        for future in begun:
            future.cancel()
