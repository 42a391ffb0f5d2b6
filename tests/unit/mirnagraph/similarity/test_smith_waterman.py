"""Smith-Waterman similarity: values by hand, both engines against plain code, bad input."""

from __future__ import annotations

import numpy as np
import pytest

from mirnagraph.errors import ConfigError, InputError
from mirnagraph.similarity.smith_waterman import (
    ENGINES,
    AlignmentScores,
    align,
    alignment_scores,
    mature_similarity,
    smith_waterman,
    smith_waterman_between,
)


def plain_score(a: str, b: str, scores: AlignmentScores) -> int:
    """Gotoh's recursion, letter by letter."""
    low = -(10**12)
    best = 0
    above = [0] * (len(b) + 1)
    down = [low] * (len(b) + 1)
    for x in a:
        here, across = [0], low
        for j, y in enumerate(b, 1):
            letter = 0 if "N" in (x, y) else scores.match if x == y else scores.mismatch
            across = max(here[j - 1] - scores.gap_open, across - scores.gap_extend)
            down[j] = max(above[j] - scores.gap_open, down[j] - scores.gap_extend)
            here.append(max(0, above[j - 1] + letter, across, down[j]))
        best, above = max(best, *here), here
    return best


SETTINGS = [
    AlignmentScores(),
    AlignmentScores(1, -1, 2, 1),
    AlignmentScores(2, -3, 7, 2),
    AlignmentScores(5, 0, 0, 0),
    AlignmentScores(
        20, -3000, 2, 2
    ),  # gaps far cheaper than a mismatch: an insertion next to a deletion
    AlignmentScores(120, -130, 300, 9),  # a few matches leave 8 bits
    AlignmentScores(200, -30, 8, 0),  # one match leaves 8 bits
    AlignmentScores(3000, -4, 33000, 1),  # the scores leave 16 bits
]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("scores", SETTINGS, ids=str)
def test_engines_equal_the_plain_recursion(engine: str, scores: AlignmentScores) -> None:
    rng = np.random.default_rng(7)
    texts = [
        "".join(rng.choice(list("ACGUN"), p=[0.23, 0.23, 0.23, 0.23, 0.08], size=n))
        for n in (1, 2, 9, 17, 30, 45)
    ]
    texts.append(texts[4][:12] + texts[4][15:])  # a relative with a gap of three
    expected = [[plain_score(a, b, scores) for b in texts] for a in texts]
    assert alignment_scores(texts, texts, scores, engine=engine, workers=2).tolist() == expected
    assert np.count_nonzero(expected) > 10


@pytest.mark.parametrize("engine", ENGINES)
def test_gap_opening_pays_for_the_first_letter(engine: str) -> None:
    # 12 matches; one letter, then three letters left out of the middle: 60 - 10 and 60 - 10 - 2 * 1
    whole = "ACGUCAGGCUAUC"
    assert alignment_scores([whole], [whole[:6] + whole[7:]], engine=engine).item() == 12 * 5 - 10
    longer = whole[:6] + "GGG" + whole[6:]
    assert alignment_scores([longer], [whole], engine=engine).item() == 13 * 5 - 10 - 2 * 1


@pytest.mark.parametrize("engine", ENGINES)
def test_long_sequences_leave_16_bits(engine: str) -> None:
    text = "".join(np.random.default_rng(0).choice(list("ACGU"), size=9000))
    assert alignment_scores([text], [text, text[:4500]], engine=engine).tolist() == [[45000, 22500]]


def test_values_worked_by_hand() -> None:
    # ACGU against ACG: 15 / sqrt(20 * 15); against ACGN: the N is neutral, so 15 / sqrt(20 * 15)
    # too
    result = smith_waterman(["ACGU", "ACG", "ACGN", "AAAA", "CCC"])
    assert result[0, 1] == pytest.approx(15 / np.sqrt(300))
    assert result[0, 2] == pytest.approx(15 / np.sqrt(300))
    assert result[1, 2] == 1.0
    assert result[0, 3] == pytest.approx(5 / 20)
    assert result[3, 4] == 0.0


def test_t_is_u_and_case_does_not_matter() -> None:
    result = smith_waterman(["ACGUUGCA", "acgttgca", "ACGTTGCA"])
    assert (result == 1).all()


@pytest.mark.parametrize("engine", ENGINES)
def test_unknown_and_all_n_are_alike_to_nothing_but_themselves(engine: str) -> None:
    result = smith_waterman(["ACGU", None, "NNNN", float("nan"), "ACGU"], engine=engine)
    expected = np.eye(5)
    expected[0, 4] = expected[4, 0] = 1
    assert result.tolist() == expected.tolist()


def test_empty_and_single() -> None:
    assert smith_waterman([]).shape == (0, 0)
    assert smith_waterman(["A"]).tolist() == [[1.0]]
    assert smith_waterman([None]).tolist() == [[1.0]]
    assert smith_waterman_between([], ["ACG"]).shape == (0, 1)
    assert mature_similarity([]).shape == (0, 0)


def test_between_is_a_part_of_all_against_all() -> None:
    texts = ["ACGUACGGAC", "GGACUUACG", None, "NACGNNAC", "CCCUUACGA"]
    full = smith_waterman(texts)
    part = smith_waterman_between(texts[:3], texts[3:])
    assert part.tolist() == full[:3, 3:].tolist()
    assert part[:2].any()


def test_matures_take_the_best_pair() -> None:
    groups = [["ACGUACGU", "GGGGCCCC"], ["GGGGCCCA"], [], ["UUUUAAAU", "acgtacgt"]]
    result = mature_similarity(groups)
    singles = [text for group in groups for text in group]
    pairs, owner = smith_waterman(singles), [0, 0, 1, 3, 3]
    for i in range(4):
        for j in range(4):
            found = [
                pairs[a, b] for a in range(5) for b in range(5) if (owner[a], owner[b]) == (i, j)
            ]
            assert result[i, j] == (1.0 if i == j else max(found, default=0.0))
    assert result[0, 3] == 1.0
    assert result[0, 1] == pytest.approx(35 / 40)


def test_progress_counts_the_rows() -> None:
    seen: list[tuple[int, int]] = []
    smith_waterman(
        ["ACG", None, "CGU", "GUA"], progress=lambda done, total: seen.append((done, total))
    )
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_bad_sequences_are_named() -> None:
    with pytest.raises(
        InputError,
        match=r"invalid nucleotide in the sequence of sequence 2 at position 3; found X, "
        r"expected A, C, G",
    ):
        smith_waterman([None, "ACG", "ACX"])
    with pytest.raises(InputError, match=r"empty sequence of sequence 1"):
        smith_waterman(["ACG", " "])
    with pytest.raises(
        InputError,
        match=r"sequence 0 is too long for these scores; found 300 nt, expected at most 214 nt",
    ):
        smith_waterman(["A" * 300], AlignmentScores(match=10_000_000))


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ((0, -1, 2, 1), "match"),
        ((1, 1, 2, 1), "mismatch"),
        ((1, -1, 1, 2), "gap_open"),
        ((1, -1, 2, -1), "gap_extend"),
        ((2**24, 0, 2, 1), "match"),
    ],
)
def test_scores_out_of_range(values: tuple[int, int, int, int], named: str) -> None:
    with pytest.raises(ConfigError, match=f"setting '{named}"):
        AlignmentScores(*values)


def test_unknown_engine_and_workers() -> None:
    with pytest.raises(ConfigError, match="'engine' is 'blast', expected pyopal or parasail"):
        smith_waterman(["ACG"], engine="blast")
    with pytest.raises(ConfigError, match="'workers' is 0"):
        smith_waterman(["ACG"], workers=0)


def test_alignment_shows_gap_mismatch_and_n() -> None:
    found = align("UUACGUAGCCAUGGNAC", "ACGUCCAUGGCACGG", AlignmentScores(gap_open=6))
    assert (found.query, found.target) == ("ACGUAGCCAUGGNAC", "ACGU--CCAUGGCAC")
    assert found.comparison == "||||  |||||| ||"
    assert (found.query_start, found.query_end, found.target_start, found.target_end) == (
        2,
        17,
        0,
        13,
    )
    assert found.score == 12 * 5 - 6 - 1
    assert found.identity == 12 / 15
    assert str(found).splitlines()[0] == " 3 ACGUAGCCAUGGNAC 17"


def test_alignment_of_nothing() -> None:
    found = align("AAAA", "CCCC")
    assert (found.score, found.query, found.identity) == (0, "", 0.0)


def test_alignment_score_is_that_of_its_letters() -> None:
    rng = np.random.default_rng(3)
    for scores in (AlignmentScores(), AlignmentScores(4, -9, 3, 1)):
        for _ in range(20):
            a, b = ("".join(rng.choice(list("ACGU"), size=n)) for n in (40, 31))
            found, total, before = align(a, b, scores), 0, ""
            for x, y in zip(found.query, found.target, strict=True):
                kind = "down" if y == "-" else "across" if x == "-" else "pair"
                gap = scores.gap_extend if kind == before else scores.gap_open
                total += (scores.match if x == y else scores.mismatch) if kind == "pair" else -gap
                before = kind
            assert total == found.score == plain_score(a, b, scores)
            assert found.query.replace("-", "") == a[found.query_start : found.query_end]
            assert found.target.replace("-", "") == b[found.target_start : found.target_end]
