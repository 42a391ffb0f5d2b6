"""Paired comparisons by hand: DeLong, weighted scores, correlations, corrected p."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from mirnagraph.errors import ConfigError
from mirnagraph.evaluation.compare import (
    compare,
    compare_fractions,
    delong,
    holm,
    interval,
    weighted_pearson,
    weighted_scores,
)
from mirnagraph.evaluation.metrics import UndefinedMetricWarning
from mirnagraph.evaluation.scores import aupr
from mirnagraph.seeds import generator


def test_delong_by_hand() -> None:
    true = np.array([1, 1, 0, 0])
    # first: .8 above both, .3 above one: components (1, .5) and (1, .5), AUC .75 second: .2 above
    # one, .1 above none (ties count half): components (.5, .25) and (.75, 0), AUC .375
    first = np.array([0.8, 0.3, 0.1, 0.5])
    second = np.array([0.2, 0.1, 0.1, 0.6])
    # differences of components: -.5, -.25 and -.25, -.5: variance .03125 each; (.03125 + .03125) /
    # 2
    sd = math.sqrt(0.03125)
    low, high = -0.375 - 1.959963985 * sd, -0.375 + 1.959963985 * sd
    p = 2 * norm.sf(0.375 / sd)
    assert delong(true, first, second) == pytest.approx((0.75, 0.375, low, high, p))
    assert delong(true, second, first)[2:] == pytest.approx((-high, -low, p))


def test_delong_of_unequal_classes() -> None:
    true = np.array([1, 1, 1, 0, 0])
    first = np.array([0.9, 0.8, 0.7, 0.2, 0.1])
    # second: .4 above both, .2 above one, .05 above none: by positive 1, .5, 0; by negative (.3)
    # 1/3, (.1) 2/3
    second = np.array([0.4, 0.2, 0.05, 0.3, 0.1])
    # variances of the differences: .25 over three, 1/18 over two
    sd = math.sqrt(0.25 / 3 + 1 / 18 / 2)
    found = delong(true, first, second)
    assert found[:2] == (1, pytest.approx(0.5))
    assert found[3] - found[2] == pytest.approx(2 * 1.959963985 * sd)


def test_delong_without_variance_or_without_a_class() -> None:
    true = np.array([1, 1, 0, 0])
    right = np.array([0.9, 0.8, 0.2, 0.1])
    assert delong(true, right, -right) == (1, 0, -1, -1, 0)
    assert len(delong(np.ones(4), right, right)) == 5
    # a single annotated RNA, above 2 of 3 and above 1 of 3
    single = delong(np.array([1, 0, 0, 0]), np.array([3, 1, 2, 4]), np.array([2, 1, 3, 4]))
    assert single[:2] == pytest.approx((2 / 3, 1 / 3))
    assert np.isnan(single[2:]).all()


def test_holm_multiplies_by_the_tests_that_are_left() -> None:
    # .01 x 4, .02 x 3, .03 x 2 raised to .06, .5 x 1
    assert holm([0.5, 0.01, 0.03, 0.02]) == pytest.approx([0.5, 0.04, 0.06, 0.06])


def test_weighted_scores_by_hand() -> None:
    true = np.array([1, 0, 1, 0])
    scores = np.array([0.9, 0.6, 0.6, 0.1])
    weights = np.array([[1, 1, 1, 1], [2, 0, 1, 3], [0, 1, 1, 0], [0, 2, 1, 1], [1, 0, 0, 1.0]])
    auc, aupr = weighted_scores(true, scores, weights)
    # all once: 1 beats 2, the other ties one and beats one: 3.5 of 4; twice and once: all 9 pairs;
    # the tie alone: a half; one annotated against a tie of weight 2 and one below: (1 + 1) of 3;
    # one pair, won
    assert auc == pytest.approx([3.5 / 4, 1, 0.5, 2 / 3, 1])
    # precision at .9 and at .6, by the share of the annotated that are first reached there
    assert aupr == pytest.approx([(1 + 2 / 3) / 2, 1, 1 / 2, 1 / 3, 1])


def test_interval_takes_the_middle_95_percent() -> None:
    draws = np.arange(-20, 181) / 10.0
    # 201 draws: quantiles at 5 and 195; 21 are not above 0: p = 2 x 22 / 202
    assert interval(draws) == pytest.approx((-1.5, 17.5, 44 / 202))
    assert interval(-draws) == pytest.approx((-17.5, 1.5, 44 / 202))
    assert len(interval(np.full(3, np.nan))) == 3


def test_weighted_pearson_by_hand() -> None:
    # points (0, 1), (1, 3), (2, 2): r = 1 / 2; without the last 1; the first twice: means 3/4 and
    # 7/4
    x = np.array([0.0, 1.0, 2.0, np.nan])
    y = np.array([1.0, 3.0, 2.0, 9.0])
    weights = np.array([[1, 1, 1, 5], [1, 1, 0, 0], [2, 1, 1, 0.0]])
    # covariance 7/4 - 21/16 = 7/16; variances 5/4 - 9/16 = 11/16 and 15/4 - 49/16 = 11/16
    assert weighted_pearson(x, y, weights) == pytest.approx([0.5, 1.0, 7 / 11])
    assert weighted_pearson(x, -y, weights) == pytest.approx([-0.5, -1.0, -7 / 11])


IDS = [f"r{row}" for row in range(12)]
A = [9, 2, 7, 4, 5, 1, 8, 3, 6, 2, 9, 1]
B = [1, 8, 3, 6, 5, 9, 2, 7, 4, 1, 8, 2]
C = [5, 3, 9, 1, 2, 7, 4, 6, 8, 5, 3, 9]
FIRST = np.column_stack([A, B, C]) / 10
SECOND = FIRST[::-1]
IN_A = [1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 0, 0]
IN_B = [0, 1, 0, 1, 0, 1, 1, 0, 0, 1, 1, 1]
IN_C = [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]
LABELS = np.column_stack([IN_A, IN_B, IN_C])


def predictions(values: np.ndarray) -> pd.DataFrame:
    table = pd.DataFrame(values, columns=["a", "b", "c"])
    table.insert(0, "fold", np.arange(12) % 2)
    table.insert(0, "rna_id", IDS)
    return table


def labels(values: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(values, index=IDS, columns=["a", "b", "c"])


def cells(table: pd.DataFrame) -> pd.DataFrame:
    return table.set_index(["compartment", "metric"])


@pytest.mark.parametrize("function", [compare, compare_fractions])
def test_2000_resamples_of_seed_0_unless_told_otherwise(function: object) -> None:
    given = (predictions(FIRST), predictions(SECOND), labels(LABELS))
    found = function(*given)
    pd.testing.assert_frame_equal(found, function(*given, n_resamples=2000, seed=0))
    assert not found.equals(function(*given, n_resamples=2000, seed=1))
    # c has one annotated RNA of twelve, which a resample misses with probability (11/12)^12 = .352
    left = cells(found)["n_resamples"].loc["c"].iloc[-1]
    assert 0.6 * 2000 < left < 0.7 * 2000
    assert cells(found)["n_resamples"].loc["average"].iloc[-1] <= left
    with pytest.raises(ConfigError, match="n_resamples"):
        function(*given, n_resamples=99)


def test_rows_of_a_comparison_by_hand() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = cells(
            compare(predictions(FIRST), predictions(SECOND), labels(LABELS), n_resamples=100)
        )
    # c: the annotated .6 beats 7 of 11, and .2 in the mirrored table beats 1
    row = found.loc[("c", "AUC")]
    assert row["first"] == pytest.approx(7 / 11)
    assert row["second"] == pytest.approx(1 / 11)
    assert row["difference"] == pytest.approx(-6 / 11)
    assert (row["n_resamples"], row["test"]) == (0, "DeLong")
    # DeLong has no p for a single annotated RNA: Holm counts two tests of the AUC
    p = found["p"].xs("AUC", level="metric").loc[["a", "b"]].tolist()
    corrected = found["p_holm"].xs("AUC", level="metric").loc[["a", "b"]].tolist()
    assert corrected == pytest.approx(holm(p))
    assert math.isnan(found.loc[("c", "AUC"), "p_holm"])
    p = found["p"].xs("AUPR", level="metric").loc[["a", "b", "c"]].tolist()
    assert found["p_holm"].xs("AUPR", level="metric").loc[
        ["a", "b", "c"]
    ].tolist() == pytest.approx(holm(p))


def test_nothing_can_be_compared_where_all_have_one_class() -> None:
    values = np.zeros((12, 3), int)
    values[:, 1] = 1
    with pytest.warns(UndefinedMetricWarning, match="one class: a, b, c$"):
        found = compare(predictions(FIRST), predictions(SECOND), labels(values), n_resamples=100)
    assert (
        found[["first", "second", "difference", "low", "high", "p", "p_holm"]].isna().all(axis=None)
    )
    assert found["n_resamples"].eq(0).all()


def test_rows_of_a_comparison_of_fractions() -> None:
    fractions = FIRST / FIRST.sum(axis=1, keepdims=True)
    found = cells(
        compare_fractions(
            predictions(fractions), predictions(SECOND), labels(fractions), n_resamples=100
        )
    )
    assert found["first"].tolist() == pytest.approx([1] * 4)
    second = [np.corrcoef(fractions[:, column], SECOND[:, column])[0, 1] for column in range(3)]
    assert found["second"].tolist() == pytest.approx([*second, np.mean(second)])
    assert found["difference"].tolist() == pytest.approx((found["second"] - 1).tolist())
    assert (found["low"] < found["difference"]).all()
    assert (found["difference"] < found["high"]).all()
    assert found["n_resamples"].tolist() == [100] * 4
    p = found["p"].tolist()
    assert found["p_holm"].tolist()[:3] == pytest.approx(holm(p[:3]))
    assert math.isnan(found["p_holm"].iloc[3])


def correlation(true: np.ndarray, said: np.ndarray) -> float:
    return float(np.corrcoef(true, said)[0, 1])


@pytest.mark.parametrize("metric", ["AUPR", "Pearson"])
def test_intervals_are_those_of_rnas_drawn_with_replacement(metric: str) -> None:
    is_fraction = metric == "Pearson"
    true = FIRST * [[0.5, 0.2, 0.3]] + SECOND / 4 if is_fraction else LABELS
    function = compare_fractions if is_fraction else compare
    score = correlation if is_fraction else aupr
    first, second = (np.round(table + 0.1 * true, 3) for table in (FIRST, SECOND))
    found = cells(function(predictions(first), predictions(second), labels(true), n_resamples=100))
    drawn = generator(0, "compare").multinomial(12, np.full(12, 1 / 12), size=100)
    differences = np.empty((100, 2))
    for number, weights in enumerate(drawn):
        rows = np.repeat(np.arange(12), weights)
        for column in range(2):
            values = [score(true[rows, column], table[rows, column]) for table in (first, second)]
            differences[number, column] = values[1] - values[0]
    for column, name in enumerate("ab"):
        low, high = np.quantile(differences[:, column], [0.025, 0.975])
        row = found.loc[(name, metric)]
        assert (row["low"], row["high"]) == pytest.approx((low, high), abs=1e-12)
        tail = min((differences[:, column] <= 0).sum(), (differences[:, column] >= 0).sum())
        assert row["p"] == pytest.approx(min(1, 2 * (tail + 1) / 101))
