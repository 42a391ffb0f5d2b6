"""Species of a sequence of miRBase, by its hash: the hairpins and matures of every species."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from mirnagraph.writing.files import write_file

FILE = "other_species.safetensors"

HASHES = "hashes"
SETS = "sets"
TEXT = "text"

HASH_BYTES = 8


def hash_of(sequence: str) -> int:
    """First eight bytes of the sha256 of a sequence, as a number.

    >>> hash_of("UGAG")
    3237965068964206681
    """
    return int.from_bytes(hashlib.sha256(sequence.encode()).digest()[:HASH_BYTES], "big")


@cache
def _table() -> tuple[np.ndarray, np.ndarray, tuple[tuple[str, ...], ...]]:
    """Sorted hashes, the number of the species of each, and these species."""
    arrays = load_file(str(resources.files("mirnagraph.names").joinpath(FILE)))
    lines = arrays[TEXT].tobytes().decode("ascii").split("\n")
    species = tuple(tuple(line.split(";")) for line in lines)
    return arrays[HASHES], arrays[SETS], species


def species_of_sequence(sequence: str) -> tuple[str, ...]:
    """Prefixes of the species with a hairpin or mature of exactly this sequence in miRBase 22.1.

    Args:
        sequence: upper-case ACGUN.

    Returns:
        Such as ``("mmu", "rno")``, in alphabetical order; empty where miRBase has none.
    """
    hashes, sets, species = _table()
    wanted = np.uint64(hash_of(sequence))
    place = int(np.searchsorted(hashes, wanted))
    if place == len(hashes) or hashes[place] != wanted:
        return ()
    return species[int(sets[place])]


def write_species(species_of: Mapping[str, Iterable[str]], path: str | Path) -> None:
    """Write the table that `species_of_sequence` reads.

    Args:
        species_of: sequence -> prefixes of its species.
        path: file to write.
    """
    by_hash = {hash_of(sequence): ";".join(sorted(set(of))) for sequence, of in species_of.items()}
    hashes = np.array(sorted(by_hash), dtype=np.uint64)
    distinct = sorted(set(by_hash.values()))
    number_of = {text: number for number, text in enumerate(distinct)}
    sets = np.array([number_of[by_hash[int(key)]] for key in hashes], dtype=np.uint16)
    text = np.frombuffer("\n".join(distinct).encode("ascii"), dtype=np.uint8)
    with write_file(path) as part:
        save_file({HASHES: hashes, SETS: sets, TEXT: text}, part)
