"""Tables, pages and picture of a search, and the report section of a nested run."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from fusion.experiments.search_space import NETWORKS, Choices, Range, Space
from fusion.experiments.study import DONE, PRUNED, REFUSED, Trial
from fusion.experiments.tuning import Outcome, TuneSettings, fold_table, mean_score
from mirnagraph.config import dump_toml
from mirnagraph.runs.markdown import bullets, finite_or_dash, page, section
from mirnagraph.runs.markdown import table as markdown_table
from mirnagraph.runs.results import CrossValidationResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_PANELS = 6
"""Settings that the picture of a search shows."""

MAX_LABEL = 14
"""Characters of a choice's text under an axis."""

MEAN = "mean"
POOLED = "pooled"

TESTED = ("AUC", "AUPR")


def as_text(value: Any) -> str:
    """A value for a table: text and numbers as they are, lists as JSON."""
    return value if isinstance(value, str) else json.dumps(value)


def trials_table(trials: list[Trial], space: Space) -> pd.DataFrame:
    """One row per trial.

    Args:
        trials: in order.
        space: of the search.

    Returns:
        Columns ``trial``, ``state``, ``score``, the score of each inner fold (NaN where not run),
        one column per setting, ``seconds``, ``note``.
    """
    width = max(len(trial.fold_scores) for trial in trials)
    rows = []
    for trial in trials:
        padding = [np.nan] * (width - len(trial.fold_scores))
        settings = [as_text(trial.values[name]) for name in space]
        note = trial.note.replace("\n", " ").replace("\t", " ")
        scores = (trial.score, *trial.fold_scores, *padding)
        rows.append([trial.number, trial.state, *scores, *settings, round(trial.seconds, 2), note])
    folds = [f"inner fold {number}" for number in range(width)]
    columns = ["trial", "state", "score", *folds, *space, "seconds", "note"]
    return pd.DataFrame(rows, columns=columns)


def best_toml(search: Outcome) -> str:
    """The selected settings as TOML that `mirnagraph train --config` reads, with comments."""
    best = search.best
    settings = search.settings
    dataset = search.bench.networks.dataset
    config, networks = search.selected
    synthetic = " (synthetic data)" if dataset.synthetic else ""
    lines = [
        f"Selected by `mirnagraph tune` on {search.n_rnas} RNAs of {dataset.name}{synthetic}:",
        f"trial {best.number} of {len(search.trials)}, mean {settings.metric} over compartments in "
        f"{settings.inner_folds} inner folds {best.score:.4f}.",
        *(f"  {name} = {as_text(value)}" for name, value in best.values.items()),
        "The labels of these RNAs took part in the selection: metrics of a cross-validation with",
        "this file on the same RNAs are optimistic. Unbiased metrics come from other RNAs, or from",
        "`mirnagraph tune --nested`, which selects inside each training part.",
    ]
    if any(name.startswith(NETWORKS) for name in best.values):
        lines += [
            "Settings of networks were selected too: build the networks first with",
            "`mirnagraph build-networks --config networks.toml` (in the same folder).",
            *(f"  {line}" for line in dump_toml(networks.functional).splitlines()),
        ]
    return "\n".join(f"# {line}" for line in lines) + "\n\n" + dump_toml(config)


def tune_page(search: Outcome) -> str:
    """``tune.md``: space, trials and the best of them."""
    trials = search.trials
    best = search.best
    config = search.config
    settings = search.settings
    dataset = search.bench.networks.dataset
    first = trials[0]
    counts = Counter(trial.state for trial in trials)
    about = (
        f"{len(trials)} trials on {search.n_rnas} RNAs ({config.folds.rnas}). Score: mean "
        f"{settings.metric} over compartments in {settings.inner_folds} family-grouped inner "
        f"folds.\n"
        f"Finished: {counts[DONE]}; stopped early (below the median of earlier trials): "
        f"{counts[PRUNED]}; refused (values that do not fit each other, or diverged training: "
        f"column `note` of trials.tsv): {counts[REFUSED]}."
    )
    rows = []
    for name, entry in search.space.items():
        values = [as_text(trial.values[name]) for trial in (first, best)]
        rows.append([f"`{name}`", _entry_text(entry), *values])
    sd = float(np.std(best.fold_scores, ddof=1))
    best_cell = f"**{best.score:.4f}** (trial {best.number}, SD over inner folds {sd:.4f})"
    rows.append([f"**{settings.metric}**", "", f"{first.score:.4f}", best_cell])
    usage = (
        "Use it with `mirnagraph train --config best.toml`. Metrics on the same RNAs are "
        "optimistic, since their labels took part in the selection.\n`mirnagraph tune --nested` "
        "selects inside the training part of each fold; its metrics are unbiased for settings and "
        "search together."
    )
    return page(
        f"Search on {dataset.name}: preset {config.preset}, seed {config.seed}",
        about,
        markdown_table(["setting", "searched", "first trial", "best trial"], rows),
        "The first trial has the settings before the search, as far as the space contains them.",
        _gain(first, best, sd),
        "![Trials](trials.png)",
        usage,
        synthetic=dataset.synthetic,
    )


def _gain(first: Trial, best: Trial, sd: float) -> str:
    """The best trial compared with the first."""
    if best.number == first.number:
        return "No trial has a higher score."
    gain = best.score - first.score
    if not np.isfinite(gain):
        return ""
    size = "less" if gain < sd else "more"
    return (
        f"Best - first: {gain:+.4f}, {size} than the SD over inner folds ({sd:.4f}). The best "
        "score of many trials is optimistic, the more so the more trials there were."
    )


def _entry_text(entry: Choices | Range) -> str:
    if isinstance(entry, Choices):
        return ", ".join(as_text(value) for value in entry.values)
    text = f"{entry.low:g} to {entry.high:g}"
    if entry.log:
        return f"{text} (log scale)"
    return text if entry.step is None else f"{text} by {entry.step:g}"


def draw_trials(trials: list[Trial], space: Space, metric: str) -> Figure:
    """Score by trial with the best so far, and score by value of the first settings."""
    from matplotlib.figure import Figure

    names = list(space)[:MAX_PANELS]
    n_panels = len(names) + 1
    n_columns = min(n_panels, 4)
    n_rows = -(-n_panels // n_columns)
    figure = Figure(figsize=(3.6 * n_columns, 3.2 * n_rows), layout="constrained")
    axes = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
    shown = [trial for trial in trials if trial.state != REFUSED]
    done = [trial for trial in shown if trial.state == DONE]
    _scatter(axes[0], [trial.number for trial in shown], shown)
    numbers = [trial.number for trial in done]
    best = np.maximum.accumulate([trial.score for trial in done])
    axes[0].step(numbers, best, where="post", color="0.5", label="best so far")
    axes[0].set(xlabel="trial", ylabel=f"{metric}, inner folds")
    axes[0].legend(fontsize="small")
    for axis, name in zip(axes[1:], names, strict=False):
        _draw_setting(axis, name, space[name], shown)
    for axis in axes[n_panels:]:
        axis.set_visible(False)
    return figure


def _draw_setting(axis: Any, name: str, entry: Choices | Range, trials: list[Trial]) -> None:
    """Score by value of one setting."""
    values = [trial.values[name] for trial in trials]
    axis.set(xlabel=name)
    if isinstance(entry, Range):
        _scatter(axis, values, trials)
        axis.set_xscale("log" if entry.log else "linear")
        return
    _scatter(axis, [entry.values.index(value) for value in values], trials)
    labels = []
    for number, value in enumerate(entry.values):
        text = as_text(value)
        labels.append(text if len(text) <= MAX_LABEL else f"choice {number}")
    is_wide = max(map(len, labels)) > 6
    axis.set_xticks(range(len(labels)), labels, rotation=30 if is_wide else 0)


def _scatter(axis: Any, places: list[float], trials: list[Trial]) -> None:
    for state, color, mark in ((DONE, "C0", "o"), (PRUNED, "C1", "x")):
        rows = [row for row, trial in enumerate(trials) if trial.state == state]
        if rows:
            x = [places[row] for row in rows]
            y = [trials[row].score for row in rows]
            axis.scatter(x, y, color=color, marker=mark, label=state, s=24)


def choices_table(result: CrossValidationResult) -> pd.DataFrame:
    """Values that the search of each fold selected.

    Returns:
        Columns ``fold``, ``setting``, ``value`` (text), ``inner_score``.
    """
    rows = []
    for fold in result.results:
        search = fold.choices["search"]
        for name, value in search["values"].items():
            rows.append([fold.fold, name, as_text(value), search["score"]])
    return pd.DataFrame(rows, columns=["fold", "setting", "value", "inner_score"])


def compare_folds(
    untuned: pd.DataFrame, result: CrossValidationResult, pooled: pd.DataFrame
) -> pd.DataFrame:
    """Compare a nested run with the untuned one, fold by fold, on the same RNAs.

    Args:
        untuned: predictions of the untuned run (see `read_predictions`), any row order.
        result: of the nested run.
        pooled: rows ``average`` of `mirnagraph.evaluation.compare.compare` of both.

    Returns:
        Columns ``metric`` (AUC, AUPR), ``fold`` (number as text; ``"mean"``: over folds, then
        compartments; ``"pooled"``: all RNAs together), ``untuned``, ``nested``, ``difference``, and
        for ``"pooled"`` its 95 % interval ``low``, ``high``.
    """
    frame = result.to_frame()
    names = list(result.compartments)
    before = untuned.set_index("rna_id").loc[frame["rna_id"], names].to_numpy(dtype=float)
    nested = frame[names].to_numpy(dtype=float)
    true = result.labels_frame()[names].to_numpy(dtype=np.int64)
    rows: list[list[object]] = []
    for metric in TESTED:
        tables: list[list[np.ndarray]] = [[], []]
        for fold in range(result.folds.n_folds):
            is_tested = (frame["fold"] == fold).to_numpy()
            for tables_of, predicted in zip(tables, (before, nested), strict=True):
                tables_of.append(fold_table(true[is_tested], predicted[is_tested], metric))
            scores = [mean_score(tables_of[-1:]) for tables_of in tables]
            rows.append([metric, str(fold), *scores, np.nan, np.nan])
        rows.append([metric, MEAN, *map(mean_score, tables), np.nan, np.nan])
        whole = pooled[pooled["metric"] == metric].iloc[0]
        rows.append([metric, POOLED, *whole[["first", "second", "low", "high"]]])
    table = pd.DataFrame(rows, columns=["metric", "fold", "untuned", "nested", "low", "high"])
    table.insert(4, "difference", table["nested"] - table["untuned"])
    return table


def verdict(versus: pd.DataFrame, metric: str) -> str:
    """State whether selecting settings changed a metric.

    Args:
        versus: of `compare_folds`.
        metric: one of its metrics.
    """
    by_fold = versus[versus["metric"] == metric].set_index("fold")
    mean = by_fold.loc[MEAN]
    pooled = by_fold.loc[POOLED]
    differences = by_fold.drop(index=[MEAN, POOLED])["difference"].dropna()
    judged = "no significant difference"
    if pooled["low"] > 0:
        judged = "higher with selected settings"
    elif pooled["high"] < 0:
        judged = "lower with selected settings"
    n_higher = int((differences > 0).sum())
    return (
        f"{metric}: {judged}. Settings selected in each fold {mean['nested']:.4f}, untuned "
        f"{mean['untuned']:.4f} ({mean['difference']:+.4f}; higher in {n_higher} of "
        f"{len(differences)} folds); pooled {pooled['difference']:+.4f} [{pooled['low']:+.4f}, "
        f"{pooled['high']:+.4f}]."
    )


def nested_section(
    result: CrossValidationResult, versus: pd.DataFrame, settings: TuneSettings, final: Trial
) -> str:
    """Section of a nested run's report.

    Args:
        result: of the nested run.
        versus: of `compare_folds`.
        settings: of the searches.
        final: best trial of the search on all RNAs.
    """
    names = list(final.values)
    searched = "every combination" if settings.grid else f"{settings.trials} trials"
    about = (
        f"In the training part of every fold {searched}, scored by mean {settings.metric} in "
        f"{settings.inner_folds} family-grouped inner folds.\nNo label of a tested RNA took part "
        "in the selection. All trials are in `searches/`."
    )
    searches = {str(fold.fold): fold.choices["search"] for fold in result.results}
    searches["all RNAs (the saved model)"] = {"values": final.values, "score": final.score}
    selected = []
    for fold, search in searches.items():
        values = [as_text(search["values"][name]) for name in names]
        selected.append([fold, *values, f"{search['score']:.4f}"])
    header = ["fold", *(f"`{name}`" for name in names), f"inner {settings.metric}"]
    by_fold = versus.set_index(["metric", "fold"])[["untuned", "nested"]]
    compared = []
    for fold in dict.fromkeys(versus["fold"]):
        scores = np.concatenate([by_fold.loc[(metric, fold)].to_numpy() for metric in TESTED])
        compared.append([fold, *(finite_or_dash(score, 4) for score in scores)])
    compared_header = ["fold", "AUC untuned", "AUC selected", "AUPR untuned", "AUPR selected"]
    return section(
        "Settings selected inside each fold",
        about,
        markdown_table(header, selected),
        "Compared with the same folds untuned (`untuned/`), 95 % intervals over RNAs:",
        bullets(verdict(versus, metric) for metric in TESTED),
        markdown_table(compared_header, compared),
    )
