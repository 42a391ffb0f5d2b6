"""Clusters of near-duplicate sequences by shared k-mers and Smith-Waterman identity."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from scipy import sparse

from mirnagraph.parallel import Progress, report
from mirnagraph.reading.arguments import checked
from mirnagraph.reading.nucleotides import rna_sequences, to_rna
from seqtower.data.kmer_index import KmerIndex, different_kmers

LONGEST_ALIGNED = 20_000
"""Nucleotides of the longest pair that is aligned; beyond it shared k-mers alone decide."""


K = 12

CANDIDATE = 0.1
"""Share of the shorter sequence's k-mers in both, from which a pair is aligned."""

CERTAIN = 0.9
"""Share of k-mers from which a pair is a near-duplicate without an alignment."""

CHUNK = 512
"""Sequences whose shared k-mers with all references are counted at a time."""

IDENTITY = 0.8
"""Share of the shorter sequence's nucleotides matched by a local alignment, from which a pair is a
near-duplicate."""


@checked
def cluster(sequences: Sequence[str], progress: Progress | None = None) -> np.ndarray:
    """Cluster near-duplicate sequences greedily, as CD-HIT does.

    From the longest sequence to the shortest (ties in alphabetical order), each joins the cluster
    of the longest earlier representative of which it is a near-duplicate, or becomes a
    representative. Clusters do not depend on the order of the sequences.

    Args:
        sequences: of ACGTUN in any case.
        progress: called after each sequence.

    Returns:
        Cluster number of every sequence: int64, shape (n,), in order of first appearance.

    Raises:
        InputError: an invalid nucleotide.
    """
    sequences = rna_sequences(sequences)
    order = sorted(range(len(sequences)), key=lambda row: (-len(sequences[row]), sequences[row]))
    ordered = [sequences[row] for row in order]
    index = KmerIndex(ordered, K)
    leader = np.full(len(order), -1)
    without_kmers: dict[str, int] = {}
    for place, sequence in enumerate(ordered):
        report(progress, "clusters", place + 1, len(order))
        kmers = index.kmers_of(sequence)
        if len(kmers):
            leader[place] = _leader_of(place, kmers, ordered, index)
        else:  # shorter than k, or with an N in every k-mer
            leader[place] = without_kmers.setdefault(sequence, place)
        if leader[place] == place:
            index.add(place, kmers)
    of_row = np.empty(len(order), dtype=np.int64)
    of_row[order] = leader
    _, first, number = np.unique(of_row, return_index=True, return_inverse=True)
    return np.asarray(np.argsort(np.argsort(first))[number], dtype=np.int64)


@checked
def near_copies(
    sequences: Sequence[str], references: Sequence[str], progress: Progress | None = None
) -> np.ndarray:
    """Find for each sequence a reference of which it is a near-duplicate, as `cluster` has it.

    Only pairs of a sequence and a reference are compared: shared k-mers of all pairs by products of
    sparse matrices, then alignments of the pairs that share some.

    Args:
        sequences: of ACGTUN in any case.
        references: the same.
        progress: called after each chunk of sequences.

    Returns:
        Row of the first such reference, -1 for none: int64, shape (n_sequences,).

    Raises:
        InputError: an invalid nucleotide.
    """
    sequences = rna_sequences(sequences)
    references = rna_sequences(references, "reference")
    found = np.full(len(sequences), -1, dtype=np.int64)
    equal = {sequence: row for row, sequence in reversed(list(enumerate(references)))}
    kmers = [different_kmers(sequence, K) for sequence in references]
    different = np.unique(np.concatenate([np.zeros(0, dtype=np.int64), *kmers]))
    by_kmer = _kmer_columns(kmers, different).T.tocsr()
    n_kmers = np.array([len(numbers) for numbers in kmers])
    lengths = np.array([len(sequence) for sequence in references])
    for start in range(0, len(sequences), CHUNK):
        chunk = sequences[start : start + CHUNK]
        of_chunk = [different_kmers(sequence, K) for sequence in chunk]
        shared = (_kmer_columns(of_chunk, different) @ by_kmer).tocsr()
        for place, sequence in enumerate(chunk):
            row = slice(shared.indptr[place], shared.indptr[place + 1])
            others = shared.indices[row]
            is_shorter = len(sequence) <= lengths[others]
            n_own = np.where(is_shorter, len(of_chunk[place]), n_kmers[others])
            share = shared.data[row] / n_own
            found[start + place] = equal.get(sequence, -1)
            if found[start + place] < 0:
                pairs = sorted(zip(others.tolist(), share.tolist(), strict=True))
                found[start + place] = _first_copy(sequence, references, pairs)
        report(progress, "near-copies", min(start + CHUNK, len(sequences)), len(sequences))
    return found


def _first_copy(
    sequence: str, references: Sequence[str], pairs: Sequence[tuple[int, float]]
) -> int:
    """First of some references that a sequence is a near-duplicate of; -1 for none.

    Args:
        sequence: nucleotides.
        references: of the rows in `pairs`.
        pairs: row of a reference, and share of the shorter sequence's k-mers in both.
    """
    for row, share in pairs:
        if share >= CERTAIN:
            return row
        if share >= CANDIDATE and identity(references[row], sequence) >= IDENTITY:
            return row
    return -1


def identity(first: str, second: str) -> float:
    """Return the share of the shorter sequence that the best local alignment matches.

    N is no known nucleotide: it matches nothing, and is left out of the length of the shorter one.
    0 for two sequences that are both longer than `LONGEST_ALIGNED`.
    """
    shorter, longer = sorted((to_rna(first), to_rna(second)), key=len)
    n_known = len(shorter) - shorter.count("N")
    if len(shorter) > LONGEST_ALIGNED or not n_known:
        return 0.0
    import parasail

    # an N of one sequence and an N of the other are different letters
    longer = longer.replace("N", "X")
    result = parasail.sw_stats_striped_sat(shorter, longer, 5, 2, _matrix())
    return float(result.matches) / n_known


@cache
def _matrix() -> Any:
    import parasail  # takes 0.2 s to import, and predictions do not need it

    matrix = parasail.matrix_create("ACGUNX", 2, -3)
    for unknown in (4, 5):
        for other in range(6):
            matrix[unknown, other] = 0
            matrix[other, unknown] = 0
    return matrix


def _leader_of(
    place: int, kmers: np.ndarray, sequences: Sequence[str], representatives: KmerIndex
) -> int:
    """First representative of which a sequence with k-mers is a near-duplicate, or its place.

    Args:
        place: of the sequence.
        kmers: its k-mers.
        sequences: of all places.
        representatives: index of the representatives before it.
    """
    others, n_shared = representatives.shared(kmers)
    share = n_shared / len(kmers)
    is_candidate = share >= CANDIDATE
    pairs = zip(others[is_candidate].tolist(), share[is_candidate].tolist(), strict=True)
    first = _first_copy(sequences[place], sequences, list(pairs))
    return place if first < 0 else first


def _kmer_columns(numbers: Sequence[np.ndarray], different: np.ndarray) -> sparse.csr_array:
    """Which of some k-mers each sequence has: 0/1, shape (n, len(different)).

    Args:
        numbers: of `different_kmers`, one array per sequence.
        different: sorted numbers of the k-mers in the columns; others are left out.
    """
    rows = []
    for of_sequence in numbers:
        places = np.searchsorted(different, of_sequence)
        is_inside = places < len(different)
        is_column = np.zeros(len(places), dtype=bool)
        is_column[is_inside] = different[places[is_inside]] == of_sequence[is_inside]
        rows.append(places[is_column])
    pointer = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
    columns = np.concatenate([np.zeros(0, dtype=np.int64), *rows])
    ones = np.ones(len(columns), dtype=np.int32)
    return sparse.csr_array((ones, columns, pointer), shape=(len(numbers), max(len(different), 1)))
