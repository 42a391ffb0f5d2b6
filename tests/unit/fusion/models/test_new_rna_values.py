"""Unusual k-mers and warnings of new RNAs, worked by hand."""

from __future__ import annotations

import numpy as np

from fusion.models.new_rnas import NewRNAs, unusual_kmers, warnings_of
from fusion.models.reference import ReferenceRNAs
from fusion.tokens.builders import kmer_frequencies
from fusion.tokens.table import TokenTable
from mirnagraph.nodes import NodeIndex


def test_kmers_further_than_those_of_training_rnas_are_unusual() -> None:
    # frequencies of A, C, AA, AC, CA, CC, ...; AAAA has 1 in three columns, as AAAAA: distance 0;
    # AAAC is 0.25, 0.25, 1/3, 1/3, 1/2 and 1/2 away: sqrt(0.125 + 0.222222 + 0.5) = 0.920447
    training = kmer_frequencies(["AAAA", "AAAAA", "AAAC"])
    # nearest distances 0, 0 and 0.920447, their 99 % quantile 0.902038;
    # AAAA is at 0; CCCC is further than that from all
    assert unusual_kmers(["AAAA", "CCCC"], training).tolist() == [False, True]
    # AAAAC to AAAC: A 0.8 and 0.75, C 0.2 and 0.25, AA 0.75 and 2/3, AC 0.25 and 1/3, AAA 2/3 and
    # 1/2, AAC 1/3 and 1/2: sqrt(0.005 + 0.013889 + 0.055556) = 0.272845
    assert unusual_kmers(["AAAAC"], training).tolist() == [False]
    # training RNAs that are all equal leave no distance: AAAC is 0.920447 away
    equal = kmer_frequencies(["AAAA", "AAAAA"])
    assert unusual_kmers(["AAAAAA", "AAAC"], equal).tolist() == [False, True]
    # the length is not compared
    assert unusual_kmers(["A" * 400], training).tolist() == [False]


def warning(length: int, similarity: list[float]) -> str:
    """Warning of a new RNA; training RNAs have 4 and 8 nt, a third RNA of 2 nt is not one."""
    index = NodeIndex.of(["a", "b", "c"], "miRNA")
    nothing = np.full((3, 1), np.nan)
    trained = np.array([True, True, False])
    tokens = TokenTable(index, ())
    known = ReferenceRNAs(
        index,
        ("AAAA", "A" * 8, "AA"),
        ("",) * 3,
        trained,
        nothing,
        tokens,
        nothing,
        nothing,
        nothing,
    )
    near = np.array([similarity], dtype=np.float32)
    new = NewRNAs(("A" * length,), near, TokenTable(NodeIndex.of(["new"], "miRNA"), ()))
    return warnings_of(new, known)[0]


def test_warnings_of_length_and_of_the_nearest_training_rna() -> None:
    assert warning(4, [0.31, 0.1, 0]) == ""
    assert warning(8, [0.1, 0.31, 0]) == ""
    assert warning(3, [0.9, 0, 0]) == "3 nt, training RNAs have 4 to 8 nt"
    assert warning(9, [0.9, 0, 0]) == "9 nt, training RNAs have 4 to 8 nt"
    # 0.25 is chance, up to 0.3 unrelated; the third RNA is not a training RNA
    assert "no similar training RNA" in warning(5, [0.25, 0.2, 1])
    assert "nearest similarity 0.25" in warning(5, [0.25, 0.2, 1])
    assert "no related training RNA (nearest similarity 0.26)" in warning(5, [0.26, 0.2, 1])
    assert "no related training RNA (nearest similarity 0.30)" in warning(5, [0.2, 0.2999, 1])
