"""FASTA files: plain or gzip, any number of lines per sequence, any line ends, T or U."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from mirnagraph.config import require
from mirnagraph.errors import InputError, raise_problems
from mirnagraph.io import read_text, to_rna

_AMBIGUOUS = re.compile(r"[RYSWKMBDHV]", re.IGNORECASE)

_INVALID = re.compile(r"[^ACGTUN\s]", re.IGNORECASE)

_BLANK_INSIDE = re.compile(r"\S(\s)\S")


def read_fasta(path: str | Path, *, iupac: str = "error") -> pd.DataFrame:
    """Read sequences as RNA.

    The id is the header up to the first blank; nucleotides become upper case, T becomes U. Blank
    lines and blanks at the end of a line are ignored.

    Args:
        path: plain or gzip UTF-8 file.
        iupac: ambiguous nucleotides (R, Y, S, W, K, M, B, D, H, V): ``"error"``, or ``"n"`` to read
            them as N.

    Returns:
        One row per record in file order: ``id``, ``description`` (rest of the header), ``sequence``
        (of A, C, G, U, N; 5' to 3'), ``line`` (1-based line of the header).

    Raises:
        InputError: the first 20 of: text before the first header, header without an id, duplicate
            id, same id with two sequences, empty sequence, invalid nucleotide; each with its line
            and column.
    """
    require(iupac in ("error", "n"), "iupac", iupac, "'error' or 'n'")
    path = Path(path)
    records = []
    problems: list[InputError] = []
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if line.startswith(">"):
            words = line[1:].split(None, 1)
            name = words[0] if words else ""
            description = words[1].strip() if len(words) > 1 else ""
            records.append(_Record(name, description, [], number))
        elif line.strip():
            if not records:
                raise InputError(
                    "not a FASTA file",
                    file=path,
                    line=number,
                    column=1,
                    found=line.strip()[:40],
                    expected="a header that starts with >",
                )
            if iupac == "n":
                line = _AMBIGUOUS.sub("N", line)
            problems += _line_problems(line, number, records[-1].name, path)
            records[-1].lines.append(line.strip())
    problems += _record_problems(records, path)
    raise_problems(sorted(problems, key=lambda problem: problem.line or 0))
    rows = [(record.name, record.description, record.sequence, record.line) for record in records]
    return pd.DataFrame(rows, columns=["id", "description", "sequence", "line"])


@dataclass(frozen=True)
class _Record:
    """One record; `line` is that of its header."""

    name: str
    description: str
    lines: list[str]
    line: int

    @property
    def sequence(self) -> str:
        return to_rna("".join(self.lines))


def _line_problems(line: str, number: int, name: str, path: Path) -> list[InputError]:
    """The first invalid nucleotide of a line, if any."""
    match = _INVALID.search(line) or _BLANK_INSIDE.search(line)
    if not match:
        return []
    place = match.start(match.lastindex or 0)
    is_ambiguous = _AMBIGUOUS.fullmatch(line[place])
    problem = InputError(
        f"invalid nucleotide in the sequence of {name}",
        file=path,
        line=number,
        column=place + 1,
        found=line[place],
        expected="A, C, G, T, U or N",
        hint="--iupac n reads ambiguous nucleotides as N" if is_ambiguous else None,
    )
    return [problem]


def _record_problems(records: list[_Record], path: Path) -> list[InputError]:
    """Headers without an id, empty sequences and repeated ids."""
    problems = []
    first: dict[str, _Record] = {}
    for record in records:
        line = record.line
        if not record.name:
            what = "a header without an id"
            expected = ">id description"
            problems.append(InputError(what, file=path, line=line, column=2, expected=expected))
            continue
        if not record.sequence:
            what = f"empty sequence of {record.name}"
            expected = "one or more of ACGTUN"
            problems.append(InputError(what, file=path, line=line, column=1, expected=expected))
        earlier = first.setdefault(record.name, record)
        if earlier is not record:
            is_same = earlier.sequence == record.sequence
            problems.append(
                InputError(
                    "duplicate id" if is_same else "same id with two sequences",
                    file=path,
                    line=line,
                    column=2,
                    found=record.name,
                    expected=f"an id not seen before (first on line {earlier.line})",
                )
            )
    return problems
