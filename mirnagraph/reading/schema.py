"""Columns of a table as plain data, and the one function that checks a table against them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import pandas as pd

from mirnagraph.errors import InputError, raise_problems
from mirnagraph.reading.nucleotides import RNA_NUCLEOTIDES, to_rna
from mirnagraph.reading.table import cell_problems, date_problems, repeated_cells
from mirnagraph.reading.text import NOT_GIVEN

TEXT = "text"
ID = "id"
COUNT = "count"
NUMBER = "number"
BINARY = "0/1"
SEQUENCE = "sequence"
SEQUENCES = "sequences"

LARGEST_COUNT = 10**12
"""More than any database holds."""

LARGEST_NUMBER = 1e30
"""Sums and squares of such numbers fit into 32 bits or nearly so."""

NUMERAL = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
"""A number as tables have it: neither inf nor nan, hexadecimal digits, 1_000 nor digits of other
scripts."""


@dataclass(frozen=True)
class Column:
    """What the cells of a column may be.

    Attributes:
        name: of the column, or a pattern for several (``n_*``).
        kind: `TEXT`; `ID`: not empty, not ``NA``; `COUNT`: whole, 0 or more; `NUMBER`: finite;
            `BINARY`: 0 or 1; `SEQUENCE`: nucleotides; `SEQUENCES`: several, separated by ``;``.
        is_unique: whether a cell may be there once only.
        may_be_empty: whether a cell may be empty; without meaning for `TEXT`.
        reference: name of the ids (see `check_table`) that hold every cell; empty for none.
        what: the problem where a cell is not among these.
    """

    name: str
    kind: str = TEXT
    is_unique: bool = False
    may_be_empty: bool = True
    reference: str = ""
    what: str = "an unknown id"


def exactly(name: str) -> str:
    """Write a name as the pattern that it alone fits."""
    return re.sub(r"([*?[])", r"[\1]", name)


def check_table(
    table: pd.DataFrame,
    columns: Sequence[Column],
    path: str | Path,
    references: Mapping[str, pd.Index] | None = None,
) -> pd.DataFrame:
    """Check every cell of a table, and return it with numbers as numbers and sequences as RNA.

    Columns of the table that no `Column` names stay text. Empty cells of numbers become NaN.

    Args:
        table: of `mirnagraph.reading.table.read_table`; index: 1-based lines.
        columns: what its columns hold; the first whose name fits is taken.
        path: the file, for errors.
        references: name of a file -> ids in it.

    Raises:
        InputError: the first 20 bad cells, by line; each with its column.
    """
    problems: list[InputError] = []
    result = {}
    for name in table.columns:
        column = next((item for item in columns if fnmatchcase(name, item.name)), Column(name))
        of_column = list(_problems(table, name, column, path, references or {}))
        problems += of_column
        result[name] = table[name] if of_column else _converted(table[name], column.kind)
    raise_problems(problems, by_line=True)
    return pd.DataFrame(result, index=table.index)


def _problems(
    table: pd.DataFrame,
    name: str,
    column: Column,
    path: str | Path,
    references: Mapping[str, pd.Index],
) -> Iterator[InputError]:
    """Bad cells of one column."""
    cells = table[name]
    is_empty = cells == ""
    if column.kind != TEXT and not column.may_be_empty:
        yield from cell_problems(table, name, is_empty, "empty id" if column.kind == ID else
                                 "empty cell", path, _EXPECTED.get(column.kind))  # fmt: skip
    if column.kind in (SEQUENCE, SEQUENCES):
        yield from _sequence_problems(table, name, column.kind, path)
    elif column.kind in _IS_VALID:
        is_bad = ~_IS_VALID[column.kind](cells) & ~is_empty
        what = _WHAT[column.kind]
        yield from cell_problems(table, name, is_bad, what, path, _EXPECTED[column.kind])
    if column.kind == ID:
        yield from date_problems(table, name, path)
    if column.is_unique:
        filled = table[~is_empty]
        yield from repeated_cells(filled, name, "duplicate id", path, "an id not seen before")
    if column.reference:
        is_unknown = ~cells.isin(references[column.reference]) & ~is_empty
        expected = f"an id of {column.reference}"
        yield from cell_problems(table, name, is_unknown, column.what, path, expected)


def _is_numeral(cells: pd.Series) -> pd.Series:
    return cells.str.fullmatch(NUMERAL).astype(bool)


def _is_number(cells: pd.Series) -> pd.Series:
    is_numeral = _is_numeral(cells)
    numbers = pd.to_numeric(cells.where(is_numeral, "0")).abs()
    return is_numeral & (numbers <= LARGEST_NUMBER)


def is_count(cells: pd.Series) -> pd.Series:
    """Whether each cell, a text, is a whole number from 0 to `LARGEST_COUNT`."""
    is_numeral = _is_numeral(cells)
    numbers = pd.to_numeric(cells.where(is_numeral, "-1"))
    return (numbers >= 0) & (numbers <= LARGEST_COUNT) & (numbers == np.floor(numbers))


_IS_VALID: dict[str, Callable[[pd.Series], pd.Series]] = {
    ID: lambda cells: ~cells.isin(NOT_GIVEN),
    COUNT: is_count,
    NUMBER: _is_number,
    BINARY: lambda cells: cells.isin(["0", "1"]),
}

_WHAT = {ID: "an id that is not given", COUNT: "not a count", NUMBER: "not a number",
         BINARY: "not a label"}  # fmt: skip

_EXPECTED = {
    ID: "a name",
    COUNT: f"a whole number of 0 or more, at most {LARGEST_COUNT:g}",
    NUMBER: f"a finite number, at most {LARGEST_NUMBER:g} in size, or nothing",
    BINARY: "0 or 1",
}


def _sequence_problems(
    table: pd.DataFrame, name: str, kind: str, path: str | Path
) -> Iterator[InputError]:
    """The first wrong letter of each sequence."""
    several = "; several sequences separated by ;" if kind == SEQUENCES else ""
    for line, cell in zip(table.index.tolist(), table[name], strict=True):
        if cell.upper() in _NO_SEQUENCE:
            yield InputError(
                "a sequence is not given",
                file=path,
                line=line,
                column=name,
                found=cell,
                expected="nucleotides, or an empty cell",
            )
            continue
        parts = cell.split(";") if kind == SEQUENCES and cell else [cell]
        for number, part in enumerate(parts, 1):
            sequence = to_rna(part)
            if RNA_NUCLEOTIDES.issuperset(sequence) and (sequence or not cell):
                continue
            of = f"{name.removesuffix('s')} {number} of " if kind == SEQUENCES else ""
            rna_id = str(table.at[line, "rna_id"]) if "rna_id" in table.columns else f"line {line}"
            wrong = next(
                (place for place, letter in enumerate(sequence) if letter not in "ACGUN"), 0
            )
            yield InputError(
                f"invalid nucleotide in {of or 'the sequence of '}{rna_id} at position {wrong + 1}",
                file=path,
                line=line,
                column=name,
                found=sequence[wrong] if sequence else "nothing",
                expected=f"A, C, G, T, U or N{several}",
            )


_NO_SEQUENCE = {text.upper() for text in NOT_GIVEN}


def _converted(cells: pd.Series, kind: str) -> pd.Series:
    """Valid cells of one column by its kind."""
    if kind in (COUNT, NUMBER):
        numbers = pd.to_numeric(cells[cells != ""])
        return numbers.reindex(cells.index) if len(numbers) < len(cells) else numbers
    if kind == BINARY:
        return cells.astype(np.int8)
    if kind == SEQUENCE:
        sequences = cells.map(to_rna).astype(object)
        sequences[sequences == ""] = None
        return sequences
    if kind == SEQUENCES:
        return cells.map(lambda cell: ";".join(map(to_rna, cell.split(";")))).astype(object)
    return cells
