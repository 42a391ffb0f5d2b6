"""k-mers by hand: order of columns, shares per length, circles, N."""

from __future__ import annotations

import numpy as np
import pytest

from mirnagraph.errors import ConfigError
from seqtower.data.kmers import closed, kmer_counts, kmer_names, word_numbers


def test_numbers_of_words_are_their_places_among_the_names() -> None:
    assert word_numbers("ACGUNA", 1).tolist() == [0, 1, 2, 3, -1, 0]
    assert word_numbers("ACGUNA", 2).tolist() == [1, 6, 11, -1, -1]
    assert word_numbers("UUUU", 3).tolist() == [63, 63]
    assert word_numbers("ACG", 3).tolist() == [6]
    assert word_numbers("AC", 3).tolist() == []


def test_names_grow_letter_by_letter() -> None:
    names = kmer_names(3)
    assert len(names) == 4 + 16 + 64
    assert names[4:8] == ["AA", "AC", "AG", "AU"]
    assert (names[20], names[-1]) == ("AAA", "UUU")
    assert len(kmer_names()) == 4 + 16 + 64 + 256 + 1024


def test_shares_are_of_words_of_one_length() -> None:
    found = kmer_counts(["AACAN"])[0]
    assert found.shape == (1365,)
    names = [*kmer_names(), "log length"]
    seen = {name: value for name, value in zip(names, found.tolist(), strict=True) if value}
    expected = {
        "A": 3 / 4,
        "C": 1 / 4,
        "AA": 1 / 3,
        "AC": 1 / 3,
        "CA": 1 / 3,
        "AAC": 1 / 2,
        "ACA": 1 / 2,
        "AACA": 1,
        "log length": np.log(5),
    }
    assert seen == pytest.approx(expected)


def test_counts_of_circles_and_of_nothing() -> None:
    given = {"frequencies": False, "length": False}
    line, circle = kmer_counts(["GAU", "GAU"], 2, circular=[False, True], **given)
    names = kmer_names(2)
    assert {name for name, value in zip(names, line, strict=True) if value} == {
        "G",
        "A",
        "U",
        "GA",
        "AU",
    }
    assert {name for name, value in zip(names, circle, strict=True) if value} == {
        "G",
        "A",
        "U",
        "GA",
        "AU",
        "UG",
    }
    assert kmer_counts(["NN", "A"], 1).tolist() == [
        [0, 0, 0, 0, np.float32(np.log(2))],
        [1, 0, 0, 0, 0],
    ]
    assert kmer_counts([""], 1).tolist() == [[0, 0, 0, 0, 0]]
    assert kmer_counts([], 2).shape == (0, 21)


def test_longest_words_are_of_one_to_eight_letters() -> None:
    assert kmer_counts(["ACGU"], 1, length=False).tolist() == [[0.25] * 4]
    assert kmer_counts(["A" * 8], 8)[0, -2 - (4**8 - 1)] == 1
    for k in (0, 9):
        with pytest.raises(ConfigError, match="1 to 8"):
            kmer_counts(["ACGU"], k)


def test_a_circle_is_closed_by_one_letter_less_than_the_window() -> None:
    assert [closed("ACGU", width) for width in (0, 1, 2, 4)] == ["ACGU", "ACGU", "ACGUA", "ACGUACG"]
