"""Index of k-mers: counts by hand, equal to those of sets, whichever way k-mers are numbered."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirnagraph.seeds import generator
from seqtower.data import clusters, kmer_index
from seqtower.data.clusters import cluster, identity
from seqtower.data.kmer_index import KmerIndex, different_kmers


def kmers(sequence: str, k: int) -> set[str]:
    words = {sequence[at : at + k] for at in range(len(sequence) - k + 1)}
    return {word for word in words if "N" not in word}


def test_numbers_by_hand() -> None:
    assert different_kmers("AACNACU", 2).tolist() == [0, 1, 7], "AA, AC, CU"
    assert different_kmers("UUUU", 3).tolist() == [63]
    assert different_kmers("ACNGU", 3).tolist() == []
    assert different_kmers("", 3).tolist() == []


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text("ACGUN", max_size=30), max_size=8), st.integers(1, 4), st.booleans())
def test_shared_kmers_are_those_of_sets(sequences: list[str], k: int, few: bool) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kmer_index, "FEW", 2**20 if few else 0)
        index = KmerIndex(sequences, k)
        added: list[int] = []
        for place, sequence in enumerate(sequences):
            own = index.kmers_of(sequence)
            assert len(own) == len(kmers(sequence, k))
            places, counts = index.shared(own)
            found = dict(zip(places.tolist(), counts.tolist(), strict=True))
            expected = {
                other: len(kmers(sequence, k) & kmers(sequences[other], k)) for other in added
            }
            assert found == {other: n for other, n in expected.items() if n}
            assert places.tolist() == sorted(found)
            if place % 3 != 1:
                index.add(place, own)
                added.append(place)


def slow_cluster(sequences: list[str]) -> list[int]:
    """Clusters by the definition: each joins the longest earlier representative it resembles."""
    order = sorted(range(len(sequences)), key=lambda row: (-len(sequences[row]), sequences[row]))
    leaders: list[int] = []
    of_row = {}
    for row in order:
        own = kmers(sequences[row], clusters.K)
        of_row[row] = row
        for leader in leaders:
            theirs = kmers(sequences[leader], clusters.K)
            share = len(own & theirs) / len(own) if own else float("nan")
            is_same = not own and sequences[row] == sequences[leader]
            is_near = share >= clusters.CANDIDATE
            is_near = is_near and identity(sequences[leader], sequences[row]) >= clusters.IDENTITY
            if is_same or share >= clusters.CERTAIN or is_near:
                of_row[row] = leader
                break
        else:
            leaders.append(row)
    numbers = {
        leader: n for n, leader in enumerate(dict.fromkeys(of_row[r] for r in range(len(order))))
    }
    return [numbers[of_row[row]] for row in range(len(order))]


@pytest.mark.parametrize("few", [0, 2**20])
def test_clusters_are_those_of_the_definition(few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kmer_index, "FEW", few)
    rng = generator(6, "clusters")
    sequences = []
    for length in rng.integers(5, 300, 30).tolist():
        letters = rng.choice(list("ACGUN"), length, p=[0.25, 0.25, 0.25, 0.24, 0.01])
        sequences.append("".join(letters))
        for share in (0.05, 0.25):
            changed = np.where(rng.random(length) < share, "A", letters)
            sequences.append("".join(changed[: rng.integers(5, length + 1)]))
    sequences += ["ACG", "NNN", "ACG", ""]
    found = cluster(sequences).tolist()
    assert found == slow_cluster(sequences)
    assert 10 < len(set(found)) < len(sequences) - 10


def test_memory_is_a_few_bytes_per_nucleotide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kmer_index, "FEW", 0)
    rng = generator(7, "index")
    sequences = ["".join(rng.choice(list("ACGU"), 3000)) for _ in range(200)]
    KmerIndex(sequences[:1], 8)  # compiled
    tracemalloc.start()
    index = KmerIndex(sequences, 8)
    for place, sequence in enumerate(sequences):
        index.add(place, index.kmers_of(sequence))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    n_kmers = sum(len(different_kmers(sequence, 8)) for sequence in sequences)
    assert 4 * n_kmers < peak < 4.2 * n_kmers + 12 * 4**8
