"""Descriptors by hand: ends, windows, reading frames, elements, skews, circles."""

from __future__ import annotations

import numpy as np
import pytest

from mirnagraph.errors import ConfigError
from seqtower.encoders.descriptors import descriptor_names, descriptors, junction, junction_names

LONGEST = "longest open reading frame (log nt)"
SHARE = "longest open reading frame (share)"
FRAMES = "open reading frames per nt"
NEAR_END = "poly(A) signal near the 3' end"


def row(sequence: str, *, circle: bool = False, window: int = 100) -> dict[str, float]:
    values = descriptors([sequence], window=window, circular=[circle])[0]
    return dict(zip(descriptor_names(), values.tolist(), strict=True))


def frames(sequence: str, *, circle: bool = False) -> tuple[int, int]:
    """Nucleotides of the longest open reading frame, and how many end at a stop."""
    values = row(sequence, circle=circle)
    longest = round(float(np.expm1(values[LONGEST])))
    assert values[SHARE] == pytest.approx(longest / len(sequence))
    return longest, round(values[FRAMES] * len(sequence))


def stretches(sequence: str, *, circle: bool = False) -> list[int]:
    """Longest stretch without a stop (nt) in the frames where it is longest and shortest."""
    values = row(sequence, circle=circle)
    longest, share, shortest = (values[name] for name in descriptor_names()[-3:])
    found = [round(float(np.expm1(value))) for value in (longest, shortest)]
    assert share == pytest.approx(found[0] / len(sequence))
    return found


def test_ends_of_60_250_and_1000_nucleotides() -> None:
    sequence = "A" * 60 + "C" * 190 + "G" * 750 + "U" * 1000
    for place, values in (("first", row(sequence)), ("last", row(sequence[::-1]))):
        assert values[f"A in the {place} 60 nt"] == 1
        assert values[f"AA in the {place} 60 nt"] == 1
        assert values[f"C in the {place} 250 nt"] == pytest.approx(190 / 250)
        assert values[f"CCC in the {place} 250 nt"] == pytest.approx(188 / 248)
        assert values[f"G in the {place} 1000 nt"] == pytest.approx(750 / 1000)
        assert values[f"AAA in the {place} 1000 nt"] == pytest.approx(58 / 998)
    names = descriptor_names()
    assert len(names) == 758
    assert "AAA in the first 60 nt" not in names
    assert "AAAA in the first 250 nt" not in names
    values = row(sequence)
    assert values["UUUU"] == pytest.approx(997 / 1997)
    assert values["U in the last 1000 nt"] == 1
    assert values["log length"] == pytest.approx(np.log(2000))


def test_windows_of_100_nucleotides() -> None:
    # two windows: 100 A, and 99 A with one C
    values = row("A" * 100 + "C")
    kinds = [
        values[f"{kind} of A along the RNA"] for kind in ("highest share", "lowest share", "SD")
    ]
    assert kinds == pytest.approx([1, 0.99, 0.005])
    assert values["highest share of G or C along the RNA"] == pytest.approx(0.01)
    values = row("A" * 99 + "C")
    assert values["highest share of A along the RNA"] == pytest.approx(0.99)
    assert values["SD of A along the RNA"] == 0


def test_windows_of_a_nucleotide_and_of_a_circle() -> None:
    values = row("ACGC", window=1)
    assert values["SD of A along the RNA"] == pytest.approx(np.sqrt(3) / 4)
    assert values["SD of G or C along the RNA"] == pytest.approx(np.sqrt(3) / 4)
    # windows AC CG GA of a line; GA closes the circle
    assert row("ACG", window=2)["SD of A along the RNA"] == pytest.approx(0.25)
    assert row("ACG", window=2, circle=True)["SD of A along the RNA"] == pytest.approx(
        np.sqrt(2) / 6
    )
    # as long as the window: one value
    assert row("AC", window=2, circle=True)["SD of A along the RNA"] == 0
    with pytest.raises(ConfigError, match="window"):
        descriptors(["ACGU"], window=0)


def test_signal_in_the_last_60_nucleotides() -> None:
    for signal in ("AAUAAA", "AUUAAA"):
        assert row("G" * 40 + signal + "C" * 54)[NEAR_END] == 1
        assert row("G" * 40 + signal + "C" * 55)[NEAR_END] == 0


@pytest.mark.parametrize(
    ("sequence", "longest", "n"),
    [
        ("AUGAAAUAA", 6, 1),
        ("AUGAAAUAG", 6, 1),
        ("CAUGAAAUGA", 6, 1),
        ("AUGAUGUAA", 6, 1),  # from the first start
        ("AUGUAAAUGAAAAAAUAG", 9, 2),
        ("AUGAAAUAAAUGUAA", 6, 2),
        ("AUGAAAUAAUAAUAA", 6, 1),  # stops without a start
        ("AUGAAA", 6, 0),  # open at the end
        ("AUGAA", 3, 0),  # two letters are no codon
        ("AUGAAACCCUAAAUGC", 9, 1),  # the open one at the end is shorter
        ("CCUAAAUGCCCCCC", 9, 0),
        ("AU", 0, 0),
    ],
)
def test_reading_frames_of_a_line(sequence: str, longest: int, n: int) -> None:
    assert frames(sequence) == (longest, n)


@pytest.mark.parametrize(
    ("sequence", "longest", "n"),
    [
        ("GAU", 3, 0),  # AUG over the junction, once round
        ("AAUG", 9, 1),  # three turns: AAU GAA UGA AUG, from behind the stop AUG AAU GAA UGA
        ("CCCUAAAUGCCA", 9, 1),  # AUG CCA CCC to UAA
    ],
)
def test_reading_frames_of_a_small_circle(sequence: str, longest: int, n: int) -> None:
    assert frames(sequence, circle=True) == (longest, n)


def test_stretches_without_a_stop() -> None:
    # frames CCC CCC, CCC, CCC
    assert stretches("CCCCCC") == [6, 3]
    # frames UAA CCC CCC, AAC CCC, ACC CCC
    assert stretches("UAACCCCCC") == [6, 6]
    # frames CCC CCC UAA CCC, CCC CCU AAC, CCC CUA ACC
    assert stretches("CCCCCCUAACCC") == [9, 6]
    # frames UGA UGA, GAU, AUG
    assert stretches("UGAUGA") == [3, 0]
    # of a circle of six: CUAACC opens to frames CUA ACC, UAA CCC, AAC CCU
    assert stretches("CUAACC", circle=True) == [6, 3]


def test_elements_per_1000_nucleotides() -> None:
    sequence = "AAUAAA" + "C" * 30
    for circle in (False, True):
        values = row(sequence, circle=circle)
        assert values["poly(A) signal AAUAAA"] == pytest.approx(1000 / 36)
    # 21 places of ten pyrimidines in a line of 30 C
    assert row(sequence)["pyrimidine tract"] == pytest.approx(21 * 1000 / 36)
    quadruplex = "GGAAAAAAAGGAAAAAAAGGAAAAAAAGG"
    assert len(quadruplex) == 29
    assert row(quadruplex)["G-quadruplex"] == pytest.approx(1000 / 29)
    turned = "C" * 10 + quadruplex
    for cut in (0, 11, 38):
        opened = turned[cut:] + turned[:cut]
        assert row(opened, circle=True)["G-quadruplex"] == pytest.approx(1000 / 39)


def test_skews() -> None:
    values = row("GGGCUUA")
    assert values["skew of G over C"] == pytest.approx((3 - 1) / 4)
    assert values["skew of A over U"] == pytest.approx((1 - 2) / 3)
    assert (row("G")["skew of G over C"], row("C")["skew of G over C"]) == (1, -1)
    assert (row("A")["skew of A over U"], row("U")["skew of A over U"]) == (1, -1)
    assert row("AU")["skew of G over C"] == 0


def test_observed_to_expected() -> None:
    name = "CpG, observed to expected"
    assert row("CG")[name] == 2
    # 2 x 8 / (2 x 3)
    assert row("CGACGUGU")[name] == pytest.approx(16 / 6)
    # CG, and GC over the junction is none
    assert row("CGA", circle=True)[name] == 3
    assert row("GAAC", circle=True)[name] == 4


def test_nothing_is_described_by_zeros() -> None:
    assert not any(descriptors([""])[0])


def test_several_rnas_keep_their_rows() -> None:
    sequences = ["ACGUACGUAA", "GGC", "AUGAAAUAACC"]
    together = descriptors(sequences, circular=[False, True, False])
    for number, circle in enumerate((False, True, False)):
        alone = descriptors([sequences[number]], circular=[circle])[0]
        np.testing.assert_array_equal(together[number], alone)


def test_ten_nucleotides_on_both_sides_of_the_junction() -> None:
    sequence = "CCCCCCCCCU" + "A" * 50 + "GUUUUUUUUU"
    values = dict(zip(junction_names(), junction([sequence], [True])[0].tolist(), strict=True))
    assert [
        values[f"{letter} at {place} of the junction"]
        for letter, place in (("G", "-10"), ("U", "+10"))
    ] == [1, 1]
    assert [
        values[f"{letter} at {place} of the junction"]
        for letter, place in (("U", "-1"), ("C", "+1"))
    ] == [1, 1]
    assert "A at -11 of the junction" not in values
    assert "A at +0 of the junction" not in values
    # both sides of 60: 50 A twice, 9 + 1 letters of each end
    assert values["A in 60 nt on both sides of the junction"] == pytest.approx(100 / 120)
    assert values["UC in 60 nt on both sides of the junction"] == pytest.approx(1 / 119)
    assert "AAA in 60 nt on both sides of the junction" not in values
    assert "AAA in 250 nt on both sides of the junction" in values
    assert values["length is a multiple of 3"] == 0
    assert junction([sequence + "AA"], [True])[0, -1] == 1


def test_sides_of_the_junction_of_a_long_circle() -> None:
    sequence = "A" * 60 + "C" * 190 + "G" * 100 + "U" * 250
    values = dict(zip(junction_names(), junction([sequence], [True])[0].tolist(), strict=True))
    assert values["A in 60 nt on both sides of the junction"] == 0.5
    assert values["U in 60 nt on both sides of the junction"] == 0.5
    assert values["C in 250 nt on both sides of the junction"] == pytest.approx(190 / 500)
    assert values["G in 250 nt on both sides of the junction"] == 0
    assert junction([sequence, sequence], [False, True])[:, -1].tolist() == [0, 1]
