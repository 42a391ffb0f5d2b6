"""Export of a trained model as a folder of safetensors, JSON and text with a model card."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

from fusion.export.card import model_card
from fusion.export.evidence import add_evidence
from fusion.export.facts import RunFacts, read_facts
from fusion.export.files import (
    CARD,
    EXPORT,
    FORMAT,
    FORMAT_VERSION,
    check_folder,
    check_target,
    list_files,
)
from fusion.export.load import load, model_facts
from fusion.models.reference import ARRAYS, TABLE
from fusion.models.saved import COLD_START, SavedModel
from mirnagraph.errors import ConfigError
from mirnagraph.io import write_folder, write_text
from mirnagraph.names.store import FILES as NAME_FILES
from mirnagraph.networks.network import NetworkSet
from mirnagraph.reading.arguments import checked
from mirnagraph.reading.seals import sealed
from mirnagraph.runs.folder import package_versions
from mirnagraph.runs.model_file import HEADER, WEIGHTS, without_places
from mirnagraph.writing.contents import MODEL
from mirnagraph.writing.files import copy_file

_LICENSE = re.compile(r"[\w.+-]+")
"""Name of a licence; more, such as a line end, would be other settings of the model card."""


@checked
def export_run(
    run: str | Path,
    folder: str | Path,
    *,
    license: str | None = None,
    networks: NetworkSet | None = None,
    overwrite: bool = False,
) -> Path:
    """Write the model of a finished run as a folder that `fusion.export.load.load` opens anywhere.

    The folder holds what a prediction needs (for a model of networks also the sequences, labels and
    tokens of its reference RNAs), ``README.md`` for the reader, and ``export.json``: label order,
    thresholds, temperature, vocabulary, row order, fingerprint of the training set, versions and
    sha256 of every file. Absolute paths are replaced by file names.

    Args:
        run: folder of `mirnagraph train` or `mirnagraph seq train`.
        folder: output folder.
        license: for the card, by its name on the Hugging Face hub (``"mit"``); None leaves it open,
            with a note.
        networks: of the run, of which partners, PMIDs and similar RNAs are stored for explanations;
            None for none.
        overwrite: replace an exported model in `folder`; nothing else is replaced.

    Returns:
        The output folder.

    Raises:
        InputError: not a finished run, a run without a model, or `folder` is not empty.
        CheckpointError: the model is damaged, or the networks hold other RNAs.
        ConfigError: a `license` that is no name, or `networks` for a model without reference RNAs.
    """
    if license is not None and not _LICENSE.fullmatch(license):
        expected = "its name on the hub, such as mit or cc-by-4.0"
        raise ConfigError(f"license: found {license!r}, expected {expected}")
    folder = Path(folder)
    check_target(folder, overwrite=overwrite)
    facts = read_facts(run)
    with write_folder(folder, overwrite=overwrite, content=MODEL) as out:
        _copy(Path(run) / "model", out, facts)
        about = export_facts(facts)
        write_text(out / CARD, model_card(facts, about, license))
        about["files"] = list_files(out)
        _write_json(out / EXPORT, sealed(about))
        check_folder(out)
        model = load(out)  # an export has to load
        if networks is not None:
            add_evidence(out, networks, model)
    return folder


def export_facts(facts: RunFacts) -> dict[str, Any]:
    """Return everything in ``export.json`` but the list of files."""
    model = facts.model
    run = facts.run
    header = facts.headers[HEADER]
    vocabulary = {"letters": "ACGUN"}
    cold_start = None
    if isinstance(model, SavedModel):
        vocabulary["tokens"] = header["tokens"]
        if model.cold_start is not None:
            thresholds = model.cold_start.thresholds.tolist()
            cold_start = {"thresholds": thresholds, "temperature": model.cold_start.temperature}
    else:
        vocabulary["alphabet"] = header["alphabet"]
        vocabulary["channels"] = header["channels"]
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        **model_facts(model),
        "model_format_version": header["format_version"],
        "newcomers": cold_start,
        "vocabulary": vocabulary,
        "training_set": {
            "dataset": run.get("dataset", ""),
            "description": run.get("description", ""),
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
        "out_of_fold": _without_nan(facts.summary()),
        "versions": header["versions"],
        "exported_with": package_versions()["mirnagraph"],
    }


def _copy(model: Path, out: Path, facts: RunFacts) -> None:
    """Copy the files of the model, but nothing else that is in its folder."""
    names = [WEIGHTS]
    if isinstance(facts.model, SavedModel):
        names += [TABLE, ARRAYS]
        if facts.model.reference is not None and facts.model.reference.names is not None:
            names += NAME_FILES
        if facts.model.cold_start is not None:
            names.append(f"{COLD_START}/{WEIGHTS}")
    for name in names:
        copy_file(model / name, out / name)
    for name, header in facts.headers.items():
        _write_json(out / name, without_places(header))


def _without_nan(metrics: dict[str, dict[str, float]]) -> dict[str, dict[str, float | None]]:
    """Replace NaN, which JSON lacks, by None."""
    return {
        name: {column: None if math.isnan(value) else value for column, value in values.items()}
        for name, values in metrics.items()
    }


def _write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=2) + "\n")
