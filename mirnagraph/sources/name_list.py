"""Names of RNAs in the first column of any table: with or without header, tabs, commas, quotes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from mirnagraph.errors import InputError
from mirnagraph.reading.arguments import checked
from mirnagraph.reading.table import split_line
from mirnagraph.reading.text import NOT_GIVEN, file_title, read_lines

DELIMITERS = ("\t", ";", ",")
"""The first of these in the first two lines separates the columns of all lines."""

MAX_LINES = 10
"""Most lines in a message."""

_NAME_OF_RNA = re.compile(r"(mi-?r|let|lin|mimat|mi)-?\d", re.IGNORECASE)

HEADERS = frozenset(
    (
        "accession", "feature", "gene", "geneid", "genename", "genesymbol", "hairpin", "id", "ids",
        "identifier", "mature", "maturemirna", "mir", "mirbase", "mirbaseid", "mirid", "mirna",
        "mirnaid", "mirnaids", "mirname", "mirnaname", "mirnas", "name", "names", "precursor",
        "probe", "probeid", "query", "rna", "rnaid", "rnaids", "rnaname", "rnas", "symbol",
        "transcript", "transcriptid",
    )
)  # fmt: skip
"""Headers of a first column of names: lower case, letters alone."""


@checked
def read_name_list(path: str | Path) -> list[str]:
    """Read the names of `read_name_lines`, without their lines."""
    return [name for _, name in read_name_lines(path)]


def place_of_names(names: Iterable[str], lines: Sequence[tuple[int, str]], file: str | Path) -> str:
    """Say where names are in a file: ``"ids.txt, lines 3, 9"``; the first ten lines in full.

    Args:
        names: some names of the file.
        lines: of `read_name_lines`.
        file: as messages name it.
    """
    sought = set(names)
    numbers = list(dict.fromkeys(str(line) for line, name in lines if name in sought))
    n_more = len(numbers) - MAX_LINES
    more = f" and {n_more} more" if n_more > 0 else ""
    noun = "line" if len(numbers) == 1 else "lines"
    return f"{file}, {noun} {', '.join(numbers[:MAX_LINES])}{more}"


@checked
def read_name_lines(path: str | Path) -> list[tuple[int, str]]:
    """Read the names in the first column of a table, with their lines, in file order.

    Columns are separated by tabs, else semicolons, else commas, and may be quoted. A header is
    left out: a first line whose first cell is one of `HEADERS` (in any spelling) or empty, that has
    one cell fewer than the next line (as R writes it), or over a column of numbers. Empty lines,
    lines that start with ``#``, empty cells and ``NA`` are left out too. A single line of miRNA
    names is read whole.

    Args:
        path: plain or gzip UTF-8 file; ``"-"`` for the standard input.

    Raises:
        InputError: see `mirnagraph.reading.text.read_lines`; a quoted cell that does not end on
            its line; no name.
    """
    file = file_title(path)
    lines = [
        (number, line)
        for number, line in enumerate(read_lines(path), 1)
        if line.strip() and not line.startswith("#")
    ]
    start = "".join(line for _, line in lines[:2])
    delimiter = next((mark for mark in DELIMITERS if mark in start), "\t")
    rows = [split_line(line, delimiter, file, number) for number, line in lines]
    for (number, _), row in zip(lines, rows, strict=True):
        if row and row[0].startswith('"'):
            what = "a quoted cell does not end on its line"
            raise InputError(what, file=file, line=number, found=row[0], expected='"')
    if len(rows) == 1 and all(map(_NAME_OF_RNA.search, rows[0])):
        return [(lines[0][0], name) for name in rows[0]]
    first = 1 if rows and _is_header(rows) else 0
    names = [
        (number, row[0])
        for (number, _), row in zip(lines[first:], rows[first:], strict=True)
        if row[0] and row[0] not in NOT_GIVEN
    ]
    if not names:
        raise InputError("no name in the file", file=file, expected="one name per line")
    return names


def _is_header(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first row holds the names of columns."""
    header = rows[0]
    if _NAME_OF_RNA.search(header[0]):
        return False
    letters = re.sub(r"[^a-z]", "", header[0].casefold())
    if letters in HEADERS and not re.search(r"\d", header[0]):
        return True
    if len(rows) == 1:
        return False
    if len(header) == len(rows[1]) - 1 or (not header[0] and len(header) > 1):
        return True
    for column in range(1, len(header)):
        cells = [row[column] for row in rows[1:] if column < len(row) and row[column]]
        if cells and not _is_number(header[column]) and all(map(_is_number, cells)):
            return True
    return False


def _is_number(cell: str) -> bool:
    """Whether a cell is a number, NA or empty."""
    try:
        float(cell.replace(",", "."))
    except ValueError:
        return cell.casefold() in ("", "na", "nan")
    return True
