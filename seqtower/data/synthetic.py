"""Synthetic long RNAs with a planted motif per compartment, for the demo and the tests."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from mirnagraph.config import require
from mirnagraph.evaluation.metrics import MULTI_LABEL
from mirnagraph.nodes import NodeIndex
from mirnagraph.seeds import generator
from seqtower.data.kmers import LETTERS
from seqtower.data.motifs import DEFAULT_SITES, Motif
from seqtower.data.sequences import LEFT_OUT_COLUMNS, SequenceSet

WORDS = {"Nucleus": "CUUCCUCUCC", "Cytoplasm": "UGUAUAUAUG", "Exosome": "GGAGGACGGA"}


@dataclass(frozen=True, eq=False)
class PlantedSequences:
    """Synthetic sequences and their planted motifs.

    Attributes:
        data: the sequences with their labels.
        places: one row per planted motif: ``rna_id``, ``compartment``, ``start``, ``end`` (0-based,
            end excluded).
    """

    data: SequenceSet
    places: pd.DataFrame


def planted_motifs() -> list[Motif]:
    """Return the planted motifs: frequency 0.88 of each consensus nucleotide."""
    eye = np.eye(len(LETTERS))
    return [
        Motif(name, 0.04 + 0.84 * eye[[LETTERS.index(letter) for letter in word]], DEFAULT_SITES)
        for name, word in WORDS.items()
    ]


def planted_sequences(
    n: int = 400, *, seed: int = 0, shortest: int = 60, longest: int = 200, noise: float = 0.05
) -> PlantedSequences:
    """Make random RNAs with the motifs of their compartments at random places.

    Args:
        n: number of RNAs, 4 or more.
        seed: of the random draws.
        shortest: nucleotides of the shortest possible RNA, 60 or more.
        longest: nucleotides of the longest possible RNA.
        noise: share of labels that are flipped, in [0, 0.5).
    """
    require(
        n >= 4 and 20 * len(WORDS) <= shortest <= longest and 0 <= noise < 0.5,
        "n, shortest, longest, noise",
        (n, shortest, longest, noise),
        "a possible set",
    )
    rng = generator(seed, "planted sequences")
    labels = (rng.random((n, len(WORDS))) < 0.4).astype(np.float64)
    sequences = []
    places = []
    for row in range(n):
        letters = rng.choice(list("ACGU"), rng.integers(shortest, longest + 1))
        free = np.arange(0, len(letters) - 20, 20)  # a grid, so that motifs do not overlap
        for column, at in zip(np.flatnonzero(labels[row]), rng.permutation(free), strict=False):
            name, word = list(WORDS.items())[column]
            start = int(at + rng.integers(0, 20 - len(word)))
            letters[start : start + len(word)] = list(word)
            places.append((f"made-up-{row + 1}", name, start, start + len(word)))
        sequences.append("".join(letters))
    is_flipped = rng.random(labels.shape) < noise
    index = NodeIndex.of([f"made-up-{row + 1}" for row in range(n)], "RNA")
    data = SequenceSet(
        index,
        tuple(sequences),
        np.where(is_flipped, 1 - labels, labels),
        tuple(WORDS),
        MULTI_LABEL,
        None,
        pd.DataFrame(columns=LEFT_OUT_COLUMNS),
    )
    table = pd.DataFrame(places, columns=["rna_id", "compartment", "start", "end"])
    return PlantedSequences(data, table)
