"""Sequence motifs and their files in MEME format."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mirnagraph.errors import InputError
from mirnagraph.io import read_text, write_text
from seqtower.data.kmers import LETTERS

DEFAULT_SITES = 20
"""Sites of a motif in a file that does not state them, as in the MEME suite."""

LARGEST_STATED = 1_000_000_000


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
        InputError: another alphabet than ACGU or ACGT, a row that is not four frequencies, a matrix
            that is not as wide as it states, or no motif.
    """
    motifs: list[Motif] = []
    name = ""
    rows = list[list[float]]()
    sites = DEFAULT_SITES
    width = None
    in_matrix = False
    for number, line in enumerate([*read_text(path).split("\n"), "MOTIF "], 1):
        if line.startswith("ALPHABET="):
            _check_alphabet(line.split("=", 1)[1].strip(), path, number)
        if line.startswith("MOTIF"):
            if name and rows:
                _check_width(rows, width, name, path, number)
                frequencies = np.array(rows) / np.sum(rows, axis=1, keepdims=True)
                motifs.append(Motif(name, frequencies, sites))
            elif name:
                raise InputError(f"the motif {name} has no matrix", file=path, line=number)
            name = line[5:].strip()
            rows = []
            in_matrix = False
        elif line.startswith("letter-probability matrix"):
            in_matrix = True
            fields = line.replace("=", " ").split()
            sites = _stated(fields, "nsites", path, number) or DEFAULT_SITES
            width = _stated(fields, "w", path, number)
        elif in_matrix and line.strip() and not line.startswith("URL"):
            rows.append(_frequencies(line, path, number))
        elif not line.strip() and rows:
            in_matrix = False
    if not motifs:
        raise InputError(
            "no motif in MEME format", file=path, expected="MOTIF and letter-probability matrix"
        )
    return motifs


def _check_alphabet(alphabet: str, path: str | Path, line: int) -> None:
    if alphabet not in ("ACGU", "ACGT"):
        raise InputError("another alphabet", file=path, line=line, found=alphabet, expected="ACGU")


def _stated(fields: list[str], name: str, path: str | Path, line: int) -> int | None:
    """A number of the line above a matrix, such as its width; None where it is not stated."""
    if name not in fields:
        return None
    text = "".join(fields[fields.index(name) + 1 :][:1])
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 1 <= value <= LARGEST_STATED:
        expected = f"1 to {LARGEST_STATED:,}"
        raise InputError(
            f"not a number of {name}", file=path, line=line, found=text, expected=expected
        )
    return int(value)


def _check_width(
    rows: list[list[float]], width: int | None, name: str, path: str | Path, end: int
) -> None:
    """Raise InputError for a motif with more or fewer lines than it states, such as a cut one."""
    if width is not None and len(rows) != width:
        raise InputError(
            f"the matrix of {name} is not as wide as it states",
            file=path,
            line=end,
            found=f"{len(rows)} lines before this one",
            expected=f"w= {width}",
        )


def _frequencies(text: str, path: str | Path, line: int) -> list[float]:
    try:
        row = [float(cell) for cell in text.split()]
    except ValueError:
        row = []
    is_sum = len(row) == len(LETTERS) and abs(sum(row) - 1) <= 0.05  # not of nan
    if not is_sum or min(row) < 0:
        raise InputError(
            "not four frequencies that sum to 1", file=path, line=line, found=text.strip()
        )
    return row
