"""Figures within each set of a run over several: the model beside its parts, so that no difference between sets passes for skill."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd

from fusion.learner import BOOSTING, EXTRA_TREES, join
from fusion.problem import Problem
from fusion.results import CrossValidationResult
from mirnagraph.evaluation.metrics import UndefinedMetricWarning, evaluate

BY_SET = "metrics_by_set.tsv"
MODEL, TREES = "model", "trees"


def by_set(problem: Problem, result: CrossValidationResult) -> pd.DataFrame:
    """Figures of every set of RNAs.

    Returns:
        Columns ``set``, ``model`` (``model``, ``attention``, and ``trees``: the trees of the type alone), and those of
        `mirnagraph.evaluation.metrics.evaluate`, with ``within`` for the networks' RNAs. Compartments that a set has no label for, or one value of, are
        left out.
    """
    if problem.joined is None:
        raise ValueError("a problem of one set")
    sets, found = np.array(problem.joined.sets, dtype=object), []
    of_row = result.folds.of_rows(result.index)
    answers = {MODEL: result.probabilities, **_parts(result)}
    for name in dict.fromkeys(problem.joined.sets):
        rows = np.flatnonzero((sets == name) & (of_row >= 0))
        true = np.asarray(result.labels[rows], dtype=float)
        columns = [k for k in range(true.shape[1]) if len(np.unique(true[~np.isnan(true[:, k]), k])) > 1]
        if not columns:
            continue
        decile = problem.popularity[rows] if rows.max() < problem.n_home else None
        for model, said in answers.items():
            cuts = result.thresholds[rows][:, columns] if model == MODEL else np.full(len(columns), 0.5)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UndefinedMetricWarning)
                part = evaluate(true[:, columns], said[rows][:, columns], of_row[rows], cuts, [result.compartments[k] for k in columns], decile)
            part.insert(0, "model", model)
            part.insert(0, "set", name)
            found.append(part)
    return pd.concat(found, ignore_index=True)


def by_set_lines(table: pd.DataFrame) -> list[str]:
    """The section of a report."""
    chosen = table[(table["compartment"] == "average") & table["metric"].isin(["AUC", "AUPR"])]
    lines = ["## Within each set", "", "| set | answer | AUC (SD over folds) | AUPR (SD over folds) | compartments |", "|---|---|---|---|---|"]
    for (name, model), part in chosen.groupby(["set", "model"], sort=False):
        cells = [f"{row['mean']:.3f} ({row['sd']:.3f})" for row in part.set_index("metric").loc[["AUC", "AUPR"]].to_dict("records")]
        lines.append(f"| {name} | {model} | {cells[0]} | {cells[1]} | {int(part['n_labels'].iloc[0])} |")
    return [
        *lines,
        "",
        "*trees* are those of one type of RNAs, fitted for each compartment on the RNAs of that type that are labelled for it.",
        "`predictions.tsv` has a number for every compartment; where no RNA of a type was labelled for one it means nothing, and `predict` leaves it out.",
        "",
    ]


def _parts(result: CrossValidationResult) -> dict[str, np.ndarray]:
    """What attention and the trees say by themselves, out of fold; only what every fold has."""
    found = {}
    for name, of in (("attention", ("attention",)), (TREES, (EXTRA_TREES, BOOSTING))):
        said = np.full(result.probabilities.shape, np.nan)
        for one in result.results:
            parts = {part: one.parts[part] for part in of if part in one.parts}
            if parts:
                said[one.rows] = join(parts, dict.fromkeys(parts, 1.0))
        if np.isfinite(said[result.folds.of_rows(result.index) >= 0]).all():
            found[name] = said
    return found
