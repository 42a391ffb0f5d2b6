"""Made-up long RNAs with known reasons: a word of its own leads to each compartment. The demo, the tests and the docs use them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mirnagraph.config import require
from mirnagraph.evaluation.metrics import MULTI_LABEL
from mirnagraph.nodes import NodeIndex
from mirnagraph.seeds import generator
from seqtower.data.kmers import LETTERS
from seqtower.data.sequences import LEFT_OUT_COLUMNS, SequenceSet

if TYPE_CHECKING:
    from seqtower.data.motifs import Motif

WORDS = {"Nucleus": "CUUCCUCUCC", "Cytoplasm": "UGUAUAUAUG", "Exosome": "GGAGGACGGA"}


@dataclass(frozen=True, eq=False)
class PlantedSequences:
    """Made-up sequences and where their reasons stand.

    Attributes:
        data: the sequences with their labels.
        places: one row per planted word: ``rna_id``, ``compartment``, ``start``, ``end`` (0-based, end excluded).
    """

    data: SequenceSet
    places: pd.DataFrame


def planted_motifs() -> list[Motif]:
    """The planted words as motifs: each letter of a word with a frequency of .88."""
    from seqtower.data.motifs import Motif  # which loads torch

    eye = np.eye(len(LETTERS))
    return [
        Motif(name, 0.04 + 0.84 * eye[[LETTERS.index(letter) for letter in word]], 20)
        for name, word in WORDS.items()
    ]


def planted_sequences(
    n: int = 400, *, seed: int = 0, shortest: int = 60, longest: int = 200, noise: float = 0.05
) -> PlantedSequences:
    """Random RNAs into which the words of their compartments were written, at random places.

    Args:
        noise: share of labels that say the opposite of what was planted, so that no model can be perfect: in [0, 0.5).
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
        free = np.arange(
            0, len(letters) - 20, 20
        )  # a grid, so that no word is written over another
        for column, at in zip(np.flatnonzero(labels[row]), rng.permutation(free), strict=False):
            name, word = list(WORDS.items())[column]
            start = int(at + rng.integers(0, 20 - len(word)))
            letters[start : start + len(word)] = list(word)
            places.append((f"made-up-{row + 1}", name, start, start + len(word)))
        sequences.append("".join(letters))
    wrong = rng.random(labels.shape) < noise
    index = NodeIndex.of([f"made-up-{row + 1}" for row in range(n)], "RNA")
    nothing = pd.DataFrame(columns=LEFT_OUT_COLUMNS)
    data = SequenceSet(
        index,
        tuple(sequences),
        np.where(wrong, 1 - labels, labels),
        tuple(WORDS),
        MULTI_LABEL,
        None,
        nothing,
    )
    return PlantedSequences(
        data, pd.DataFrame(places, columns=["rna_id", "compartment", "start", "end"])
    )
