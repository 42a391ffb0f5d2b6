"""k-mer counts by hand, and clusters that hold near-copies together whatever the order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirnagraph.seeds import generator
from seqtower.data import clusters
from seqtower.data.clusters import cluster, identity, near_copies
from seqtower.data.kmers import kmer_counts, kmer_names, one_hot


def random_rna(rng: np.random.Generator, length: int) -> str:
    return "".join(rng.choice(list("ACGU"), length))


def mutated(sequence: str, rng: np.random.Generator, share: float) -> str:
    letters = list(sequence)
    for place in rng.choice(len(letters), int(share * len(letters)), replace=False):
        letters[place] = "ACGU"[("ACGU".index(letters[place]) + 1) % 4]
    return "".join(letters)


def test_counts_by_hand() -> None:
    names = kmer_names(2)
    assert names[:5] == ["A", "C", "G", "U", "AA"]
    assert len(kmer_names(5)) == 1364
    counts = dict(
        zip(names, kmer_counts(["AACNAC"], 2, frequencies=False, length=False)[0], strict=True)
    )
    assert (counts["A"], counts["C"], counts["AA"], counts["AC"], counts["CA"]) == (3, 2, 1, 2, 0)
    shares = kmer_counts(["AACNAC", "A"], 2)
    np.testing.assert_allclose(shares[0, :4].sum(), 1, rtol=1e-6)
    np.testing.assert_allclose(shares[:, -1], np.log([6, 1]), rtol=1e-6)
    assert (shares[1, 4:-1] == 0).all()


@given(st.text("ACGUN", min_size=1, max_size=40))
def test_counts_equal_counting_words(sequence: str) -> None:
    found = dict(
        zip(
            kmer_names(3),
            kmer_counts([sequence], 3, frequencies=False, length=False)[0],
            strict=True,
        )
    )
    assert all(
        found[w] == sum(sequence[i : i + len(w)] == w for i in range(len(sequence))) for w in found
    )


def test_one_hot_has_no_letter_for_n() -> None:
    np.testing.assert_array_equal(one_hot("AUN"), [[1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0]])


def test_near_copies_stay_together_and_others_apart() -> None:
    rng = generator(0, "clusters")
    first, second = random_rna(rng, 600), random_rna(rng, 500)
    sequences = [
        first,
        second,
        mutated(first, rng, 0.1),
        first[100:400],
        mutated(second, rng, 0.4),
        random_rna(rng, 80),
        second,
        "ACG",
        "ACG",
        "ACU",
    ]
    found = cluster(sequences)
    assert found.tolist() == [0, 1, 0, 0, 2, 3, 1, 4, 4, 5]


@pytest.mark.parametrize("chunk", [1, 3, 512])
def test_near_copies_of_another_set(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "CHUNK", chunk)
    rng = generator(4, "clusters")
    first, second = random_rna(rng, 600), random_rna(rng, 500)
    references = [random_rna(rng, 300), first, second, "ACG", first]
    sequences = [
        first,
        mutated(second, rng, 0.1),
        first[100:400],
        random_rna(rng, 200) + second,
        mutated(second, rng, 0.4),
        random_rna(rng, 80),
        "ACG",
        "ACU",
    ]
    assert near_copies(sequences, references).tolist() == [1, 2, 1, 2, -1, -1, 3, -1]
    assert near_copies(sequences, []).tolist() == [-1] * len(sequences)
    assert near_copies([], references).tolist() == []


def test_the_share_of_k_mers_is_that_of_the_shorter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "identity", lambda *_: 0.0)
    rng = generator(5, "clusters")
    part = random_rna(rng, 120)  # 109 k-mers
    whole = random_rna(rng, 400) + part
    assert near_copies([part], [whole]).tolist() == [0]
    assert near_copies([whole], [part]).tolist() == [0]
    assert near_copies([part[:110] + random_rna(rng, 10)], [whole]).tolist() == [0], "99 of 109"
    assert near_copies([part[:100] + random_rna(rng, 20)], [whole]).tolist() == [-1], "89 of 109"


@settings(max_examples=15, deadline=None)
@given(st.permutations(list(range(8))))
def test_clusters_do_not_depend_on_the_order(order: list[int]) -> None:
    rng = generator(1, "clusters")
    base = [random_rna(rng, n) for n in (300, 250, 200, 90)]
    sequences = base + [mutated(one, rng, 0.08) for one in base]
    found = cluster([sequences[i] for i in order])
    partner = {i: found[order.index(i)] for i in range(8)}
    assert all(partner[i] == partner[i + 4] for i in range(4))
    assert len(set(found)) == 4


def test_identity_is_a_share_of_the_shorter(monkeypatch: pytest.MonkeyPatch) -> None:
    assert identity("ACGUACGUAC", "GGACGUACGUACGG") == 1.0
    assert identity("AAAAAAAAAA", "CCCCCCCCCC") == 0.0
    monkeypatch.setattr("seqtower.data.clusters.IDENTITY", 0.3)
    monkeypatch.setattr("seqtower.data.clusters.CANDIDATE", 0.01)
    rng = generator(2, "clusters")
    one = random_rna(rng, 200)
    assert cluster([one, mutated(one, rng, 0.2)]).tolist() == [0, 0]
