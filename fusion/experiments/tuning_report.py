"""Pages of both."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from fusion.config import ExperimentConfig
from fusion.experiments.search_space import NETWORKS, Choices, Range, Space
from fusion.experiments.study import DONE, PRUNED, REFUSED, Trial, best_of
from fusion.experiments.tuning import TuneSettings, fold_table, mean_score
from mirnagraph.config import dump_toml
from mirnagraph.dataset import Dataset
from mirnagraph.networks.build import NetworkConfig
from mirnagraph.runs.results import CrossValidationResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SYNTHETIC = (
    "**Made-up data**: this search shows how the tool works. Its figures say nothing about biology."
)

MOST_PANELS = 6

MEAN = "mean"


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
        rows.append(
            [
                trial.number,
                trial.state,
                trial.score,
                *scores,
                *values,
                round(trial.seconds, 2),
                trial.note.replace("\n", " ").replace("\t", " "),
            ]
        )
    return pd.DataFrame(
        rows,
        columns=[
            "trial",
            "state",
            "score",
            *(f"inner fold {k}" for k in range(width)),
            *space,
            "seconds",
            "note",
        ],
    )


def best_toml(
    config: ExperimentConfig,
    networks: NetworkConfig,
    trials: list[Trial],
    settings: TuneSettings,
    dataset: Dataset,
    n_rnas: int,
) -> str:
    """The chosen settings as TOML that `mirnagraph train --config` reads, with comments that say how they were chosen.

    Args:
        config, networks: settings with the choice laid over them.
        n_rnas: how many RNAs the choice was made on.
    """
    best = best_of(trials)
    synthetic = " (made-up data)" if dataset.synthetic else ""
    lines = [
        f"Chosen by `mirnagraph tune` on {n_rnas} RNAs of {dataset.name}{synthetic}: trial {best.number} of {len(trials)},",
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


def tune_page(
    config: ExperimentConfig,
    space: Space,
    trials: list[Trial],
    settings: TuneSettings,
    dataset: Dataset,
    n_rnas: int,
) -> str:
    """``tune.md``: what was searched, on which RNAs, what was found, and how far to believe it."""
    best = best_of(trials)
    first = trials[0]
    states = {
        state: sum(trial.state == state for trial in trials) for state in (DONE, PRUNED, REFUSED)
    }
    uncertainty = float(np.std(best.fold_scores, ddof=1))
    lines = [f"# Search on {dataset.name}: preset {config.preset}, seed {config.seed}", ""]
    lines += [SYNTHETIC, ""] if dataset.synthetic else []
    lines += [
        f"{len(trials)} trials on {n_rnas} RNAs ({config.folds.rnas}), each scored by mean {settings.metric} over compartments",
        f"in {settings.inner_folds} inner folds that keep families whole: {states[DONE]} finished, {states[PRUNED]} stopped early",
        f"(below the median of earlier trials), {states[REFUSED]} refused (values that do not go together, or training that diverged:",
        "column `note` of trials.tsv).",
        "",
        "| setting | searched | first trial | best trial |",
        "|---|---|---|---|",
        *(
            f"| `{name}` | {_words(entry)} | {as_text(first.values[name])} | {as_text(best.values[name])} |"
            for name, entry in space.items()
        ),
        f"| **{settings.metric}** | | {first.score:.4f} | **{best.score:.4f}** (trial {best.number}, SD over inner folds {uncertainty:.4f}) |",
        "",
        "The first trial has the settings as they were, as far as they lie in the space.",
    ]
    gain = best.score - first.score
    if best.number == first.number:
        lines += ["No trial did better than it."]
    elif np.isfinite(gain):
        size = "less than" if gain < uncertainty else "more than"
        lines += [
            f"The best is {gain:+.4f} above it, {size} what inner folds of one trial differ by (SD {uncertainty:.4f}).",
            "",
        ]
        lines += [
            "The best of many tries also is the luckiest: its score here is an optimistic one, the more so the more trials there were."
        ]
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
    figure = Figure(
        figsize=(3.6 * columns, 3.2 * -(-(len(names) + 1) // columns)), layout="constrained"
    )
    axes = np.atleast_1d(
        figure.subplots(-(-(len(names) + 1) // columns), columns, squeeze=False)
    ).ravel()
    shown = [trial for trial in trials if trial.state != REFUSED]
    _scatter(axes[0], [trial.number for trial in shown], shown)
    done = [trial for trial in shown if trial.state == DONE]
    axes[0].step(
        [t.number for t in done],
        np.maximum.accumulate([t.score for t in done]),
        where="post",
        color="0.5",
        label="best so far",
    )
    axes[0].set(xlabel="trial", ylabel=f"{metric}, inner folds")
    axes[0].legend(fontsize="small")
    for axis, name in zip(axes[1:], names, strict=False):
        entry = space[name]
        if isinstance(entry, Choices):
            _scatter(axis, [entry.values.index(trial.values[name]) for trial in shown], shown)
            labels = [
                text if len(text := as_text(value)) <= 14 else f"choice {k}"
                for k, value in enumerate(entry.values)
            ]
            axis.set_xticks(
                range(len(entry.values)), labels, rotation=30 if max(map(len, labels)) > 6 else 0
            )
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
            axis.scatter(
                [places[row] for row in rows],
                [trials[row].score for row in rows],
                color=color,
                marker=mark,
                label=state,
                s=24,
            )


def choices_table(result: CrossValidationResult) -> pd.DataFrame:
    """Columns ``fold``, ``setting``, ``value`` (text), ``inner_score``: what each fold's search chose."""
    rows = []
    for fold in result.results:
        chosen = fold.choices["search"]
        rows += [
            [fold.fold, name, as_text(value), chosen["score"]]
            for name, value in chosen["values"].items()
        ]
    return pd.DataFrame(rows, columns=["fold", "setting", "value", "inner_score"])


def compare_folds(
    untuned: pd.DataFrame, result: CrossValidationResult, pooled: pd.DataFrame
) -> pd.DataFrame:
    """The nested run against the untuned one, fold by fold, on the same RNAs.

    Args:
        untuned: predictions of the untuned run (see `read_predictions`), any row order.
        pooled: rows ``average`` of `mirnagraph.evaluation.compare.compare` of both.

    Returns:
        Columns ``metric`` (AUC, AUPR), ``fold`` (number as text; ``"mean"``: over folds, then compartments; ``"pooled"``: all
        RNAs together), ``untuned``, ``nested``, ``difference``, and for ``"pooled"`` its 95 % interval ``low``, ``high``.
    """
    frame = result.to_frame()
    names = list(result.compartments)
    theirs = untuned.set_index("rna_id").loc[frame["rna_id"], names].to_numpy(dtype=float)
    mine = frame[names].to_numpy(dtype=float)
    truth = result.labels_frame()[names].to_numpy(dtype=np.int64)
    parts = [
        (str(fold), (frame["fold"] == fold).to_numpy()) for fold in range(result.folds.n_folds)
    ]
    rows: list[list[object]] = []
    for metric in ("AUC", "AUPR"):
        tables = [
            [fold_table(truth[part], said[part], metric) for _, part in parts]
            for said in (theirs, mine)
        ]
        for number, (fold, _) in enumerate(parts):
            rows.append(
                _row(metric, fold, mean_score([tables[0][number]]), mean_score([tables[1][number]]))
            )
        rows.append(_row(metric, MEAN, mean_score(tables[0]), mean_score(tables[1])))
        whole = pooled[pooled["metric"] == metric].iloc[0]
        rows.append(
            [
                *_row(metric, "pooled", whole["first"], whole["second"])[:5],
                float(whole["low"]),
                float(whole["high"]),
            ]
        )
    return pd.DataFrame(
        rows, columns=["metric", "fold", "untuned", "nested", "difference", "low", "high"]
    )


def _row(metric: str, fold: str, untuned: float, nested: float) -> list[object]:
    return [
        metric,
        fold,
        float(untuned),
        float(nested),
        float(nested - untuned),
        float("nan"),
        float("nan"),
    ]


def verdict(versus: pd.DataFrame, metric: str) -> str:
    """Whether choosing settings was worth it, in a sentence."""
    of = versus[versus["metric"] == metric].set_index("fold")
    mean = of.loc[MEAN]
    pooled = of.loc["pooled"]
    each = of.drop(index=[MEAN, "pooled"])["difference"].dropna()
    if pooled["low"] > 0:
        said = "choosing settings helped"
    elif pooled["high"] < 0:
        said = "choosing settings did harm"
    else:
        said = "no difference that these RNAs can show"
    against = f"{mean['nested']:.4f} with settings chosen in each fold, {mean['untuned']:.4f} untuned ({mean['difference']:+.4f}"
    interval = f"pooled {pooled['difference']:+.4f}, 95 % interval {pooled['low']:+.4f} to {pooled['high']:+.4f}"
    return f"{metric}: {against}, better in {int((each > 0).sum())} of {len(each)} folds; {interval}): {said}."


def nested_section(
    result: CrossValidationResult, versus: pd.DataFrame, settings: TuneSettings, final: Trial
) -> str:
    """Markdown to be added to a run's report."""
    names = list(final.values)
    searched = "every combination" if settings.grid else f"{settings.trials} trials"
    lines = [
        "",
        "## Settings chosen inside each fold",
        "",
        f"In the training part of every fold {searched}, scored by mean {settings.metric} in {settings.inner_folds} inner folds that keep families whole.",
        "No label of a tested RNA took part in the choice. All trials are in `searches/`.",
        "",
        "| fold | " + " | ".join(f"`{name}`" for name in names) + f" | inner {settings.metric} |",
        "|---|" + "---|" * (len(names) + 1),
    ]
    for fold in result.results:
        chosen = fold.choices["search"]
        lines.append(
            f"| {fold.fold} | "
            + " | ".join(as_text(chosen["values"][name]) for name in names)
            + f" | {chosen['score']:.4f} |"
        )
    lines.append(
        "| all RNAs (the saved model) | "
        + " | ".join(as_text(final.values[name]) for name in names)
        + f" | {final.score:.4f} |"
    )
    lines += [
        "",
        "Against the same folds with the settings as they were (`untuned/`):",
        "",
        *(f"- {verdict(versus, m)}" for m in ("AUC", "AUPR")),
        "",
    ]
    lines += [
        "| fold | AUC untuned | AUC chosen | AUPR untuned | AUPR chosen |",
        "|---|---|---|---|---|",
    ]
    wide = versus.set_index(["metric", "fold"])
    for name in dict.fromkeys(versus["fold"]):
        cells = [
            f"{wide.loc[(metric, name), which]:.4f}"
            for metric in ("AUC", "AUPR")
            for which in ("untuned", "nested")
        ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])
