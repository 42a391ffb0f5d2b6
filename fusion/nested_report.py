"""What a nested run adds to a report: the choice of each fold, and whether choosing was worth it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from fusion.results import CrossValidationResult
from fusion.tuning import TuneSettings, fold_table, mean_score
from fusion.tuning_report import as_text
from fusion.tuning_store import Trial

MEAN = "mean"


def choices_table(result: CrossValidationResult) -> pd.DataFrame:
    """Columns ``fold``, ``setting``, ``value`` (text), ``inner_score``: what each fold's search chose."""
    rows = []
    for fold in result.results:
        chosen = fold.choices["search"]
        rows += [[fold.fold, name, as_text(value), chosen["score"]] for name, value in chosen["values"].items()]
    return pd.DataFrame(rows, columns=["fold", "setting", "value", "inner_score"])


def compare_folds(untuned: pd.DataFrame, result: CrossValidationResult, pooled: pd.DataFrame) -> pd.DataFrame:
    """The nested run against the untuned one, fold by fold, on the same RNAs.

    Args:
        untuned: predictions of the untuned run (see `read_predictions`), any row order.
        pooled: rows ``average`` of `mirnagraph.evaluation.compare.compare` of both.

    Returns:
        Columns ``metric`` (AUC, AUPR), ``fold`` (number as text; ``"mean"``: over folds, then compartments; ``"pooled"``: all
        RNAs together), ``untuned``, ``nested``, ``difference``, and for ``"pooled"`` its 95 % interval ``low``, ``high``.
    """
    frame, names = result.to_frame(), list(result.compartments)
    theirs = untuned.set_index("rna_id").loc[frame["rna_id"], names].to_numpy(dtype=float)
    mine, truth = frame[names].to_numpy(dtype=float), result.labels_frame()[names].to_numpy(dtype=np.int64)
    parts = [(str(fold), (frame["fold"] == fold).to_numpy()) for fold in range(result.folds.n_folds)]
    rows: list[list[object]] = []
    for metric in ("AUC", "AUPR"):
        tables = [[fold_table(truth[part], said[part], metric) for _, part in parts] for said in (theirs, mine)]
        for number, (fold, _) in enumerate(parts):
            rows.append(_row(metric, fold, mean_score([tables[0][number]]), mean_score([tables[1][number]])))
        rows.append(_row(metric, MEAN, mean_score(tables[0]), mean_score(tables[1])))
        whole = pooled[pooled["metric"] == metric].iloc[0]
        rows.append([*_row(metric, "pooled", whole["first"], whole["second"])[:5], float(whole["low"]), float(whole["high"])])
    return pd.DataFrame(rows, columns=["metric", "fold", "untuned", "nested", "difference", "low", "high"])


def _row(metric: str, fold: str, untuned: float, nested: float) -> list[object]:
    return [metric, fold, float(untuned), float(nested), float(nested - untuned), float("nan"), float("nan")]


def verdict(versus: pd.DataFrame, metric: str) -> str:
    """Whether choosing settings was worth it, in a sentence."""
    of = versus[versus["metric"] == metric].set_index("fold")
    mean, pooled = of.loc[MEAN], of.loc["pooled"]
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


def nested_section(result: CrossValidationResult, versus: pd.DataFrame, settings: TuneSettings, final: Trial) -> str:
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
        lines.append(f"| {fold.fold} | " + " | ".join(as_text(chosen["values"][name]) for name in names) + f" | {chosen['score']:.4f} |")
    lines.append("| all RNAs (the saved model) | " + " | ".join(as_text(final.values[name]) for name in names) + f" | {final.score:.4f} |")
    lines += ["", "Against the same folds with the settings as they were (`untuned/`):", "", *(f"- {verdict(versus, m)}" for m in ("AUC", "AUPR")), ""]
    lines += ["| fold | AUC untuned | AUC chosen | AUPR untuned | AUPR chosen |", "|---|---|---|---|---|"]
    wide = versus.set_index(["metric", "fold"])
    for name in dict.fromkeys(versus["fold"]):
        cells = [f"{wide.loc[(metric, name), which]:.4f}" for metric in ("AUC", "AUPR") for which in ("untuned", "nested")]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])
