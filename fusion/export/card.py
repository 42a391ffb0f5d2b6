"""Model card of an exported model for the Hugging Face hub."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from fusion.export.facts import RunFacts
from fusion.models.saved import SavedModel
from mirnagraph.evaluation.metrics import AVERAGE, CLASS, FRACTIONS
from mirnagraph.evaluation.scores import NAN
from mirnagraph.runs.markdown import harmless
from mirnagraph.runs.model_file import HEADER
from mirnagraph.runs.report import PARTS, WEIGHTED
from seqtower.baselines.kmer import TOWER
from seqtower.encoders.base import LANGUAGE_MODEL
from seqtower.saved import SavedTower
from seqtower.training.health import model_warning

TAGS = ("biology", "rna", "subcellular-localization")

SPLITS = {"random": "Random folds", "family": "Family-grouped folds"}

GROUPS = {"cluster": "grouped by near-duplicate sequences", "none": "ungrouped"}

USE = """\
## Use

```python
import mirnagraph

model = mirnagraph.load("FOLDER")  # or "hf://OWNER/NAME"
predictions = mirnagraph.predict(model, sequences={"my_rna": "UGAGGUAGUAGGUUGUAUAGUU"})
predictions.to_frame()
```

Or `mirnagraph predict --run FOLDER --fasta rnas.fa`. Loading reads numbers and text, and runs no \
code of the folder."""

LIMITS = """\
## Limits

- Predictions are no measurements; for research, not for medical decisions."""

COLD_START_LIMITS = """\
- A new RNA is predicted from its sequence by the cold-start model. The metrics above are not its \
metrics: expect clearly lower ones.
- Predictions of new RNAs carry warnings where the RNA is unlike the training RNAs."""


def model_card(facts: RunFacts, about: Mapping[str, Any], license: str | None = None) -> str:
    """Write ``README.md`` for the Hugging Face hub: YAML front matter, then Markdown.

    Args:
        facts: the run and its model.
        about: contents of ``export.json``.
        license: its name on the hub; None leaves the field to the owner, with a note.
    """
    sections = [
        _front_matter(facts, license),
        _summary(facts, about["training_set"]),
        _use(facts),
        _data(facts, about["training_set"]),
        _protocol(facts),
        _metrics(facts),
        _limits(facts),
        _made_with(about),
        _license(license),
    ]
    front, *text = ("\n".join(lines) for lines in sections)
    return front + "\n\n" + harmless("\n\n".join(text)) + "\n"


def _front_matter(facts: RunFacts, license: str | None) -> list[str]:
    tags = [*TAGS, "mirna", "graph"]
    if isinstance(facts.model, SavedTower):
        tags = [*TAGS, "rna-sequence", facts.model.config.tower.name]
    field = "# license: choose one (see the end of this card), and remove the #"
    if license:
        field = f"license: {license}"
    return ["---", field, "library_name: mirnagraph", "tags:", *(f"- {t}" for t in tags), "---"]


def _summary(facts: RunFacts, data: Mapping[str, Any]) -> list[str]:
    trained_on = data["dataset"] or "unnamed data"
    if facts.sets:
        trained_on += f" and {len(facts.sets)} additional RNA sets"
    lines = [f"# Subcellular localization of RNAs: a model trained on {trained_on}", ""]
    if data["synthetic"]:
        lines += ["**Synthetic data**: the model shows how the tool works, and no biology.", ""]
    warning = model_warning(facts.headers[HEADER])
    if warning:
        lines += [f"**{warning}**", ""]
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
    new_rnas = "New RNAs are predicted from their sequence alone."
    if model.cold_start is None:
        new_rnas = "It has no cold-start model for new RNAs."
    lines = [
        "It predicts a probability per compartment for each reference RNA (from sequence, "
        "associations and network neighbours).",
        new_rnas,
        "Compartments are not exclusive: probabilities need not sum to 1.",
    ]
    if facts.sets:
        lines.append(
            "RNAs of each type are predicted for the compartments with labels of that type, and "
            "left empty for the others."
        )
    return lines


def _use(facts: RunFacts) -> list[str]:
    lines = [USE]
    model = facts.model
    if isinstance(model, SavedTower):
        if model.config.encoder.name == LANGUAGE_MODEL:
            name = model.config.encoder.settings.model
            lines.append(
                f"It needs the language model `{name}` of training, which is not included "
                "(`--language-model`, `load(…, language_model=…)`)."
            )
        if model.types:
            types = ", ".join(model.types)
            lines.append(f"It is conditioned on the RNA type (`--rna-type`): {types}.")
    elif model.reference is not None:
        if facts.sets:
            types = ", ".join(sorted({str(entry["type"]) for entry in facts.sets.values()}))
            lines.append(
                "Pass the type of new RNAs of another type than the networks' with `--rna-type` "
                f"(in Python `rna_type=`): {types}."
            )
        n_predicted = int(np.isfinite(model.reference.probabilities).all(axis=1).sum())
        of = f"{n_predicted} of its {len(model.reference.index)} reference RNAs"
        lines.append(f"{of} get their out-of-fold prediction.")
    return lines


def _data(facts: RunFacts, data: Mapping[str, Any]) -> list[str]:
    numbers = f"{data['n_rnas']} RNAs, {data['n_tested']} of them tested in the folds."
    lines = ["## Data", "", f"`{data['dataset']}`: {numbers}"]
    if data.get("description"):
        lines.append(str(data["description"]))
    if not facts.predicts_fractions:
        lines.append(_unannotated(facts.labels))
    for name, entry in facts.sets.items():
        of_set = f"{entry['n']} RNAs of type {entry['type']}"
        lines.append(f"Of these, `{name}`: {of_set}, with their own labelled compartments.")
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
        of += " with a known label"
    return f"{n_unannotated} of these have no annotation and count as negatives of {of}."


def _protocol(facts: RunFacts) -> list[str]:
    lines = ["## Protocol", ""]
    if isinstance(facts.model, SavedModel):
        lines += _network_protocol(facts, facts.model)
    else:
        lines += _sequence_protocol(facts.model)
    return [
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
    groups = GROUPS.get(config.group, f"grouped by `{config.group}`")
    lines = [
        f"{config.n_folds} folds, {groups}, seed {config.seed}, preset `{config.preset}`, "
        f"tower `{config.tower.name}`.",
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
        cells = " | ".join(_cell(summary.get(metric)) for metric in metrics)
        lines.append(f"| {name} | {cells} |")
    within = facts.summary().get("within")
    if within is not None:
        lines += ["", f"AUC within deciles of RNAs by popularity: {_text(within['pooled'])}."]
    return [*lines, "", *_parts(facts, metrics[0]), *_comparison(facts, metrics[0])]


def _parts(facts: RunFacts, metric: str) -> list[str]:
    """Weights of the parts of a fusion model, and each part alone; none for a single part."""
    model = facts.model
    if not isinstance(model, SavedModel) or len(model.weights) < 2:
        return []
    total = sum(model.weights.values())
    weights = [f"{WEIGHTED[name]} {weight / total:.2f}" for name, weight in model.weights.items()]
    lines = [
        "The prediction is the mean of the logits of its parts, with the weights "
        f"{', '.join(weights)}."
    ]
    alone = [
        f"`{name}` {_text(facts.baselines[name][metric])}"
        for name in PARTS
        if metric in facts.baselines.get(name, {})
    ]
    if alone:
        lines.append(f"Each part alone, on the same folds, {metric}: {', '.join(alone)}.")
    return [*lines, ""]


def _comparison(facts: RunFacts, metric: str) -> list[str]:
    if facts.sets:
        return [
            "These metrics are over the RNAs of all sets, and include telling the sets apart. "
            "Metrics within each set, and of trees of each type alone, are in the run's report",
            "and its `metrics_by_set.tsv`.",
        ]
    parts = (*PARTS, TOWER)
    baselines = {name: row for name, row in facts.baselines.items() if name not in parts}
    if not baselines:
        return ["No baseline was run, so the gain over simpler models is unknown."]
    defined = {n: row[metric] for n, row in baselines.items() if np.isfinite(row.get(metric, NAN))}
    ranked = sorted(defined.items(), key=lambda item: -item[1])
    values = [f"{name} {_text(value)}" for name, value in ranked]
    return [f"Baselines on the same folds, {metric}: {', '.join(values)}."]


def _limits(facts: RunFacts) -> list[str]:
    model = facts.model
    lines = [LIMITS]
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
            lines.append(COLD_START_LIMITS)
    else:
        lines.append(
            "- For RNAs like those of the training set; other lengths, types or organisms are an "
            "extrapolation."
        )
        if not facts.predicts_fractions:
            lines.append(
                "- Probabilities are not recalibrated; the ECE above is their calibration error."
            )
    return [*lines, "- Annotations published after the training set was made are not in it."]


def _made_with(about: Mapping[str, Any]) -> list[str]:
    versions = [f"{name} {n}" for name, n in about["versions"].items() if n != "not installed"]
    run = f"Seed {about['run']['seed']}, fingerprint of the run `{about['run']['fingerprint']}`."
    return ["## Made with", "", f"{', '.join(versions)}. {run}"]


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
