"""The report of a run: figures in words, a table, and plots, made from the run's own files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from fusion.baseline_report import baseline_section
from fusion.report_calibration import write_calibration
from fusion.results import CrossValidationResult
from fusion.settings import ExperimentConfig
from mirnagraph.dataset import Dataset
from mirnagraph.files import write_file, write_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = ("AUC", "AUPR", "F1", "MCC")


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


def write_report(
    folder: Path,
    result: CrossValidationResult,
    dataset: Dataset,
    config: ExperimentConfig,
    baselines: pd.DataFrame | None = None,
    more: Sequence[str] = (),
) -> None:
    """Write ``report.md``, ``summary.tsv`` and the plots into a run folder.

    Args:
        baselines: table of `fusion.baselines.baseline_table`; None where they were left out.
        more: lines in place of those on baselines.
    """
    table = summary_table(result.metrics, result.compartments)
    with write_file(folder / "summary.tsv") as part:
        table.to_csv(part, sep="\t", index=False)
    tested = result.folds.of_rows(result.index) >= 0
    lines = [f"# Run on {dataset.name}: preset {config.preset}, seed {config.seed}", ""]
    if dataset.synthetic:
        lines += ["**Made-up data**: this run shows how the tool works. Its figures say nothing about biology.", ""]
    protocol = config.folds.protocol or config.folds.split
    lines += [
        f"{int(tested.sum())} of {len(result.index)} RNAs were tested once each, in {result.folds.n_folds} folds",
        f"(protocol {protocol}, RNAs: {config.folds.rnas}),",
        "each by a model that saw no label of its fold. What a model sees of the RNAs it is tested on: their sequence and their associations",
        "(features in the graph are transductive); never their compartments, and no edge made from compartments.",
        "",
        "| compartment | annotated | " + " | ".join(f"{m} (SD) pooled" for m in SHOWN) + " |",
        "|---|---|" + "---|" * len(SHOWN),
    ]
    annotated = {name: int(result.labels[result.tested(column), column].sum()) for column, name in enumerate(result.compartments)}
    for row in table.to_dict("records"):
        cells = [f"{row[f'{m} mean']:.3f} ({row[f'{m} sd']:.3f}) {row[f'{m} pooled']:.3f}" for m in SHOWN]
        lines.append(f"| {row['compartment']} | {annotated.get(str(row['compartment']), '')} | " + " | ".join(cells) + " |")
    if more:
        lines += [
            "",
            "These figures are over RNAs of all sets together, where telling the sets apart counts too: what counts stands below, within each set.",
        ]
    lines += ["", "Mean and SD are over folds. F1 and MCC use the thresholds that were chosen inside each training part.", "", "![ROC](roc.png)", ""]
    lines += more or baseline_section(baselines)
    lines += write_calibration(folder, result, config.seed)
    if len(dataset.left_out):
        counts = dataset.left_out["reason"].str.replace(r": \d+ of \d+ records$", "", regex=True).value_counts()
        lines += ["## Left out of the dataset", "", *(f"- {reason}: {count} (listed in left_out.tsv of the dataset)" for reason, count in counts.items()), ""]
    write_text(folder / "report.md", "\n".join(lines))
    with write_file(folder / "roc.png") as part:
        draw_curves(result).savefig(part, format="png", dpi=110, metadata={"Software": None})


def draw_curves(result: CrossValidationResult) -> Figure:
    """ROC and precision-recall curves of the pooled out-of-fold predictions, one line per compartment."""
    from matplotlib.figure import Figure
    from sklearn.metrics import precision_recall_curve, roc_curve

    figure = Figure(figsize=(11, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    pooled = result.metrics.set_index(["compartment", "metric"])["pooled"]
    for column, name in enumerate(result.compartments):
        rows = result.tested(column)
        true, probability = result.labels[rows, column], result.probabilities[rows, column]
        if not 0 < true.sum() < len(true):
            continue
        false_positive, true_positive, _ = roc_curve(true, probability)
        precision, recall, _ = precision_recall_curve(true, probability)
        left.plot(false_positive, true_positive, label=f"{name} {pooled[(name, 'AUC')]:.3f}")
        right.plot(recall, precision, label=f"{name} {pooled[(name, 'AUPR')]:.3f}")
    left.plot([0, 1], [0, 1], color="0.7", linestyle=":")
    for axis, title, x, y in ((left, "ROC, pooled", "false positive rate", "true positive rate"), (right, "Precision-recall, pooled", "recall", "precision")):
        axis.set(title=title, xlabel=x, ylabel=y, xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
        axis.legend(fontsize="small", loc="lower right" if axis is left else "lower left")
    return figure


def finite_or_dash(value: float) -> str:
    """Three decimals, or a dash where there is no answer."""
    return f"{value:.3f}" if np.isfinite(value) else "-"
