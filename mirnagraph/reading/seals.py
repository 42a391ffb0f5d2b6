"""Seals: sha256 of the entries of a JSON file in the file itself, and of files that it lists."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mirnagraph.errors import CheckpointError

SEAL = "sealed_sha256"
"""Entry of a sealed file: sha256 of its other entries."""


def seal_of(entries: Mapping[str, Any]) -> str:
    """sha256 of entries as JSON, in any order, without that of their seal."""
    values = {name: value for name, value in entries.items() if name != SEAL}
    text = json.dumps(values, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def sealed(entries: Mapping[str, Any]) -> dict[str, Any]:
    """Entries as JSON will hold them, e.g. tuples as lists, with their seal.

    >>> check_seal(sealed({"a": (1, 2)}), "x.json", "it was changed")
    """
    values = json.loads(json.dumps(dict(entries)))
    return {**values, SEAL: seal_of(values)}


def check_seal(
    entries: Mapping[str, Any], file: str | Path, what: str, hint: str | None = None
) -> None:
    """Refuse entries that were changed after they were sealed; those without a seal pass.

    Args:
        entries: of the file.
        file: for the message.
        what: is wrong then.
        hint: what to do.

    Raises:
        CheckpointError: another seal than that of the entries.
    """
    if SEAL in entries and entries[SEAL] != seal_of(entries):
        raise CheckpointError(what, file=file, expected="the file as it was written", hint=hint)
