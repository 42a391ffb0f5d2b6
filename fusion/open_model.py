"""Opening a model of either kind, by its run folder or by its own: nothing in it is executed."""

from __future__ import annotations

import json
from pathlib import Path

from fusion.model_files import KIND, SavedModel, load_model
from mirnagraph.errors import CheckpointError
from seqtower.model_files import KIND as TOWER
from seqtower.model_files import SavedTower, load_tower


def model_folder(path: str | Path) -> Path:
    """The folder of a model: that of a run folder, or the path itself."""
    path = Path(path)
    return path / "model" if (path / "model" / "model.json").is_file() else path


def load(path: str | Path, *, language_model: str | None = None) -> SavedModel | SavedTower:
    """Open a model of `mirnagraph train` or of `mirnagraph seq train`.

    Args:
        path: a run folder, or a model folder.
        language_model: folder or name of the language model that a tower needs.

    Raises:
        CheckpointError: no model, an unknown format, a damaged file, or files that do not fit each other.
    """
    folder = model_folder(path)
    try:
        found = json.loads((folder / "model.json").read_text(encoding="utf-8")).get("format")
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, AttributeError):
        found = KIND  # `load_model` says what is wrong
    if found == TOWER:
        return load_tower(folder, language_model=language_model)
    if found not in (KIND, None):
        raise CheckpointError("not a model of this program", file=folder / "model.json", column="format", found=found, expected=f"{KIND} or {TOWER}")
    return load_model(folder)
