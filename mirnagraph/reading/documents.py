"""Documents of nested values: JSON and TOML, with a bound on their size."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

from mirnagraph.errors import InputError
from mirnagraph.reading.binary import HEAD, refuse_packed
from mirnagraph.reading.text import read_bytes

LARGEST_JSON = 64 << 20
"""Bytes of the largest JSON file that is read; the largest of ours has 1 MB."""

LARGEST_TOML = 8 << 20


def read_json(path: str | Path, *, largest: int = LARGEST_JSON) -> Any:
    """Read a JSON file.

    Args:
        path: UTF-8, with or without a byte order mark.
        largest: bytes of the largest file that is read.

    Raises:
        InputError: it cannot be read, is larger, or no JSON (names line and column).
    """
    text = _decoded(path, largest)
    try:
        return json.loads(text, object_pairs_hook=without_repeats)
    except json.JSONDecodeError as error:
        raise InputError(
            "not a JSON file", file=path, line=error.lineno, column=error.colno, found=error.msg
        ) from None
    except (ValueError, RecursionError) as error:
        raise InputError("not a JSON file", file=path, found=str(error)) from None


def without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Table of the pairs of a JSON object; ValueError where a key is there twice."""
    entries = dict(pairs)
    if len(entries) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(k for k in keys if keys.count(k) > 1)!r} is there twice")
    return entries


def read_toml(path: str | Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        InputError: it cannot be read, is larger than `LARGEST_TOML`, or no TOML.
    """
    text = _decoded(path, LARGEST_TOML)
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        raise InputError("not a TOML file", file=path, found=str(error)) from None


def _decoded(path: str | Path, largest: int) -> str:
    """Text of a UTF-8 file, plain, without a byte order mark."""
    content = read_bytes(path, largest=largest)
    refuse_packed(content[:HEAD], path)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        raise InputError(
            "not a UTF-8 file",
            file=path,
            line=before.count(b"\n") + 1,
            column=error.start - before.rfind(b"\n"),
            found=f"byte 0x{content[error.start]:02x}",
            expected="UTF-8 text",
        ) from None
