"""Sequences in DNA letters and lower case, circles shorter than a window, both ends of an RNA."""

from __future__ import annotations

import numpy as np
import pytest

from mirnagraph.errors import InputError
from seqtower.data.clusters import cluster, identity, near_copies
from seqtower.data.kmers import closed, kmer_counts, kmer_names, one_hot
from seqtower.data.sequences import LengthPolicy
from seqtower.encoders.descriptors import descriptor_names, descriptors, junction
from seqtower.interpret.attribution import Attribution, top_kmers
from seqtower.interpret.motifs import _head

RNG = np.random.default_rng(7)
WHOLE = "".join(RNG.choice(list("ACGU"), 200))
COPY = f"{WHOLE[:100]}{'C' if WHOLE[100] == 'A' else 'A'}{WHOLE[101:]}"
OTHER = "".join(RNG.choice(list("ACGU"), 200))


def as_dna(text: str) -> str:
    return text.replace("U", "T").lower()


def test_clusters_of_any_spelling() -> None:
    assert cluster([WHOLE, as_dna(COPY), OTHER]).tolist() == [0, 0, 1]
    assert cluster(["ACGU", "acgt", "ACGA"]).tolist() == [0, 0, 1]
    assert near_copies([as_dna(COPY), OTHER], [WHOLE]).tolist() == [0, -1]
    assert near_copies([COPY], [as_dna(WHOLE)]).tolist() == [0]
    assert identity("acgtacgt", "ACGUACGU") == 1
    with pytest.raises(InputError, match="invalid nucleotide in the sequence of sequence 1 at pos"):
        cluster([WHOLE, "ACXG"])
    with pytest.raises(InputError, match="invalid nucleotide in the sequence of reference 0"):
        near_copies([WHOLE], ["AC-G"])


def test_kmers_and_descriptors_of_any_spelling() -> None:
    assert np.array_equal(one_hot("acgTn"), [*np.eye(4), np.zeros(4)])
    assert np.array_equal(kmer_counts([as_dna(WHOLE)]), kmer_counts([WHOLE]))
    assert np.array_equal(descriptors([as_dna(WHOLE)]), descriptors([WHOLE]))
    assert np.array_equal(junction([as_dna(WHOLE)], [True]), junction([WHOLE], [True]))
    with pytest.raises(InputError, match="invalid nucleotide"):
        kmer_counts(["ACX"])
    for function in (kmer_counts, descriptors):
        with pytest.raises(InputError, match="one flag per sequence is needed; found 1"):
            function(["ACG", "ACG"], circular=[True])


@pytest.mark.parametrize(
    ("sequence", "width", "expected"),
    [("ACGU", 1, "ACGU"), ("ACGU", 5, "ACGUACGU"), ("AC", 5, "ACACAC"), ("A", 4, "AAAA")],
)
def test_a_window_starts_once_at_every_nucleotide(sequence: str, width: int, expected: str) -> None:
    assert closed(sequence, width) == expected


def test_a_circle_shorter_than_a_word_has_one_at_every_nucleotide() -> None:
    counts = kmer_counts(["ACG"], 5, frequencies=False, length=False, circular=[True])[0]
    names = kmer_names(5)
    words = {name: int(n) for name, n in zip(names, counts, strict=True) if n}
    expected = "A C G AC CG GA ACG CGA GAC ACGA CGAC GACG ACGAC CGACG GACGA"
    assert words == dict.fromkeys(expected.split(), 1)


@pytest.mark.parametrize("length", [5, 12, 27, 40, 130])
def test_descriptors_of_a_circle_do_not_depend_on_its_cut(length: int) -> None:
    sequence = WHOLE[:length]
    turned = [sequence[at:] + sequence[:at] for at in range(length)]
    values = descriptors(turned, circular=[True] * length)
    has_no_end = [" in the " not in n and "near the 3" not in n for n in descriptor_names()]
    assert np.ptp(values[:, has_no_end], axis=0).max() < 1e-5


def test_no_word_runs_from_one_end_of_an_rna_into_the_other() -> None:
    sequence = "AAGC" + "U" * 92 + "GUAA"
    positions = LengthPolicy("both-ends", 8).positions(100)
    values = np.array([0, 0, 1, 5, 5, 1, 0, 0.5])[:, None]
    found = top_kmers([(sequence, Attribution(positions, values, np.zeros(1)))], ("c",), k=4)
    # across the gap GCGU would have 12
    assert found == [("c", "GUAA", 6.5, 1)]
    assert top_kmers([(sequence, Attribution(positions, values, np.zeros(1)))], ("c",), k=5) == []


@pytest.mark.parametrize(
    ("policy", "length", "head"),
    [
        (LengthPolicy("both-ends", 8), 100, 4),
        (LengthPolicy("both-ends", 9), 100, 4),
        (LengthPolicy("both-ends", 8), 8, 8),
        (LengthPolicy("3-prime", 8), 100, 8),
        (LengthPolicy(), 100, 100),
    ],
)
def test_where_the_gap_of_an_rna_is(policy: LengthPolicy, length: int, head: int) -> None:
    assert _head(policy, length) == head
