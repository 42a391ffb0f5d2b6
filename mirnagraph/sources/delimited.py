"""Columns and 0/1 matrices of published tables."""

from __future__ import annotations

import gzip
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from mirnagraph.errors import InputError
from mirnagraph.io import read_table, read_text


def read_columns(
    path: str | Path,
    names: Mapping[str, Sequence[str]],
    required: Sequence[str],
    *,
    fallback: str | None = None,
) -> pd.DataFrame:
    """A table with a header as text columns of fixed names; tab or comma by its first line.

    Args:
        names: our name -> names the column has in some release, compared without case, blanks and underscores.
        required: our names that must be there; the others become empty text where absent.
        fallback: encoding of files that are not UTF-8.

    Returns:
        One column per key of `names`, cells stripped of blanks; index: 1-based line numbers, named ``line``.

    Raises:
        InputError: a missing column (with the names it may have), a line with another number of cells than the header.
    """
    delimiter = _delimiter(Path(path))
    table = read_table(path, delimiter=delimiter, quoted=delimiter == ",", fallback=fallback)
    there = {_plain(column): column for column in table.columns}
    result = {}
    for ours, theirs in names.items():
        column = next((there[_plain(name)] for name in theirs if _plain(name) in there), None)
        if column is None and ours in required:
            raise InputError(
                "missing column",
                file=path,
                line=1,
                column=theirs[0],
                found=", ".join(table.columns),
                expected=" or ".join(theirs),
            )
        result[ours] = table[column].str.strip() if column is not None else ""
    return pd.DataFrame(result, index=table.index, dtype=object)


def _plain(name: str) -> str:
    return re.sub(r"[\s_]+", "", name.lower())


def _delimiter(path: Path) -> str:
    """Comma where the first line has one and no tab; what is wrong with the file is said by the reader that follows."""
    try:
        with open(path, "rb") as stream:
            packed = stream.read(2) == b"\x1f\x8b"
        with gzip.open(path, "rb") if packed else open(path, "rb") as stream:
            first = stream.readline()
    except (OSError, EOFError):
        return "\t"
    return "," if b"," in first and b"\t" not in first else "\t"


def read_binary(
    path: str | Path,
    n_rows: int,
    n_columns: int,
    *,
    delimiter: str = ",",
    rows_are: str = "ids",
    columns_are: str = "names",
) -> np.ndarray:
    """A matrix of 0 and 1, one line per row.

    Args:
        n_rows, n_columns: how many names there are; the file must have as many lines and cells.
        rows_are, columns_are: what the names are, for the message.

    Returns:
        int8, shape (n_rows, n_columns).

    Raises:
        InputError: another number of lines or cells than names, or a cell that is neither 0 nor 1: names line and column.
    """
    lines = read_text(path).rstrip("\n").split("\n")
    for number, line in enumerate(lines, 1):
        if len(line) != 2 * n_columns - 1:
            found = len(line.split(delimiter))
            if found != n_columns:
                what = "the matrix does not fit its names"
                expected = f"{n_columns} ({columns_are})"
                raise InputError(
                    what,
                    file=path,
                    line=number,
                    column=min(found, n_columns) + 1,
                    found=f"{found} cells",
                    expected=f"{n_columns} ({columns_are})",
                )
            _raise_bad_cell(path, number, line, delimiter)
    if len(lines) != n_rows:
        what = "the matrix does not fit its names"
        expected = f"{n_rows} ({rows_are})"
        raise InputError(
            what,
            file=path,
            line=min(len(lines), n_rows) + 1,
            found=f"{len(lines)} lines",
            expected=expected,
        )
    letters = np.frombuffer(
        "".join(line + delimiter for line in lines).encode("utf-8", "replace"), dtype=np.uint8
    )
    good = len(letters) == 2 * n_rows * n_columns
    cells = letters.reshape(n_rows, n_columns, 2) if good else np.empty((0, 0, 2), dtype=np.uint8)
    if not good or not (
        np.isin(cells[:, :, 0], (48, 49)).all() and (cells[:, :, 1] == ord(delimiter)).all()
    ):
        for number, line in enumerate(lines, 1):
            _raise_bad_cell(path, number, line, delimiter)
    return (cells[:, :, 0] - 48).astype(np.int8)


def _raise_bad_cell(path: str | Path, number: int, line: str, delimiter: str) -> None:
    for column, cell in enumerate(line.split(delimiter), 1):
        if cell not in ("0", "1"):
            raise InputError(
                "not a cell of a 0/1 matrix",
                file=path,
                line=number,
                column=column,
                found=cell,
                expected="0 or 1",
            )
