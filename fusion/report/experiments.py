"""Sections on experiments with a model: ablation, audit, tuning, repeats, later labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from fusion.experiments.ablation import FULL
from fusion.experiments.audit import COLUMNS as AUDIT_COLUMNS
from fusion.experiments.audit_report import SHORT as AUDITED
from fusion.explain.ranking import temporal_precision
from fusion.report.blocks import LINES, POINTS, Block, Chart, Section, Text, chart_data, make_table
from fusion.temporal.run import read_temporal
from mirnagraph.evaluation.metrics import AVERAGE
from mirnagraph.io import read_table
from mirnagraph.reading.text import read_text
from mirnagraph.runs.markdown import difference_cell, finite_or_dash
from mirnagraph.runs.run_file import check_written

ABLATION = "ablation.tsv"
AUDIT = "audit.tsv"
AUDIT_PAGE = "audit.md"
TRIALS = "trials.tsv"
CHOICES = "choices.tsv"
VERSUS_UNTUNED = "versus_untuned.tsv"
REPEATS = "repeats.tsv"
TEMPORAL = "temporal.tsv"

N_TRIALS = 10

CONCLUSIONS = "## Conclusions"
"""Heading of the conclusions in `AUDIT_PAGE`; a line of each starts with "- ".

Its other sections are tables, which `AUDIT` has too.
"""

CHANCE = 0.5
"""AUC of chance."""

NOT_FOUND = (
    "Not in this run folder: {what}. Name the folder of one that was run elsewhere with --include."
)

MADE_BY = {
    (ABLATION,): "an ablation (mirnagraph ablate), which measures what each source is worth",
    (AUDIT,): "an audit (mirnagraph audit)",
    (TRIALS, CHOICES): "a search of settings (mirnagraph tune)",
}


def folders_with(name: str, folders: Sequence[Path]) -> list[Path]:
    """Folders that hold a file, among those given and their direct subfolders."""
    found = []
    for folder in folders:
        places = [folder, *sorted(path for path in folder.glob("*") if path.is_dir())]
        found += [place for place in places if (place / name).is_file()]
    return list(dict.fromkeys(found))


def experiment_sections(folders: Sequence[Path], *, is_run: bool = True) -> list[Section]:
    """Sections on what the folders hold, and a sentence on what they do not hold.

    Args:
        folders: a run folder, or folders that were named.
        is_run: whether to say what was not found.
    """
    sections = []
    for name, make in MAKERS.items():
        for folder in folders_with(name, folders):
            check_written(folder)
            sections.append(make(folder))
    if is_run:
        lacking = [
            what
            for names, what in MADE_BY.items()
            if not any(folders_with(name, folders) for name in names)
        ]
        if lacking:
            text = NOT_FOUND.format(what="; ".join(lacking))
            sections.append(Section("What each source is worth, audit, tuning", (Text(text),)))
    return sections


def ablation_section(folder: Path) -> Section:
    """What each part and source is worth: variant minus full model, with intervals."""
    columns = ["variant", "compartment", "metric", "mean", "sd", "n_seeds"]
    bounds = ["pooled_difference", "pooled_low", "pooled_high"]
    path = folder / ABLATION
    table = read_table(path, [*columns, *bounds])
    numbers = [*columns[3:], *bounds]
    table[numbers] = table[numbers].apply(pd.to_numeric, errors="coerce")
    average = table[table["compartment"] == AVERAGE]
    points = []
    rows = []
    is_shown = average["metric"].isin(["AUC", "AUPR"]) & average["pooled_difference"].notna()
    for row in average[is_shown].to_dict("records"):
        values = [float(row[name]) for name in bounds]
        if row["variant"] != FULL:
            point = {"panel": row["metric"], "series": "", "x": values[0], "y": row["variant"]}
            points.append({**point, "low": values[1], "high": values[2]})
    for variant, part in average.groupby("variant", sort=False):
        by_metric = {row["metric"]: row for row in part.to_dict("records")}
        cells: list[object] = [variant]
        for metric in ("AUC", "AUPR"):
            if metric in by_metric:
                row = by_metric[metric]
                cells.append(finite_or_dash(float(row["mean"])))
                values = [float(row[name]) for name in bounds]
                cells.append(difference_cell(*values, digits=3))
            else:
                cells += ["-", "-"]
        rows.append(cells)
    blocks: list[Block] = []
    if points:
        blocks.append(
            Chart(
                "ablation",
                "What each part and source is worth",
                POINTS,
                chart_data(points),
                "variant - full model",
                "",
                "Left of 0: worse than the full model; what is left out there helps. Mean over "
                "compartments of the pooled values, paired 95 % intervals by resampling RNAs.",
                line_at=0.0,
            )
        )
    header = ["variant", "AUC", "AUC - full", "AUPR", "AUPR - full"]
    blocks.append(make_table(header, rows, f"Mean over seeds, folds and compartments: {path}"))
    return Section("What each source is worth (ablation)", tuple(blocks))


def audit_section(folder: Path) -> Section:
    """Conclusions of an audit, AUC of each source alone, and all values in folded tables."""
    columns = AUDIT_COLUMNS
    table = read_table(folder / AUDIT, columns)
    blocks: list[Block] = [Text(line) for line in audit_conclusions(folder / AUDIT_PAGE)]
    data = audit_data(table)
    if not data.empty:
        blocks.append(
            Chart(
                "audit",
                "AUC of each source alone",
                POINTS,
                data,
                "AUC, mean over compartments",
                "",
                "The dotted line is chance. Counts are numbers of associations, which measure how "
                "well studied an RNA is. With permuted labels every AUC is near chance unless "
                "labels leak.",
                line_at=CHANCE,
            )
        )
    for name, part in table.groupby("section", sort=False):
        rows = []
        for cells in part[columns[1:]].itertuples(index=False):
            value = pd.to_numeric(cells[-1], errors="coerce")
            rows.append([*cells[:-1], f"{value:.4g}" if np.isfinite(value) else "-"])
        blocks.append(make_table(columns[1:], rows, title=f"All values: {name}"))
    return Section("Audit", tuple(blocks))


def audit_conclusions(path: Path) -> list[str]:
    """Sentences under `CONCLUSIONS` of the page of an audit; none without a page."""
    if not path.is_file():
        return []
    lines = read_text(path).splitlines()
    if CONCLUSIONS not in lines:
        return []
    sentences = []
    for line in lines[lines.index(CONCLUSIONS) + 1 :]:
        if line.startswith("#"):
            break
        if line.startswith("- "):
            sentences.append(line.removeprefix("- ").replace("`", "").replace("**", ""))
    return sentences


def audit_data(table: pd.DataFrame) -> pd.DataFrame:
    """AUC of each source on all RNAs: a series per kind of folds, and one for permuted labels.

    Args:
        table: of `AUDIT`.

    Returns:
        See `chart_data`: ``y`` the source in words.
    """
    is_shown = (table["compartment"] == AVERAGE) & (table["measure"] == "AUC")
    is_shown &= table["section"].isin(["sources", "permutation"]) & (table["rnas"] == "all")
    rows = []
    for row in table[is_shown].to_dict("records"):
        source = AUDITED.get(row["subject"], row["subject"])
        is_permuted = row["section"] == "permutation"
        series = "permuted labels" if is_permuted else f"{row['split']} folds"
        value = float(pd.to_numeric(row["value"], errors="coerce"))
        if np.isfinite(value):
            rows.append({"panel": "", "series": series, "x": value, "y": source})
    return chart_data(rows)


def tuning_section(folder: Path) -> Section:
    """Scores of the trials of a search, and the best of them."""
    table = read_table(folder / TRIALS, ["trial", "state", "score"])
    scores = pd.to_numeric(table["score"], errors="coerce").to_numpy(dtype=float)
    trials = pd.to_numeric(table["trial"], errors="coerce").to_numpy(dtype=float)
    is_scored = np.isfinite(scores)
    best = np.maximum.accumulate(scores[is_scored]) if is_scored.any() else scores[is_scored]
    points = [
        pd.DataFrame({"series": "trial", "x": trials[is_scored], "y": scores[is_scored]}),
        pd.DataFrame({"series": "best so far", "x": trials[is_scored], "y": best}),
    ]
    chart = Chart(
        "tuning",
        "Trials of the search",
        LINES,
        chart_data(pd.concat(points)),
        "trial",
        "score in the inner folds",
        "Scores in inner folds are optimistic for the selected settings.",
    )
    hidden = [name for name in table.columns if name.startswith("inner fold") or name == "note"]
    shown = table.drop(columns=hidden).assign(score=scores)
    top = shown.sort_values("score", ascending=False, kind="stable").head(N_TRIALS)
    rows = top.assign(score=[finite_or_dash(score, 4) for score in top["score"]])
    for name in rows.columns.difference(["trial", "state", "score"]):
        rows[name] = [short_number(cell) for cell in rows[name]]
    states = ", ".join(f"{name} {n}" for name, n in table["state"].value_counts().items())
    best_table = make_table(
        list(top.columns), rows.to_numpy().tolist(), f"The best of {len(table)}: {states}"
    )
    return Section("Tuning", (chart, best_table))


def nested_section(folder: Path) -> Section:
    """Settings that a nested search selected in each outer fold, and what they gain."""
    table = read_table(folder / CHOICES, ["fold", "setting", "value", "inner_score"])
    folds = list(dict.fromkeys(table["fold"]))
    by_place = {
        (row["fold"], row["setting"]): short_number(row["value"])
        for row in table.to_dict("records")
    }
    rows = []
    for setting in dict.fromkeys(table["setting"]):
        rows.append([setting, *[by_place.get((fold, setting), "-") for fold in folds]])
    score_of = dict(zip(table["fold"], table["inner_score"], strict=True))
    rows.append(["score in the inner folds", *[short_number(score_of[fold]) for fold in folds]])
    header = ["setting", *[f"fold {fold}" for fold in folds]]
    caption = "Selected in the training part of each outer fold."
    blocks: list[Block] = [make_table(header, rows, caption)]
    path = folder / VERSUS_UNTUNED
    if path.is_file():
        numbers = ["untuned", "nested", "difference", "low", "high"]
        table = read_table(path, ["metric", "fold", *numbers])
        table[numbers] = table[numbers].apply(pd.to_numeric, errors="coerce")
        cells = []
        is_whole = table["fold"].isin(["mean", "pooled"])
        for row in table[is_whole].to_dict("records"):
            scores = [finite_or_dash(row["untuned"]), finite_or_dash(row["nested"])]
            gain = difference_cell(row["difference"], row["low"], row["high"], digits=3)
            cells.append([row["metric"], row["fold"], *scores, gain])
        caption = (
            "Mean over compartments; 95 % intervals by resampling RNAs, of all folds together."
        )
        header = ["metric", "folds", "untuned", "tuned", "tuned - untuned"]
        blocks.append(make_table(header, cells, caption))
    return Section("Nested tuning", tuple(blocks))


def short_number(cell: object) -> str:
    """A number with four significant digits; other text, and whole numbers, as they are.

    >>> short_number("0.009961091115361581"), short_number("32"), short_number("sgd")
    ('0.009961', '32', 'sgd')
    """
    text = str(cell)
    value = pd.to_numeric(text, errors="coerce")
    is_whole = text.removeprefix("-").isdecimal()
    return text if is_whole or not np.isfinite(value) else f"{value:.4g}"


def repeats_section(folder: Path) -> Section:
    """Mean and SD of the metrics over the seeds of a repeated run."""
    table = read_table(folder / REPEATS, ["compartment", "metric", "over", "mean", "sd", "n"])
    is_shown = (table["compartment"] == AVERAGE) & table["metric"].isin(
        ["AUC", "AUPR", "within", "F1", "MCC"]
    )
    rows = []
    for row in table[is_shown].to_dict("records"):
        numbers = pd.to_numeric(pd.Series([row["mean"], row["sd"]]), errors="coerce")
        rows.append([row["metric"], row["over"], *map(finite_or_dash, numbers), row["n"]])
    header = ["metric", "over", "mean of the seeds", "SD", "seeds"]
    return Section("Other seeds", (make_table(header, rows, "Mean over compartments."),))


def temporal_section(folder: Path) -> Section:
    """AUC and precision of rankings by later labels."""
    title = "Ranking by later labels"
    measured = temporal_precision(folder)
    if measured is None:
        return Section(title, (Text("No temporal run."),))
    chart = Chart(
        "temporal",
        "AUC of rankings by later labels",
        POINTS,
        temporal_data(read_temporal(folder)),
        "AUC",
        "",
        "Pairs of RNA and compartment without an earlier label, by whether they have a later one; "
        "95 % intervals. 'score': the ranking of mirnagraph rank; 'model': by probability; the "
        "others order by counts alone. The dotted line is chance.",
        line_at=CHANCE,
    )
    rows = []
    for row in measured[1].to_dict("records"):
        cell = difference_cell(row["score"], row["low"], row["high"], digits=3).replace("+", "")
        rows.append([row["metric"], cell, finite_or_dash(row["popularity"])])
    caption = "Trained on earlier labels, scored by later ones; 95 % intervals."
    table = make_table(["metric", "ranking of the run", "popularity alone"], rows, caption)
    return Section(title, (chart, table))


def temporal_data(table: pd.DataFrame) -> pd.DataFrame:
    """AUC of each ranking, by compartment: a series per ranking.

    Args:
        table: of `TEMPORAL`.

    Returns:
        See `chart_data`.
    """
    rows = []
    for row in table[table["metric"] == "AUC"].to_dict("records"):
        values = [float(row[name]) for name in ("value", "low", "high")]
        if np.isfinite(values[0]):
            point = {"series": row["ranking"], "x": values[0], "y": row["compartment"]}
            rows.append({**point, "low": values[1], "high": values[2]})
    return chart_data(rows)


MAKERS = {
    ABLATION: ablation_section,
    AUDIT: audit_section,
    TRIALS: tuning_section,
    CHOICES: nested_section,
    REPEATS: repeats_section,
    TEMPORAL: temporal_section,
}
"""File -> function that makes the section on it."""
