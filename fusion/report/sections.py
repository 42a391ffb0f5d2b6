"""Sections of one run: what was trained, metrics, curves, calibration, labels, baselines."""

from __future__ import annotations

import shlex
import tomllib

import numpy as np
import pandas as pd

from fusion.report.blocks import (
    HEAT,
    LINES,
    POINTS,
    SCATTER,
    Block,
    Chart,
    Listing,
    Section,
    Table,
    Text,
    chart_data,
    make_table,
)
from fusion.report.curves import (
    calibration_curves,
    co_occurrence,
    fold_curves,
    headline_intervals,
    predicted_against_observed,
    training_curves,
)
from fusion.report.run_data import ReportRun
from mirnagraph.evaluation.metrics import AVERAGE
from mirnagraph.evaluation.metrics import COLUMNS as METRIC_COLUMNS
from mirnagraph.io import read_table
from mirnagraph.runs.calibration_report import (
    calibration_table,
    error_by_uncertainty,
    read_uncertainty,
)
from mirnagraph.runs.compare import compare_runs
from mirnagraph.runs.markdown import difference_cell, finite_or_dash, mean_sd
from mirnagraph.runs.report import (
    COMPARED,
    THIS_RUN,
    average_row,
    few_folds,
    mean_sd_of,
    metric_value,
    set_rows,
    shown_metrics,
    verdict,
    weight_sentence,
)
from mirnagraph.runs.results import MODEL, UNCERTAINTY

BY_SET = "metrics_by_set.tsv"

HEADLINE = ("AUC", "AUPR", "within", "F1", "MCC", "Brier", "Pearson", "Spearman")
"""Metrics of the headline table, those that a run has."""

ABOUT_METRICS = {
    "AUC": "area under the ROC curve; 0.5 is chance",
    "AUPR": "average precision; chance is the share annotated",
    "within": "AUC among RNAs of equal popularity (number of associations)",
    "F1": "at the thresholds selected in each training part",
    "MCC": "Matthews' correlation at the same thresholds; 0 is chance",
    "Brier": "mean squared error of the probability; 0 is best",
    "Pearson": "correlation of predicted and measured fractions",
    "Spearman": "rank correlation of predicted and measured fractions",
}


def resamples_for(n_rnas: int) -> int:
    """Number of bootstrap resamples: 1000, fewer for many RNAs, at least 200."""
    return int(np.clip(3_000_000 // max(n_rnas, 1), 200, 1000))


def overview(run: ReportRun) -> Section:
    """What was trained on what, by which command, version and date."""
    about = run.about
    result = run.result
    n_rnas = about.get("n_rnas", len(result.index))
    rows = [
        [
            "data set",
            f"{about.get('dataset', '-')}{' (synthetic)' if about.get('synthetic') else ''}",
        ],
        ["RNAs", f"{n_rnas}, of which {len(result.index)} were tested once each"],
        ["compartments", ", ".join(result.compartments)],
        ["folds", f"{result.folds.n_folds} {result.folds.name}".strip()],
        ["model", model_name(run)],
        ["seed", str(run.seed)],
        ["started", _date(about.get("started"))],
        ["finished", _date(about.get("finished"))],
        ["training time", _duration(about.get("seconds"))],
        ["version", f"mirnagraph {about.get('versions', {}).get('mirnagraph', '-')}"],
    ]
    blocks: list[Block] = []
    if about.get("synthetic"):
        blocks.append(
            Text("Synthetic data: this page shows how the tool works. Its values say nothing "
                 "about biology.")
        )  # fmt: skip
    blocks += [make_table(["", ""], rows), Text("Command:"), Listing(command_of(run))]
    return Section("What was trained", tuple(blocks))


def model_name(run: ReportRun) -> str:
    """Preset or tower of a run, with its source where the settings give one."""
    if run.is_sequence:
        return f"tower {run.about.get('tower', '-')}"
    try:
        settings = tomllib.loads(run.settings)
    except tomllib.TOMLDecodeError:
        return "-"
    preset = str(settings.get("preset") or "own settings")
    source = str(settings.get("source") or "")
    return f"preset {preset}: {source}" if source else f"preset {preset}"


def command_of(run: ReportRun) -> str:
    """The command line of a run, quoted for a shell."""
    return shlex.join(str(part) for part in run.about.get("command", []))


def _date(text: object) -> str:
    return str(text).replace("T", " ").removesuffix("+00:00") + " UTC" if text else "-"


def _duration(seconds: object) -> str:
    if not isinstance(seconds, int | float):
        return "-"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def headline(run: ReportRun) -> Section:
    """Headline table, per-compartment table and the figure of both, with intervals."""
    metrics = run.result.metrics
    n_resamples = resamples_for(len(run.result.index))
    intervals = headline_intervals(run.result, run.seed, n_resamples)
    bounds = intervals.set_index(["compartment", "metric"])[["low", "high"]]
    rows = []
    for metric in HEADLINE:
        pooled = metric_value(metrics, AVERAGE, metric, "pooled")
        if not np.isfinite(pooled):
            continue
        cell = _interval(bounds, AVERAGE, metric)
        about = ABOUT_METRICS[metric]
        rows.append(
            [metric, mean_sd_of(metrics, AVERAGE, metric), finite_or_dash(pooled), cell, about]
        )
    header = ["mean over compartments", "mean ± SD of folds", "pooled", "95 % interval", "what"]
    caption = (
        "Out-of-fold: each RNA was predicted by a model trained without it. Pooled: all folds "
        f"together. Intervals: {n_resamples} bootstrap resamples of the RNAs, of the pooled value."
    )
    blocks: list[Block] = [make_table(header, rows, caption)]
    blocks.append(_compartment_table(run, bounds))
    few = few_folds(run.result)
    if few:
        blocks.append(Text(few))
    blocks.append(_compartment_chart(run, intervals))
    return Section("Results", tuple(blocks))


def _interval(bounds: pd.DataFrame, compartment: str, metric: str) -> str:
    if (compartment, metric) not in bounds.index:
        return "-"
    low, high = (float(bounds[name][compartment, metric]) for name in ("low", "high"))
    return f"{low:.3f} to {high:.3f}" if np.isfinite(low) else "-"


def _compartment_table(run: ReportRun, bounds: pd.DataFrame) -> Table:
    """One row a compartment: annotated RNAs, and mean ± SD over folds of the main metrics."""
    result = run.result
    metrics = shown_metrics(result.kind)
    first = metrics[0]
    rows = []
    for column, name in enumerate(result.compartments):
        labels = result.labels[result.tested(column), column]
        n_labels = len(labels) if run.is_fraction else int(labels.sum())
        cells = [mean_sd_of(result.metrics, name, metric) for metric in metrics]
        rows.append([name, n_labels, *cells, _interval(bounds, name, first)])
    n_header = "measured" if run.is_fraction else "annotated"
    header = ["compartment", n_header, *metrics, f"{first} pooled, 95 %"]
    return make_table(header, rows, "Mean ± SD over folds, by compartment.")


def _compartment_chart(run: ReportRun, intervals: pd.DataFrame) -> Chart:
    rows = []
    for row in intervals.itertuples():
        pooled = metric_value(run.result.metrics, str(row.compartment), str(row.metric), "pooled")
        point = {"panel": row.metric, "series": "", "x": pooled, "y": row.compartment}
        rows.append({**point, "low": row.low, "high": row.high})
    return Chart(
        "compartments",
        "Compartments",
        POINTS,
        chart_data(rows),
        "pooled value with 95 % interval",
        "",
        "Intervals by resampling RNAs, as in the tables above.",
    )


def curve_section(run: ReportRun) -> Section:
    """ROC and precision-recall curves, or predicted against measured fractions."""
    if run.is_fraction:
        chart = Chart(
            "fractions",
            "Predicted and measured fractions",
            SCATTER,
            predicted_against_observed(run.result),
            "measured fraction",
            "predicted fraction",
            "A point is an RNA, predicted by a model trained without it.",
            diagonal=True,
        )
        return Section("Predicted and measured", (chart,))
    band = "Line and band: mean of the folds ± SD. Second line: all folds together."
    roc = Chart(
        "roc",
        "ROC curves",
        LINES,
        fold_curves(run.result, "roc"),
        "false positive rate",
        "true positive rate",
        f"{band} The diagonal is chance.",
        unit=True,
        diagonal=True,
    )
    precision = Chart(
        "precision_recall",
        "Precision-recall curves",
        LINES,
        fold_curves(run.result, "precision_recall"),
        "recall",
        "precision",
        f"{band} Level line: share annotated, the precision of chance.",
        unit=True,
    )
    return Section("Curves", (roc, precision))


def calibration_section(run: ReportRun) -> Section:
    """Reliability, the calibration table, and errors by uncertainty where it was stored."""
    result = run.result
    chart = Chart(
        "calibration",
        "Calibration",
        LINES,
        calibration_curves(result),
        "mean predicted probability",
        "share annotated",
        "Ten bins of equal count, all folds together, Wilson's 95 % interval. On the diagonal a "
        "probability means what it says.",
        unit=True,
        diagonal=True,
    )
    table = calibration_table(result, run.seed)
    shown = table[["compartment", "predicted", "observed", "ECE", "by chance", "brier"]]
    rows = [[name, *map(finite_or_dash, values)] for name, *values in shown.itertuples(index=False)]
    header = ["compartment", "predicted", "observed", "ECE", "ECE by chance", "Brier"]
    caption = (
        "predicted: mean probability; observed: share annotated. ECE: mean distance of the two "
        "over the bins; by chance: 95th percentile for a perfectly calibrated model."
    )
    blocks: list[Block] = [chart, make_table(header, rows, caption)]
    path = run.folder / UNCERTAINTY
    if path.is_file():
        thirds = error_by_uncertainty(result, read_uncertainty(path, result))
        cells = [
            [f"{third} third", n, *map(finite_or_dash, values)]
            for third, n, *values in thirds.itertuples(index=False)
        ]
        header = ["uncertainty", "pairs", "SD of the ensemble", "mean absolute error", "Brier",
                  "Brier if calibrated"]  # fmt: skip
        blocks.append(make_table(header, cells, "Do larger uncertainties go with larger errors?"))
    return Section("Calibration and uncertainty", tuple(blocks))


def label_section(run: ReportRun) -> Section:
    """Co-occurrence of the labels."""
    chart = Chart(
        "co_occurrence",
        "Labels that occur together",
        HEAT,
        co_occurrence(run.result),
        "is annotated in",
        "of the RNAs of",
        "Share of the RNAs of the row's compartment that are annotated in the column's too.",
    )
    return Section("Labels", (chart,))


def baseline_section(run: ReportRun) -> Section:
    """Baselines and parts next to the model, and the paired differences with intervals."""
    others = [*run.parts, *run.baselines]
    if not others:
        return Section("Baselines and parts", (Text("The baselines were left out of this run."),))
    shown = [
        m for m in COMPARED if np.isfinite(metric_value(run.metrics[MODEL], AVERAGE, m, "pooled"))
    ]
    records = [average_row(THIS_RUN, run.metrics[MODEL], "the whole model of this run", shown)]
    for name in others:
        records.append(average_row(name, run.metrics[name], run.what.get(name, ""), shown))
    table = pd.DataFrame(records)
    rows = []
    for record in records:
        cells = [_cell(record, metric) for metric in shown]
        rows.append([record["model"], _role(run, str(record["model"])), *cells, record["what"]])
    blocks: list[Block] = []
    if run.baselines:
        sentences = [line.replace("`", "") for line in verdict(table, run.parts)]
        blocks.append(Text(" ".join(sentences)))
    else:
        blocks.append(Text("The baselines were left out of this run; parts of the model alone:"))
    blocks.append(
        make_table(
            ["model", "role", *shown, "what"],
            rows,
            "Mean over compartments: mean ± SD over folds (within: pooled). All were fitted on the "
            "same training rows and tested on the same folds.",
        )
    )
    blocks += [Text(line) for line in weight_sentence(run.result)]
    blocks.append(difference_chart(run, others))
    return Section("Baselines and parts", tuple(blocks))


def _cell(record: dict[str, object], metric: str) -> str:
    value = float(str(record[metric]))
    return mean_sd(value, float(str(record.get(f"{metric}_sd", "nan"))))


def _role(run: ReportRun, name: str) -> str:
    if name == THIS_RUN:
        return "model"
    return "part" if name in run.parts else "baseline"


def difference_chart(run: ReportRun, others: list[str]) -> Chart:
    """Model minus each part and baseline, mean over compartments, with paired intervals."""
    n_resamples = resamples_for(len(run.result.index))
    table = compare_runs([run.folder], others, n_resamples=n_resamples, seed=run.seed)
    average = table[table["compartment"] == AVERAGE]
    rows = []
    for row in average.to_dict("records"):
        point = {"panel": row["metric"], "series": "", "x": row["difference"]}
        values = (row["difference"], row["low"], row["high"])
        label = difference_cell(*values, digits=3)
        bounds = {"low": row["low"], "high": row["high"]}
        rows.append({**point, **bounds, "y": row["reference"], "label": label})
    return Chart(
        "differences",
        "Model minus part or baseline",
        POINTS,
        chart_data(rows),
        "model - other",
        "",
        "Mean over compartments of the pooled values; paired 95 % intervals by resampling RNAs "
        f"({n_resamples} resamples). Right of 0 the model is better; an interval over 0: no "
        "significant difference.",
        line_at=0.0,
    )


def set_section(run: ReportRun) -> Section | None:
    """Metrics within each RNA set; None for a run of one set."""
    path = run.folder / BY_SET
    if not path.is_file():
        return None
    numbers = METRIC_COLUMNS[2:]
    table = read_table(path, ["set", "model", *METRIC_COLUMNS])
    table[numbers] = table[numbers].apply(pd.to_numeric, errors="coerce")
    header, rows = set_rows(table)
    caption = "Mean ± SD over folds, averaged over the compartments labelled in the set."
    return Section("Within each set", (make_table(header, rows, caption),))


def training_section(run: ReportRun) -> Section | None:
    """Training curves where folds store them."""
    data = training_curves(run.result)
    if data.empty:
        return None
    chart = Chart(
        "training",
        "Training",
        LINES,
        data,
        "epoch",
        "loss",
        "Loss on the RNAs trained on, and on the validation split inside each training part where "
        "there is one; of the neural part, mean of its members.",
    )
    return Section("Training curves", (chart,))


def reproduce_section(run: ReportRun) -> Section:
    """Command, settings, versions and hashes of the inputs."""
    about = run.about
    versions = [[name, version] for name, version in about.get("versions", {}).items()]
    hashes = [[name, value] for name, value in about.get("inputs", {}).items()]
    blocks: list[Block] = [
        Text("The same command with the same inputs and versions gives the same predictions:"),
        Listing(command_of(run)),
        make_table(["input", "SHA-256"], hashes),
        make_table(["package", "version"], versions, title="Versions"),
        Listing(run.settings, "Settings (config.toml)"),
        Text(f"Fingerprint of settings, inputs and versions: {about.get('fingerprint', '-')}"),
    ]
    return Section("How to reproduce", tuple(blocks))


CITED = (
    ("graph attention", "UniMP: Shi et al. 2021, arXiv:2009.03509"),
    ("attention pooling", "Set Transformer: Lee et al. 2019, arXiv:1810.00825"),
    ("networks and benchmark", "GTMALoc: Huang et al. 2025, Front. Genet. 16:1623008, "
     "doi:10.3389/fgene.2025.1623008"),
)  # fmt: skip

CITED_SEQUENCE = (
    ("RNATracker", "Yan et al. 2019, Bioinformatics 35:i333, doi:10.1093/bioinformatics/btz337"),
    ("DeepLocRNA", "Wang et al. 2024, Bioinformatics 40:btae065, "
     "doi:10.1093/bioinformatics/btae065"),
    ("EL-RMLocNet", "Asim et al. 2022, Comput. Struct. Biotechnol. J. 20:3986, "
     "doi:10.1016/j.csbj.2022.07.031"),
    ("RNALoc-LM", "Zeng et al. 2025, Bioinformatics 41:btaf127, "
     "doi:10.1093/bioinformatics/btaf127"),
)  # fmt: skip


def cite_section(runs: list[ReportRun]) -> Section:
    """What to cite for the methods of these runs."""
    versions = sorted({str(run.about.get("versions", {}).get("mirnagraph", "-")) for run in runs})
    rows = [["this software", f"mirnagraph {', '.join(versions)}"]]
    if not all(run.is_sequence for run in runs):
        rows += [list(pair) for pair in CITED]
    if any(run.is_sequence for run in runs):
        rows += [list(pair) for pair in CITED_SEQUENCE]
    about = Text("Cite the methods that the model uses, and the sources of its data, too.")
    return Section("How to cite", (about, make_table(["what", "reference"], rows)))
