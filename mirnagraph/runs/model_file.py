"""``model.json`` of a saved model's folder, which describes the numbers in ``model.safetensors`` beside it; each holds the other's checksum."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from safetensors import SafetensorError, safe_open

from mirnagraph.errors import CheckpointError
from mirnagraph.io import sha256_of

DESCRIPTION = "model.json"
WEIGHTS = "model.safetensors"

CHECKSUM = "weights_sha256"
SEAL = "description_sha256"

SEALED = (
    "alphabet",
    "compartments",
    "kind",
    "lengths",
    "temperature",
    "thresholds",
    "tokens",
    "tracks",
    "types",
    "weight",
    "weights",
)
"""Entries that say what the numbers mean, and that no shape or value of a number would tell. Settings stay out: an export cuts their paths."""

Numbers = TypeVar("Numbers")


def write_model(
    folder: Path, about: Mapping[str, Any], save: Callable[[Path, dict[str, str]], None]
) -> None:
    """Write both files.

    Args:
        about: what ``model.json`` is to say, beside the checksum of the weights.
        save: writes the numbers to a path, with text that belongs to them.
    """
    text = json.loads(json.dumps(about))  # as it is read back
    save(folder / WEIGHTS, {SEAL: _seal(text)})
    text[CHECKSUM] = sha256_of(folder / WEIGHTS)
    (folder / DESCRIPTION).write_text(json.dumps(text, indent=2) + "\n", encoding="utf-8")


def read_description(
    folder: Path, expected: Mapping[str, object], *, hint: str | None = None
) -> dict[str, Any]:
    """What ``model.json`` says.

    Args:
        expected: entries that must be there as they are, such as ``format_version``.
        hint: what to do where there is no such file.

    Raises:
        CheckpointError: no such file, no JSON, other entries than expected, or no checksum.
    """
    path = folder / DESCRIPTION
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(
            f"not a model folder (no {DESCRIPTION})", file=folder, hint=hint
        ) from None
    except (OSError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise CheckpointError(f"damaged {DESCRIPTION}", file=path, found=str(error)) from None
    found = {key: about.get(key) for key in expected} if isinstance(about, dict) else about
    if found != dict(expected) or CHECKSUM not in about:
        raise CheckpointError(
            "a model of another kind or version",
            file=path,
            found=_words(found),
            expected=_words(expected),
        )
    return dict(about)


def read_weights(
    folder: Path, about: Mapping[str, Any], load: Callable[[Path], Numbers]
) -> Numbers:
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
        raise CheckpointError(
            "damaged or missing weights", file=path, found=str(error).splitlines()[0]
        ) from None
    found = sha256_of(path)
    if found != about[CHECKSUM]:
        raise CheckpointError(
            f"the weights are not those that {DESCRIPTION} describes",
            file=path,
            found=found,
            expected=about[CHECKSUM],
        )
    return numbers


def check_description(folder: Path, about: Mapping[str, Any]) -> None:
    """Check that ``model.json`` says of the numbers what it said when they were written: the order of compartments can be seen in none of them.

    Models of versions that wrote no such checksum pass.

    Raises:
        CheckpointError: it was changed since.
    """
    with safe_open(folder / WEIGHTS, framework="numpy") as file:
        expected = (file.metadata() or {}).get(SEAL)
    if expected is not None and expected != _seal(about):
        raise CheckpointError(
            "the description was changed after the model was saved",
            file=folder / DESCRIPTION,
            expected="the file as it was written",
        )


def _seal(about: Mapping[str, Any]) -> str:
    said = {key: about[key] for key in SEALED if key in about}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _words(entries: object) -> str:
    return (
        ", ".join(f"{key} {value}" for key, value in entries.items())
        if isinstance(entries, Mapping)
        else str(entries)
    )
