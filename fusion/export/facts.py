"""Facts of a finished run: its model, out-of-fold metrics, labels and baselines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from fusion.export.load import load
from fusion.models.saved import COLD_START, SavedModel
from mirnagraph.errors import InputError
from mirnagraph.evaluation.metrics import AVERAGE, FRACTIONS
from mirnagraph.io import read_table
from mirnagraph.reading.entries import NEEDED, check_entries, read_entries
from mirnagraph.runs.model_file import ENTRIES, HEADER
from mirnagraph.runs.report import TABLE, THIS_RUN
from mirnagraph.runs.results import LABELS, read_metrics
from mirnagraph.runs.run_file import read_finished_run
from seqtower.saved import SavedTower

PROBABILITY_METRICS = ("AUC", "AUPR", "F1", "MCC", "ECE")
FRACTION_METRICS = ("Pearson", "Spearman")
METRICS = (*PROBABILITY_METRICS, *FRACTION_METRICS)


@dataclass(frozen=True, eq=False)
class RunFacts:
    """A finished run and its model.

    Attributes:
        run: contents of ``run.json``.
        model: the loaded model.
        headers: contents of its ``model.json`` files, by their path in the model folder.
        metrics: table of `mirnagraph.evaluation.metrics.evaluate`, or for fractions of
            `mirnagraph.evaluation.metrics.correlations`.
        labels: of the tested RNAs: one float64 column per compartment, NaN where unknown.
        baselines: name -> metric -> mean over folds and compartments; empty for a run without
            baselines.
    """

    run: Mapping[str, Any]
    model: SavedModel | SavedTower
    headers: Mapping[str, Mapping[str, Any]]
    metrics: pd.DataFrame
    labels: pd.DataFrame
    baselines: Mapping[str, Mapping[str, float]]

    @property
    def predicts_fractions(self) -> bool:
        """Whether the model predicts fractions instead of probabilities."""
        return isinstance(self.model, SavedTower) and self.model.kind == FRACTIONS

    @property
    def shown_metrics(self) -> tuple[str, ...]:
        """Names of the metrics in the card."""
        return FRACTION_METRICS if self.predicts_fractions else PROBABILITY_METRICS

    @property
    def sets(self) -> Mapping[str, Mapping[str, Any]]:
        """Additional RNA sets of joint training: name -> type and number of RNAs."""
        sets = self.run.get("sets")
        return sets if isinstance(sets, Mapping) else {}

    def summary(self, compartment: str = AVERAGE) -> dict[str, dict[str, float]]:
        """Summarise the out-of-fold metrics of one compartment.

        Returns:
            Metric -> ``mean`` and ``sd`` over folds, and ``pooled`` value.
        """
        rows = self.metrics[self.metrics["compartment"] == compartment].set_index("metric")
        return {
            name: {column: float(rows[column][name]) for column in ("mean", "sd", "pooled")}
            for name in (*self.shown_metrics, "within")
            if name in rows.index
        }


def read_facts(run: str | Path) -> RunFacts:
    """Read a finished run of `mirnagraph train` or `mirnagraph seq train`.

    Raises:
        InputError: not a run folder, not finished, or without a model.
        CheckpointError: its model is damaged.
    """
    run = Path(run)
    about = read_finished_run(run)
    check_entries(about, {NEEDED: ("fingerprint", "seed")}, run / "run.json")
    folder = run / "model"
    if not (folder / HEADER).is_file():
        raise InputError(
            "the run has no model",
            file=run,
            expected="a run of `mirnagraph train` or `mirnagraph seq train`",
        )
    model = load(folder)
    names = [HEADER]
    if isinstance(model, SavedModel) and model.cold_start is not None:
        names.append(f"{COLD_START}/{HEADER}")
    kinds = {**ENTRIES, NEEDED: ("versions",)}
    headers = {name: read_entries(folder / name, kinds) for name in names}
    table = read_table(run / LABELS, ["rna_id", *model.compartments])
    labels = table[list(model.compartments)].apply(pd.to_numeric, errors="coerce")
    return RunFacts(about, model, headers, read_metrics(run), labels, _read_baselines(run))


def _read_baselines(run: Path) -> dict[str, dict[str, float]]:
    baselines = {}
    if (run / TABLE).is_file():
        for row in read_table(run / TABLE, ["model"]).to_dict("records"):
            if row["model"] != THIS_RUN:
                values = {name: float(row[name]) for name in METRICS if row.get(name)}
                baselines[str(row["model"])] = values
        return baselines
    for path in sorted((run / "baselines").glob("*/metrics.tsv")):
        table = read_metrics(path.parent)
        means = table[table["compartment"] == AVERAGE].set_index("metric")["mean"]
        values = {name: float(means[name]) for name in METRICS if name in means.index}
        baselines[path.parent.name] = values
    return baselines
