"""Clusters of near-copies: greedy, by shared k-mers and Smith-Waterman identity, so that folds can keep them together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from scipy import sparse

from mirnagraph.config import require
from mirnagraph.parallel import Progress, report
from seqtower.data.kmers import word_numbers

# Alignments of two sequences longer than this take seconds; beyond it shared k-mers alone decide.
LONGEST_ALIGNED = 20_000


@dataclass(frozen=True)
class ClusterConfig:
    """What counts as a near-copy.

    Attributes:
        k: letters of a word, 6 to 15.
        candidate: least share of the shorter sequence's words that both hold, for a pair to be aligned at all.
        certain: share from which a pair is a near-copy without an alignment.
        identity: least share of the shorter sequence's letters that a local alignment matches.
    """

    k: int = 12
    candidate: float = 0.1
    certain: float = 0.9
    identity: float = 0.8

    def __post_init__(self) -> None:
        require(6 <= self.k <= 15, "k", self.k, "6 to 15")
        require(
            0 < self.candidate <= self.certain <= 1,
            "candidate, certain",
            (self.candidate, self.certain),
            "in (0, 1], candidate not above certain",
        )
        require(0 < self.identity <= 1, "identity", self.identity, "in (0, 1]")


def cluster(
    sequences: Sequence[str], config: ClusterConfig | None = None, progress: Progress | None = None
) -> np.ndarray:
    """Cluster number of every sequence: int64, shape (n,), numbered in order of first appearance.

    From the longest sequence to the shortest, each joins the cluster of the longest earlier representative that it is a near-copy
    of, or becomes a representative itself (as CD-HIT does). The result does not depend on the order of the sequences, except that
    of sequences of one length the alphabetically first comes first.
    """
    config = config or ClusterConfig()
    order = sorted(range(len(sequences)), key=lambda row: (-len(sequences[row]), sequences[row]))
    held = _word_matrix([sequences[row] for row in order], config.k)
    by_word = held.T.tocsr()
    sizes = np.diff(held.indptr)
    leader = np.full(len(order), -1)
    for place in range(len(order)):
        report(progress, "clusters", place + 1, len(order))
        leader[place] = place
        if sizes[place] == 0:
            same = [
                other
                for other in range(place)
                if sequences[order[other]] == sequences[order[place]]
            ]
            leader[place] = leader[same[0]] if same else place
            continue
        row = held.indices[held.indptr[place] : held.indptr[place + 1]]
        shared = np.bincount(
            np.concatenate(
                [by_word.indices[by_word.indptr[w] : by_word.indptr[w + 1]] for w in row]
            ),
            minlength=len(order),
        )[:place]
        share = shared / sizes[place]
        for other in np.flatnonzero(
            (share >= config.candidate) & (leader[:place] == np.arange(place))
        ):
            if (
                share[other] >= config.certain
                or identity(sequences[order[other]], sequences[order[place]]) >= config.identity
            ):
                leader[place] = other
                break
    of_row = np.empty(len(order), dtype=np.int64)
    of_row[order] = leader
    _, first, number = np.unique(of_row, return_index=True, return_inverse=True)
    return np.asarray(np.argsort(np.argsort(first))[number], dtype=np.int64)


def identity(one: str, other: str) -> float:
    """Letters that the best local alignment matches, as a share of the shorter sequence; 0 where both are too long to align."""
    shorter, longer = sorted((one, other), key=len)
    if len(shorter) > LONGEST_ALIGNED:
        return 0.0
    import parasail

    found = parasail.sw_stats_striped_sat(shorter, longer, 5, 2, _matrix())
    return float(found.matches) / max(len(shorter), 1)


@cache
def _matrix() -> Any:
    import parasail  # a fifth of a second to load, and models are opened and asked without it

    return parasail.matrix_create("ACGU", 2, -3)


def _word_matrix(sequences: Sequence[str], k: int) -> sparse.csr_array:
    """Which words each sequence holds: binary, shape (n, number of different words)."""
    found = [np.setdiff1d(word_numbers(sequence, k), [-1]) for sequence in sequences]
    known, columns = np.unique(
        np.concatenate(found) if found else np.zeros(0, dtype=np.int64), return_inverse=True
    )
    pointer = np.concatenate([[0], np.cumsum([len(one) for one in found])])
    return sparse.csr_array(
        (np.ones(len(columns), dtype=np.int8), columns, pointer),
        shape=(len(sequences), max(len(known), 1)),
    )
