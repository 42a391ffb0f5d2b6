"""Scores of alignments: their bounds, N, and the longest sequence."""

from __future__ import annotations

import numpy as np
import pytest

from mirnagraph.errors import ConfigError, InputError
from mirnagraph.similarity.scorer import (
    INT32_MAX,
    AlignmentScores,
    known_sequences,
    parasail_matrix,
    parasail_rows,
)

LARGEST = 2**24 - 1


def test_the_scores_of_emboss_water() -> None:
    scores = AlignmentScores()
    assert (scores.match, scores.mismatch, scores.gap_open, scores.gap_extend) == (5, -4, 10, 1)


@pytest.mark.parametrize(
    ("name", "inside", "outside"),
    [
        ("match", 1, 0),
        ("match", LARGEST, LARGEST + 1),
        ("mismatch", 0, 1),
        ("mismatch", -LARGEST, -LARGEST - 1),
        ("gap_extend", 0, -1),
        ("gap_open", 1, 0),
        ("gap_open", LARGEST, LARGEST + 1),
    ],
)
def test_bounds_of_scores(name: str, inside: int, outside: int) -> None:
    assert getattr(AlignmentScores(**{name: inside}), name) == inside
    with pytest.raises(ConfigError, match=name):
        AlignmentScores(**{name: outside})


def test_n_scores_0() -> None:
    scores = AlignmentScores(match=2, mismatch=-3)
    expected = np.full((5, 5), -3)
    np.fill_diagonal(expected, 2)
    expected[4] = 0
    expected[:, 4] = 0
    assert scores.matrix() == expected.tolist()
    made = parasail_matrix(scores)  # owns the memory that its attribute shows
    np.testing.assert_array_equal(made.matrix[:5, :5], expected)


def test_parasail_scores_from_a_target_on() -> None:
    row = parasail_rows(["ACG", "AC", "G"], AlignmentScores())
    assert row("ACGU", 0).tolist() == [15, 10, 5]
    assert row("ACGU", 1).tolist() == [10, 5]


def test_the_longest_sequence_has_a_score_of_32_bits() -> None:
    """128 x 16777215 = 2147483520, of at most 2147483647."""
    assert np.iinfo(np.int32).max == INT32_MAX
    scores = AlignmentScores(match=LARGEST)
    assert known_sequences([None, "A" * 128], scores)[0] == [1]
    with pytest.raises(InputError, match=r"sequence 1 is too long.*129 nt.*at most 128 nt"):
        known_sequences([None, "A" * 129], scores)
