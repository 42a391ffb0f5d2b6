"""Run facts, model card."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fusion.export.load import load
from fusion.models.saved import NEWCOMERS, SavedModel
from mirnagraph.errors import InputError
from mirnagraph.evaluation.metrics import AVERAGE, FRACTIONS
from mirnagraph.io import read_table
from mirnagraph.runs.folder import read_run_json
from mirnagraph.runs.report import TABLE, THIS_RUN
from mirnagraph.runs.results import LABELS, read_metrics
from seqtower.encoders.base import LANGUAGE_MODEL
from seqtower.saved import SavedTower

PROBABILITY_MEASURES = ("AUC", "AUPR", "F1", "MCC", "ECE")
FRACTION_MEASURES = ("Pearson", "Spearman")

COMMANDS = "`mirnagraph train` or `mirnagraph seq train`"

TAGS = ("biology", "rna", "subcellular-localization")


@dataclass(frozen=True, eq=False)
class RunFacts:
    """A finished run and its model.

    Attributes:
        run: everything in ``run.json``.
        model: as loaded, hence whole.
        about: what its ``model.json`` files say, by their name in the model folder.
        metrics: table of `mirnagraph.evaluation.metrics.evaluate`, or of `mirnagraph.evaluation.metrics.correlations` for fractions.
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
        return (
            FRACTION_MEASURES
            if isinstance(self.model, SavedTower) and self.model.kind == FRACTIONS
            else PROBABILITY_MEASURES
        )

    def figures(self, compartment: str = AVERAGE) -> dict[str, dict[str, float]]:
        """Measure -> ``mean`` and ``sd`` over folds, and ``pooled`` value, out-of-fold."""
        rows = self.metrics[self.metrics["compartment"] == compartment].set_index("metric")
        wanted = [name for name in (*self.measures, "within") if name in rows.index]
        return {
            name: {column: float(rows[column][name]) for column in ("mean", "sd", "pooled")}
            for name in wanted
        }


def read_facts(run: str | Path) -> RunFacts:
    """Read a finished run of `mirnagraph train` or `mirnagraph seq train`.

    Raises:
        InputError: not a run folder, not finished, or without a model. CheckpointError: its model is damaged.
    """
    run = Path(run)
    about = read_run_json(run)
    if about.get("status") != "done":
        raise InputError(
            "the run is not finished",
            file=run,
            found=about.get("status"),
            expected="done",
            hint="run its command again: it goes on",
        )
    folder = run / "model"
    if not (folder / "model.json").is_file():
        raise InputError("the run kept no model", file=run, expected=f"a run of {COMMANDS}")
    model = load(folder)
    names = [
        "model.json",
        *(
            [f"{NEWCOMERS}/model.json"]
            if isinstance(model, SavedModel) and model.newcomers is not None
            else []
        ),
    ]
    said = {name: json.loads((folder / name).read_text(encoding="utf-8")) for name in names}
    table = read_table(run / LABELS, ["rna_id", *model.compartments])
    labels = table[list(model.compartments)].apply(pd.to_numeric, errors="coerce")
    facts = RunFacts(about, model, said, read_metrics(run), labels, {})
    return RunFacts(about, model, said, facts.metrics, labels, _baselines(run, facts.measures))


def _baselines(run: Path, measures: tuple[str, ...]) -> dict[str, dict[str, float]]:
    if (run / TABLE).is_file():  # of `mirnagraph train`: one table
        table = read_table(run / TABLE, ["model"])
        rows = [row for row in table.to_dict("records") if row["model"] != THIS_RUN]
        return {
            str(row["model"]): {m: float(row[m]) for m in measures if row.get(m)} for row in rows
        }
    found = {}
    for path in sorted(
        (run / "baselines").glob("*/metrics.tsv")
    ):  # of `mirnagraph seq train`: one folder each
        metrics = read_metrics(path.parent)
        average = metrics[metrics["compartment"] == AVERAGE].set_index("metric")["mean"]
        found[path.parent.name] = {m: float(average[m]) for m in measures if m in average.index}
    return found


def model_card(facts: RunFacts, about: Mapping[str, Any], license: str | None = None) -> str:
    """``README.md`` as the Hugging Face hub reads it: YAML front matter, then Markdown.

    Args:
        about: what goes into ``export.json``.
        license: as the hub names it; None leaves the field to the owner, with a note.
    """
    parts = [
        _front(facts, license),
        _what(facts, about),
        _use(facts),
        _data(facts, about),
        _protocol(facts),
        _metrics(facts),
        _limits(facts, about),
    ]
    return "\n\n".join([*parts, _made_with(about), _license(license)]) + "\n"


def _front(facts: RunFacts, license: str | None) -> str:
    kind = (
        ("mirna", "graph")
        if isinstance(facts.model, SavedModel)
        else ("rna-sequence", facts.model.config.tower.name)
    )
    chosen = (
        f"license: {license}"
        if license
        else "# license: choose one (see the end of this card), and take the # away"
    )
    return "\n".join(
        [
            "---",
            chosen,
            "library_name: mirnagraph",
            "tags:",
            *(f"- {tag}" for tag in (*TAGS, *kind)),
            "---",
        ]
    )


def _sets(facts: RunFacts) -> Mapping[str, Mapping[str, Any]]:
    """The sets of other RNAs that learned beside those of the networks: name -> type and number."""
    found = facts.run.get("sets")
    return found if isinstance(found, Mapping) else {}


def _what(facts: RunFacts, about: Mapping[str, Any]) -> str:
    data = about["training_set"]
    model = facts.model
    sets = _sets(facts)
    on = " and ".join(
        [data["dataset"] or "unnamed data", *([f"{len(sets)} sets of other RNAs"] if sets else [])]
    )
    lines = [f"# In which compartments does an RNA sit? A model trained on {on}", ""]
    if data["synthetic"]:
        lines += [
            "**Made-up data**: this model shows how the tool works. Nothing it says is about biology.",
            "",
        ]
    if isinstance(model, SavedModel):
        lines += [
            "It gives a probability per compartment for each RNA it knows (from sequence, associations and relatives in networks)"
            + (
                ", and for new RNAs by their sequence alone."
                if model.newcomers is not None
                else ". It has no part for new RNAs."
            ),
            "Compartments are not exclusive: probabilities need not sum to 1.",
        ]
        if sets:
            lines += [
                "RNAs of each type are answered for the compartments that some of them were labelled for, and left empty for the others."
            ]
    elif model.kind == FRACTIONS:
        lines += [
            "It reads a sequence, and says which fraction of the RNA is in each compartment; fractions sum to 1."
        ]
    else:
        lines += [
            "It reads a sequence, and gives a probability per compartment"
            + (", which sum to 1." if model.kind == "class" else ".")
        ]
    lines += ["", "| compartment | called from | annotated in training |", "|---|---|---|"]
    for name, threshold in zip(model.compartments, model.thresholds, strict=True):
        known = facts.labels[name].dropna()
        counted = (
            f"{known.mean():.3f} on average"
            if _fractions(facts)
            else f"{int(known.sum())} of {len(known)}"
        )
        lines.append(f"| {name} | {'-' if _fractions(facts) else f'{threshold:.3f}'} | {counted} |")
    return "\n".join(lines)


def _use(facts: RunFacts) -> str:
    call = 'sequences={"mine": "UGAGGUAGUAGGUUGUAUAGUU"}'
    lines = [
        "## Use",
        "",
        "```python",
        "import mirnagraph",
        "",
        'model = mirnagraph.load("FOLDER")  # or "hf://OWNER/NAME"',
    ]
    lines += [f"said = mirnagraph.predict(model, {call})", "said.to_frame()", "```", ""]
    lines += [
        "Or `mirnagraph predict --run FOLDER --fasta mine.fa`. Loading reads numbers and text, and runs nothing that is in the folder."
    ]
    if isinstance(facts.model, SavedModel) and facts.model.known is not None:
        if _sets(facts):
            told = ", ".join(sorted({str(one["type"]) for one in _sets(facts).values()}))
            lines += [
                f"New RNAs of another type than the networks' are told by `--rna-type` (in Python `rna_type=`): {told}."
            ]
        tested = int(np.isfinite(facts.model.known.probabilities).all(axis=1).sum())
        lines += [
            f"For {tested} of its {len(facts.model.known.index)} RNAs it gives the out-of-fold answer: that of a model that did not train on them."
        ]
    elif isinstance(facts.model, SavedTower) and facts.model.config.encoder.name == LANGUAGE_MODEL:
        model = facts.model.config.encoder.settings.model
        lines += [
            f"It needs the language model `{model}`, which is not part of it (`--language-model`, `load(…, language_model=…)`); it must be the same."
        ]
    if isinstance(facts.model, SavedTower) and facts.model.types:
        lines += [
            f"It has to be told the type of RNA (`--rna-type`): {', '.join(facts.model.types)}."
        ]
    return "\n".join(lines)


def _data(facts: RunFacts, about: Mapping[str, Any]) -> str:
    data = about["training_set"]
    lines = [
        "## Data",
        "",
        f"`{data['dataset']}`: {data['n_rnas']} RNAs, of which {data['n_tested']} were tested in the folds.",
    ]
    if not _fractions(facts):
        none = int((facts.labels.fillna(0) == 0).all(axis=1).sum())
        of = (
            "every compartment"
            if not facts.labels.isna().to_numpy().any()
            else "every compartment that is known of them"
        )
        lines += [
            f"{none} of these have no annotation at all and count as negatives of {of}."
            if none
            else "Each of these has an annotation."
        ]
    for name, one in _sets(facts).items():
        lines += [
            f"Of these, `{name}`: {one['n']} RNAs of type {one['type']}, labelled for compartments of their own."
        ]
    lines += ["Fingerprint of what it was trained on (sha256):", ""]
    lines += [f"- {name}: `{value}`" for name, value in data["inputs"].items()]
    if isinstance(facts.model, SavedModel):
        lines += [
            "",
            "The folder holds sequences and labels of the RNAs it knows, which new RNAs are compared with: who may not share these may not share it.",
        ]
    return "\n".join(lines)


def _protocol(facts: RunFacts) -> str:
    model = facts.model
    if isinstance(model, SavedModel):
        folds = model.config.folds
        split = {"random": "random folds", "family": "folds that keep families together"}.get(
            folds.split, "folds of a file"
        )
        name = f" (protocol {folds.protocol})" if folds.protocol else ""
        kept = "RNAs with an annotation" if folds.rnas == "located" else "all RNAs"
        seen = (
            "their sequence alone"
            if folds.cold
            else "their sequence and associations (the networks are made of all RNAs: transductive)"
        )
        n_folds = int(
            facts.metrics["n_folds"].max()
        )  # a file brings its own number, whatever the settings say
        if _sets(facts):
            kept += ", and the RNAs of the sets in folds that keep near-copies together"
        text = f"{split[0].upper()}{split[1:]}{name}, {n_folds} of them, {kept}, seed {model.config.seed}, preset `{model.config.preset}`."
        why = f"Each RNA was predicted by a model that saw no label of its fold; of tested RNAs models see {seen}, never their compartments."
    else:
        config = model.config
        together = {
            "cluster": "near-copies by sequence kept together",
            "none": "nothing kept together",
        }.get(config.group, f"`{config.group}` kept together")
        text = f"{config.n_folds} folds, {together}, seed {config.seed}, preset `{config.preset}`, tower `{config.tower.name}`."
        why = "Each RNA was predicted by a model that saw neither it nor what is kept together with it."
        if model.trees is not None:
            why += f" Trees on descriptors have a share of {model.weight:g} in the answer of this final model."
    return "\n".join(
        [
            "## Protocol",
            "",
            text,
            why,
            "The model itself was then trained on all of these RNAs, so no figure below was measured on it.",
        ]
    )


def _metrics(facts: RunFacts) -> str:
    measures = facts.measures
    lines = [
        "## Figures, out-of-fold",
        "",
        "Mean over folds (SD), then pooled over folds"
        + (" (of ECE the pooled one says more)." if "ECE" in measures else "."),
        "",
    ]
    lines += ["| compartment | " + " | ".join(measures) + " |", "|---|" + "---|" * len(measures)]
    for name in (*facts.model.compartments, "average"):
        row = facts.figures(name)
        cells = [
            f"{_text(row[m]['mean'])} ({_text(row[m]['sd'])}) {_text(row[m]['pooled'])}"
            if m in row
            else "-"
            for m in measures
        ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    within = facts.figures().get("within")
    if within is not None:
        lines += [
            "",
            f"AUC among RNAs that are about equally well studied: {_text(within['pooled'])}.",
        ]
    if _sets(facts):
        lines += [
            "",
            "These are over RNAs of all sets together, and telling the sets apart is part of them: what they are worth within each set stands in the run's",
        ]
        lines += ["`metrics_by_set.tsv` and report, beside the trees of each type alone."]
    elif facts.baselines:
        first = measures[0]
        told = ", ".join(
            f"{name} {_text(row[first])}"
            for name, row in sorted(
                facts.baselines.items(), key=lambda item: -item[1].get(first, 0)
            )
            if first in row
        )
        lines += ["", f"Simpler models on the same folds, {first}: {told}."]
    else:
        lines += [
            "",
            "No simpler model was measured beside it, so these figures do not say what is gained by this one.",
        ]
    return "\n".join(lines)


def _limits(facts: RunFacts, about: Mapping[str, Any]) -> str:
    model = facts.model
    lines = [
        "## Limits",
        "",
        "- No answer is a measurement; for research, not for decisions about anyone's health.",
    ]
    if isinstance(model, SavedModel):
        temperature = (
            "not recalibrated"
            if model.temperature == 1
            else f"calibrated with temperature {model.temperature:.3g}"
        )
        lines += [
            f"- Probabilities are {temperature}, for RNAs like those of the training set; ECE above says how far they were off.",
            "- How well studied an RNA is predicts its annotations. A low probability may mean that nobody looked.",
            "- Where an RNA has no annotation it was counted as absent, which is not known.",
        ]
        if model.newcomers is not None:
            lines += [
                "- A new RNA is answered by its sequence alone, by a model apart. The figures above are not its figures: expect clearly less."
            ]
            lines += [
                "- Each answer for a new RNA comes with warnings where it is unlike what was learned from; heed them."
            ]
    else:
        lines += [
            "- It knows RNAs like those of its training set: other lengths, types or organisms are a guess."
        ]
        if not _fractions(facts):
            lines += ["- Probabilities are not recalibrated; ECE above says how far they were off."]
    lines += ["- Its training set is what it was at the time: later annotations are not in it."]
    return "\n".join(lines)


def _made_with(about: Mapping[str, Any]) -> str:
    told = ", ".join(
        f"{name} {number}"
        for name, number in about["versions"].items()
        if number != "not installed"
    )
    return f"## Made with\n\n{told}. Seed {about['run']['seed']}, fingerprint of the run `{about['run']['fingerprint']}`."


def _license(license: str | None) -> str:
    said = (
        f"`{license}`, as its owner says."
        if license
        else "None chosen yet: without one nobody but its owner may use it."
    )
    return f"## Licence\n\n{said} The data it was made from keep the licences of their sources; look there before choosing."


def _fractions(facts: RunFacts) -> bool:
    return isinstance(facts.model, SavedTower) and facts.model.kind == FRACTIONS


def _text(value: float) -> str:
    return f"{value:.3f}" if np.isfinite(value) else "-"
