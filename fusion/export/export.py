"""A trained model to hand on: a folder of safetensors, JSON and text, with a list of its files and a card in words."""

from __future__ import annotations

import json
import shutil
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from fusion.export.card import RunFacts, model_card, read_facts
from fusion.export.files import (
    CARD,
    EXPORT,
    FORMAT,
    FORMAT_VERSION,
    check_folder,
    check_target,
    list_files,
)
from fusion.export.load import load
from fusion.models.reference import ARRAYS, TABLE
from fusion.models.saved import NEWCOMERS, SavedModel
from mirnagraph.io import write_folder
from mirnagraph.runs.folder import package_versions

WEIGHTS = "model.safetensors"


def export_run(
    run: str | Path, folder: str | Path, *, license: str | None = None, overwrite: bool = False
) -> Path:
    """Write the model of a finished run as a folder that `fusion.export.load.load` opens anywhere.

    It holds what a prediction needs (of a model of networks also the sequences, labels and tokens of the RNAs it knows), ``README.md`` for the reader,
    and ``export.json``: label order, thresholds, temperature, vocabulary, row order, fingerprint of the training set, versions, sha256 of every file.
    Paths of the machine that trained it are left out.

    Args:
        run: folder of `mirnagraph train` or `mirnagraph seq train`.
        license: for the card, as the Hugging Face hub names it (``"mit"``); None leaves it open, with a note.
        overwrite: replace an exported model that is there; nothing else is replaced.

    Raises:
        InputError: not a finished run, a run without a model, or the folder holds something. CheckpointError: the model is damaged.
    """
    folder = Path(folder)
    check_target(folder, overwrite=overwrite)
    facts = read_facts(run)
    with write_folder(folder, overwrite=overwrite) as out:
        _copy(Path(run) / "model", out, facts)
        about = export_facts(facts)
        (out / CARD).write_text(model_card(facts, about, license), encoding="utf-8", newline="\n")
        (out / EXPORT).write_text(
            json.dumps({**about, "files": list_files(out)}, indent=2) + "\n", encoding="utf-8"
        )
        check_folder(out)
        load(out)  # what does not load is not handed on
    return folder


def export_facts(facts: RunFacts) -> dict[str, Any]:
    """Everything in ``export.json`` but the list of files."""
    model = facts.model
    run = facts.run
    about = dict(facts.about["model.json"])
    graph = isinstance(model, SavedModel)
    newcomers = model.newcomers if isinstance(model, SavedModel) else None
    known = model.known if isinstance(model, SavedModel) else None
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "model": about["format"],
        "model_format_version": about["format_version"],
        "compartments": list(model.compartments),
        "thresholds": [float(t) for t in model.thresholds],
        "temperature": model.temperature if isinstance(model, SavedModel) else None,
        "newcomers": None
        if newcomers is None
        else {
            "thresholds": [float(t) for t in newcomers.thresholds],
            "temperature": newcomers.temperature,
        },
        "vocabulary": {
            "letters": "ACGUN",
            **(
                {"tokens": about["tokens"]}
                if graph
                else {"alphabet": about["alphabet"], "channels": about["channels"]}
            ),
        },
        "nodes": None
        if known is None
        else {"n": len(known.index), "checksum": known.index.checksum},
        "training_set": {
            "dataset": run.get("dataset", ""),
            "synthetic": bool(run.get("synthetic", False)),
            "n_rnas": run.get("n_rnas"),
            "n_tested": len(facts.labels),
            "inputs": dict(run.get("inputs", {})),
        },
        "run": {
            "fingerprint": run["fingerprint"],
            "seed": run["seed"],
            "finished": run.get("finished"),
        },
        "out_of_fold": {
            name: {c: _plain(v) for c, v in row.items()} for name, row in facts.figures().items()
        },
        "versions": about["versions"],
        "exported_with": package_versions()["mirnagraph"],
    }


def _copy(model: Path, out: Path, facts: RunFacts) -> None:
    """Only what a model consists of; whatever else may lie in the folder stays there."""
    parts = [WEIGHTS]
    if isinstance(facts.model, SavedModel):
        parts += [
            TABLE,
            ARRAYS,
            *([f"{NEWCOMERS}/{WEIGHTS}"] if facts.model.newcomers is not None else []),
        ]
    for name in parts:
        (out / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(model / name, out / name)
    for name, about in facts.about.items():
        (out / name).write_text(
            json.dumps(without_places(about), indent=2) + "\n", encoding="utf-8"
        )


def without_places(value: Any) -> Any:
    """Plain values in which a path is cut to its last part: where files lay when the model was trained is nobody's business.

    >>> without_places({"split": "/data/mine/folds.tsv", "n": 3})
    {'split': 'folds.tsv', 'n': 3}
    """
    if isinstance(value, dict):
        return {key: without_places(below) for key, below in value.items()}
    if isinstance(value, list):
        return [without_places(below) for below in value]
    if isinstance(value, str):
        if PureWindowsPath(value).is_absolute():
            return PureWindowsPath(value).name
        if PurePosixPath(value).is_absolute() or value.startswith(("./", "../", "~")):
            return PurePosixPath(value).name
    return value


def _plain(value: float) -> float | None:
    """A number as JSON has it, which knows no NaN."""
    return value if value == value else None
