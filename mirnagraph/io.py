"""Files of this package: sha256, names; `mirnagraph.writing` writes, `mirnagraph.reading` reads."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from mirnagraph.errors import CheckpointError
from mirnagraph.reading import table as tables
from mirnagraph.reading.nucleotides import RNA_NUCLEOTIDES, check_nucleotides, to_rna
from mirnagraph.reading.table import cell_problems, repeated_cells
from mirnagraph.reading.text import read_text
from mirnagraph.writing.files import write_file, write_text
from mirnagraph.writing.folders import check_output_folder, write_folder
from mirnagraph.writing.marker import is_dropping, is_unhashed
from mirnagraph.writing.tables import write_tsv

__all__ = [
    "LONGEST_NAME",
    "RNA_NUCLEOTIDES",
    "cell_problems",
    "check_nucleotides",
    "check_output_folder",
    "check_sha256",
    "file_names",
    "is_dropping",
    "read_table",
    "read_text",
    "repeated_cells",
    "sha256_of",
    "sha256_of_folder",
    "to_rna",
    "write_file",
    "write_folder",
    "write_text",
    "write_tsv",
]

LONGEST_NAME = 100
"""Characters of a file name made from an id."""


def sha256_of(path: str | Path) -> str:
    """Compute the sha256 of a file's bytes, as hex."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def check_sha256(path: Path, expected: object, what: str, hint: str | None = None) -> None:
    """Refuse a file that is missing, or has another content than was written.

    Args:
        path: the file.
        expected: its sha256, as hex.
        what: is wrong where it differs.
        hint: what to do.

    Raises:
        CheckpointError: it is missing, no plain file, or differs.
    """
    if not path.is_file():
        raise CheckpointError(what, file=path, found="no such file", hint=hint)
    found = sha256_of(path)
    if found != expected:
        raise CheckpointError(
            what,
            file=path,
            found=f"sha256 {found[:12]}…",
            expected=f"{str(expected)[:12]}…",
            hint=hint,
        )


def sha256_of_folder(folder: str | Path) -> str:
    """Compute the sha256 over names and contents of all files in a folder, as hex.

    The list of its files (`mirnagraph.writing.marker`) does not count, nor what systems drop.
    """
    folder = Path(folder)
    total = hashlib.sha256()
    files = (path for path in folder.rglob("*") if path.is_file() and not is_unhashed(path.name))
    for path in sorted(files):
        name = path.relative_to(folder).as_posix()
        total.update(f"{name}\0{sha256_of(path)}\n".encode())
    return total.hexdigest()


def read_table(path: str | Path, required: Sequence[str] = ()) -> pd.DataFrame:
    """Read a table that this package wrote: cells as they are (`mirnagraph.reading.table`)."""
    return tables.read_table(path, required, as_written=True)


def file_names(ids: Iterable[str]) -> list[str]:
    """Make file names of ids, without suffix: letters, digits, ``-_.``, all different.

    Names that differ in capitals only get a number too, since some file systems take them for one.
    """
    names: list[str] = []
    taken: set[str] = set()
    for text in ids:
        safe = "".join(char if char.isalnum() or char in "-_." else "_" for char in text)
        stem = safe.strip(".")[:LONGEST_NAME] or "rna"
        name = stem
        number = 1
        while name.casefold() in taken:
            number += 1
            name = f"{stem}_{number}"
        taken.add(name.casefold())
        names.append(name)
    return names
