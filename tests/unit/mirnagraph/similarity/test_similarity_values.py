"""Similarity measures by hand where defaults, bounds and printed alignments decide."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mirnagraph.errors import ConfigError, InputError
from mirnagraph.similarity.disease import blend, disease_semantic_similarity, functional_similarity
from mirnagraph.similarity.profile import gip_similarity
from mirnagraph.similarity.smith_waterman import (
    Alignment,
    AlignmentScores,
    align,
    prepare_sequences,
    smith_waterman,
    smith_waterman_between,
)

UNIT = AlignmentScores(match=1, mismatch=-1, gap_open=2, gap_extend=1)


def test_gip_with_its_default_bandwidth() -> None:
    # squared norms 2, 1, 1: mean 4/3, so g = 3/4; squared distances 1, 3 and 2
    result = gip_similarity(np.array([[1, 1, 0], [1, 0, 0], [0, 0, 1]]))
    expected = np.exp(-0.75 * np.array([[0, 1, 3], [1, 0, 2], [3, 2, 0]]))
    np.testing.assert_allclose(result, expected, rtol=1e-14)


def test_gip_reads_weights_as_they_are() -> None:
    # profiles 3 and 1: squared norms 9 and 1, mean 5; squared distance 4
    assert gip_similarity(np.array([[3.0], [1.0]]), gamma=2.5)[0, 1] == pytest.approx(
        np.exp(-2.5 * 4 / 5)
    )


def test_decay_of_one_counts_every_ancestor_in_full() -> None:
    tree = pd.DataFrame(
        {"tree_number": ["C1", "C1.1", "C1.1.1", "C1.2"], "descriptor_id": ["R", "A", "D", "B"]}
    )
    diseases = pd.Series(["D", "B"])
    # D: D, A, R = 3; B: B, R = 2; R is common
    assert disease_semantic_similarity(tree, diseases, decay=1.0)[0, 1] == pytest.approx(
        (1 + 1) / (3 + 2)
    )
    for method in ("wang", "gtmaloc"):
        with pytest.raises(ConfigError, match=r"'decay' is 1\.5"):
            disease_semantic_similarity(tree, diseases, decay=1.5, method=method)


def test_the_two_readings_of_two_steps_up_differ() -> None:
    tree = pd.DataFrame({"tree_number": ["C1", "C1.1", "C1.1.1"], "descriptor_id": ["R", "A", "D"]})
    diseases = pd.Series(["D", "R"])
    # Wang: 1 + .4 + .16 = 1.56; GTMALoc: 1 + .4 + .2 = 1.6
    assert disease_semantic_similarity(tree, diseases, decay=0.4)[0, 1] == pytest.approx(
        (0.16 + 1) / (1.56 + 1)
    )
    result = disease_semantic_similarity(tree, diseases, decay=0.4, method="gtmaloc")
    assert result[0, 1] == pytest.approx((0.2 + 1) / (1.6 + 1))


def test_functional_similarity_of_unequal_numbers_of_diseases() -> None:
    semantic = np.array([[1.0, 0.5, 0.1], [0.5, 1.0, 0.3], [0.1, 0.3, 1.0]])
    profiles = np.array([[1, 1, 1], [0, 0, 1]])
    # to disease 2: .1, .3, 1; from it: 1
    assert functional_similarity(profiles, semantic)[0, 1] == pytest.approx((0.1 + 0.3 + 1 + 1) / 4)
    # the common disease 2: mean .1, .3, 1 is 1.4 / 3 to the first, 1 to the second
    result = functional_similarity(profiles, semantic, method="gtmaloc")
    assert result[0, 1] == pytest.approx((1.4 / 3 + 1) / 2)


def test_blend_weighs_both_alike_by_default_and_takes_any_rectangle() -> None:
    functional = np.array([[1.0, 0.2, 0.4]])
    interaction = np.array([[0.0, 0.8, 0.5]])
    np.testing.assert_allclose(blend(functional, interaction), [[0.5, 0.5, 0.45]])
    np.testing.assert_allclose(
        blend(functional.T, interaction.T, lambda_=0.25), [[0.25], [0.65], [0.475]]
    )


def test_shortest_sequences_and_smallest_scores() -> None:
    # s(A, A) = 1, so the scale is 1; A against AC: 1 / sqrt(1 x 2)
    result = smith_waterman(["A", "A", "AC"], UNIT)
    np.testing.assert_allclose(
        result, [[1, 1, 0.5**0.5], [1, 1, 0.5**0.5], [0.5**0.5, 0.5**0.5, 1]]
    )
    np.testing.assert_allclose(
        smith_waterman_between(["A"], ["A", "AN", "ACGU"], UNIT), [[1, 1, 0.5]]
    )


def test_gaps_are_weighed_against_both_lengths() -> None:
    # ACGUACGU against ACGACGU: 7 matches, one gap: 7 - 2 = 5 (four matches without it); 5 / sqrt(8
    # x 7)
    result = smith_waterman(["ACGUACGU", "ACGACGU"], UNIT)
    assert result[0, 1] == pytest.approx(5 / 56**0.5)


def test_scores_that_leave_32_bits_are_refused() -> None:
    # 256 x 2**23 is 2**31, one more than 32 bits hold; 255 x 2**23 is less
    scores = AlignmentScores(match=2**23)
    assert prepare_sequences(["A" * 255], [0], scores) == ["A" * 255]
    with pytest.raises(InputError, match="found 256 nt, expected at most 255 nt"):
        prepare_sequences(["A" * 256], [0], scores)
    with pytest.raises(ConfigError, match=r"below 2\*\*24"):
        AlignmentScores(mismatch=-(2**24))


def test_default_scores_are_those_of_water() -> None:
    a, c, g, u, n = AlignmentScores().matrix()
    assert a == [5, -4, -4, -4, 0]
    assert c == [-4, 5, -4, -4, 0]
    assert g == [-4, -4, 5, -4, 0]
    assert u == [-4, -4, -4, 5, 0]
    assert n == [0, 0, 0, 0, 0]
    assert (AlignmentScores().gap_open, AlignmentScores().gap_extend) == (10, 1)


def test_an_alignment_of_one_letter_and_one_of_none() -> None:
    assert align("GA", "CCA", UNIT) == Alignment(1, "A", "|", "A", 1, 2, 2, 3)
    assert align("AAAA", "CCCC") == Alignment(0, "", "", "", 0, 0, 0, 0)


def test_a_printed_alignment_lines_up_whatever_the_longer_number() -> None:
    assert str(align("UUUUUUUUUACGA", "ACGA")) == "10 ACGA 13\n   ||||\n 1 ACGA 4"
    assert str(align("ACGA", "UUUUUUUUUACGA")) == " 1 ACGA 4\n   ||||\n10 ACGA 13"


def test_the_sequence_that_cannot_be_aligned_is_named() -> None:
    with pytest.raises(InputError, match="sequence 0 at position 2"):
        align("AXG", "ACG")
    with pytest.raises(InputError, match="sequence 1 at position 2"):
        align("ACG", "AXG")
