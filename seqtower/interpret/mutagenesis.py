"""In-silico mutagenesis: what a prediction becomes when letters are exchanged, or a repeat is grown into the RNA (DeepLocRNA's CAG study)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from mirnagraph.config import require
from mirnagraph.errors import InputError
from seqtower.encoders.cache import nothing_new
from seqtower.encoders.one_hot import LETTERS
from seqtower.model_files import SavedTower


def mutate(model: SavedTower, sequence: str, start: int = 0, end: int | None = None) -> pd.DataFrame:
    """Exchange every letter of a stretch for each of the three others.

    Args:
        start, end: 0-based stretch, end excluded; the whole RNA where left out.

    Returns:
        One row per exchange: ``position`` (0-based), ``reference``, ``letter``, and per compartment the probability after minus before.

    Raises:
        ConfigError: a stretch outside the RNA.
    """
    stop = len(sequence) if end is None else end
    require(0 <= start < stop <= len(sequence), "start, end", (start, end), f"a stretch within 0 to {len(sequence)}")
    places = [(at, letter) for at in range(start, stop) for letter in LETTERS if letter != sequence[at]]
    with nothing_new():
        said = model.predict([sequence, *(sequence[:at] + letter + sequence[at + 1 :] for at, letter in places)])
    table = pd.DataFrame({"position": [at for at, _ in places], "reference": [sequence[at] for at, _ in places], "letter": [letter for _, letter in places]})
    for column, name in enumerate(model.compartments):
        table[name] = said[1:, column] - said[0, column]
    return table


def expand_repeat(model: SavedTower, sequence: str, unit: str, at: int, copies: Sequence[int]) -> pd.DataFrame:
    """Put more and more copies of a unit into an RNA, and see what the model says of each.

    Args:
        unit: e.g. ``"CAG"``; T is read as U.
        at: 0-based place before which the copies are put.
        copies: how many, each 0 or more.

    Returns:
        One row per number of copies: ``copies``, ``length`` (nucleotides), and the probability of each compartment.

    Raises:
        InputError: a letter outside ACGU in the unit. ConfigError: a place outside the RNA, or negative copies.
    """
    unit = unit.upper().replace("T", "U")
    if not unit or set(unit) - set(LETTERS):
        raise InputError("not a unit of a repeat", found=unit, expected="letters of ACGU")
    require(0 <= at <= len(sequence), "at", at, f"0 to {len(sequence)}")
    require(len(copies) > 0 and min(copies) >= 0, "copies", list(copies), "one or more numbers, each 0 or more")
    grown = [sequence[:at] + unit * number + sequence[at:] for number in copies]
    with nothing_new():
        table = pd.DataFrame(np.asarray(model.predict(grown)), columns=list(model.compartments))
    table.insert(0, "copies", list(copies))
    table.insert(1, "length", [len(one) for one in grown])
    return table
