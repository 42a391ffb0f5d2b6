"""Sections of a run's report: metrics, baselines, verdict, RNA sets, curves."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mirnagraph.evaluation.compare import compare
from mirnagraph.evaluation.metrics import (
    AVERAGE,
    FRACTIONS,
    UndefinedMetricWarning,
    undefined_as_zero,
)
from mirnagraph.runs.markdown import bullets, difference_cell, finite_or_dash, mean_sd, section
from mirnagraph.runs.markdown import table as markdown_table
from mirnagraph.runs.results import MODEL, CrossValidationResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TABLE = "baselines.tsv"
THIS_RUN = "this run"

OWN_TREES = "own_trees"
"""Mean of logits of the trees inside a fusion model, without its other parts."""

PARTS = {"neural": "attention", OWN_TREES: OWN_TREES, "kernel": "kernel"}
"""Parts of a fusion model: files of ``parts/`` and rows of tables -> name of the prediction."""

ABOUT_PARTS = {
    "neural": "the neural model inside the whole, alone: the same fit, nothing mixed in",
    OWN_TREES: "the trees inside the whole, alone: the same sources, the same fits",
    "kernel": "the kernel model inside the whole, alone: the same fit",
}

WEIGHTED = {
    "attention": "neural",
    "extra_trees": "extra trees",
    "boosting": "boosting",
    "kernel": "kernel",
}
"""Name of a weight -> its part, in words."""

SHOWN = ("AUC", "AUPR", "F1", "MCC")
SHOWN_FRACTIONS = ("Pearson", "Spearman")

MEASURES = ("AUC", "AUPR", "within", "F1", "MCC")
"""Metrics of a fusion run's baseline table."""

COMPARED = ("AUC", "AUPR", "within", *SHOWN_FRACTIONS)
"""Metrics that a verdict reads; those by thresholds are not among them."""


def shown_metrics(kind: str) -> tuple[str, ...]:
    """The metrics that tables show, by the kind of the labels."""
    return SHOWN_FRACTIONS if kind == FRACTIONS else SHOWN


def metric_value(metrics: pd.DataFrame, compartment: str, metric: str, column: str) -> float:
    """One cell of a metric table; NaN where it has no such row."""
    is_row = (metrics["compartment"] == compartment) & (metrics["metric"] == metric)
    values = metrics.loc[is_row, column]
    return float(values.iloc[0]) if len(values) else float("nan")


def mean_sd_of(metrics: pd.DataFrame, compartment: str, metric: str) -> str:
    """Mean ± SD over folds of one metric, as text."""
    values = [metric_value(metrics, compartment, metric, column) for column in ("mean", "sd")]
    return mean_sd(*values)


def metric_rows(
    result: CrossValidationResult, name: str = MODEL
) -> tuple[list[str], list[list[str]]]:
    """Header and cells: mean ± SD over folds, per compartment and on average."""
    metrics = shown_metrics(result.kind)
    table = result.metrics_of[name]
    rows = []
    for compartment in (*result.compartments, AVERAGE):
        cells = [mean_sd_of(table, compartment, metric) for metric in metrics]
        rows.append([compartment, *cells])
    return ["compartment", *metrics], rows


def metric_section(result: CrossValidationResult, *notes: str) -> str:
    """Table of the model's metrics: mean ± SD over folds, pooled value, number of labelled RNAs.

    Args:
        result: of the run.
        notes: further paragraphs.
    """
    header, rows = metric_rows(result)
    ranked = header[1:3]
    is_fraction = result.kind == FRACTIONS
    for column, row in enumerate(rows):
        pooled = [metric_value(result.metrics, row[0], metric, "pooled") for metric in ranked]
        n_labels = ""
        if column < len(result.compartments):
            labels = result.labels[result.tested(column), column]
            n_labels = str(len(labels) if is_fraction else int(labels.sum()))
        row[1:1] = [n_labels]
        row += map(finite_or_dash, pooled)
    header[1:1] = ["labelled" if is_fraction else "annotated"]
    header += [f"{metric} pooled" for metric in ranked]
    about = "Mean ± SD over folds; pooled: all folds together."
    if not is_fraction:
        about += " F1 and MCC use the thresholds selected in each training part."
    return section("Metrics", markdown_table(header, rows), about, few_folds(result), *notes)


def few_folds(result: CrossValidationResult) -> str:
    """Name compartments whose first metric is defined in some folds only; empty if none."""
    metric = shown_metrics(result.kind)[0]
    n_folds = result.folds.n_folds
    few = []
    for name in result.compartments:
        count = int(metric_value(result.metrics, name, metric, "n_folds"))
        if count < n_folds:
            few.append(f"{name} {count}")
    if not few:
        return ""
    sentences = (
        f"Number of folds (of {n_folds}) in which {metric} is defined: {', '.join(few)}. In the "
        "other folds all tested RNAs have the same label."
    )
    return sentences if result.kind == FRACTIONS else f"{sentences} {zero_sentence(result)}"


def zero_sentence(result: CrossValidationResult) -> str:
    """State the averages of the convention that counts an undefined metric as 0."""
    table = undefined_as_zero(result.metrics, result.folds.n_folds)
    averages = table[table["compartment"] == AVERAGE].set_index("metric")["mean"]
    return (
        "Counted as 0 there, as some publications do, the averages are: "
        f"AUC {averages['AUC']:.3f}, AUPR {averages['AUPR']:.3f}."
    )


def average_row(
    name: str, metrics: pd.DataFrame, what: str, shown: Sequence[str] = MEASURES
) -> dict[str, object]:
    """One row of a baseline table: averages over compartments.

    Args:
        name: of the model.
        metrics: table of `mirnagraph.evaluation.metrics.score`.
        what: description of the model.
        shown: metrics.

    Returns:
        ``model``, per metric its mean over folds and ``METRIC_sd``, and ``what``; ``within`` (AUC
        among RNAs of equal popularity) is pooled and has no SD.
    """
    row: dict[str, object] = {"model": name}
    for metric in shown:
        column = "pooled" if metric == "within" else "mean"
        row[metric] = metric_value(metrics, AVERAGE, metric, column)
        if metric != "within":
            row[f"{metric}_sd"] = metric_value(metrics, AVERAGE, metric, "sd")
    return {**row, "what": what}


def baseline_rows(table: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Header and cells of a baseline table (see `average_row`)."""
    metrics = [m for m in (*MEASURES, *SHOWN_FRACTIONS) if m in table.columns]
    rows = []
    for _, record in table.iterrows():
        cells = [mean_sd(record[m], record.get(f"{m}_sd", np.nan)) for m in metrics]
        rows.append([str(record["model"]), *cells])
    return ["model", *metrics], rows


def verdict(table: pd.DataFrame, parts: Sequence[str] = tuple(PARTS)) -> list[str]:
    """State which baselines the model does not outperform.

    Args:
        table: baseline table (see `average_row`) with a row ``this run``.
        parts: names of rows that are parts of the model and no baselines.

    Returns:
        A sentence on the nearest baseline in the first metric, and one per baseline that reaches
        the model in a metric of `COMPARED`, or one that none does.
    """
    records: list[dict[str, Any]] = table.to_dict("records")  # type: ignore[assignment]
    by_name = {str(row["model"]): row for row in records}
    model = by_name.pop(THIS_RUN)
    baselines = {name: row for name, row in by_name.items() if name not in parts}
    metrics = [m for m in COMPARED if m in table.columns]
    if not baselines:
        return ["The baselines were left out of this run."]
    first = metrics[0]
    gaps = pd.Series({name: abs(row[first] - model[first]) for name, row in baselines.items()})
    if gaps.isna().all():
        return [f"No baseline can be compared with the model: {first} is undefined on these folds."]
    nearest = str(gaps.idxmin())
    row = baselines[nearest]
    shown = "; ".join(_versus(model, row, metric) for metric in metrics[:2])
    lines = [
        f"Nearest baseline in {first}: `{nearest}` ({row['what']}), model vs baseline {shown}."
    ]
    for name, row in baselines.items():
        reached = [_versus(model, row, m) for m in metrics if row[m] >= model[m]]
        if reached:
            lines.append(f"The model does not outperform `{name}`: {'; '.join(reached)}.")
    if len(lines) == 1:
        lines.append(f"No baseline reaches the model in {_listed(metrics)}.")
    return lines


def _versus(model: dict[str, Any], baseline: dict[str, Any], metric: str) -> str:
    """``AUC 0.795 vs 0.817``, with five decimals where three do not tell the values apart."""
    values = (model[metric], baseline[metric])
    digits = 3
    if values[0] != values[1] and finite_or_dash(values[0]) == finite_or_dash(values[1]):
        digits = 5
    first, second = (finite_or_dash(value, digits) for value in values)
    return f"{metric} {first} vs {second}"


def _listed(names: Sequence[str]) -> str:
    return " or ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]


def baseline_section(
    table: pd.DataFrame | None,
    notes: Sequence[str] = (),
    parts: Sequence[str] = tuple(PARTS),
) -> str:
    """The section on baselines: verdict, table, what each model is.

    Args:
        table: baseline table (see `average_row`); None where the baselines were left out.
        notes: further sentences, e.g. of `part_sentences`.
        parts: see `verdict`.
    """
    if table is None:
        return section("Baselines", "\n".join([*notes, "The baselines were left out of this run."]))
    header, rows = baseline_rows(table)
    sentences = bullets([*verdict(table, parts), *notes])
    what = bullets(f"`{row['model']}`: {row['what']}" for row in table.to_dict("records"))
    about = (
        "All models were fitted on the same training rows and tested on the same folds. Values are "
        "means over folds and compartments ± SD over folds."
    )
    if "within" in header:
        about += (
            " within: AUC among RNAs of equal popularity (number of associations), pooled over "
            "folds."
        )
    about += "\nIntervals of the differences: `mirnagraph compare RUN --baseline NAME`."
    return section("Baselines", sentences, markdown_table(header, rows), what, about)


def part_names(result: CrossValidationResult) -> list[str]:
    """Names in `PARTS` of the parts of a model; none where it has a single one."""
    names = [name for name, prediction in PARTS.items() if prediction in result.predictions]
    return names if len(names) > 1 else []


def part_rows(result: CrossValidationResult) -> list[dict[str, object]]:
    """Rows of a baseline table (see `average_row`): the whole model, then its parts alone."""
    rows = [average_row(THIS_RUN, result.metrics, "the whole model of this run")]
    for name in part_names(result):
        rows.append(average_row(name, result.metrics_of[PARTS[name]], ABOUT_PARTS[name]))
    return rows


def part_sentences(result: CrossValidationResult, seed: int) -> list[str]:
    """Sentences on the whole model against each part, and neural model against own trees.

    Args:
        result: of the run.
        seed: of the bootstrap resamples.

    Returns:
        One line a pair, with paired intervals; none for a model of a single part.
    """
    names = part_names(result)
    pairs = [(MODEL, "Whole", name) for name in names]
    if {"neural", OWN_TREES} <= set(names):
        pairs.append((PARTS["neural"], "`neural`", OWN_TREES))
    labels = result.labels_frame().set_index("rna_id")
    lines = []
    for prediction, shown, name in pairs:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UndefinedMetricWarning)
            first = result.to_frame(PARTS[name])
            table = compare(first, result.to_frame(prediction), labels, seed=seed)
        cells = []
        for metric in ("AUC", "AUPR"):
            columns = ("difference", "low", "high")
            values = [metric_value(table, AVERAGE, metric, column) for column in columns]
            cells.append(f"{metric} {difference_cell(*values, digits=3)}")
        differences = ", ".join(cells)
        about = "pooled, mean over compartments, 95 % intervals"
        lines.append(f"{shown} - `{name}` ({about}): {differences}.")
    return lines


def weight_sentence(result: CrossValidationResult) -> list[str]:
    """Sentence on the weights of the parts in the mean of logits.

    Returns:
        One line with the mean over folds, and the range where folds differ; none for a model of
        one part.
    """
    every = [fold.choices.get("weights", {}) for fold in result.results]
    names = list(every[0]) if every else []
    if len(names) < 2 or any(list(weights) != names for weights in every):
        return []
    shares = np.array([[weights[name] for name in names] for weights in every], dtype=float)
    shares /= shares.sum(axis=1, keepdims=True)
    means = shares.mean(axis=0)
    cells = [f"{WEIGHTED[name]} {mean:.2f}" for name, mean in zip(names, means, strict=True)]
    how = "the same in every fold"
    if np.ptp(shares, axis=0).max() > 1e-9:
        how = "mean over folds"
    sentences = [f"Weights of the parts in the mean of logits, {how}: {', '.join(cells)}."]
    n_left_out = (shares == 0).sum(axis=0)
    for name, n_folds in zip(names, n_left_out, strict=True):
        if n_folds:
            sentences.append(
                f"{WEIGHTED[name]} left out in {n_folds} of {len(every)} folds: it made the mean "
                "worse on training RNAs that no part was fitted on."
            )
    return [" ".join(sentences)]


def set_rows(table: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Header and cells of the metrics within each RNA set, averages over its compartments.

    Args:
        table: of `mirnagraph.evaluation.metrics.evaluate_by_group`.
    """
    rows = []
    for (name, model), part in table.groupby(["set", "model"], sort=False):
        n_compartments = int(metric_value(part, AVERAGE, "AUC", "n_labels"))
        cells = [mean_sd_of(part, AVERAGE, metric) for metric in ("AUC", "AUPR")]
        rows.append([str(name), str(model), *cells, str(n_compartments)])
    return ["set", "model", "AUC", "AUPR", "compartments"], rows


def set_section(table: pd.DataFrame, *notes: str) -> str:
    """The section on metrics within each RNA set.

    Args:
        table: see `set_rows`.
        notes: further paragraphs.
    """
    about = "Mean ± SD over folds, averaged over the compartments labelled in the set."
    return section("Within each set", markdown_table(*set_rows(table)), about, *notes)


def summary_table(metrics: pd.DataFrame, compartments: tuple[str, ...]) -> pd.DataFrame:
    """Mean, SD over folds and pooled value of the main metrics, per compartment and on average."""
    columns = [(metric, column) for metric in SHOWN for column in ("mean", "sd", "pooled")]
    rows = []
    for name in (*compartments, AVERAGE):
        values = {" ".join(pair): metric_value(metrics, name, *pair) for pair in columns}
        rows.append({"compartment": name, **values})
    return pd.DataFrame(rows)


def run_summary(result: CrossValidationResult) -> pd.DataFrame:
    """Contents of ``summary.tsv``: `summary_table` of the whole model and of its parts.

    The column ``model`` in front is ``whole`` or one of `PARTS`.
    """
    tables = {"whole": result.metrics}
    tables |= {name: result.metrics_of[PARTS[name]] for name in part_names(result)}
    parts = []
    for name, metrics in tables.items():
        table = summary_table(metrics, result.compartments)
        table.insert(0, "model", name)
        parts.append(table)
    return pd.concat(parts, ignore_index=True)


def draw_curves(result: CrossValidationResult) -> Figure:
    """ROC and precision-recall curves of the pooled predictions, one line per compartment."""
    from matplotlib.figure import Figure
    from sklearn.metrics import precision_recall_curve, roc_curve

    figure = Figure(figsize=(11, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    pooled = result.metrics.set_index(["compartment", "metric"])["pooled"]
    for name, _, true, probability in result.pooled():
        if not 0 < true.sum() < len(true):
            continue
        false_positive, true_positive, _ = roc_curve(true, probability)
        precision, recall, _ = precision_recall_curve(true, probability)
        left.plot(false_positive, true_positive, label=f"{name} {pooled[(name, 'AUC')]:.3f}")
        right.plot(recall, precision, label=f"{name} {pooled[(name, 'AUPR')]:.3f}")
    left.plot([0, 1], [0, 1], color="0.7", linestyle=":")
    left.set(title="ROC, pooled", xlabel="false positive rate", ylabel="true positive rate")
    right.set(title="Precision-recall, pooled", xlabel="recall", ylabel="precision")
    for axis, place in ((left, "lower right"), (right, "lower left")):
        axis.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
        axis.legend(fontsize="small", loc=place)
    return figure
