"""FASTA files: plain or gzip, any number of lines per sequence, any line ends, T or U; Parquet."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from mirnagraph.config import require
from mirnagraph.errors import MAX_PROBLEMS, InputError, raise_problems
from mirnagraph.reading.arguments import checked
from mirnagraph.reading.nucleotides import to_rna
from mirnagraph.reading.parquet import is_parquet, read_parquet
from mirnagraph.reading.text import file_title, plain, read_lines

ID = "id"
SEQUENCE = "sequence"
"""Columns of a Parquet file of sequences."""

_AMBIGUOUS = re.compile(r"[RYSWKMBDHV]", re.IGNORECASE)

_INVALID = re.compile(r"[^ACGTUN\s]", re.IGNORECASE)

_BLANK_INSIDE = re.compile(r"\S(\s+)\S")


@dataclass(frozen=True, slots=True)
class FastaRecord:
    """One record of a FASTA file.

    Attributes:
        id: header up to the first blank.
        description: rest of the header.
        sequence: of A, C, G, U, N; 5' to 3'.
        line: 1-based line of the header; row of a Parquet file.
    """

    id: str
    description: str
    sequence: str
    line: int


@checked
def read_fasta(path: str | Path, *, iupac: str = "error") -> pd.DataFrame:
    """Read sequences as RNA.

    The id is the header up to the first blank; nucleotides become upper case, T becomes U. Blank
    lines and blanks at the end of a line are ignored.

    Args:
        path: plain or gzip UTF-8 file; ``"-"`` for the standard input; or a Parquet file with the
            columns ``id`` and ``sequence``.
        iupac: ambiguous nucleotides (R, Y, S, W, K, M, B, D, H, V): ``"error"``, or ``"n"`` to read
            them as N.

    Returns:
        One row per record in file order: ``id``, ``description`` (rest of the header), ``sequence``
        (of A, C, G, U, N; 5' to 3'), ``line`` (1-based line of the header; row of a Parquet file).

    Raises:
        InputError: the first 20 of: text before the first header, header without an id, duplicate
            id, same id with two sequences, empty sequence, invalid nucleotide; each with its line
            and column.
    """
    rows = [
        (record.id, record.description, record.sequence, record.line)
        for record in stream_fasta(path, iupac=iupac)
    ]
    return pd.DataFrame(rows, columns=["id", "description", "sequence", "line"])


def stream_fasta(path: str | Path, *, iupac: str = "error") -> Iterator[FastaRecord]:
    """Read the records of a FASTA file one after the other.

    Only the ids seen so far and one record (of a Parquet file, some rows) are held in memory, so
    that a file may be of any size.

    Args:
        path: as of `read_fasta`.
        iupac: as of `read_fasta`.

    Yields:
        Records in file order, up to the first problem.

    Raises:
        InputError: as of `read_fasta`. After a first problem the rest of the file is read for
            further ones, and nothing more is yielded.
    """
    require(iupac in ("error", "n"), "iupac", iupac, "'error' or 'n'")
    file = file_title(path)
    problems: list[InputError] = []
    seen: dict[str, tuple[int, int]] = {}
    records = _parquet_records if is_parquet(path) else _records
    for record in records(path, iupac, file, problems):
        problems += _record_problems(record, seen, file)
        if not problems:
            yield record
        elif len(problems) > MAX_PROBLEMS:
            break
    raise_problems(problems, by_line=True)


def count_fasta(path: str | Path, *, iupac: str = "error") -> int:
    """Check a whole file of sequences and count its records; see `stream_fasta` for errors."""
    return sum(1 for _ in stream_fasta(path, iupac=iupac))


def _records(
    path: str | Path, iupac: str, file: str | Path, problems: list[InputError]
) -> Iterator[FastaRecord]:
    """Records as they are written; the problems of their lines are appended to `problems`."""
    header: tuple[str, str, int] | None = None
    parts: list[str] = []
    for number, line in enumerate(read_lines(path), 1):
        line = plain(line)
        if line.startswith(">"):
            if header is not None:
                yield _record(header, parts)
            words = line[1:].split(None, 1)
            name = words[0] if words else ""
            description = words[1].strip() if len(words) > 1 else ""
            header = (name, description, number)
            parts = []
        elif line.strip():
            if header is None:
                raise InputError(
                    "not a FASTA file",
                    file=file,
                    line=number,
                    column=1,
                    found=line.strip()[:40],
                    expected="a header that starts with >",
                )
            if iupac == "n":
                line = _AMBIGUOUS.sub("N", line)
            problems += _line_problems(line, number, header[0], file)
            parts.append(line.strip())
    if header is not None:
        yield _record(header, parts)


def _parquet_records(
    path: str | Path, iupac: str, file: str | Path, problems: list[InputError]
) -> Iterator[FastaRecord]:
    """Records of the rows of a Parquet file; problems are appended to `problems`."""
    row = 0
    for part in read_parquet(path, [ID, SEQUENCE]):
        for name, sequence in zip(part[ID], part[SEQUENCE], strict=True):
            row += 1
            text = "" if sequence is None else sequence
            wrong = partial(InputError, file=file, line=row)
            if not isinstance(text, str):
                found = type(text).__name__
                raise wrong("no text", column=SEQUENCE, found=found, expected="RNA")
            if not _is_name(name):
                problems.append(wrong("a row without an id", column=ID, found=name))
                continue
            text = _AMBIGUOUS.sub("N", text) if iupac == "n" else text
            problems += _line_problems(text, row, str(name), file)
            yield FastaRecord(str(name).strip(), "", to_rna(text.strip()), row)


def _is_name(value: Any) -> bool:
    """Whether a cell of a Parquet file names an RNA: a text, or a whole number."""
    return (isinstance(value, str) and bool(value.strip())) or isinstance(value, int)


def _record(header: tuple[str, str, int], parts: list[str]) -> FastaRecord:
    name, description, line = header
    return FastaRecord(name, description, to_rna("".join(parts)), line)


def _line_problems(line: str, number: int, name: str, file: str | Path) -> list[InputError]:
    """The first invalid nucleotide of a line, if any."""
    match = _INVALID.search(line) or _BLANK_INSIDE.search(line)
    if not match:
        return []
    place = match.start(match.lastindex or 0)
    # a protein has letters that are no ambiguous nucleotides
    invalid = _INVALID.findall(line)
    is_ambiguous = bool(invalid) and all(map(_AMBIGUOUS.fullmatch, invalid))
    problem = InputError(
        f"invalid nucleotide in the sequence of {name}",
        file=file,
        line=number,
        column=place + 1,
        found=line[place],
        expected="A, C, G, T, U or N",
        hint="--iupac n reads ambiguous nucleotides as N" if is_ambiguous else None,
    )
    return [problem]


def _record_problems(
    record: FastaRecord, seen: dict[str, tuple[int, int]], file: str | Path
) -> list[InputError]:
    """A header without an id, an empty sequence, or an id that was seen before.

    Args:
        record: to check.
        seen: id -> line of its header and hash of its sequence; the record is added.
        file: for the message.
    """
    line = record.line
    if not record.id:
        what = "a header without an id"
        return [InputError(what, file=file, line=line, column=2, expected=">id description")]
    problems = []
    if not record.sequence:
        what = f"empty sequence of {record.id}"
        expected = "one or more of ACGTUN"
        problems.append(InputError(what, file=file, line=line, column=1, expected=expected))
    content = hash(record.sequence)
    first_line, first_content = seen.setdefault(record.id, (line, content))
    if first_line != line:
        is_same = first_content == content
        problems.append(
            InputError(
                "duplicate id" if is_same else "same id with two sequences",
                file=file,
                line=line,
                column=2,
                found=record.id,
                expected=f"an id not seen before (first on line {first_line})",
            )
        )
    return problems
