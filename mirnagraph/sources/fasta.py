"""FASTA files: plain or gzip, one or many lines per sequence, any line ends, T or U."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from mirnagraph.config import require
from mirnagraph.errors import InputError, raise_problems
from mirnagraph.io import read_text

_SEVERAL = re.compile(r"[RYSWKMBDHV]", re.IGNORECASE)

_OUTSIDE = re.compile(r"[^ACGTUN\s]", re.IGNORECASE)


def read_fasta(path: str | Path, *, iupac: str = "error") -> pd.DataFrame:
    """Read sequences as RNA.

    The id is the header up to the first blank; letters become upper case, T becomes U. Blank lines and blanks at the end
    of a line are passed over.

    Args:
        path: plain or gzip UTF-8 file.
        iupac: letters of several bases (R, Y, S, W, K, M, B, D, H, V): ``"error"``, or ``"n"`` to read them as N.

    Returns:
        One row per record in file order: ``id``, ``description`` (rest of the header), ``sequence`` (of A, C, G, U, N;
        5' to 3'), ``line`` (1-based line of the header).

    Raises:
        InputError: the first 20 of: text before the first header, header without an id, duplicate id, same id with two
            sequences, empty sequence, letter outside ACGTUN; each with its line and column.
    """
    require(iupac in ("error", "n"), "iupac", iupac, "'error' or 'n'")
    path = Path(path)
    records: list[tuple[int, str, list[str]]] = []
    problems: list[InputError] = []
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if line.startswith(">"):
            records.append((number, line[1:].strip(), []))
            if not records[-1][1]:
                problems.append(
                    InputError(
                        "a header without an id",
                        file=path,
                        line=number,
                        column=2,
                        expected=">id description",
                    )
                )
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
                line = _SEVERAL.sub("N", line)
            bad = _OUTSIDE.search(line) or re.search(r"\S(\s)\S", line)
            if bad:
                at = bad.start(bad.lastindex or 0)
                what = f"letter outside ACGTUN in the sequence of {_id(records[-1][1])}"
                hint = (
                    "--iupac n reads letters of several bases as N"
                    if _SEVERAL.fullmatch(line[at])
                    else None
                )
                problems.append(
                    InputError(
                        what,
                        file=path,
                        line=number,
                        column=at + 1,
                        found=line[at],
                        expected="A, C, G, T, U or N",
                        hint=hint,
                    )
                )
            records[-1][2].append(line.strip())
    rows = [
        (
            _id(header),
            header[len(_id(header)) :].strip(),
            "".join(parts).upper().replace("T", "U"),
            line,
        )
        for line, header, parts in records
    ]
    raise_problems(
        sorted(problems + _record_problems(rows, path), key=lambda problem: problem.line or 0)
    )
    return pd.DataFrame(rows, columns=["id", "description", "sequence", "line"])


def _id(header: str) -> str:
    return header.split(None, 1)[0] if header else ""


def _record_problems(rows: list[tuple[str, str, str, int]], path: Path) -> list[InputError]:
    problems = []
    first = dict[str, tuple[str, int]]()
    for name, _, sequence, line in rows:
        if not name:
            continue
        if not sequence:
            problems.append(
                InputError(
                    f"empty sequence of {name}",
                    file=path,
                    line=line,
                    column=1,
                    expected="one or more of ACGTUN",
                )
            )
        if name in first:
            before, at = first[name]
            what = "duplicate id" if before == sequence else "same id with two sequences"
            problems.append(
                InputError(
                    what,
                    file=path,
                    line=line,
                    column=2,
                    found=name,
                    expected=f"an id not seen before (first on line {at})",
                )
            )
        first.setdefault(name, (sequence, line))
    return problems
