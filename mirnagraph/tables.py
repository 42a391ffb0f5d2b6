"""Tab- and comma-separated tables: read with checks that name the line and column, written so that they read back equal."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from mirnagraph.errors import InputError, raise_problems
from mirnagraph.files import read_text, write_file

RNA_LETTERS = frozenset("ACGUN")


def read_rows(path: str | Path, *, delimiter: str = "\t", quoted: bool = False, fallback: str | None = None) -> list[list[str]]:
    """Cells of every line, blank lines at the end left out; row `i` is line `i + 1` of the file.

    Args:
        quoted: double quotes protect delimiters (CSV); otherwise they are letters like any other.
        fallback: encoding of files that are not UTF-8 (see `mirnagraph.files.read_text`).

    Raises:
        InputError: see `mirnagraph.files.read_text`; or a quoted cell that spans lines.
    """
    lines = read_text(path, fallback=fallback).split("\n")
    while lines and not lines[-1].strip():
        lines.pop()
    if not quoted:
        return [line.split(delimiter) for line in lines]
    rows: list[list[str]] = []
    for number, line in enumerate(lines, 1):
        try:
            rows.extend(csv.reader([line], delimiter=delimiter, strict=True) if line else [[]])
        except csv.Error as error:
            raise InputError("a quoted cell does not end on its line", file=path, line=number, found=str(error)) from None
    return rows


def read_table(
    path: str | Path,
    required: Sequence[str] = (),
    *,
    delimiter: str = "\t",
    quoted: bool = False,
    fallback: str | None = None,
) -> pd.DataFrame:
    """A table with a header line as text columns; an empty cell is the empty string.

    Args:
        path: plain or gzip UTF-8 file.
        required: columns that must be there; others are kept too.

    Returns:
        DataFrame of str; its index holds the 1-based line numbers of the file, named ``line``.

    Raises:
        InputError: a missing or repeated column, or a line with another number of cells than the header.
    """
    rows = read_rows(path, delimiter=delimiter, quoted=quoted, fallback=fallback)
    header = [cell.strip() for cell in rows[0]]
    missing = [name for name in required if name not in header]
    if missing:
        raise InputError("missing column", file=path, line=1, column=missing[0], found=", ".join(header), expected=", ".join(required))
    twice = next((name for name in header if header.count(name) > 1), None)
    if twice is not None:
        raise InputError("a column name stands twice", file=path, line=1, column=twice)
    raise_problems(
        InputError("wrong number of cells", file=path, line=number, column=min(len(row), len(header)) + 1, found=len(row), expected=len(header))
        for number, row in enumerate(rows[1:], 2)
        if len(row) != len(header)
    )
    table = pd.DataFrame(rows[1:], columns=header, dtype=object)
    table.index = pd.RangeIndex(2, len(rows) + 1, name="line")
    return table


def write_tsv(table: pd.DataFrame, path: str | Path) -> None:
    """Write a table as TSV, all or nothing; floats with every digit they need to read back equal.

    Raises:
        InputError: a cell or a column name holds a tab or a line end, which TSV cannot carry.
    """
    strange = [str(name) for name in table.columns if set(str(name)) & set("\t\r\n")]
    if strange:
        raise InputError("a column name holds a tab or line end", file=path, line=1, found=strange[0])
    for name in table.columns:
        if table[name].dtype == object or isinstance(table[name].dtype, pd.StringDtype):
            bad = table[name].astype("string").str.contains(r"[\t\r\n]", regex=True).fillna(False)
            if bad.any():
                raise InputError("a cell holds a tab or line end", file=path, column=str(name), found=repr(table.loc[bad, name].iloc[0]))
    with write_file(path) as part:
        table.to_csv(part, sep="\t", index=False, lineterminator="\n", quoting=csv.QUOTE_NONE)


def check_letters(
    sequence: str,
    *,
    rna_id: str,
    file: str | Path | None = None,
    line: int | None = None,
    column: int | str | None = None,
    letters: frozenset[str] = RNA_LETTERS,
) -> None:
    """Raise InputError where a sequence is empty or holds a letter outside `letters` (default ACGUN, upper case)."""
    if not sequence:
        raise InputError(f"empty sequence of {rna_id}", file=file, line=line, column=column, expected="one or more of ACGUN")
    if letters.issuperset(sequence):
        return
    for position, letter in enumerate(sequence):
        if letter not in letters:
            raise InputError(
                f"letter outside ACGTUN in the sequence of {rna_id} at position {position + 1}",
                file=file,
                line=line,
                column=column if column is not None else position + 1,
                found=letter,
                expected="A, C, G, T, U or N",
            )


def to_rna(sequence: str) -> str:
    """Upper case, T as U.

    >>> to_rna("acgT")
    'ACGU'
    """
    return sequence.strip().upper().replace("T", "U")
