"""Sequence motifs and their files in MEME format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mirnagraph.errors import InputError
from mirnagraph.io import read_text, write_text
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
        InputError: another alphabet than ACGU or ACGT, a row that is not four frequencies, or no
            motif.
    """
    motifs: list[Motif] = []
    name = ""
    rows = list[list[float]]()
    sites = DEFAULT_SITES
    in_matrix = False
    for number, line in enumerate([*read_text(path).split("\n"), "MOTIF "], 1):
        if line.startswith("ALPHABET="):
            _check_alphabet(line.split("=", 1)[1].strip(), path, number)
        if line.startswith("MOTIF"):
            if name and rows:
                frequencies = np.array(rows) / np.sum(rows, axis=1, keepdims=True)
                motifs.append(Motif(name, frequencies, sites))
            name = line[5:].strip()
            rows = []
            in_matrix = False
        elif line.startswith("letter-probability matrix"):
            in_matrix = True
            fields = line.replace("=", " ").split()
            sites = DEFAULT_SITES
            if "nsites" in fields:
                sites = int(float(fields[fields.index("nsites") + 1]))
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


def _frequencies(text: str, path: str | Path, line: int) -> list[float]:
    try:
        row = [float(cell) for cell in text.split()]
    except ValueError:
        row = []
    if len(row) != len(LETTERS) or min(row) < 0 or abs(sum(row) - 1) > 0.05:
        raise InputError(
            "not four frequencies that sum to 1", file=path, line=line, found=text.strip()
        )
    return row
