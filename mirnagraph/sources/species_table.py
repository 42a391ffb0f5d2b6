"""Table of the species of every sequence of miRBase, made of its FASTA files.

Run as ``python -m mirnagraph.sources.species_table FOLDER``, where the folder holds
``hairpin.fa.gz`` and ``mature.fa.gz`` of all species; it writes the table of the package.
"""

from __future__ import annotations

import sys
from importlib import resources
from pathlib import Path

from mirnagraph.io import read_text, to_rna
from mirnagraph.names.other_species import FILE, write_species

FASTA = ("hairpin.fa.gz", "mature.fa.gz")


def species_of_sequences(folder: str | Path) -> dict[str, set[str]]:
    """Sequence -> prefixes of the species with a hairpin or mature of that sequence.

    Args:
        folder: with the files `FASTA`.
    """
    species_of: dict[str, set[str]] = {}
    for name in FASTA:
        for record in read_text(Path(folder) / name).split(">")[1:]:
            header, *lines = record.split("\n")
            sequence = to_rna("".join(lines))
            species_of.setdefault(sequence, set()).add(header.split("-", 1)[0])
    return species_of


def main(folder: str, path: str | Path | None = None) -> None:
    """Write the table of a folder of miRBase, by default in the place of the package's."""
    target = path or Path(str(resources.files("mirnagraph.names").joinpath(FILE)))
    write_species(species_of_sequences(folder), target)


if __name__ == "__main__":
    main(sys.argv[1])
