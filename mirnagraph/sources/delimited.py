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
    """Read a table with a header as text columns of fixed names; tab or comma by its first line.

    Args:
        path: plain or gzip file.
        names: name of the result -> names of the column in the releases, compared without case,
            blanks and underscores.
        required: names of the result that must be present; others are empty text where absent.
        fallback: encoding of files that are not UTF-8.

    Returns:
        One column per key of `names`, cells stripped of blanks; index: 1-based line numbers, named
        ``line``.

    Raises:
        InputError: a missing column (with its possible names), a line with another number of cells
            than the header.
    """
    delimiter = _delimiter(Path(path))
    table = read_table(path, delimiter=delimiter, quoted=delimiter == ",", fallback=fallback)
    by_plain_name = {_plain(column): column for column in table.columns}
    result: dict[str, pd.Series | str] = {}
    for name, aliases in names.items():
        present = [alias for alias in aliases if _plain(alias) in by_plain_name]
        if present:
            result[name] = table[by_plain_name[_plain(present[0])]].str.strip()
            continue
        if name in required:
            raise InputError(
                "missing column",
                file=path,
                line=1,
                column=aliases[0],
                found=", ".join(table.columns),
                expected=" or ".join(aliases),
            )
        result[name] = ""
    return pd.DataFrame(result, index=table.index, dtype=object)


def empty_cells(
    table: pd.DataFrame, columns: Mapping[str, str] | Sequence[str], path: str | Path
) -> list[InputError]:
    """List an error for each empty cell of some columns.

    Args:
        table: index: line numbers of the file.
        columns: columns of `table`, with their names in the file where these differ.
        path: the file, for the message.
    """
    problems: list[InputError] = []
    for column in columns:
        name = columns[column] if isinstance(columns, Mapping) else column
        lines = table.index[table[column] == ""]
        problems += [
            InputError("empty cell", file=path, line=int(line), column=name) for line in lines
        ]
    return problems


def _plain(name: str) -> str:
    return re.sub(r"[\s_]+", "", name.lower())


def _delimiter(path: Path) -> str:
    """Comma where the first line has one and no tab; the reader reports malformed files."""
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
    """Read a matrix of 0 and 1, one line per row.

    Args:
        path: plain or gzip file.
        n_rows: number of lines.
        n_columns: number of cells of each line.
        delimiter: one character.
        rows_are: kind of the rows, for the message.
        columns_are: kind of the columns, for the message.

    Returns:
        int8, shape (n_rows, n_columns).

    Raises:
        InputError: another number of lines or cells, or a cell that is neither 0 nor 1: names line
            and column.
    """
    lines = read_text(path).rstrip("\n").split("\n")
    for number, line in enumerate(lines, 1):
        if len(line) != 2 * n_columns - 1:
            n_cells = len(line.split(delimiter))
            if n_cells != n_columns:
                raise InputError(
                    "the matrix does not fit its names",
                    file=path,
                    line=number,
                    column=min(n_cells, n_columns) + 1,
                    found=f"{n_cells} cells",
                    expected=f"{n_columns} ({columns_are})",
                )
            _check_cells(path, number, line, delimiter)
    if len(lines) != n_rows:
        raise InputError(
            "the matrix does not fit its names",
            file=path,
            line=min(len(lines), n_rows) + 1,
            found=f"{len(lines)} lines",
            expected=f"{n_rows} ({rows_are})",
        )
    text = "".join(line + delimiter for line in lines)
    characters = np.frombuffer(text.encode("utf-8", "replace"), dtype=np.uint8)
    if len(characters) == 2 * n_rows * n_columns:
        cells = characters.reshape(n_rows, n_columns, 2)
        is_binary = np.isin(cells[:, :, 0], (ord("0"), ord("1"))).all()
        if is_binary and (cells[:, :, 1] == ord(delimiter)).all():
            return (cells[:, :, 0] - ord("0")).astype(np.int8)
    for number, line in enumerate(lines, 1):
        _check_cells(path, number, line, delimiter)
    raise InputError("not a 0/1 matrix", file=path)


def _check_cells(path: str | Path, number: int, line: str, delimiter: str) -> None:
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
