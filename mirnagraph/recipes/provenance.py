"""What a dataset was made of: each source with its hash and rows, and the file that keeps it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from mirnagraph.io import sha256_of, sha256_of_folder, write_text
from mirnagraph.reading.entries import read_entries

FILE = "provenance.json"


@dataclass(frozen=True)
class Source:
    """One file or folder that a dataset was made of.

    Attributes:
        path: as in the recipe.
        used_for: part of the dataset, such as ``"labels"`` or the kind of an association.
        sha256: of the file; of a folder, over the names and contents of its files.
        n_read: rows read.
        n_used: rows used.
        left_out: reason -> number of rows left out.
        note: what the reader should know.
    """

    path: str
    used_for: str
    sha256: str
    n_read: int
    n_used: int
    left_out: Mapping[str, int] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True)
class Provenance:
    """How a dataset was made.

    Attributes:
        recipe: text of the recipe.
        version: of mirnagraph.
        sources: in the order of the recipe.
        notes: what the reader should know of the whole, such as parts that are absent.
    """

    recipe: str
    version: str
    sources: tuple[Source, ...]
    notes: tuple[str, ...] = ()


def source_of(
    path: str,
    place: Path,
    used_for: str,
    reasons: pd.Series,
    *,
    note: str = "",
) -> Source:
    """Count the rows of a source.

    Args:
        path: as in the recipe.
        place: the file or folder.
        used_for: see `Source`.
        reasons: per row why it is left out, empty where it is used.
        note: see `Source`.
    """
    is_used = reasons == ""
    counts = reasons[~is_used].value_counts(sort=False)
    left_out = {str(reason): int(n) for reason, n in counts.items()}
    return Source(path, used_for, hash_of(place), len(reasons), int(is_used.sum()), left_out, note)


def hash_of(place: Path) -> str:
    """sha256 of a file or folder, as hex."""
    return sha256_of_folder(place) if place.is_dir() else sha256_of(place)


def write_provenance(provenance: Provenance, folder: str | Path) -> None:
    """Write ``provenance.json`` into the folder of a dataset."""
    text = json.dumps(asdict(provenance), indent=2, ensure_ascii=False)
    write_text(Path(folder) / FILE, text + "\n")


def read_provenance(folder: str | Path) -> dict[str, Any]:
    """Read ``provenance.json``; an empty mapping where the folder has none."""
    path = Path(folder) / FILE
    if not path.is_file():
        return {}
    return read_entries(path, {})


def provenance_table(sources: Sequence[Source]) -> pd.DataFrame:
    """One row per source: ``source``, ``for``, ``read``, ``used``, ``left out``, ``sha256``."""
    rows = []
    for source in sources:
        reasons = "; ".join(f"{reason}: {n}" for reason, n in source.left_out.items())
        if source.note:
            reasons = f"{reasons} ({source.note})" if reasons else f"({source.note})"
        row = (source.path, source.used_for, source.n_read, source.n_used, reasons)
        rows.append((*row, source.sha256[:12]))
    columns = ["source", "for", "read", "used", "left out", "sha256"]
    return pd.DataFrame(rows, columns=columns, dtype=object)
