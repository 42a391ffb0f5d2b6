"""Conflicts between sets by hand: same sequence or id, unknown labels, counts and sentences."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mirnagraph.evaluation.metrics import MULTI_LABEL
from mirnagraph.nodes import NodeIndex
from seqtower.data.conflicts import find_conflicts
from seqtower.data.sequences import LEFT_OUT_COLUMNS, SequenceSet
from seqtower.data.sets import merge_sets

NAN = np.nan
COMPARTMENTS = ("Nucleus", "Exosome")


def labelled(
    ids: list[str],
    sequences: list[str],
    labels: list[list[float]],
    names: tuple[str, ...] = COMPARTMENTS,
) -> SequenceSet:
    nothing = pd.DataFrame(columns=LEFT_OUT_COLUMNS)
    index = NodeIndex.of(ids, "RNA")
    values = np.array(labels)
    return SequenceSet(index, tuple(sequences), values, names, MULTI_LABEL, None, nothing)


# a and b have one sequence, NR_1.1 and nr_1.2 one id; two Ns and the number 7 say nothing
FIRST = labelled(
    ["a", "NR_1.1", "n", "7", "same"],
    ["ACGU", "GGGG", "NN", "AAAA", "CCCC"],
    [[1, 0], [1, 1], [1, 1], [1, 1], [0, 1]],
)
SECOND = labelled(
    ["b", "nr_1.2", "m", "7", "same", "a2"],
    ["ACGT", "GGGC", "NN", "UUUU", "CCCC", "ACGU"],
    [[1, 1], [0, NAN], [0, 0], [0, 0], [0, 0], [1, 0]],
)
THIRD = labelled(["q"], ["ACGU"], [[0.0]], ("EV",))


def test_by_hand() -> None:
    types = {"one": "lncRNA", "two": "mRNA", "three": "circRNA"}
    merged = merge_sets(
        {"one": FIRST, "two": SECOND, "three": THIRD}, types, {"three": {"EV": "Exosome"}}
    )
    found = find_conflicts(merged)
    assert found.table.to_numpy().tolist() == [
        ["one", "one|a", "two", "two|b", "sequence", "Exosome", 0, 1],
        ["one", "one|NR_1.1", "two", "two|nr_1.2", "id", "Nucleus", 1, 0],
        ["one", "one|same", "two", "two|same", "sequence and id", "Exosome", 1, 0],
        ["two", "two|b", "three", "three|q", "sequence", "Exosome", 1, 0],
    ]
    # one and two share a with b and a2, NR_1 (Exosome unknown in two) and same
    assert found.counts.to_numpy().tolist() == [
        ["one", "two", "Nucleus", 4, 1],
        ["one", "two", "Exosome", 3, 2],
        ["one", "three", "Exosome", 1, 0],
        ["two", "three", "Exosome", 2, 1],
    ]
    assert found.sentences() == [
        "Conflicting labels of the RNAs shared by one and two: Nucleus 1 of 4, Exosome 2 of 3.",
        "Conflicting labels of the RNAs shared by one and three: Exosome 0 of 1.",
        "Conflicting labels of the RNAs shared by two and three: Exosome 1 of 2.",
    ]


def test_sets_that_share_nothing() -> None:
    other = labelled(["x"], ["GAGA"], [[1, 0]])
    merged = merge_sets({"one": FIRST, "two": other}, {"one": "mRNA", "two": "mRNA"})
    found = find_conflicts(merged)
    assert found.table.empty
    assert found.sentences() == ["No RNA is in two sets with labels of the same compartment."]
    with pytest.raises(ValueError, match="a single set"):
        find_conflicts(FIRST)
