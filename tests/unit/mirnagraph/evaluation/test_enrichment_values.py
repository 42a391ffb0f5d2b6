"""Odds ratios, exact and permutation tests of a list, by values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mirnagraph.evaluation import enrichment
from mirnagraph.evaluation.enrichment import (
    benjamini_hochberg,
    exact_test,
    expected_sum,
    mantel_haenszel,
    permutation_test,
    stratum_tables,
)


def test_the_tea_tasting_table() -> None:
    """Fisher's lady: of 70 ways 34 are as far. Given the odds ratio r, x right cups have the
    weight C(4, x)² rˣ: 1, 16, 36, 16, 1; the estimate makes their mean 3, each end of the interval
    leaves 2.5 % on its side.
    """
    ratio, p = exact_test(3, 1, 1, 3)
    assert p == pytest.approx(34 / 70)
    x = np.arange(5)

    def weights(r: float) -> np.ndarray:
        values = np.array([1, 16, 36, 16, 1]) * r**x
        return values / values.sum()

    assert weights(ratio.value) @ x == pytest.approx(3)
    assert weights(ratio.low)[3:].sum() == pytest.approx(0.025)
    assert weights(ratio.high)[:4].sum() == pytest.approx(0.025)
    assert ratio.value == pytest.approx(6.408309, rel=1e-5)
    turned, same = exact_test(1, 3, 3, 1)
    assert turned.value == pytest.approx(1 / ratio.value, rel=1e-4)
    assert same == pytest.approx(p)


def test_a_list_that_has_it_all_and_margins_of_zero() -> None:
    ratio, p = exact_test(3, 0, 1, 4)
    assert ratio.value == ratio.high == math.inf
    assert 0 < ratio.low < math.inf
    assert p == pytest.approx(2 * 4 / 56)  # all three of four, or none of them
    nothing, p = exact_test(0, 3, 0, 4)
    assert math.isnan(nothing.value)
    assert p == 1


@pytest.mark.parametrize("table", [(0, 0, 3, 4), (3, 4, 0, 0), (0, 3, 0, 4), (3, 0, 4, 0)])
def test_no_ratio_and_no_interval_without_a_margin(table: tuple[int, int, int, int]) -> None:
    ratio, p = exact_test(*table)
    assert all(map(math.isnan, (ratio.value, ratio.low, ratio.high)))
    assert p == 1


@pytest.mark.parametrize("table", [(2, 2, 3, 3), (1, 0, 1, 1), (2, 1, 2, 1), (2, 2, 2, 2)])
def test_margins_of_one_and_equal_counts_have_a_ratio(table: tuple[int, int, int, int]) -> None:
    assert not math.isnan(exact_test(*table)[0].value)


def test_mantel_haenszel_of_two_strata() -> None:
    """R = 4/6 + 4/8, S = 1/6 + 2/8: 2.8; variance of its log .278061 + .696429 + .43."""
    ratio = mantel_haenszel(np.array([[2, 1, 1, 2], [1, 2, 1, 4]]))
    assert ratio.value == pytest.approx(2.8)
    half = 1.959964 * math.sqrt(1.404490)
    assert ratio.low == pytest.approx(2.8 * math.exp(-half), rel=1e-5)
    assert ratio.high == pytest.approx(2.8 * math.exp(half), rel=1e-5)


@pytest.mark.parametrize("small", [[0, 0, 0, 0], [1, 0, 0, 0]])
def test_a_stratum_of_one_rna_or_none_adds_to_neither_sum(small: list[int]) -> None:
    strata = [[2, 1, 1, 2], [1, 2, 1, 4]]
    assert mantel_haenszel(np.array([*strata, small])) == mantel_haenszel(np.array(strata))


def test_mantel_haenszel_of_one_stratum_is_the_ratio_of_cross_products() -> None:
    """And its variance is Woolf's: the sum of the inverse counts."""
    ratio = mantel_haenszel(np.array([[6, 2, 3, 9], [0, 0, 0, 0]]))
    assert ratio.value == pytest.approx(6 * 9 / (2 * 3))
    sd = math.sqrt(1 / 6 + 1 / 2 + 1 / 3 + 1 / 9)
    assert math.log(ratio.high / ratio.value) == pytest.approx(1.959964 * sd, rel=1e-6)
    assert mantel_haenszel(np.array([[3, 0, 1, 4]])).value == math.inf
    assert mantel_haenszel(np.array([[0, 3, 4, 1]])).value == 0
    assert math.isnan(mantel_haenszel(np.array([[0, 0, 4, 1]])).value)


def test_tables_of_strata() -> None:
    has = np.array([True, False, True, True, False, False])
    member = np.array([True, True, False, True, False, False])
    tables = stratum_tables(has, member, np.array([0, 0, 0, 2, 2, 2]))
    assert tables.tolist() == [[1, 1, 1, 0], [1, 0, 0, 2]]


def test_the_expected_sum_follows_the_strata() -> None:
    """Two members of a stratum of mean 1/2, one of a stratum of mean 3: 2/2 + 3."""
    values = np.array([[1.0], [1.0], [0.0], [0.0], [2.0], [4.0]])
    member = np.array([True, True, False, False, True, False])
    stratum = np.array([0, 0, 0, 0, 1, 1])
    assert expected_sum(values, member, stratum).tolist() == [4.0]
    assert expected_sum(values, member, np.zeros(6)).tolist() == [4.0]
    only = np.array([False, False, False, False, True, True])
    assert expected_sum(values, only, stratum).tolist() == [6.0]


def test_permutations_within_strata_reach_the_exact_value() -> None:
    """One of {1, 1, 0, 0} and one of {1, 0}: the sums 0 and 2, a quarter each, are as far as 2."""
    values = np.array([[1.0], [1.0], [0.0], [0.0], [1.0], [0.0]])
    member = np.array([True, False, False, False, True, False])
    stratum = np.array([0, 0, 0, 0, 1, 1])
    p = permutation_test(values, member, stratum, 20_000, np.random.default_rng(0))
    assert p[0] == pytest.approx(0.5, abs=0.015)


def test_the_smallest_p_value_is_one_of_n_plus_one() -> None:
    values = np.concatenate([np.ones(10), np.zeros(190)])[:, None]
    member = np.arange(200) < 10
    p = permutation_test(values, member, np.zeros(200), 99, np.random.default_rng(0))
    assert p[0] == pytest.approx(1 / 100)
    none = permutation_test(np.ones((200, 1)), member, np.zeros(200), 99, np.random.default_rng(0))
    assert none[0] == 1


def test_permutations_in_blocks_are_as_many_as_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of equal values every permutation is as far: (3 + 1) / (3 + 1)."""
    monkeypatch.setattr(enrichment, "BLOCK", 2)
    member = np.arange(4) < 2
    p = permutation_test(np.ones((4, 1)), member, np.zeros(4), 3, np.random.default_rng(0))
    assert p[0] == 1


def test_one_stratum_agrees_with_the_exact_test() -> None:
    values = np.array([1] * 3 + [0] + [1] + [0] * 3, dtype=float)[:, None]
    member = np.arange(8) < 4
    p = permutation_test(values, member, np.zeros(8), 20_000, np.random.default_rng(1))
    assert p[0] == pytest.approx(34 / 70, abs=0.015)


def test_benjamini_hochberg_by_hand() -> None:
    """.01 * 3 / 1, min(.03 * 3 / 2, .04), .04 * 3 / 3; NaN is no test."""
    adjusted = benjamini_hochberg(np.array([0.01, 0.04, np.nan, 0.03]))
    np.testing.assert_allclose(adjusted, [0.03, 0.04, np.nan, 0.04])
    assert np.isnan(benjamini_hochberg(np.array([np.nan]))).all()
