"""Opening a model of networks or sequences by its run folder, its own folder or its hub address."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from fusion.export.files import EXPORT, check_folder
from fusion.export.hub import hub_address, pull
from fusion.models.saved import FORMAT, SavedModel, load_model
from mirnagraph.errors import CheckpointError, ConfigError, InputError
from mirnagraph.reading.arguments import checked
from mirnagraph.reading.entries import read_entries
from mirnagraph.runs.model_file import HEADER
from seqtower.saved import FORMAT as TOWER_FORMAT
from seqtower.saved import SavedTower, load_tower

Model = SavedModel | SavedTower

SHIPPED = "shipped"
"""Name of the model that ships with the package."""

logger = logging.getLogger(__name__)


def shipped_folder() -> Path:
    """Folder of the model that ships with the package."""
    return Path(str(resources.files("fusion").joinpath(SHIPPED)))


def model_folder(path: str | Path) -> Path:
    """Return the model folder of a run folder or of `SHIPPED`, or the path itself."""
    path = Path(path)
    if str(path) == SHIPPED and not path.exists():
        return shipped_folder()
    return path / "model" if (path / "model" / HEADER).is_file() else path


@checked
def load(
    path: str | Path,
    *,
    compartments: Sequence[str] | None = None,
    language_model: str | None = None,
) -> Model:
    """Open a model of `mirnagraph train` or of `mirnagraph seq train`; no code in it is run.

    The files of an exported model (`mirnagraph export`) are first compared with its file list, and
    the facts in that list with the model.

    Args:
        path: a run folder, a model folder, ``"shipped"`` for the model of the package, or
            ``"hf://owner/name"``, with ``@revision`` for another revision than the newest.
        compartments: expected compartments in order; None for any.
        language_model: folder or name of the language model that a tower needs.

    Raises:
        CheckpointError: no model, an unknown format, a damaged, foreign or missing file, files that
            do not fit each other, or other compartments.
        FetchError: the hub could not be read.
        MissingExtraError: huggingface_hub is not installed.
        ConfigError: `language_model` for a model that reads none.
    """
    address = hub_address(path)
    if address is not None:
        with tempfile.TemporaryDirectory(prefix="mirnagraph-") as place:
            folder = pull(address.repo, Path(place) / "model", revision=address.revision)
            return load(folder, compartments=compartments, language_model=language_model)
    folder = model_folder(path)
    is_exported = (folder / EXPORT).exists() or (folder / EXPORT).is_symlink()
    exported = check_folder(folder) if is_exported else None
    model = _open(folder, language_model)
    logger.info("model of %s: %s", folder, ", ".join(model.compartments))
    if exported is not None:
        _check_agreement(folder, exported, model)
    if compartments is not None and tuple(compartments) != model.compartments:
        raise CheckpointError(
            "the model has other compartments, or another order of them",
            file=folder,
            found=", ".join(model.compartments),
            expected=", ".join(compartments),
        )
    return model


def open_tower(path: str | Path, *, language_model: str | None = None) -> SavedTower:
    """Open a model of `mirnagraph seq train` as `load` does; CheckpointError for another model."""
    model = load(path, language_model=language_model)
    if not isinstance(model, SavedTower):
        raise CheckpointError(
            "a model of networks, not of sequences",
            file=model_folder(path),
            expected="a model of `mirnagraph seq train`",
        )
    return model


def kind_of(folder: Path) -> object:
    """Return the ``format`` in a folder's ``model.json``; None where it cannot be read."""
    try:
        return read_entries(folder / HEADER, {}).get("format")
    except InputError:
        return None


def model_facts(model: Model) -> dict[str, Any]:
    """Return the facts of a model that ``export.json`` repeats for its reader."""
    facts: dict[str, Any] = {
        "model": TOWER_FORMAT,
        "compartments": list(model.compartments),
        "thresholds": model.thresholds.tolist(),
        "temperature": None,
        "nodes": None,
    }
    if isinstance(model, SavedModel):
        facts["model"] = FORMAT
        facts["temperature"] = model.temperature
        if model.reference is not None:
            index = model.reference.index
            facts["nodes"] = {"n": len(index), "checksum": index.checksum}
    return facts


def _open(folder: Path, language_model: str | None) -> Model:
    model_format = kind_of(folder)
    if model_format == TOWER_FORMAT:
        return load_tower(folder, language_model=language_model)
    if model_format not in (FORMAT, None):
        raise CheckpointError(
            "not a model of this program",
            file=folder / HEADER,
            column="format",
            found=model_format,
            expected=f"{FORMAT} or {TOWER_FORMAT}",
        )
    if language_model is not None:
        raise ConfigError(f"the model in {folder} reads no language model, so none can be given")
    return load_model(folder)  # reports a missing or damaged header


def _check_agreement(folder: Path, exported: dict[str, Any], model: Model) -> None:
    for column, expected in model_facts(model).items():
        if exported.get(column) != expected:
            raise CheckpointError(
                f"{EXPORT} does not describe this model",
                file=folder / EXPORT,
                column=column,
                found=str(exported.get(column)),
                expected=str(expected),
            )
