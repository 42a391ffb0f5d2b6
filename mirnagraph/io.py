"""Files that this package writes: atomic writes, TSV, sha256; others: `mirnagraph.reading`."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pandas as pd

from mirnagraph.errors import InputError
from mirnagraph.reading import table as tables
from mirnagraph.reading.nucleotides import RNA_NUCLEOTIDES, check_nucleotides, to_rna
from mirnagraph.reading.table import cell_problems, repeated_cells
from mirnagraph.reading.text import read_text

__all__ = [
    "LONGEST_NAME",
    "RNA_NUCLEOTIDES",
    "cell_problems",
    "check_nucleotides",
    "check_output_folder",
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


def is_dropping(name: str) -> bool:
    """Whether a file of this name is left by an operating system in folders that it showed.

    >>> is_dropping(".DS_Store"), is_dropping("._rnas.tsv"), is_dropping("rnas.tsv")
    (True, True, False)
    """
    return name.casefold() in _DROPPINGS or name.startswith("._")


_DROPPINGS = {".ds_store", "thumbs.db", "desktop.ini", ".localized", "ehthumbs.db", ".directory"}


def sha256_of_folder(folder: str | Path) -> str:
    """Compute the sha256 over names and contents of all files in a folder, as hex.

    Files that operating systems leave (`is_dropping`) are passed over.
    """
    folder = Path(folder)
    total = hashlib.sha256()
    files = (path for path in folder.rglob("*") if path.is_file() and not is_dropping(path.name))
    for path in sorted(files):
        name = path.relative_to(folder).as_posix()
        total.update(f"{name}\0{sha256_of(path)}\n".encode())
    return total.hexdigest()


@contextlib.contextmanager
def write_file(path: str | Path) -> Iterator[Path]:
    """Write a file atomically: yield a temporary path that replaces `path` after the block.

    Where the block raises, the temporary file is removed and `path` is left as it was.
    """
    path = Path(path)
    with _explain_disk(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        os.close(handle)
    part = Path(name)
    try:
        with _explain_disk(path):
            yield part
            with open(part, "rb+") as stream:
                os.fsync(stream.fileno())
            part.chmod(0o666 & ~_umask())
            os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    with write_file(path) as part:
        part.write_text(text, encoding="utf-8", newline="\n")


def check_output_folder(folder: str | Path, *, overwrite: bool = False) -> None:
    """Refuse an output folder that is not empty, before any work is done.

    Raises:
        InputError: it is a file, or is not empty and `overwrite` is not set.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise InputError("the output folder is a file", file=folder)
    if folder.is_dir() and any(folder.iterdir()) and not overwrite:
        raise InputError(
            "the output folder exists and is not empty",
            file=folder,
            hint="choose another, or pass --overwrite to replace it",
        )


@contextlib.contextmanager
def write_folder(folder: str | Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Write a folder atomically: yield a temporary folder that replaces `folder` after the block.

    Where the block raises, the temporary folder is removed and `folder` is left as it was.

    Raises:
        InputError: the folder is not empty and `overwrite` is not set, or the disk is full.
    """
    folder = Path(folder)
    check_output_folder(folder, overwrite=overwrite)
    with _explain_disk(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        with _explain_disk(folder):
            yield part
            part.chmod(0o777 & ~_umask())
            if folder.exists():
                old = Path(tempfile.mkdtemp(prefix=f".{folder.name}.old.", dir=folder.parent))
                os.replace(folder, old / "was")
                try:
                    os.replace(part, folder)
                except BaseException:
                    os.replace(old / "was", folder)
                    raise
                finally:
                    shutil.rmtree(old, ignore_errors=True)
            else:
                os.replace(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


@contextlib.contextmanager
def _explain_disk(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise InputError(
            f"could not be written: {error.strerror or error}",
            file=path,
            hint="nothing was left half-written",
        ) from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def read_table(path: str | Path, required: Sequence[str] = ()) -> pd.DataFrame:
    """Read a table that this package wrote: cells as they are (`mirnagraph.reading.table`)."""
    return tables.read_table(path, required, as_written=True)


def write_tsv(table: pd.DataFrame, path: str | Path) -> None:
    """Write a table as TSV, atomically; floats with every digit they need to read back equal.

    Raises:
        InputError: a cell or a column name holds a tab or a line end, which TSV cannot hold.
    """
    bad_names = [str(name) for name in table.columns if set(str(name)) & set("\t\r\n")]
    if bad_names:
        raise InputError(
            "a column name holds a tab or line end", file=path, line=1, found=bad_names[0]
        )
    for name, column in table.items():
        if column.dtype != object and not isinstance(column.dtype, pd.StringDtype):
            continue
        text = column.astype("string")
        is_bad = text.str.contains(r"[\t\r\n]", regex=True).fillna(False)
        if is_bad.any():
            raise InputError(
                "a cell holds a tab or line end",
                file=path,
                column=str(name),
                found=repr(column[is_bad].iloc[0]),
            )
    with write_file(path) as part:
        table.to_csv(part, sep="\t", index=False, lineterminator="\n", quoting=csv.QUOTE_NONE)


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
