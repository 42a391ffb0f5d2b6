"""Entries of JSON and TOML files as data, and their check: a wrong type never leaves the reader."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from mirnagraph.errors import CheckpointError, InputError
from mirnagraph.reading.documents import read_json

EVERY = "*"
"""Key of a table of kinds that stands for every key."""

NEEDED = "!"
"""Key of a table of kinds whose value lists the entries that may not be absent."""

_WORDS = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    dict: "a table",
    list: "a list",
    type(None): "nothing",
    object: "an entry of this name",
}


def read_entries(path: str | Path, kinds: Mapping[str, Any]) -> dict[str, Any]:
    """Read a JSON file that holds a table of entries.

    Args:
        path: of the file.
        kinds: see `check_entries`.

    Raises:
        InputError: see `mirnagraph.reading.documents.read_json`; it holds no table.
        CheckpointError: see `check_entries`.
    """
    entries = read_json(path)
    if not isinstance(entries, dict):
        found = type(entries).__name__
        raise InputError("no table of entries", file=path, found=found, expected="{…}")
    check_entries(entries, kinds, path)
    return entries


def check_entries(
    entries: Mapping[str, Any], kinds: Mapping[str, Any], file: str | Path, within: str = ""
) -> None:
    """Refuse entries of another kind than a reader expects; absent and other ones pass.

    Args:
        entries: of a file, or of a table in it.
        kinds: key -> kind: a type (``int`` is a float too, True neither); ``None`` for null; a
            tuple of kinds of which one fits; a list of one kind, for lists of it; a frozenset of
            the values that may be; or a mapping as this one, whose key `EVERY` stands for every
            key, and whose key `NEEDED` lists those that may not be absent.
        file: for the message.
        within: the table, with a dot at its end.

    Raises:
        CheckpointError: names the entry, what was found and what was expected.
    """
    for key in kinds.get(NEEDED, ()):
        if key not in entries:
            what = "missing entry"
            expected = _written(kinds.get(key, object))
            raise CheckpointError(what, file=file, column=f"{within}{key}", expected=expected)
    for key, value in entries.items():
        kind = kinds.get(key, kinds.get(EVERY, object))
        name = f"{within}{key}"
        if isinstance(kind, Mapping) and isinstance(value, Mapping):
            check_entries(value, kind, file, f"{name}.")
        elif not _fits(value, kind):
            raise CheckpointError(
                "wrong entry",
                file=file,
                column=name,
                found=f"{value!r} ({type(value).__name__})",
                expected=_written(kind),
            )


def check_keys(
    entries: Mapping[str, Any], known: Collection[str], file: str | Path, within: str = ""
) -> None:
    """Refuse a key that no reader knows, which would be passed over without a word.

    Raises:
        InputError: names the nearest known one, or all of them.
    """
    for key in entries:
        if key not in known:
            near = difflib.get_close_matches(key, sorted(known), n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(known))}"
            raise InputError("unknown setting", file=file, column=f"{within}{key}", hint=hint)


def _fits(value: Any, kind: Any) -> bool:
    if kind is object:
        return True
    if kind is None:
        return value is None
    if isinstance(kind, tuple):
        return any(_fits(value, part) for part in kind)
    if isinstance(kind, frozenset):
        return isinstance(value, str) and value in kind
    if isinstance(kind, list):
        return isinstance(value, list) and all(_fits(part, kind[0]) for part in value)
    if isinstance(kind, Mapping):
        return isinstance(value, Mapping) and all(
            _fits(part, kind.get(key, kind.get(EVERY, object))) for key, part in value.items()
        )
    if kind in (int, float):
        kinds = (int, float) if kind is float else int
        return isinstance(value, kinds) and not isinstance(value, bool)
    return isinstance(value, kind)


def _written(kind: Any) -> str:
    if isinstance(kind, tuple):
        return " or ".join(map(_written, kind))
    if isinstance(kind, frozenset):
        return f"one of {', '.join(sorted(kind))}"
    if isinstance(kind, list):
        return f"a list, each {_written(kind[0])}"
    if isinstance(kind, Mapping):
        return "a table"
    return _WORDS.get(type(None) if kind is None else kind, str(kind))
