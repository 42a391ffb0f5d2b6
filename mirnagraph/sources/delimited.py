"""Columns and 0/1 matrices of published tables."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd

from mirnagraph.errors import InputError, raise_problems
from mirnagraph.reading.table import date_problems, read_table
from mirnagraph.reading.text import read_text


def read_columns(
    path: str | Path,
    names: Mapping[str, Sequence[str]],
    required: Sequence[str],
    *,
    filled: Sequence[str] = (),
    values: Mapping[str, Sequence[str]] = MappingProxyType({}),
    fallback: str | None = None,
    columns: Mapping[str, str] = MappingProxyType({}),
) -> pd.DataFrame:
    """Read a table with a header as text columns of fixed names.

    Args:
        path: plain or compressed file; columns separated by tabs, else commas, else semicolons.
        names: name of the result -> names of the column in the releases, compared without case,
            blanks and underscores.
        required: names of the result that must be present; others are empty text where absent.
        filled: names of the result without empty cells.
        values: name of the result -> what its cells may be, apart from empty.
        fallback: encoding of files that are not UTF-8.
        columns: name of the result -> column of this file, in place of the known names.

    Returns:
        One column per key of `names`, cells stripped of blanks; index: 1-based line numbers, named
        ``line``.

    Raises:
        InputError: a missing column (with its possible names), a line with another number of cells
            than the header, an empty cell of `filled`, a cell that is not among its `values`.
    """
    table = read_table(path, delimiter=None, fallback=fallback)
    by_plain_name = {_plain(column): column for column in table.columns}
    result: dict[str, pd.Series | str] = {}
    names = {**names, **{name: (column,) for name, column in columns.items()}}
    for name, aliases in names.items():
        present = [alias for alias in aliases if _plain(alias) in by_plain_name]
        if present:
            result[name] = table[by_plain_name[_plain(present[0])]]
        elif name in required or name in columns:
            raise InputError(
                "missing column",
                file=path,
                line=1,
                column=aliases[0],
                found=", ".join(table.columns),
                expected=" or ".join(aliases),
            )
        else:
            result[name] = ""
    cells = pd.DataFrame(result, index=table.index, dtype=object)
    problems = []
    for name in filled:
        for line in table.index[cells[name] == ""]:
            problems.append(InputError("empty cell", file=path, line=line, column=names[name][0]))
        problems += date_problems(cells, name, path, names[name][0])
    for name, valid in values.items():
        unknown = cells.loc[~cells[name].isin([*valid, ""]), [name]]
        for line, cell in unknown.itertuples(name=None):
            problem = InputError(
                f"unknown {name}",
                file=path,
                line=line,
                column=names[name][0],
                found=cell,
                expected=", ".join(valid),
            )
            problems.append(problem)
    raise_problems(problems)
    return cells


def _plain(name: str) -> str:
    return re.sub(r"[\s_]+", "", name.lower())


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
    rows = []
    for number, line in enumerate(lines, 1):
        cells = line.split(delimiter)
        # A line of the right length has another delimiter, which is a wrong cell.
        if len(cells) != n_columns and len(line) != 2 * n_columns - 1:
            raise InputError(
                "the matrix does not fit its names",
                file=path,
                line=number,
                column=min(len(cells), n_columns) + 1,
                found=f"{len(cells)} cells",
                expected=f"{n_columns} ({columns_are})",
            )
        wrong = set(cells) - {"0", "1"}
        if wrong:
            column = next(i for i, cell in enumerate(cells) if cell in wrong)
            raise InputError(
                "not a cell of a 0/1 matrix",
                file=path,
                line=number,
                column=column + 1,
                found=cells[column],
                expected="0 or 1",
            )
        # The cells are every second character.
        rows.append(np.frombuffer(line.encode(), dtype=np.int8)[::2] - ord("0"))
    if len(lines) != n_rows:
        raise InputError(
            "the matrix does not fit its names",
            file=path,
            line=min(len(lines), n_rows) + 1,
            found=f"{len(lines)} lines",
            expected=f"{n_rows} ({rows_are})",
        )
    return np.stack(rows)
