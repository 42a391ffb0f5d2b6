"""Tables of text cells with the lines of their file, and errors that name line and column."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from mirnagraph.errors import InputError, raise_problems
from mirnagraph.reading.text import is_spreadsheet_date, plain, read_text
from mirnagraph.writing.cells import plain_cell

DELIMITERS = ("\t", ",", ";")
"""The first of these in the header separates the columns of a table."""


def read_rows(
    path: str | Path,
    *,
    delimiter: str | None = "\t",
    fallback: str | None = None,
    as_written: bool = False,
) -> list[list[str]]:
    """Read the cells of every line, without blank lines at the end.

    Blanks around a cell are removed, dashes, apostrophes and blanks of print become those of a
    keyboard (`mirnagraph.reading.text.plain`). Between tabs, double quotes around a whole cell are
    removed; between other delimiters they protect these (CSV).

    Args:
        path: UTF-8 file, plain or compressed.
        delimiter: one character; None for the first of `DELIMITERS` in the header.
        fallback: encoding of files that are not UTF-8 (see `mirnagraph.reading.text.read_text`).
        as_written: leave all cells as they are, as for files that this package wrote.

    Returns:
        Row `i` is line `i + 1` of the file.

    Raises:
        InputError: see `read_text`; or a quoted cell that spans lines.
    """
    lines = read_text(path, fallback=fallback).split("\n")
    while lines and not lines[-1].strip():
        lines.pop()
    if delimiter is None:
        delimiter = next((mark for mark in DELIMITERS if mark in lines[0]), "\t")
    if as_written and delimiter == "\t":
        return [line.split(delimiter) for line in lines]
    return [split_line(line, delimiter, path, number) for number, line in enumerate(lines, 1)]


def split_line(line: str, delimiter: str, path: str | Path, number: int) -> list[str]:
    """Split one line into clean cells (see `read_rows`).

    Args:
        line: without its end.
        delimiter: one character.
        path: for the message.
        number: of the line, for the message.
    """
    line = plain(line)
    if delimiter != "\t":
        try:
            cells = next(csv.reader([line], delimiter=delimiter, strict=True), [])
        except csv.Error as error:
            raise InputError(
                "a quoted cell does not end on its line", file=path, line=number, found=str(error)
            ) from None
        return [cell.strip() for cell in cells]
    cells = [cell.strip() for cell in line.split("\t")]
    return [_unquoted(cell) for cell in cells] if '"' in line else cells


def _unquoted(cell: str) -> str:
    """A cell without the quotes around it, as R and Excel write them."""
    if len(cell) < 2 or cell[0] != '"' or cell[-1] != '"':
        return cell
    inside = cell[1:-1]
    # 'a" and "b' is no quoted text
    return cell if '"' in inside.replace('""', "") else inside.replace('""', '"').strip()


def read_table(
    path: str | Path,
    required: Sequence[str] = (),
    *,
    delimiter: str | None = "\t",
    fallback: str | None = None,
    as_written: bool = False,
) -> pd.DataFrame:
    """Read a table with a header line as clean text columns (see `read_rows`).

    An empty cell is the empty string. Blank lines and empty cells behind the last column are left
    out.

    Args:
        path: UTF-8 file, plain or compressed.
        required: columns that must be present; others are read too.
        delimiter: see `read_rows`.
        fallback: see `read_rows`.
        as_written: see `read_rows`; then each line has as many cells as the header.

    Returns:
        DataFrame of str; its index holds the 1-based line numbers of the file, named ``line``.

    Raises:
        InputError: a missing or repeated column, or a line with another number of cells than the
            header.
    """
    rows = read_rows(path, delimiter=delimiter, fallback=fallback, as_written=as_written)
    header = [plain_cell(cell.strip()) for cell in rows[0]]
    if not as_written:
        header = _without_empty_end(header, 1)
    _check_header(header, required, path)
    n = len(header)
    lines: Sequence[int] = range(2, len(rows) + 1)
    cells = rows[1:]
    if not as_written:
        filled = [number for number in lines if any(rows[number - 1])]
        cells = [_without_empty_end(rows[number - 1], n) for number in filled]
        lines = filled if len(filled) < len(lines) else lines
    raise_problems(
        InputError(
            "wrong number of cells",
            file=path,
            line=number,
            column=min(len(row), n) + 1,
            found=len(row),
            expected=n,
        )
        for number, row in zip(lines, cells, strict=True)
        if len(row) != n
    )
    plain_cells = [[plain_cell(cell) for cell in row] for row in cells]
    table = pd.DataFrame(plain_cells, columns=header, dtype=object)
    is_range = isinstance(lines, range)
    index = pd.RangeIndex(2, len(rows) + 1) if is_range else pd.Index(np.array(lines))
    table.index = index.rename("line")
    return table


def read_typed(path: str | Path) -> pd.DataFrame:
    """Read a table that this package wrote, with columns of numbers as numbers, NaN where empty."""
    table = read_table(path, as_written=True).reset_index(drop=True)
    for name in table.columns:
        filled = table.loc[table[name] != "", name]
        numbers = pd.to_numeric(filled, errors="coerce")
        if len(filled) and not (numbers.isna() & (filled.str.lower() != "nan")).any():
            table[name] = numbers.reindex(table.index)
    return table


def _without_empty_end(row: list[str], n: int) -> list[str]:
    """A row without the empty cells behind its first `n`."""
    end = len(row)
    while end > n and not row[end - 1]:
        end -= 1
    return row if end == len(row) else row[:end]


def _check_header(header: Sequence[str], required: Sequence[str], path: str | Path) -> None:
    for name in required:
        if name not in header:
            raise InputError(
                "missing column",
                file=path,
                line=1,
                column=name,
                found=", ".join(header),
                expected=", ".join(required),
            )
    if len(set(header)) == len(header):
        return
    for name in header:
        if header.count(name) > 1:
            raise InputError("a column name is duplicated", file=path, line=1, column=name)


def cell_problems(
    table: pd.DataFrame,
    column: str,
    is_bad: pd.Series,
    what: str,
    file: str | Path,
    expected: object = None,
) -> list[InputError]:
    """Describe each bad cell of a column by one error.

    Args:
        table: of `read_table`.
        column: name of the column.
        is_bad: mask of the rows.
        what: the problem in a few words.
        file: of the table.
        expected: valid values.
    """
    cells = table.loc[is_bad, column]
    return [
        InputError(what, file=file, line=line, column=column, found=cell, expected=expected)
        for line, cell in zip(cells.index.tolist(), cells, strict=True)
    ]


def date_problems(
    table: pd.DataFrame, column: str, path: str | Path, written: str | None = None
) -> list[InputError]:
    """Problems of the names of a column that a spreadsheet turned into dates.

    Args:
        table: index: lines.
        column: of names.
        path: the file, for errors.
        written: name of the column in the file, where it is another.
    """
    is_date = table[column].isin(list(filter(is_spreadsheet_date, table[column].unique())))
    shown = table[[column]].rename(columns={column: written or column})
    what = "a name that a spreadsheet turned into a date"
    expected = "a name, such as MARCHF1; import the column as text"
    return cell_problems(shown, written or column, is_date, what, path, expected)


def repeated_cells(
    table: pd.DataFrame, column: str, what: str, file: str | Path, expected: str
) -> list[InputError]:
    """Describe each repetition of an earlier cell by one error, which names the first line.

    Args:
        table: of `read_table`.
        column: name of the column.
        what: the problem in a few words.
        file: of the table.
        expected: valid values.
    """
    first = dict(zip(table[column][::-1], table.index[::-1], strict=True))
    cells = table.loc[table[column].duplicated(), column]
    return [
        InputError(
            what,
            file=file,
            line=line,
            column=column,
            found=cell,
            expected=f"{expected} (first on line {first[cell]})",
        )
        for line, cell in zip(cells.index.tolist(), cells, strict=True)
    ]


def one_of_each_case(names: Iterable[str]) -> dict[str, str]:
    """Map names to the first of those that differ from them in capitals only.

    >>> one_of_each_case(["Nucleus", "nucleus", "Exosome"])
    {'Nucleus': 'Nucleus', 'nucleus': 'Nucleus', 'Exosome': 'Exosome'}
    """
    first: dict[str, str] = {}
    return {name: first.setdefault(name.casefold(), name) for name in names}
