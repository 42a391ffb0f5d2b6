"""Files: text and TSV, sha256, nucleotides; what writes them is in `mirnagraph.writing`."""

from __future__ import annotations

import csv
import gzip
import hashlib
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from mirnagraph.errors import InputError, raise_problems
from mirnagraph.writing.cells import plain_cell
from mirnagraph.writing.files import write_file as write_file
from mirnagraph.writing.files import write_text as write_text
from mirnagraph.writing.folders import check_output_folder as check_output_folder
from mirnagraph.writing.folders import write_folder as write_folder
from mirnagraph.writing.marker import UNHASHED
from mirnagraph.writing.tables import write_tsv as write_tsv

RNA_NUCLEOTIDES = frozenset("ACGUN")

LONGEST_NAME = 100
"""Characters of a file name made from an id."""

_ZIP = b"PK\x03\x04"

_SAVE_SHEET = "save the sheet as tab-separated text"

_BINARY = (
    (_ZIP, "a zip archive", "unpack it first"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel workbook", _SAVE_SHEET),
    (b"%PDF-", "a PDF", "copy its table into tab-separated text"),
    (b"BZh91AY", "a bzip2 file", "unpack it first"),
    (b"\xfd7zXZ\x00", "an xz file", "unpack it first"),
    (b"\x28\xb5\x2f\xfd", "a zstd file", "unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it first"),
    (b"Rar!\x1a\x07", "a rar archive", "unpack it first"),
)
"""First bytes of files that people give as tables: what they are, and what to do."""


def read_text(path: str | Path, *, fallback: str | None = None) -> str:
    r"""Read the whole text of a UTF-8 file, plain or gzip (by its first bytes).

    Line ends become ``\n``; a byte order mark is removed.

    Args:
        path: the file.
        fallback: encoding of files that are not UTF-8, for databases known to use one
            (``"latin-1"``); None refuses them.

    Raises:
        InputError: missing, a folder, empty, not UTF-8 (names line and column), or a truncated or
            damaged gzip.
    """
    path = Path(path)
    raw = _read_bytes(path)
    if not raw.strip():
        raise InputError("the file is empty", file=path)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if fallback is None:
            before = raw[: error.start]
            raise InputError(
                "not a UTF-8 file",
                file=path,
                line=before.count(b"\n") + 1,
                column=error.start - before.rfind(b"\n"),
                found=f"byte 0x{raw[error.start]:02x}",
                expected="UTF-8 text",
            ) from None
        text = raw.decode(fallback)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _read_bytes(path: Path) -> bytes:
    """Content of a file, unpacked where it is gzip."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise InputError("no such file", file=path) from None
    except IsADirectoryError:
        raise InputError("expected a file, found a folder", file=path) from None
    except PermissionError:
        raise InputError("the file cannot be read (permission denied)", file=path) from None
    if raw[:2] == b"\x1f\x8b":
        raw = _unpacked(raw, path)
    for start, what, hint in _BINARY:
        if raw.startswith(start):
            is_workbook = start == _ZIP and b"xl/" in raw
            raise InputError(
                "not a text file",
                file=path,
                found="an Excel workbook" if is_workbook else what,
                expected="text, plain or gzip",
                hint=_SAVE_SHEET if is_workbook else hint,
            )
    return raw


def _unpacked(raw: bytes, path: Path) -> bytes:
    """Content of gzip bytes."""
    try:
        return gzip.decompress(raw)
    except EOFError:
        raise InputError(
            "truncated gzip file",
            file=path,
            found=f"{len(raw)} bytes",
            expected="a complete gzip stream",
        ) from None
    except (OSError, zlib.error) as error:
        raise InputError("damaged gzip file", file=path, found=str(error)) from None


def sha256_of(path: str | Path) -> str:
    """Compute the sha256 of a file's bytes, as hex."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sha256_of_folder(folder: str | Path) -> str:
    """Compute the sha256 over names and contents of all files in a folder, as hex.

    The list of its files (`mirnagraph.writing.marker`) does not count, nor what systems drop.
    """
    folder = Path(folder)
    total = hashlib.sha256()
    files = (path for path in folder.rglob("*") if path.is_file() and path.name not in UNHASHED)
    for path in sorted(files):
        name = path.relative_to(folder).as_posix()
        total.update(f"{name}\0{sha256_of(path)}\n".encode())
    return total.hexdigest()


def read_rows(
    path: str | Path, *, delimiter: str = "\t", quoted: bool = False, fallback: str | None = None
) -> list[list[str]]:
    """Read the cells of every line, without blank lines at the end.

    Args:
        path: plain or gzip UTF-8 file.
        delimiter: one character.
        quoted: double quotes protect delimiters (CSV); otherwise they are plain characters.
        fallback: encoding of files that are not UTF-8 (see `read_text`).

    Returns:
        Row `i` is line `i + 1` of the file.

    Raises:
        InputError: see `read_text`; or a quoted cell that spans lines.
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
            raise InputError(
                "a quoted cell does not end on its line", file=path, line=number, found=str(error)
            ) from None
    return rows


def read_table(
    path: str | Path,
    required: Sequence[str] = (),
    *,
    delimiter: str = "\t",
    quoted: bool = False,
    fallback: str | None = None,
) -> pd.DataFrame:
    """Read a table with a header line as text columns; an empty cell is the empty string.

    Args:
        path: plain or gzip UTF-8 file.
        required: columns that must be present; others are read too.
        delimiter: one character.
        quoted: see `read_rows`.
        fallback: see `read_text`.

    Returns:
        DataFrame of str; its index holds the 1-based line numbers of the file, named ``line``.

    Raises:
        InputError: a missing or repeated column, or a line with another number of cells than the
            header.
    """
    rows = read_rows(path, delimiter=delimiter, quoted=quoted, fallback=fallback)
    header = [plain_cell(cell.strip()) for cell in rows[0]]
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
    for name in header:
        if header.count(name) > 1:
            raise InputError("a column name is duplicated", file=path, line=1, column=name)
    raise_problems(
        InputError(
            "wrong number of cells",
            file=path,
            line=number,
            column=min(len(row), len(header)) + 1,
            found=len(row),
            expected=len(header),
        )
        for number, row in enumerate(rows[1:], 2)
        if len(row) != len(header)
    )
    cells = [[plain_cell(cell) for cell in row] for row in rows[1:]]
    table = pd.DataFrame(cells, columns=header, dtype=object)
    table.index = pd.RangeIndex(2, len(rows) + 1, name="line")
    return table


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


def check_nucleotides(
    sequence: str,
    *,
    rna_id: str,
    file: str | Path | None = None,
    line: int | None = None,
    column: int | str | None = None,
    letters: frozenset[str] = RNA_NUCLEOTIDES,
) -> None:
    """Raise InputError for an empty sequence or an invalid nucleotide.

    Args:
        sequence: to check.
        rna_id: for the message.
        file: for the message.
        line: for the message.
        column: for the message; None for the position in the sequence.
        letters: valid nucleotides, by default ACGUN in upper case.
    """
    if not sequence:
        raise InputError(
            f"empty sequence of {rna_id}",
            file=file,
            line=line,
            column=column,
            expected="one or more of ACGUN",
        )
    if letters.issuperset(sequence):
        return
    for position, letter in enumerate(sequence):
        if letter not in letters:
            raise InputError(
                f"invalid nucleotide in the sequence of {rna_id} at position {position + 1}",
                file=file,
                line=line,
                column=column if column is not None else position + 1,
                found=letter,
                expected="A, C, G, T, U or N",
            )


def to_rna(sequence: str) -> str:
    """Normalise a sequence: upper case, T as U, no surrounding blanks.

    >>> to_rna("acgT")
    'ACGU'
    """
    return sequence.strip().upper().replace("T", "U")


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
