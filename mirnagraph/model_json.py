"""``model.json`` of a saved model's folder, which describes the numbers in ``model.safetensors`` beside it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from safetensors import SafetensorError

from mirnagraph.errors import CheckpointError
from mirnagraph.files import sha256_of

DESCRIPTION, WEIGHTS = "model.json", "model.safetensors"
Numbers = TypeVar("Numbers")


def read_description(folder: Path, expected: Mapping[str, object], *, hint: str | None = None) -> dict[str, Any]:
    """What ``model.json`` says.

    Args:
        expected: entries that must be there as they are, such as ``format_version``.
        hint: what to do where there is no such file.

    Raises:
        CheckpointError: no such file, no JSON, other entries than expected, or no ``weights_sha256``.
    """
    path = folder / DESCRIPTION
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"not a model folder (no {DESCRIPTION})", file=folder, hint=hint) from None
    except (OSError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise CheckpointError(f"damaged {DESCRIPTION}", file=path, found=str(error)) from None
    found = {key: about.get(key) for key in expected} if isinstance(about, dict) else about
    if found != dict(expected) or "weights_sha256" not in about:
        raise CheckpointError("a model of another kind or version", file=path, found=_words(found), expected=_words(expected))
    return dict(about)


def read_weights(folder: Path, about: Mapping[str, Any], load: Callable[[Path], Numbers]) -> Numbers:
    """The numbers that ``model.json`` describes.

    Args:
        about: of `read_description`.
        load: safetensors' reader for the wanted kind of arrays.

    Raises:
        CheckpointError: no such file, damaged, or not the one that was written with ``model.json``.
    """
    path = folder / WEIGHTS
    try:
        numbers = load(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError("damaged or missing weights", file=path, found=str(error).splitlines()[0]) from None
    found = sha256_of(path)
    if found != about["weights_sha256"]:
        raise CheckpointError(f"the weights are not those that {DESCRIPTION} describes", file=path, found=found, expected=about["weights_sha256"])
    return numbers


def _words(entries: object) -> str:
    return ", ".join(f"{key} {value}" for key, value in entries.items()) if isinstance(entries, Mapping) else str(entries)
