"""Report tables, curves, baseline section and verdict."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mirnagraph.evaluation.compare import compare
from mirnagraph.evaluation.metrics import AVERAGE, UndefinedMetricWarning
from mirnagraph.runs.results import CrossValidationResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TABLE = "baselines.tsv"
THIS_RUN = "this run"

OWN_TREES = "own_trees"
"""Mean of logits of the trees inside a fusion model, without its attention part."""

MEASURES = ("AUC", "AUPR", "within", "F1", "MCC")

SHOWN = ("AUC", "AUPR", "F1", "MCC")


def baseline_rows(table: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Header and cells of the table of `fusion.baselines.run.baseline_table`, with three decimals and a dash where there is no answer."""
    records: list[dict[str, Any]] = table.to_dict("records")  # type: ignore[assignment]
    rows = [[str(row["model"]), *(_figure(row[m]) for m in MEASURES)] for row in records]
    return ["model", *MEASURES], rows


def verdict(table: pd.DataFrame) -> list[str]:
    """Sentences on which baseline comes nearest in AUC, and on every baseline that reaches the model in AUC, AUPR or within."""
    by_name: dict[str, dict[str, Any]] = {
        str(row["model"]): row for row in table.to_dict("records")
    }  # type: ignore[misc]
    mine = by_name[THIS_RUN]
    others = [name for name in by_name if name not in (THIS_RUN, OWN_TREES)]
    known = [name for name in others if np.isfinite(by_name[name]["AUC"])]
    if not known or not np.isfinite(mine["AUC"]):
        return ["No baseline can be compared with the model: the AUC has no answer on these folds."]
    nearest = min(known, key=lambda name: abs(by_name[name]["AUC"] - mine["AUC"]))
    lines = [
        f"Nearest in AUC comes `{nearest}` ({by_name[nearest]['what']}): {_beside(by_name, nearest, 'AUC')}, {_beside(by_name, nearest, 'AUPR')}."
    ]
    ahead = [
        (name, m)
        for m in ("AUC", "AUPR", "within")
        for name in others
        if by_name[name][m] >= mine[m]
    ]
    if not ahead:
        return [
            *lines,
            "The model is ahead of every baseline in AUC, in AUPR and among equally well studied RNAs (within).",
        ]
    for name in dict.fromkeys(name for name, _ in ahead):
        where = "; ".join(_beside(by_name, name, m) for n, m in ahead if n == name)
        lines.append(f"**The baseline `{name}` is not beaten**: {where}.")
    return lines


def baseline_section(table: pd.DataFrame | None, own_trees: Sequence[str] = ()) -> list[str]:
    """Lines of the report's section on baselines; says so where they were left out."""
    if table is None:
        return [
            "## Baselines",
            "",
            *own_trees,
            "The baselines were left out of this run.",
            "",
        ]
    header, rows = baseline_rows(table)
    lines = [
        "## Baselines",
        "",
        *verdict(table),
        *own_trees,
        "",
        "| " + " | ".join(header) + " |",
        "|---|" + "---|" * len(MEASURES),
    ]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    lines += ["", *(f"- `{row['model']}`: {row['what']}" for row in table.to_dict("records")), ""]
    return [
        *lines,
        "All were fitted on the same training rows and tested on the same folds. AUC, AUPR, F1 and MCC are means over folds; within is the AUC",
        "among equally well studied RNAs, pooled. Thresholds were chosen inside the training rows. Whether a difference is more than chance says",
        "`mirnagraph compare RUN --baseline NAME`.",
        "",
    ]


def own_trees_sentence(result: CrossValidationResult, seed: int) -> list[str]:
    """Sentence on the model against the trees inside it, with paired intervals.

    Args:
        seed: of the bootstrap resamples.

    Returns:
        One line, or none for a model without trees or of trees alone.
    """
    if OWN_TREES not in result.predictions or "attention" not in result.predictions:
        return []
    labels = result.labels_frame().set_index("rna_id")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        table = compare(result.to_frame(OWN_TREES), result.to_frame(), labels, seed=seed)
    average = table[table["compartment"] == AVERAGE].set_index("metric")
    cells = []
    for metric in ("AUC", "AUPR"):
        row = average.loc[metric]
        interval = f"[{row['low']:+.3f}, {row['high']:+.3f}]"
        cells.append(f"{metric} {row['difference']:+.3f} {interval}")
    return [
        f"Model - `{OWN_TREES}` (pooled, mean over compartments, 95 % intervals): "
        f"{', '.join(cells)}."
    ]


def _beside(by_name: dict[str, dict[str, Any]], name: str, measure: str) -> str:
    return f"{measure} {_figure(by_name[name][measure])} against the model's {_figure(by_name[THIS_RUN][measure])}"


def _figure(value: float) -> str:
    return f"{value:.3f}" if np.isfinite(value) else "-"


def summary_table(metrics: pd.DataFrame, compartments: tuple[str, ...]) -> pd.DataFrame:
    """Mean, SD over folds and pooled value of the main metrics, one row per compartment and one for the average."""
    rows = []
    for name in (*compartments, "average"):
        row: dict[str, object] = {"compartment": name}
        for metric in SHOWN:
            found = metrics[(metrics["compartment"] == name) & (metrics["metric"] == metric)]
            for column in ("mean", "sd", "pooled"):
                row[f"{metric} {column}"] = float(found[column].iloc[0])
        rows.append(row)
    return pd.DataFrame(rows)


def draw_curves(result: CrossValidationResult) -> Figure:
    """ROC and precision-recall curves of the pooled out-of-fold predictions, one line per compartment."""
    from matplotlib.figure import Figure
    from sklearn.metrics import precision_recall_curve, roc_curve

    figure = Figure(figsize=(11, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    pooled = result.metrics.set_index(["compartment", "metric"])["pooled"]
    for column, name in enumerate(result.compartments):
        rows = result.tested(column)
        true = result.labels[rows, column]
        probability = result.probabilities[rows, column]
        if not 0 < true.sum() < len(true):
            continue
        false_positive, true_positive, _ = roc_curve(true, probability)
        precision, recall, _ = precision_recall_curve(true, probability)
        left.plot(false_positive, true_positive, label=f"{name} {pooled[(name, 'AUC')]:.3f}")
        right.plot(recall, precision, label=f"{name} {pooled[(name, 'AUPR')]:.3f}")
    left.plot([0, 1], [0, 1], color="0.7", linestyle=":")
    for axis, title, x, y in (
        (left, "ROC, pooled", "false positive rate", "true positive rate"),
        (right, "Precision-recall, pooled", "recall", "precision"),
    ):
        axis.set(title=title, xlabel=x, ylabel=y, xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
        axis.legend(fontsize="small", loc="lower right" if axis is left else "lower left")
    return figure


def finite_or_dash(value: float) -> str:
    """Three decimals, or a dash where there is no answer."""
    return f"{value:.3f}" if np.isfinite(value) else "-"
