"""Motifs: what the first layer's filters look for, written as MEME and compared with known RBP motifs by Tomtom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mirnagraph.errors import InputError
from mirnagraph.io import read_text, write_text
from seqtower.data.kmers import LETTERS


@dataclass(frozen=True, eq=False)
class Motif:
    """Letter frequencies of one motif.

    Attributes:
        name: of the filter, or of the known motif.
        frequencies: shape (width, 4), rows sum to 1, letters in the order A, C, G, U.
        sites: how many places it was made from.
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
        lines += [
            f"MOTIF {motif.name}",
            f"letter-probability matrix: alength= 4 w= {len(motif.frequencies)} nsites= {motif.sites} E= 0",
        ]
        lines += [
            "  " + "  ".join(f"{value:.6f}" for value in row) for row in motif.frequencies
        ] + [""]
    write_text(path, "\n".join(lines))


def read_meme(path: str | Path) -> list[Motif]:
    """Read motifs in MEME's minimal format; the name is everything behind ``MOTIF``.

    Raises:
        InputError: another alphabet than ACGU or ACGT, a row that is not four frequencies, or no motif: names file and line.
    """
    motifs: list[Motif] = []
    name = ""
    rows = list[list[float]]()
    sites = 20
    lines = read_text(path).split("\n")

    def close() -> None:
        if name and rows:
            motifs.append(Motif(name, np.array(rows) / np.sum(rows, axis=1, keepdims=True), sites))

    inside = False
    for number, line in enumerate([*lines, "MOTIF "], 1):
        if line.startswith("ALPHABET=") and line.split("=", 1)[1].strip() not in ("ACGU", "ACGT"):
            raise InputError(
                "another alphabet",
                file=path,
                line=number,
                found=line.split("=", 1)[1].strip(),
                expected="ACGU",
            )
        if line.startswith("MOTIF"):
            close()
            name = line[5:].strip()
            rows = []
            inside = False
        elif line.startswith("letter-probability matrix"):
            inside = True
            fields = line.replace("=", " ").split()
            sites = int(float(fields[fields.index("nsites") + 1])) if "nsites" in fields else 20
        elif inside and line.strip() and not line.startswith("URL"):
            try:
                row = [float(cell) for cell in line.split()]
            except ValueError:
                row = []
            if len(row) != len(LETTERS) or min(row) < 0 or abs(sum(row) - 1) > 0.05:
                raise InputError(
                    "not four frequencies that sum to 1", file=path, line=number, found=line.strip()
                )
            rows.append(row)
        elif not line.strip() and rows:
            inside = False
    if not motifs:
        raise InputError(
            "no motif in MEME format", file=path, expected="MOTIF and letter-probability matrix"
        )
    return motifs
