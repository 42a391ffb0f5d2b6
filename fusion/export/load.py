"""Opening a model of either kind, by its run folder, by its own, or from the Hugging Face hub: nothing in it is executed."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fusion.export.files import EXPORT, check_folder
from fusion.export.hub import hub_address, pull
from fusion.models.saved import KIND, SavedModel, load_model
from mirnagraph.errors import CheckpointError
from mirnagraph.runs.model_file import DESCRIPTION
from seqtower.saved import KIND as TOWER
from seqtower.saved import SavedTower, load_tower

Model = SavedModel | SavedTower


def model_folder(path: str | Path) -> Path:
    """The folder of a model: that of a run folder, or the path itself."""
    path = Path(path)
    return path / "model" if (path / "model" / "model.json").is_file() else path


def load(
    path: str | Path,
    *,
    compartments: Sequence[str] | None = None,
    language_model: str | None = None,
) -> Model:
    """Open a model of `mirnagraph train` or of `mirnagraph seq train`.

    An exported model (`mirnagraph export`) is first checked against the list of its files, and what the list says of it against the model.

    Args:
        path: a run folder, a model folder, or ``"hf://owner/name"``, with ``@revision`` where it is not to be the newest.
        compartments: where given, the model's must be the same, in the same order.
        language_model: folder or name of the language model that a tower needs.

    Raises:
        CheckpointError: no model, an unknown format, a damaged, foreign or missing file, files that do not fit each other, or other compartments.
        FetchError: the hub gives nothing. MissingExtraError: huggingface_hub is not installed.
    """
    address = hub_address(path)
    if address is not None:
        with tempfile.TemporaryDirectory(prefix="mirnagraph-") as place:
            folder = pull(address.repo, Path(place) / "model", revision=address.revision)
            return load(folder, compartments=compartments, language_model=language_model)
    folder = model_folder(path)
    exported = (
        check_folder(folder)
        if (folder / EXPORT).exists() or (folder / EXPORT).is_symlink()
        else None
    )
    model = _open(folder, language_model)
    if exported is not None:
        _check_agreement(folder, exported, model)
    if compartments is not None and tuple(compartments) != model.compartments:
        found = ", ".join(model.compartments)
        expected = ", ".join(compartments)
        raise CheckpointError(
            "the model has other compartments, or another order of them",
            file=folder,
            found=found,
            expected=expected,
        )
    return model


def open_tower(path: str | Path, *, language_model: str | None = None) -> SavedTower:
    """The same for a model that has to be one of `mirnagraph seq train`."""
    model = load(path, language_model=language_model)
    if not isinstance(model, SavedTower):
        raise CheckpointError(
            "a model of networks, not of sequences",
            file=model_folder(path),
            expected="a model of `mirnagraph seq train`",
        )
    return model


def kind_of(folder: Path) -> object:
    """What kind of model a folder says it holds, before it is read; None where it does not say, or cannot be read: loading says what is wrong."""
    try:
        return json.loads((folder / DESCRIPTION).read_text(encoding="utf-8")).get("format")
    except (OSError, ValueError, AttributeError):
        return None


def _open(folder: Path, language_model: str | None) -> Model:
    found = kind_of(folder)
    if found == TOWER:
        return load_tower(folder, language_model=language_model)
    if found not in (KIND, None):
        raise CheckpointError(
            "not a model of this program",
            file=folder / "model.json",
            column="format",
            found=found,
            expected=f"{KIND} or {TOWER}",
        )
    return load_model(folder)


def _check_agreement(folder: Path, exported: dict[str, Any], model: Model) -> None:
    """What ``export.json`` tells a reader has to be what the model does."""
    known = model.known if isinstance(model, SavedModel) else None
    is_so = {
        "model": KIND if isinstance(model, SavedModel) else TOWER,
        "compartments": list(model.compartments),
        "thresholds": [float(t) for t in model.thresholds],
        "temperature": model.temperature if isinstance(model, SavedModel) else None,
        "nodes": None
        if known is None
        else {"n": len(known.index), "checksum": known.index.checksum},
    }
    for column, expected in is_so.items():
        if exported.get(column) != expected:
            raise CheckpointError(
                "not what the model itself has",
                file=folder / EXPORT,
                column=column,
                found=str(exported.get(column)),
                expected=str(expected),
            )
