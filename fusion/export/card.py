"""Facts of a finished run and the model card made from them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fusion.export.load import load
from fusion.models.saved import COLD_START, SavedModel
from mirnagraph.errors import InputError
from mirnagraph.evaluation.metrics import AVERAGE, CLASS, FRACTIONS
from mirnagraph.io import read_table
from mirnagraph.runs.folder import read_run_json
from mirnagraph.runs.model_file import HEADER
from mirnagraph.runs.report import TABLE, THIS_RUN
from mirnagraph.runs.results import LABELS, read_metrics
from seqtower.encoders.base import LANGUAGE_MODEL
from seqtower.saved import SavedTower

PROBABILITY_METRICS = ("AUC", "AUPR", "F1", "MCC", "ECE")
FRACTION_METRICS = ("Pearson", "Spearman")

TAGS = ("biology", "rna", "subcellular-localization")

SPLITS = {"random": "Random folds", "family": "Family-grouped folds"}


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
        return _predicts_fractions(self.model)

    @property
    def shown_metrics(self) -> tuple[str, ...]:
        """Names of the metrics in the card."""
        return _shown_metrics(self.model)

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
    about = read_run_json(run)
    if about.get("status") != "done":
        raise InputError(
            "the run is not finished",
            file=run,
            found=about.get("status"),
            expected="done",
            hint="run its command again to resume it",
        )
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
    headers = {name: json.loads((folder / name).read_text(encoding="utf-8")) for name in names}
    table = read_table(run / LABELS, ["rna_id", *model.compartments])
    labels = table[list(model.compartments)].apply(pd.to_numeric, errors="coerce")
    baselines = _read_baselines(run, _shown_metrics(model))
    return RunFacts(about, model, headers, read_metrics(run), labels, baselines)


def _predicts_fractions(model: SavedModel | SavedTower) -> bool:
    return isinstance(model, SavedTower) and model.kind == FRACTIONS


def _shown_metrics(model: SavedModel | SavedTower) -> tuple[str, ...]:
    return FRACTION_METRICS if _predicts_fractions(model) else PROBABILITY_METRICS


def _read_baselines(run: Path, metrics: tuple[str, ...]) -> dict[str, dict[str, float]]:
    baselines = {}
    if (run / TABLE).is_file():
        for row in read_table(run / TABLE, ["model"]).to_dict("records"):
            if row["model"] != THIS_RUN:
                values = {name: float(row[name]) for name in metrics if row.get(name)}
                baselines[str(row["model"])] = values
        return baselines
    for path in sorted((run / "baselines").glob("*/metrics.tsv")):
        table = read_metrics(path.parent)
        means = table[table["compartment"] == AVERAGE].set_index("metric")["mean"]
        values = {name: float(means[name]) for name in metrics if name in means.index}
        baselines[path.parent.name] = values
    return baselines


def model_card(facts: RunFacts, about: Mapping[str, Any], license: str | None = None) -> str:
    """Write ``README.md`` for the Hugging Face hub: YAML front matter, then Markdown.

    Args:
        facts: the run and its model.
        about: contents of ``export.json``.
        license: its name on the hub; None leaves the field to the owner, with a note.
    """
    sections = [
        _front_matter(facts, license),
        _summary(facts, about),
        _use(facts),
        _data(facts, about),
        _protocol(facts),
        _metrics(facts),
        _limits(facts),
        _made_with(about),
        _license(license),
    ]
    return "\n\n".join("\n".join(lines) for lines in sections) + "\n"


def _front_matter(facts: RunFacts, license: str | None) -> list[str]:
    if isinstance(facts.model, SavedModel):
        tags = [*TAGS, "mirna", "graph"]
    else:
        tags = [*TAGS, "rna-sequence", facts.model.config.tower]
    field = "# license: choose one (see the end of this card), and remove the #"
    if license:
        field = f"license: {license}"
    return ["---", field, "library_name: mirnagraph", "tags:", *(f"- {t}" for t in tags), "---"]


def _summary(facts: RunFacts, about: Mapping[str, Any]) -> list[str]:
    data = about["training_set"]
    trained_on = data["dataset"] or "unnamed data"
    if facts.sets:
        trained_on += f" and {len(facts.sets)} additional RNA sets"
    lines = [f"# Subcellular localization of RNAs: a model trained on {trained_on}", ""]
    if data["synthetic"]:
        lines += ["**Synthetic data**: the model shows how the tool works, and no biology.", ""]
    lines += _output(facts)
    lines += ["", "| compartment | called from | annotated in training |", "|---|---|---|"]
    for name, threshold in zip(facts.model.compartments, facts.model.thresholds, strict=True):
        known = facts.labels[name].dropna()
        if facts.predicts_fractions:
            lines.append(f"| {name} | - | {known.mean():.3f} on average |")
        else:
            lines.append(f"| {name} | {threshold:.3f} | {int(known.sum())} of {len(known)} |")
    return lines


def _output(facts: RunFacts) -> list[str]:
    model = facts.model
    if isinstance(model, SavedTower):
        if model.kind == FRACTIONS:
            return [
                "It predicts from a sequence the fraction of the RNA in each compartment; "
                "fractions sum to 1."
            ]
        end = ", which sum to 1." if model.kind == CLASS else "."
        return [f"It predicts from a sequence a probability per compartment{end}"]
    lines = [
        "It predicts a probability per compartment for each reference RNA (from sequence, "
        "associations and network neighbours)."
    ]
    if model.cold_start is None:
        lines.append("It has no cold-start model for new RNAs.")
    else:
        lines.append("New RNAs are predicted from their sequence alone.")
    lines.append("Compartments are not exclusive: probabilities need not sum to 1.")
    if facts.sets:
        lines.append(
            "RNAs of each type are predicted for the compartments with labels of that type, and "
            "left empty for the others."
        )
    return lines


def _use(facts: RunFacts) -> list[str]:
    lines = [
        "## Use",
        "",
        "```python",
        "import mirnagraph",
        "",
        'model = mirnagraph.load("FOLDER")  # or "hf://OWNER/NAME"',
        'predictions = mirnagraph.predict(model, sequences={"my_rna": "UGAGGUAGUAGGUUGUAUAGUU"})',
        "predictions.to_frame()",
        "```",
        "",
        "Or `mirnagraph predict --run FOLDER --fasta rnas.fa`. "
        "Loading reads numbers and text, and runs no code of the folder.",
    ]
    model = facts.model
    if isinstance(model, SavedTower):
        if model.config.encoder.kind == LANGUAGE_MODEL:
            language_model = model.config.encoder.language_model.model
            lines.append(
                f"It needs the language model `{language_model}` of training, which is not "
                "included (`--language-model`, `load(…, language_model=…)`)."
            )
        if model.types:
            lines.append(
                f"It is conditioned on the RNA type (`--rna-type`): {', '.join(model.types)}."
            )
        return lines
    if model.reference is None:
        return lines
    if facts.sets:
        types = ", ".join(sorted({str(entry["type"]) for entry in facts.sets.values()}))
        lines.append(
            "Pass the type of new RNAs of another type than the networks' with `--rna-type` "
            f"(in Python `rna_type=`): {types}."
        )
    n_predicted = int(np.isfinite(model.reference.probabilities).all(axis=1).sum())
    n_rnas = len(model.reference.index)
    lines.append(f"{n_predicted} of its {n_rnas} reference RNAs get their out-of-fold prediction.")
    return lines


def _data(facts: RunFacts, about: Mapping[str, Any]) -> list[str]:
    data = about["training_set"]
    lines = [
        "## Data",
        "",
        f"`{data['dataset']}`: {data['n_rnas']} RNAs, {data['n_tested']} of them tested in the "
        "folds.",
    ]
    if not facts.predicts_fractions:
        lines.append(_unannotated(facts.labels))
    for name, entry in facts.sets.items():
        lines.append(
            f"Of these, `{name}`: {entry['n']} RNAs of type {entry['type']}, with their own "
            "labelled compartments."
        )
    lines += ["Fingerprint of the training data (sha256):", ""]
    lines += [f"- {name}: `{value}`" for name, value in data["inputs"].items()]
    if isinstance(facts.model, SavedModel):
        lines += [
            "",
            "The folder holds sequences and labels of the reference RNAs. Share it only where "
            "you may share these.",
        ]
    return lines


def _unannotated(labels: pd.DataFrame) -> str:
    n_unannotated = int((labels.fillna(0) == 0).all(axis=1).sum())
    if not n_unannotated:
        return "Each of these has an annotation."
    of = "every compartment"
    if labels.isna().to_numpy().any():
        of = "every compartment with a known label"
    return f"{n_unannotated} of these have no annotation and count as negatives of {of}."


def _protocol(facts: RunFacts) -> list[str]:
    if isinstance(facts.model, SavedModel):
        lines = _network_protocol(facts, facts.model)
    else:
        lines = _sequence_protocol(facts.model)
    return [
        "## Protocol",
        "",
        *lines,
        "The exported model was then trained on all of these RNAs; the metrics below are those of "
        "the models of the folds.",
    ]


def _network_protocol(facts: RunFacts, model: SavedModel) -> list[str]:
    folds = model.config.folds
    split = SPLITS.get(folds.split, "Folds of a file")
    if folds.protocol:
        split += f" (protocol {folds.protocol})"
    rnas = "RNAs with an annotation" if folds.rnas == "located" else "all RNAs"
    if facts.sets:
        rnas += ", and the RNAs of the additional sets in folds grouped by near-duplicates"
    features = "their sequence and associations (all RNAs are in the networks: transductive)"
    if folds.cold:
        features = "their sequence alone"
    n_folds = int(facts.metrics["n_folds"].max())  # folds of a file override the settings
    return [
        f"{split}, {n_folds} of them, {rnas}, seed {model.config.seed}, "
        f"preset `{model.config.preset}`.",
        "Each RNA was predicted by a model trained without the labels of its fold. Features of "
        f"tested RNAs: {features}, never their compartments.",
    ]


def _sequence_protocol(model: SavedTower) -> list[str]:
    config = model.config
    groups = {
        "cluster": "grouped by near-duplicate sequences",
        "none": "ungrouped",
    }.get(config.group, f"grouped by `{config.group}`")
    lines = [
        f"{config.n_folds} folds, {groups}, seed {config.seed}, preset `{config.preset}`, "
        f"tower `{config.tower}`.",
        "Each RNA was predicted by a model trained on neither the RNA nor its group.",
    ]
    if model.trees is not None:
        lines.append(
            f"In the exported model, trees on descriptors have a weight of {model.weight:g}."
        )
    return lines


def _metrics(facts: RunFacts) -> list[str]:
    metrics = facts.shown_metrics
    note = " Of ECE the pooled value is the more reliable." if "ECE" in metrics else ""
    lines = [
        "## Metrics, out-of-fold",
        "",
        f"Mean over folds (SD), then pooled over folds.{note}",
        "",
        f"| compartment | {' | '.join(metrics)} |",
        "|---|" + "---|" * len(metrics),
    ]
    for name in (*facts.model.compartments, AVERAGE):
        summary = facts.summary(name)
        cells = [_cell(summary.get(metric)) for metric in metrics]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    within = facts.summary().get("within")
    if within is not None:
        lines += ["", f"AUC within deciles of RNAs by popularity: {_text(within['pooled'])}."]
    lines += ["", *_comparison(facts, metrics[0])]
    return lines


def _comparison(facts: RunFacts, metric: str) -> list[str]:
    if facts.sets:
        return [
            "These metrics are over the RNAs of all sets, and include telling the sets apart. "
            "Metrics within each set, and of trees of each type alone, are in the run's report",
            "and its `metrics_by_set.tsv`.",
        ]
    if not facts.baselines:
        return ["No baseline was run, so the gain over simpler models is unknown."]
    ranked = sorted(facts.baselines.items(), key=lambda item: -item[1].get(metric, 0))
    values = [f"{name} {_text(row[metric])}" for name, row in ranked if metric in row]
    return [f"Baselines on the same folds, {metric}: {', '.join(values)}."]


def _limits(facts: RunFacts) -> list[str]:
    model = facts.model
    lines = [
        "## Limits",
        "",
        "- Predictions are no measurements; for research, not for medical decisions.",
    ]
    if isinstance(model, SavedModel):
        calibrated = "not recalibrated"
        if model.temperature != 1:
            calibrated = f"calibrated with temperature {model.temperature:.3g}"
        lines += [
            f"- Probabilities are {calibrated}, for RNAs like those of the training set; the ECE "
            "above is their calibration error.",
            "- Well-studied RNAs have more annotations. A low probability may mean that nobody "
            "looked.",
            "- Compartments without an annotation were counted as absent, which is not known.",
        ]
        if model.cold_start is not None:
            lines += [
                "- A new RNA is predicted from its sequence by the cold-start model. The metrics "
                "above are not its metrics: expect clearly lower ones.",
                "- Predictions of new RNAs carry warnings where the RNA is unlike the training "
                "RNAs.",
            ]
    else:
        lines.append(
            "- For RNAs like those of the training set; other lengths, types or organisms are an "
            "extrapolation."
        )
        if not facts.predicts_fractions:
            lines.append(
                "- Probabilities are not recalibrated; the ECE above is their calibration error."
            )
    lines.append("- Annotations published after the training set was made are not in it.")
    return lines


def _made_with(about: Mapping[str, Any]) -> list[str]:
    versions = [
        f"{name} {number}"
        for name, number in about["versions"].items()
        if number != "not installed"
    ]
    run = about["run"]
    return [
        "## Made with",
        "",
        f"{', '.join(versions)}. Seed {run['seed']}, fingerprint of the run "
        f"`{run['fingerprint']}`.",
    ]


def _license(license: str | None) -> list[str]:
    text = "None chosen yet: without one, only its owner may use the model."
    if license:
        text = f"`{license}`, chosen by its owner."
    return [
        "## Licence",
        "",
        f"{text} The training data keep the licences of their sources; check these before "
        "choosing one.",
    ]


def _cell(values: Mapping[str, float] | None) -> str:
    if values is None:
        return "-"
    return f"{_text(values['mean'])} ({_text(values['sd'])}) {_text(values['pooled'])}"


def _text(value: float) -> str:
    return f"{value:.3f}" if np.isfinite(value) else "-"
