"""RNAs that are in two labelled sets, and the compartments on which the sets disagree."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from seqtower.data.sequences import SequenceSet
from seqtower.data.sets import MARK

CONFLICT_COLUMNS = [
    "set_1",
    "rna_1",
    "set_2",
    "rna_2",
    "matched_by",
    "compartment",
    "label_1",
    "label_2",
]

COUNT_COLUMNS = ["set_1", "set_2", "compartment", "shared", "conflicts"]

_VERSION = re.compile(r"\.\d+$")


@dataclass(frozen=True, eq=False)
class Conflicts:
    """What several sets say of the same RNAs.

    Attributes:
        table: one row per pair of RNAs of two sets and compartment on which they disagree, with
            the columns `CONFLICT_COLUMNS`; ids as in the merged set, labels 0 or 1.
        counts: per pair of sets and compartment that both label some shared RNA for, the number of
            shared RNAs (as pairs) with both labels, and of conflicts: the columns `COUNT_COLUMNS`.
    """

    table: pd.DataFrame
    counts: pd.DataFrame

    def sentences(self) -> list[str]:
        """One sentence per pair of sets that share labelled RNAs, or one that none do."""
        if self.counts.empty:
            return ["No RNA is in two sets with labels of the same compartment."]
        sentences = []
        for (first, second), part in self.counts.groupby(["set_1", "set_2"], sort=False):
            cells = []
            for row in part.to_dict("records"):
                cells.append(f"{row['compartment']} {row['conflicts']} of {row['shared']}")
            shown = ", ".join(cells)
            sentences.append(
                f"Conflicting labels of the RNAs shared by {first} and {second}: {shown}."
            )
        return sentences


def find_conflicts(data: SequenceSet) -> Conflicts:
    """Compare the labels of RNAs that are in two sets, compartment by compartment.

    Two records are the same RNA where their sequences are equal, or their ids without regard to
    case and version (NR_024037.1 and nr_024037). An unknown label is no conflict.

    Args:
        data: merged sets, see `seqtower.data.sets.merge_sets`.

    Raises:
        ValueError: data of a single set.
    """
    if data.sets is None:
        raise ValueError("data of a single set")
    rows = []
    counts: dict[tuple[str, str, str], list[int]] = {}
    for (first, second), matched_by in _shared_pairs(data, data.sets).items():
        sets = (data.sets[first], data.sets[second])
        labels = data.labels[[first, second]]
        for column in np.flatnonzero(~np.isnan(labels).any(axis=0)):
            compartment = data.compartments[column]
            count = counts.setdefault((*sets, compartment), [0, 0])
            count[0] += 1
            one, other = labels[:, column]
            if one != other:
                count[1] += 1
                ids = (data.index.ids[first], data.index.ids[second])
                cells = (sets[0], ids[0], sets[1], ids[1], " and ".join(matched_by), compartment)
                rows.append((*cells, int(one), int(other)))
    order = {name: number for number, name in enumerate(dict.fromkeys(data.sets))}
    columns = {name: number for number, name in enumerate(data.compartments)}
    keys = sorted(counts, key=lambda key: (order[key[0]], order[key[1]], columns[key[2]]))
    table = pd.DataFrame(rows, columns=CONFLICT_COLUMNS)
    return Conflicts(table, pd.DataFrame([(*k, *counts[k]) for k in keys], columns=COUNT_COLUMNS))


def _shared_pairs(data: SequenceSet, sets: Sequence[str]) -> dict[tuple[int, int], list[str]]:
    """Pairs of rows of two sets that are the same RNA -> what they have in common, row order."""
    keys = {
        "sequence": [_sequence_key(sequence) for sequence in data.sequences],
        "id": [_id_key(rna_id) for rna_id in data.index.ids],
    }
    pairs: dict[tuple[int, int], list[str]] = {}
    for name, values in keys.items():
        rows_of: dict[str, list[int]] = {}
        for row, value in enumerate(values):
            if value:
                rows_of.setdefault(value, []).append(row)
        for rows in rows_of.values():
            for first, second in itertools.combinations(rows, 2):
                if sets[first] != sets[second]:
                    pairs.setdefault((first, second), []).append(name)
    return dict(sorted(pairs.items()))


def _sequence_key(sequence: str) -> str:
    """Sequence as RNA; empty for one that says nothing."""
    rna = sequence.upper().replace("T", "U")
    return "" if set(rna) <= {"N"} else rna


def _id_key(rna_id: str) -> str:
    """Id without set, version and capitals; empty for a number, which names no RNA."""
    own = _VERSION.sub("", rna_id.partition(MARK)[2]).lower()
    return "" if own.isdigit() else own
