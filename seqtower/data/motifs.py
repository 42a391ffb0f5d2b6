"""Sequence motifs and their files in MEME format."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mirnagraph.errors import InputError
from mirnagraph.io import read_text, write_text
from mirnagraph.reading.schema import LARGEST_COUNT, NUMERAL
from seqtower.data.kmers import LETTERS

DEFAULT_SITES = 20
"""Sites of a motif in a file that does not state them, as in the MEME suite."""


@dataclass(frozen=True, eq=False)
class Motif:
    """Nucleotide frequencies of one motif.

    Attributes:
        name: of the filter, or of the known motif.
        frequencies: shape (width, 4), rows sum to 1, columns A, C, G, U.
        sites: number of sites that the frequencies are from.
    """

    name: str
    frequencies: np.ndarray
    sites: int


def write_meme(motifs: Sequence[Motif], path: str | Path) -> None:
    """Write motifs in MEME's minimal format, version 4, alphabet ACGU."""
    lines = [
        "MEME version 4",
        "",
        f"ALPHABET= {LETTERS}",
        "",
        "Background letter frequencies",
        "A 0.25 C 0.25 G 0.25 U 0.25",
        "",
    ]
    for motif in motifs:
        width = len(motif.frequencies)
        lines.append(f"MOTIF {motif.name}")
        lines.append(f"letter-probability matrix: alength= 4 w= {width} nsites= {motif.sites} E= 0")
        for row in motif.frequencies:
            lines.append("  " + "  ".join(f"{value:.6f}" for value in row))
        lines.append("")
    write_text(path, "\n".join(lines))


def read_meme(path: str | Path) -> list[Motif]:
    """Read motifs in MEME's minimal format; a name is the text after ``MOTIF``.

    Raises:
        InputError: another alphabet than ACGU or ACGT, a motif without a name or a matrix, a matrix
            of another width than it states, a row that is not four frequencies, or no motif.
    """
    motifs: list[Motif] = []
    motif: _Unread | None = None
    in_matrix = False
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if line.startswith("ALPHABET="):
            _check_alphabet(line.split("=", 1)[1].strip(), path, number)
        elif line.startswith("MOTIF"):
            motifs += [] if motif is None else [motif.read(path)]
            motif = _Unread(line[5:].strip(), number)
            in_matrix = False
        elif line.startswith("letter-probability matrix"):
            if motif is None or motif.rows:
                expected = "one after each line MOTIF"
                raise InputError("a matrix of no motif", file=path, line=number, expected=expected)
            motif.width, motif.sites = _stated(line, path, number)
            in_matrix = True
        elif in_matrix and motif is not None and line.strip() and not line.startswith("URL"):
            motif.rows.append(_frequencies(line, path, number))
        elif motif is not None and motif.rows:
            in_matrix = False
    motifs += [] if motif is None else [motif.read(path)]
    if not motifs:
        raise InputError(
            "no motif in MEME format", file=path, expected="MOTIF and letter-probability matrix"
        )
    return motifs


@dataclass
class _Unread:
    """A motif whose lines are being read.

    Attributes:
        name: the text after ``MOTIF``.
        line: line of that name, from 1 on.
        width: number of rows that the matrix states; None where it does not.
        sites: number of sites that the matrix states.
        rows: frequencies that were read, columns A, C, G, U.
    """

    name: str
    line: int
    width: int | None = None
    sites: int = DEFAULT_SITES
    rows: list[list[float]] = field(default_factory=list)

    def read(self, path: str | Path) -> Motif:
        """The motif; InputError where a part of it is missing."""
        if not self.name or not self.rows or self.width not in (None, len(self.rows)):
            n_rows = "any number of" if self.width is None else self.width
            raise InputError(
                "not a whole motif",
                file=path,
                line=self.line,
                found=f"{self.name or 'no name'}, {len(self.rows)} rows of a matrix",
                expected=f"a name, and a letter-probability matrix of {n_rows} rows",
            )
        frequencies = np.array(self.rows) / np.sum(self.rows, axis=1, keepdims=True)
        return Motif(self.name, frequencies, self.sites)


def _stated(line: str, path: str | Path, number: int) -> tuple[int | None, int]:
    """Width (None where not given) and sites that the first line of a matrix states."""
    stated = dict(re.findall(r"(\w+)=\s*(\S*)", line))
    for name, text in stated.items():
        is_wanted = name in ("w", "nsites", "alength")
        is_number = re.fullmatch(NUMERAL, text) and 1 <= float(text) <= LARGEST_COUNT
        if (is_wanted and not is_number) or (name == "alength" and float(text) != len(LETTERS)):
            expected = len(LETTERS) if name == "alength" else "a number of 1 or more"
            what = "not a letter-probability matrix of nucleotides"
            found = f"{name}= {text}".strip()
            raise InputError(what, file=path, line=number, found=found, expected=expected)
    width = stated.get("w")
    return (
        None if width is None else int(float(width)),
        int(float(stated.get("nsites", DEFAULT_SITES))),
    )


def _check_alphabet(alphabet: str, path: str | Path, line: int) -> None:
    if alphabet not in ("ACGU", "ACGT"):
        raise InputError("another alphabet", file=path, line=line, found=alphabet, expected="ACGU")


def _frequencies(text: str, path: str | Path, line: int) -> list[float]:
    cells = text.split()
    row = [float(cell) for cell in cells if re.fullmatch(NUMERAL, cell)]
    is_row = len(row) == len(cells) == len(LETTERS)
    if not is_row or min(row) < 0 or not abs(sum(row) - 1) <= 0.05:
        raise InputError(
            "not four frequencies that sum to 1", file=path, line=line, found=text.strip()
        )
    return row
