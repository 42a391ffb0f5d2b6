"""Arrays in a safetensors file, stored in as few bytes as give back every bit."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from mirnagraph.reading.tensors import check_tensors
from mirnagraph.writing.files import write_file

PACKED = "packed.json"
"""Array of bytes: JSON that says how the others are stored. Entries of the metadata have no fixed
order, so that the same arrays would make other bytes each time."""

SMALLEST = 1024
"""Bytes below which an array is stored as it is."""

NARROWER = {
    "float64": ("uint8", "int16", "float16", "float32"),
    "float32": ("uint8", "int16", "float16"),
    "int64": ("uint8", "int16", "int32"),
    "int32": ("uint8", "int16"),
}
"""Type -> types that are tried in its place, narrowest first."""

ROWS = ".rows"
"""End of the name of the mask of rows that are not zero."""

LEAST_SHARE = 1 / 8
"""Smallest share of such rows, so that a small file cannot ask for endless memory."""


def save_arrays(
    arrays: Mapping[str, np.ndarray], path: Path, metadata: Mapping[str, str] | None = None
) -> None:
    """Write arrays; `load_arrays` gives back the same bits, types and shapes.

    An array equal to another is stored once; numbers go into the narrowest type that holds them
    exactly; rows of zeros of a matrix are left out.

    Args:
        arrays: by name.
        path: of the file.
        metadata: of the file; with one entry at most, equal arrays make equal files.
    """
    stored: dict[str, np.ndarray] = {}
    how: dict[str, dict[str, Any]] = {}
    first: dict[tuple[Any, ...], str] = {}
    for name, values in arrays.items():
        values = np.asarray(values, order="C")  # ascontiguousarray makes a scalar one-dimensional
        if values.nbytes < SMALLEST:
            stored[name] = values
            continue
        key = (values.shape, values.dtype.name, hashlib.sha256(values.tobytes()).digest())
        if key in first:
            how[name] = {"same": first[key]}
            continue
        first[key] = name
        stored |= _pack(name, values, how)
    if how:
        stored[PACKED] = np.frombuffer(json.dumps(how).encode(), dtype=np.uint8)
    with write_file(path) as part:
        save_file(stored, part, dict(metadata or {}))


def _pack(name: str, values: np.ndarray, how: dict[str, dict[str, Any]]) -> dict[str, np.ndarray]:
    """Arrays to store for one array; says in `how` what was done."""
    entry: dict[str, Any] = {}
    stored: dict[str, np.ndarray] = {}
    if values.ndim == 2:
        # bytes, so that a negative zero is no zero
        is_row = values.view(np.uint8).reshape(len(values), -1).any(axis=1)
        if LEAST_SHARE <= is_row.mean() < 0.9:
            entry["rows"] = len(values)
            stored[name + ROWS] = np.packbits(is_row)
            values = values[is_row]
    for narrower in NARROWER.get(values.dtype.name, ()):
        with np.errstate(invalid="ignore", over="ignore"):
            smaller = values.astype(narrower)
        if smaller.astype(values.dtype).tobytes() == values.tobytes():
            entry["dtype"] = values.dtype.name
            values = smaller
            break
    if entry:
        how[name] = entry
    return {**stored, name: values}


def load_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read arrays of `save_arrays`, or of any safetensors file.

    Raises:
        OSError, SafetensorError: the file is missing or damaged.
    """
    check_tensors(path)
    stored = load_file(path)
    try:
        how = json.loads(stored.pop(PACKED, np.frombuffer(b"{}", dtype=np.uint8)).tobytes())
        arrays = {name: _unpack(name, stored, how.get(name, {})) for name in _own(stored, how)}
        for name, entry in how.items():
            if "same" in entry:
                arrays[name] = arrays[entry["same"]]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise SafetensorError(f"damaged description of packed arrays: {error}") from None
    return arrays


def _own(stored: Mapping[str, np.ndarray], how: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Names of the stored arrays that are no masks."""
    masks = {name + ROWS for name, entry in how.items() if "rows" in entry}
    return [name for name in stored if name not in masks]


def _unpack(name: str, stored: Mapping[str, np.ndarray], entry: Mapping[str, Any]) -> np.ndarray:
    values = stored[name]
    if "dtype" in entry:
        if values.dtype.name not in NARROWER[entry["dtype"]]:
            raise ValueError(f"{name} of type {values.dtype.name} for {entry['dtype']}")
        values = values.astype(entry["dtype"])
    if "rows" not in entry:
        return values
    n_rows = int(entry["rows"])
    bits = stored[name + ROWS]
    if not 0 < n_rows <= 8 * len(bits) or len(values) < LEAST_SHARE * n_rows:
        raise ValueError(f"{len(values)} of {n_rows} rows of {name}")
    is_row = np.unpackbits(bits, count=n_rows).astype(bool)
    whole = np.zeros((n_rows, *values.shape[1:]), dtype=values.dtype)
    whole[is_row] = values
    return whole
