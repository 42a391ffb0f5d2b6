"""Report of a temporal run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from fusion.config import ExperimentConfig
from fusion.temporal.evaluate import (
    ALL,
    AUC,
    MODEL,
    POPULARITY,
    SCORE,
    TOP,
    Pairs,
    cell,
    precision_name,
    rankings_of,
)
from fusion.temporal.labels import MOLECULE, EarlierLabels
from mirnagraph.dataset import Dataset
from mirnagraph.evaluation.metrics import AVERAGE
from mirnagraph.runs.markdown import bullets, difference_cell, finite_or_dash, page, section
from mirnagraph.runs.markdown import table as markdown_table

if TYPE_CHECKING:
    from collections.abc import Sequence

TITLE = "What comes next"

OF_TODAY = (
    "Association tables, sequences and popularity are those of the dataset, hence of today: some "
    "records\nare younger than the earlier labels. The intervals do not cover this."
)


def temporal_page(
    table: pd.DataFrame,
    pairs: Pairs,
    earlier: EarlierLabels,
    dataset: Dataset,
    config: ExperimentConfig,
    labels_by: str,
) -> str:
    """The page ``report.md`` of a temporal run.

    Args:
        table: of `fusion.temporal.evaluate.evaluate`.
        pairs: that were scored.
        earlier: labels trained on.
        dataset: with the later labels.
        config: of the run.
        labels_by: see `fusion.temporal.run.run_temporal`.
    """
    return page(
        f"Temporal run on {dataset.name}: preset {config.preset}, seed {config.seed}",
        _protocol(pairs, earlier, dataset, config, labels_by),
        temporal_section(table, config),
        synthetic=dataset.synthetic,
    )


def _protocol(
    pairs: Pairs,
    earlier: EarlierLabels,
    dataset: Dataset,
    config: ExperimentConfig,
    labels_by: str,
) -> str:
    values = earlier.labels.to_numpy()
    n_kept = int(((values == 1) & (dataset.labels.to_numpy() == 1)).sum())
    n_later = int((pairs.is_open & (pairs.later != 0)).sum())
    joined = ""
    if labels_by == MOLECULE:
        joined = " Training labels were joined over ids that share a mature sequence."
    return bullets(
        [
            f"Trained on {int(values.sum())} earlier labels of {int(values.any(axis=1).sum())} "
            f"RNAs; {n_kept} of these labels are in the dataset's labels too. {earlier.n_absent} "
            f"RNAs have no line in the earlier table and are unlabelled.{joined}",
            f"Scored: the {int(pairs.is_open.sum())} pairs of RNA and compartment without an "
            f"earlier label, of which the dataset has labelled {n_later}. Each was predicted by a "
            f"model that was not trained on the RNA ({config.folds.n_folds} folds).",
            OF_TODAY.replace("\n", " "),
        ]
    )


def temporal_section(table: pd.DataFrame, config: ExperimentConfig) -> str:
    """The section on rankings: verdict, AUC per compartment, precision at k, what each one is.

    Args:
        table: of `fusion.temporal.evaluate.evaluate`.
        config: of the run.
    """
    weights = config.ranking
    what = bullets(
        [
            f"`{SCORE}`: rank by a weighted mean of the rank of the model's probability "
            f"({weights.model:g}), the rank of popularity ({weights.popularity:g}) and the "
            f"popularity of an id relative to the ids of the same molecule "
            f"({weights.molecule:g}); settings `[ranking]`",
            f"`{MODEL}`: out-of-fold probability",
            f"`{POPULARITY}`: sum of the ranks of the numbers of associations, no model",
            f"All but `{MODEL}` are multiplied by the share of RNAs labelled earlier in each "
            "compartment, so that pairs of all compartments can be ranked together; this changes "
            "nothing within a compartment",
        ]
    )
    intervals = "Intervals: 95 %, bootstrap over RNAs, paired for differences."
    return section(
        TITLE,
        bullets(verdict(table)),
        markdown_table(*auc_rows(table)),
        markdown_table(*precision_rows(table)),
        what,
        intervals,
    )


def verdict(table: pd.DataFrame) -> list[str]:
    """Sentences on the score and the model, compared with popularity alone."""
    columns = ("difference", "difference_low", "difference_high")
    lines = []
    for name in (SCORE, MODEL):
        values = [cell(table, name, AVERAGE, AUC, column) for column in columns]
        relation = "has no significant difference to"
        if values[1] > 0:
            relation = "is higher than"
        elif values[2] < 0:
            relation = "is lower than"
        auc = finite_or_dash(cell(table, name, AVERAGE, AUC, "value"))
        other = finite_or_dash(cell(table, POPULARITY, AVERAGE, AUC, "value"))
        lines.append(
            f"Mean AUC of `{name}` ({auc}) {relation} that of popularity alone ({other}): "
            f"{difference_cell(*values, digits=3)}."
        )
    return lines


def auc_rows(table: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Header and cells: AUC per compartment and on average, one column per ranking."""
    names = rankings_of(table)
    is_auc = table["metric"] == AUC
    rows = []
    for compartment in dict.fromkeys(table.loc[is_auc, "compartment"].astype(str)):
        counts = [cell(table, names[0], compartment, AUC, n) for n in ("n_pairs", "n_later")]
        cells = [_value(table, name, compartment, AUC) for name in names]
        rows.append([compartment, *(f"{count:.0f}" for count in counts), *cells])
    return ["compartment", "open pairs", "found later", *names], rows


def precision_rows(table: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Header and cells: precision among the k highest pairs, one column per ranking.

    Of each compartment by itself (the mean over compartments), and of all compartments together.
    """
    names = rankings_of(table)
    rows = []
    for compartment, shown in ((AVERAGE, "each compartment, mean"), (ALL, "all together")):
        for k in TOP:
            metric = precision_name(k)
            cells = [_value(table, name, compartment, metric) for name in names]
            rows.append([f"{metric}, {shown}", *cells])
    return ["share found later", *names], rows


def _value(table: pd.DataFrame, ranking: str, compartment: str, metric: str) -> str:
    """A value with its interval."""
    columns: Sequence[str] = ("value", "low", "high")
    value, low, high = (cell(table, ranking, compartment, metric, name) for name in columns)
    if low != low:
        return finite_or_dash(value)
    return f"{finite_or_dash(value)} [{finite_or_dash(low)}, {finite_or_dash(high)}]"
