"""Runs side by side: what differs in their settings, and in their predictions."""

from __future__ import annotations

import tomllib
from typing import Any

import numpy as np

from fusion.report.blocks import POINTS, Block, Chart, Section, Text, chart_data, make_table
from fusion.report.run_data import ReportRun
from fusion.report.sections import (
    HEADLINE,
    model_name,
    resamples_for,
)
from mirnagraph.errors import ConfigError, InputError
from mirnagraph.evaluation.metrics import AVERAGE
from mirnagraph.runs.compare import compare_runs
from mirnagraph.runs.markdown import difference_cell, finite_or_dash
from mirnagraph.runs.report import mean_sd_of, metric_value, shown_metrics

MOST_SETTINGS = 60


def side_by_side(runs: list[ReportRun]) -> list[Section]:
    """Sections on two or more runs together, one column a run."""
    sections = [_overview(runs), _results(runs), _differences(runs)]
    settings = _settings(runs)
    return [*sections, settings] if settings is not None else sections


def _overview(runs: list[ReportRun]) -> Section:
    facts = [
        ("data set", [str(run.about.get("dataset", "-")) for run in runs]),
        ("tested RNAs", [str(len(run.result.index)) for run in runs]),
        ("folds", [f"{run.result.folds.n_folds} {run.result.folds.name}" for run in runs]),
        ("model", [model_name(run) for run in runs]),
        ("seed", [str(run.seed) for run in runs]),
        ("finished", [str(run.about.get("finished", "-")) for run in runs]),
    ]
    rows = [[name, *values] for name, values in facts]
    return Section("The runs", (make_table(["", *[run.name for run in runs]], rows),))


def _results(runs: list[ReportRun]) -> Section:
    """Metrics of every run in a column of its own, on average and per compartment."""
    rows = []
    for metric in HEADLINE:
        pooled = [metric_value(run.result.metrics, AVERAGE, metric, "pooled") for run in runs]
        if not np.isfinite(pooled).any():
            continue
        cells = []
        for run, value in zip(runs, pooled, strict=True):
            folds = mean_sd_of(run.result.metrics, AVERAGE, metric)
            cells.append(f"{folds} (pooled {finite_or_dash(value)})")
        rows.append([metric, *cells])
    header = ["mean over compartments", *[run.name for run in runs]]
    blocks: list[Block] = [make_table(header, rows, "Mean ± SD over the folds of each run.")]
    points = []
    names = list(dict.fromkeys(name for run in runs for name in run.result.compartments))
    for metric in shown_metrics(runs[0].result.kind)[:2]:
        for name in [*names, AVERAGE]:
            for run in runs:
                value = metric_value(run.result.metrics, name, metric, "mean")
                sd = metric_value(run.result.metrics, name, metric, "sd")
                if np.isfinite(value):
                    point = {"panel": metric, "series": run.name, "x": value, "y": name}
                    points.append({**point, "low": value - sd, "high": value + sd})
    if points:
        blocks.append(
            Chart(
                "runs",
                "Runs side by side",
                POINTS,
                chart_data(points),
                "mean ± SD over folds",
                "",
                "The SD says how much folds differ; whether runs differ is in the next figure.",
            )
        )
    return Section("Results side by side", tuple(blocks))


def _differences(runs: list[ReportRun]) -> Section:
    """Paired differences to the first run, where all were made on the same RNAs and folds."""
    title = f"Differences to {runs[0].name}"
    n_resamples = resamples_for(len(runs[0].result.index))
    points = []
    rows = []
    for run in runs[1:]:
        folders = [runs[0].folder, run.folder]
        try:
            table = compare_runs(folders, n_resamples=n_resamples, seed=runs[0].seed)
        except (InputError, ConfigError) as error:
            return Section(title, (Text(f"No paired comparison: {error}"),))
        for row in table.to_dict("records"):
            values = [float(row[name]) for name in ("difference", "low", "high")]
            cell = difference_cell(*values, digits=3)
            p_value = finite_or_dash(float(row["p_holm"]))
            rows.append([run.name, row["compartment"], row["metric"], cell, p_value])
            if np.isfinite(values[0]):
                point = {"panel": row["metric"], "series": run.name}
                place = {"x": values[0], "y": row["compartment"]}
                points.append({**point, **place, "low": values[1], "high": values[2]})
    chart = Chart(
        "run_differences",
        title,
        POINTS,
        chart_data(points),
        f"run - {runs[0].name}",
        "",
        f"Pooled over folds, paired 95 % intervals ({n_resamples} resamples). An interval over 0: "
        "no significant difference.",
        line_at=0.0,
    )
    header = ["run", "compartment", "metric", "difference, 95 %", "p (Holm)"]
    return Section(title, (chart, make_table(header, rows, title="The same as a table")))


def _settings(runs: list[ReportRun]) -> Section | None:
    """Settings that are not the same in all runs."""
    flat = []
    for run in runs:
        try:
            flat.append(_flattened(tomllib.loads(run.settings)))
        except tomllib.TOMLDecodeError:
            return None
    names = list(dict.fromkeys(name for settings in flat for name in settings))
    rows = []
    for name in names:
        values = [settings.get(name, "-") for settings in flat]
        if len(set(values)) > 1:
            rows.append([name, *values])
    if not rows:
        return Section("Settings that differ", (Text("All settings are the same."),))
    header = ["setting", *[run.name for run in runs]]
    caption = "" if len(rows) <= MOST_SETTINGS else f"The first {MOST_SETTINGS} of {len(rows)}."
    return Section("Settings that differ", (make_table(header, rows[:MOST_SETTINGS], caption),))


def _flattened(settings: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """``table.name`` -> value as text."""
    flat: dict[str, str] = {}
    for name, value in settings.items():
        if isinstance(value, dict):
            flat |= _flattened(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = str(value)
    return flat
