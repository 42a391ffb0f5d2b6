"""What a finished run says of itself, read from its folder: for the card of its model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from fusion.bare_run import read_metrics
from fusion.baselines import TABLE, THIS_RUN
from fusion.model_files import NEWCOMERS, SavedModel
from fusion.open_model import load
from mirnagraph.errors import InputError
from mirnagraph.evaluation.metrics import AVERAGE
from mirnagraph.evaluation.predictions import LABELS
from mirnagraph.runs import read_run_json
from mirnagraph.tables import read_table
from seqtower.model_files import SavedTower
from seqtower.sequences import FRACTIONS

PROBABILITY_MEASURES, FRACTION_MEASURES = ("AUC", "AUPR", "F1", "MCC", "ECE"), ("Pearson", "Spearman")
COMMANDS = "`mirnagraph train` or `mirnagraph seq train`"


@dataclass(frozen=True, eq=False)
class RunFacts:
    """A finished run and its model.

    Attributes:
        run: everything in ``run.json``.
        model: as loaded, hence whole.
        about: what its ``model.json`` files say, by their name in the model folder.
        metrics: table of `mirnagraph.evaluation.metrics.evaluate`, or of `seqtower.correlations.correlations` for fractions.
        labels: of the tested RNAs: one float64 column per compartment, NaN where unknown.
        baselines: name -> measure -> mean over folds and compartments; empty where they were left out.
    """

    run: Mapping[str, Any]
    model: SavedModel | SavedTower
    about: Mapping[str, Mapping[str, Any]]
    metrics: pd.DataFrame
    labels: pd.DataFrame
    baselines: Mapping[str, Mapping[str, float]]

    @property
    def measures(self) -> tuple[str, ...]:
        """The measures that a reader is shown."""
        return FRACTION_MEASURES if isinstance(self.model, SavedTower) and self.model.kind == FRACTIONS else PROBABILITY_MEASURES

    def figures(self, compartment: str = AVERAGE) -> dict[str, dict[str, float]]:
        """Measure -> ``mean`` and ``sd`` over folds, and ``pooled`` value, out-of-fold."""
        rows = self.metrics[self.metrics["compartment"] == compartment].set_index("metric")
        wanted = [name for name in (*self.measures, "within") if name in rows.index]
        return {name: {column: float(rows[column][name]) for column in ("mean", "sd", "pooled")} for name in wanted}


def read_facts(run: str | Path) -> RunFacts:
    """Read a finished run of `mirnagraph train` or `mirnagraph seq train`.

    Raises:
        InputError: not a run folder, not finished, or without a model. CheckpointError: its model is damaged.
    """
    run = Path(run)
    about = read_run_json(run)
    if about.get("status") != "done":
        raise InputError("the run is not finished", file=run, found=about.get("status"), expected="done", hint="run its command again: it goes on")
    folder = run / "model"
    if not (folder / "model.json").is_file():
        raise InputError("the run kept no model", file=run, expected=f"a run of {COMMANDS}")
    model = load(folder)
    names = ["model.json", *([f"{NEWCOMERS}/model.json"] if isinstance(model, SavedModel) and model.newcomers is not None else [])]
    said = {name: json.loads((folder / name).read_text(encoding="utf-8")) for name in names}
    table = read_table(run / LABELS, ["rna_id", *model.compartments])
    labels = table[list(model.compartments)].apply(pd.to_numeric, errors="coerce")
    facts = RunFacts(about, model, said, read_metrics(run), labels, {})
    return RunFacts(about, model, said, facts.metrics, labels, _baselines(run, facts.measures))


def _baselines(run: Path, measures: tuple[str, ...]) -> dict[str, dict[str, float]]:
    if (run / TABLE).is_file():  # of `mirnagraph train`: one table
        table = read_table(run / TABLE, ["model"])
        rows = [row for row in table.to_dict("records") if row["model"] != THIS_RUN]
        return {str(row["model"]): {m: float(row[m]) for m in measures if row.get(m)} for row in rows}
    found = {}
    for path in sorted((run / "baselines").glob("*/metrics.tsv")):  # of `mirnagraph seq train`: one folder each
        metrics = read_metrics(path.parent)
        average = metrics[metrics["compartment"] == AVERAGE].set_index("metric")["mean"]
        found[path.parent.name] = {m: float(average[m]) for m in measures if m in average.index}
    return found
