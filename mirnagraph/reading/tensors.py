"""Safetensors files of strangers: sizes checked before anything is read into memory."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

LARGEST_HEADER = 16 << 20
"""Bytes of the largest header that is read; the largest of ours has 1 MB."""

LARGEST_FILE = 16 << 30
"""Bytes of the largest file that is read."""


def check_tensors(path: Path) -> None:
    """Refuse a safetensors file whose header does not say what is in it.

    Raises:
        OSError: the file cannot be read.
        SafetensorError: too large, or tensors that the file has no room for or that overlap.
    """
    size = path.stat().st_size
    if size > LARGEST_FILE:
        raise SafetensorError(f"{size:,} bytes, of at most {LARGEST_FILE:,}")
    with path.open("rb") as stream:
        n_header = int.from_bytes(stream.read(8), "little")
        if not 0 < n_header <= min(LARGEST_HEADER, size - 8):
            raise SafetensorError(f"a header of {n_header:,} bytes in a file of {size:,}")
        content = stream.read(n_header)
    try:
        header = json.loads(content)
        ends = sorted(_place(name, entry) for name, entry in header.items())
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise SafetensorError(f"damaged header: {error}") from None
    at = 0
    for start, end in ends:
        if start != at and end > start:
            raise SafetensorError("tensors that overlap, or bytes of none")
        at = max(at, end)
    if at != size - 8 - n_header:
        raise SafetensorError(f"tensors of {at:,} bytes in {size - 8 - n_header:,}")


_BYTES = {"F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2,
          "I16": 2, "U16": 2, "I8": 1, "U8": 1, "BOOL": 1}  # fmt: skip


def _place(name: str, entry: dict[str, Any]) -> tuple[int, int]:
    """First byte of a tensor and the one behind its last; of the metadata (0, 0)."""
    if name == "__metadata__":
        return 0, 0
    start, end = entry["data_offsets"]
    n_bytes = math.prod(entry["shape"]) * _BYTES[entry["dtype"]]
    if n_bytes != end - start or min(entry["shape"], default=0) < 0 or start < 0:
        raise ValueError(f"{name} has {end - start} bytes, its shape {n_bytes}")
    return start, end
