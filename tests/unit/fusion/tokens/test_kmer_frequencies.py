"""Words of a sequence as a token: worked by hand."""

from __future__ import annotations

import numpy as np

from fusion.tokens.builders import kmer_frequencies
from seqtower.data.kmers import kmer_names


def test_words_are_counted_by_hand() -> None:
    names = [*kmer_names(3), "length"]
    found = kmer_frequencies(["ACGN", None, "", "GG"])
    assert found.shape == (4, 4 + 16 + 64 + 1)
    expected = {
        "A": 1 / 4,
        "C": 1 / 4,
        "G": 1 / 4,
        "AC": 1 / 3,
        "CG": 1 / 3,
        "ACG": 1 / 2,
        "length": 4,
    }
    assert {name: value for name, value in zip(names, found[0], strict=True) if value} == expected
    assert not found[1:3].any()
    assert {name: value for name, value in zip(names, found[3], strict=True) if value} == {
        "G": 1,
        "GG": 1,
        "length": 2,
    }
    assert found.dtype == np.float64
