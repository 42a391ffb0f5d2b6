"""Over-representation of a property in a list: odds ratios, exact and stratified permutation tests.

A list is compared with the rest of its background. Strata (such as deciles of popularity) compare
each member with RNAs of its own stratum alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import false_discovery_control, fisher_exact, norm
from scipy.stats.contingency import odds_ratio

from mirnagraph.config import require
from mirnagraph.errors import InputError
from mirnagraph.reading.arguments import checked, finite_matrix
from mirnagraph.reading.arrays import (
    check_same_shape,
    classes,
    number_array,
    p_values,
    zero_one,
)

NAN = float("nan")

LEVEL = 0.95

MOST = 2**30
"""Counts of a table are below this, as the exact test needs."""

BLOCK = 1_000
"""Permutations made at a time, which bounds memory."""


@dataclass(frozen=True)
class OddsRatio:
    """An odds ratio with the ends of its 95 % interval; NaN where it is not defined."""

    value: float
    low: float
    high: float


@checked
def exact_test(a: int, b: int, c: int, d: int) -> tuple[OddsRatio, float]:
    """Fisher's exact test of a fourfold table.

    Args:
        a: members of the list with the property.
        b: members of the list without it.
        c: others with the property.
        d: others without it.

    Returns:
        The conditional maximum likelihood estimate of the odds ratio with its exact interval, and
        the two-sided p-value. Where a margin is 0 the ratio is NaN and p is 1.
    """
    for name, count in {"a": a, "b": b, "c": c, "d": d}.items():
        require(0 <= count < MOST, name, count, f"at least 0, below {MOST:,}")
    if min(a + b, c + d, a + c, b + d) == 0:
        return OddsRatio(NAN, NAN, NAN), 1.0
    table = np.array([[a, b], [c, d]])
    estimate = odds_ratio(table, kind="conditional")
    interval = estimate.confidence_interval(LEVEL)
    ratio = OddsRatio(float(estimate.statistic), float(interval.low), float(interval.high))
    return ratio, float(fisher_exact(table).pvalue)


@checked
def mantel_haenszel(tables: np.ndarray) -> OddsRatio:
    """Common odds ratio of fourfold tables, with the interval of Robins, Breslow and Greenland.

    Reference: Robins, Breslow & Greenland, Biometrics 42 (1986) 311.

    Args:
        tables: a, b, c, d (see `exact_test`) of each stratum, shape (n_strata, 4).

    Returns:
        0 or infinity, with NaN for the ends of the interval, where one of the two sums is 0; NaN
        where both are.

    Raises:
        InputError: another shape, or a count that is negative or missing.
    """
    tables = number_array(tables, "tables")
    if tables.ndim != 2 or tables.shape[1] != 4:
        raise InputError("no fourfold tables", found=tables.shape, expected="(n_strata, 4)")
    is_bad = ~((tables >= 0) & np.isfinite(tables))
    if is_bad.any():
        found = float(tables[is_bad][0])
        raise InputError("not a count of a fourfold table", found=found, expected="0 or more")
    size = tables.sum(axis=1)
    tables = tables[size > 0]
    size = size[size > 0]
    a, b, c, d = tables.T
    agree = (a + d) / size
    differ = (b + c) / size
    r = a * d / size
    s = b * c / size
    r_sum = float(r.sum())
    s_sum = float(s.sum())
    if s_sum == 0 or r_sum == 0:
        if s_sum == r_sum:
            return OddsRatio(NAN, NAN, NAN)
        return OddsRatio(math.inf if s_sum == 0 else 0.0, NAN, NAN)
    variance = (agree * r).sum() / (2 * r_sum**2) + (differ * s).sum() / (2 * s_sum**2)
    variance += (agree * s + differ * r).sum() / (2 * r_sum * s_sum)
    centre = math.log(r_sum / s_sum)
    half = float(norm.ppf((1 + LEVEL) / 2)) * math.sqrt(variance)
    return OddsRatio(math.exp(centre), math.exp(centre - half), math.exp(centre + half))


@checked
def stratum_tables(
    has_property: np.ndarray, is_member: np.ndarray, stratum: np.ndarray
) -> np.ndarray:
    """Fourfold table of each stratum: int64, shape (n_strata, 4), see `mantel_haenszel`.

    Args:
        has_property: bool, shape (n,).
        is_member: whether each RNA is in the list: bool, shape (n,).
        stratum: of each RNA, shape (n,).

    Raises:
        InputError: arrays of different lengths, or a value that is missing or neither 0 nor 1.
    """
    has_property = zero_one(has_property, "has_property", 1)
    is_member, stratum = _list_of(is_member, stratum, len(has_property))
    rows = []
    for value in np.unique(stratum):
        here = stratum == value
        member = is_member[here]
        positive = has_property[here]
        rows.append(
            [
                int((member & positive).sum()),
                int((member & ~positive).sum()),
                int((~member & positive).sum()),
                int((~member & ~positive).sum()),
            ]
        )
    return np.asarray(rows, dtype=np.int64).reshape(-1, 4)


@checked
def expected_sum(values: np.ndarray, is_member: np.ndarray, stratum: np.ndarray) -> np.ndarray:
    """Sum of the values of a list that is drawn at random within strata, shape (n_columns,).

    That is, over strata, the number of members times the mean of the stratum.

    Args:
        values: shape (n, n_columns).
        is_member: bool, shape (n,).
        stratum: of each RNA, shape (n,).

    Raises:
        InputError: arrays of different lengths, or a value that is missing.
    """
    values = np.asarray(finite_matrix(values, "values"))
    is_member, stratum = _list_of(is_member, stratum, len(values))
    total = np.zeros(values.shape[1])
    for value in np.unique(stratum[is_member]):
        here = stratum == value
        total += is_member[here].sum() * values[here].mean(axis=0)
    return total


def _list_of(is_member: np.ndarray, stratum: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Members of a list, bool, and strata, int64, of n RNAs: both of shape (n,)."""
    members = zero_one(is_member, "is_member", 1)
    strata = classes(stratum, "stratum")
    for name, array in {"is_member": members, "stratum": strata}.items():
        check_same_shape(array, name, np.empty(n), "values")
    return members, strata


@checked
def permutation_test(
    values: np.ndarray,
    is_member: np.ndarray,
    stratum: np.ndarray,
    n_permutations: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Two-sided permutation test of the sum of a list's values, within strata.

    A permutation draws, in each stratum, as many RNAs as the list has there. The p-value is
    ``(k + 1) / (n + 1)``, k the number of permutations whose sum is as far from `expected_sum` as
    the observed one, or further.

    Args:
        values: shape (n, n_columns).
        is_member: bool, shape (n,).
        stratum: of each RNA, shape (n,).
        n_permutations: number of permutations.
        rng: of the permutations, the same for all columns.

    Returns:
        p-values, shape (n_columns,).

    Raises:
        InputError: arrays of different lengths, or a value that is missing.
        ConfigError: `n_permutations` is negative.
    """
    require(n_permutations >= 0, "n_permutations", n_permutations, "0 or more")
    values = np.asarray(finite_matrix(values, "values"))
    is_member, stratum = _list_of(is_member, stratum, len(values))
    expected = expected_sum(values, is_member, stratum)
    observed = np.abs(values[is_member].sum(axis=0) - expected)
    strata = [np.flatnonzero(stratum == value) for value in np.unique(stratum[is_member])]
    n_as_far = np.zeros(values.shape[1], dtype=np.int64)
    for start in range(0, n_permutations, BLOCK):
        n = min(BLOCK, n_permutations - start)
        sums = np.zeros((n, values.shape[1]))
        for rows in strata:
            n_drawn = int(is_member[rows].sum())
            order = rng.random((n, len(rows))).argsort(axis=1)[:, :n_drawn]
            is_drawn = np.zeros((n, len(rows)))
            np.put_along_axis(is_drawn, order, 1.0, axis=1)
            sums += is_drawn @ values[rows]
        # Sums of the same numbers in another order differ in their last digits.
        n_as_far += (np.abs(sums - expected) >= observed - 1e-9).sum(axis=0)
    return (n_as_far + 1) / (n_permutations + 1)


@checked
def benjamini_hochberg(p: np.ndarray) -> np.ndarray:
    """Adjust p-values by Benjamini and Hochberg; NaN stays NaN and is not counted."""
    p = p_values(p)
    adjusted = np.full(p.shape, np.nan)
    is_known = np.isfinite(p)
    if is_known.any():
        adjusted[is_known] = false_discovery_control(p[is_known])
    return adjusted
