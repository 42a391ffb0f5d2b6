"""What a search leaves behind: its trials as a table and a picture, its choice as a configuration, and a page in words."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from fusion.search import NETWORKS, Choices, Range, Space
from fusion.settings import ExperimentConfig
from fusion.tuning import TuneSettings
from fusion.tuning_store import DONE, PRUNED, REFUSED, Trial, best_of
from mirnagraph.config import dump_toml
from mirnagraph.dataset import Dataset
from mirnagraph.networks.build import NetworkConfig

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MADE_UP = "**Made-up data**: this search shows how the tool works. Its figures say nothing about biology."
MOST_PANELS = 6


def as_text(value: Any) -> str:
    """A value as it stands in tables: text and numbers as they are, lists as JSON, numbers with every digit."""
    return value if isinstance(value, str) else json.dumps(value)


def trials_table(trials: list[Trial], space: Space) -> pd.DataFrame:
    """One row per trial: ``trial``, ``state``, ``score``, the score of each inner fold (NaN where not run), one column per setting, ``seconds``, ``note``."""
    width = max(len(trial.fold_scores) for trial in trials)
    rows = []
    for trial in trials:
        scores = (*trial.fold_scores, *([float("nan")] * (width - len(trial.fold_scores))))
        values = [as_text(trial.values[name]) for name in space]
        rows.append([trial.number, trial.state, trial.score, *scores, *values, round(trial.seconds, 2), trial.note.replace("\n", " ").replace("\t", " ")])
    return pd.DataFrame(rows, columns=["trial", "state", "score", *(f"inner fold {k}" for k in range(width)), *space, "seconds", "note"])


def best_toml(config: ExperimentConfig, networks: NetworkConfig, trials: list[Trial], settings: TuneSettings, dataset: Dataset, n_rnas: int) -> str:
    """The chosen settings as TOML that `mirnagraph train --config` reads, with comments that say how they were chosen.

    Args:
        config, networks: settings with the choice laid over them.
        n_rnas: how many RNAs the choice was made on.
    """
    best, made_up = best_of(trials), " (made-up data)" if dataset.synthetic else ""
    lines = [
        f"Chosen by `mirnagraph tune` on {n_rnas} RNAs of {dataset.name}{made_up}: trial {best.number} of {len(trials)},",
        f"mean {settings.metric} over compartments in {settings.inner_folds} inner folds {best.score:.4f}.",
        *(f"  {name} = {as_text(value)}" for name, value in best.values.items()),
        "These RNAs were chosen on: figures that a cross-validation with this file reaches on the same RNAs are optimistic. An honest figure comes",
        "from other RNAs, or from `mirnagraph tune --nested`, which chooses inside each training part.",
    ]
    if any(name.startswith(NETWORKS) for name in best.values):
        lines += [
            "The choice is of networks too: build them first, `mirnagraph build-networks --config networks.toml` (beside this file).",
            *(f"  {line}" for line in dump_toml(networks.functional).splitlines()),
        ]
    return "\n".join(f"# {line}" for line in lines) + "\n\n" + dump_toml(config)


def tune_page(config: ExperimentConfig, space: Space, trials: list[Trial], settings: TuneSettings, dataset: Dataset, n_rnas: int) -> str:
    """``tune.md``: what was searched, on which RNAs, what was found, and how far to believe it."""
    best, first = best_of(trials), trials[0]
    states = {state: sum(trial.state == state for trial in trials) for state in (DONE, PRUNED, REFUSED)}
    spread = float(np.std(best.fold_scores, ddof=1))
    lines = [f"# Search on {dataset.name}: preset {config.preset}, seed {config.seed}", ""]
    lines += [MADE_UP, ""] if dataset.synthetic else []
    lines += [
        f"{len(trials)} trials on {n_rnas} RNAs ({config.folds.rnas}), each scored by mean {settings.metric} over compartments",
        f"in {settings.inner_folds} inner folds that keep families whole: {states[DONE]} finished, {states[PRUNED]} stopped early",
        f"(below the median of earlier trials), {states[REFUSED]} refused (values that do not go together, or training that diverged:",
        "column `note` of trials.tsv).",
        "",
        "| setting | searched | first trial | best trial |",
        "|---|---|---|---|",
        *(f"| `{name}` | {_words(entry)} | {as_text(first.values[name])} | {as_text(best.values[name])} |" for name, entry in space.items()),
        f"| **{settings.metric}** | | {first.score:.4f} | **{best.score:.4f}** (trial {best.number}, SD over inner folds {spread:.4f}) |",
        "",
        "The first trial has the settings as they were, as far as they lie in the space.",
    ]
    gain = best.score - first.score
    if best.number == first.number:
        lines += ["No trial did better than it."]
    elif np.isfinite(gain):
        size = "less than" if gain < spread else "more than"
        lines += [f"The best is {gain:+.4f} above it, {size} what inner folds of one trial differ by (SD {spread:.4f}).", ""]
        lines += ["The best of many tries also is the luckiest: its score here is an optimistic one, the more so the more trials there were."]
    lines += [
        "",
        "![Trials](trials.png)",
        "",
        "Use it with `mirnagraph train --config best.toml`. Figures on these same RNAs will be optimistic, since their labels took part in the choice;",
        "`mirnagraph tune --nested` chooses inside the training part of each fold and gives an honest figure for settings *and* search.",
        "",
    ]
    return "\n".join(lines)


def _words(entry: Choices | Range) -> str:
    if isinstance(entry, Choices):
        return ", ".join(as_text(value) for value in entry.values)
    scale = " (log scale)" if entry.log else f" by {entry.step:g}" if entry.step is not None else ""
    return f"{entry.low:g} to {entry.high:g}{scale}"


def draw_trials(trials: list[Trial], space: Space, metric: str) -> Figure:
    """Score by trial with the best so far, and score by value of each setting (the first six)."""
    from matplotlib.figure import Figure

    names = list(space)[:MOST_PANELS]
    columns = min(len(names) + 1, 4)
    figure = Figure(figsize=(3.6 * columns, 3.2 * -(-(len(names) + 1) // columns)), layout="constrained")
    axes = np.atleast_1d(figure.subplots(-(-(len(names) + 1) // columns), columns, squeeze=False)).ravel()
    shown = [trial for trial in trials if trial.state != REFUSED]
    _scatter(axes[0], [trial.number for trial in shown], shown)
    done = [trial for trial in shown if trial.state == DONE]
    axes[0].step([t.number for t in done], np.maximum.accumulate([t.score for t in done]), where="post", color="0.5", label="best so far")
    axes[0].set(xlabel="trial", ylabel=f"{metric}, inner folds")
    axes[0].legend(fontsize="small")
    for axis, name in zip(axes[1:], names, strict=False):
        entry = space[name]
        if isinstance(entry, Choices):
            _scatter(axis, [entry.values.index(trial.values[name]) for trial in shown], shown)
            labels = [text if len(text := as_text(value)) <= 14 else f"choice {k}" for k, value in enumerate(entry.values)]
            axis.set_xticks(range(len(entry.values)), labels, rotation=30 if max(map(len, labels)) > 6 else 0)
        else:
            _scatter(axis, [trial.values[name] for trial in shown], shown)
            axis.set_xscale("log" if entry.log else "linear")
        axis.set(xlabel=name)
    for axis in axes[len(names) + 1 :]:
        axis.set_visible(False)
    return figure


def _scatter(axis: Any, places: list[float], trials: list[Trial]) -> None:
    for state, color, mark in ((DONE, "C0", "o"), (PRUNED, "C1", "x")):
        rows = [row for row, trial in enumerate(trials) if trial.state == state]
        if rows:
            axis.scatter([places[row] for row in rows], [trials[row].score for row in rows], color=color, marker=mark, label=state, s=24)
