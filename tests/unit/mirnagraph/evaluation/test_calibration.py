"""Calibration: hand-worked bins, errors and temperatures, and what has no answer."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import expit, logit

from mirnagraph.errors import ConfigError, InputError
from mirnagraph.evaluation import calibration as cal

TRUE = np.array([0, 1, 0, 1])
PROB = np.array([0.1, 0.2, 0.3, 0.4])
# .2 comes true in 1 of 5 cases, .8 in 3 of 5
LEVELS = np.repeat([0.2, 0.8], 5)
HIT = np.array([0, 1, 0, 0, 0, 1, 1, 0, 1, 0])


def test_reliability_and_error_by_hand():
    curve = cal.reliability_curve(TRUE, PROB, 2)
    assert curve["n"].tolist() == [2, 2]
    assert curve["low"].tolist() == [0.1, 0.3]
    assert curve["high"].tolist() == [0.2, 0.4]
    assert curve["predicted"].tolist() == pytest.approx([0.15, 0.35])
    assert curve["observed"].tolist() == [0.5, 0.5]
    assert cal.expected_calibration_error(TRUE, PROB, 2) == pytest.approx((0.35 + 0.15) / 2)
    assert cal.expected_calibration_error(TRUE, PROB, 1) == pytest.approx(0.25)
    assert cal.expected_calibration_error(LEVELS * 0, LEVELS, 10) == pytest.approx(0.5)
    assert cal.expected_calibration_error(HIT, LEVELS) == pytest.approx((0 + 0.2) / 2)


def test_equal_probabilities_share_a_bin():
    # mean ranks 2, 2, 2, 4 of 4: three quarters of the way up begins the second bin
    assert cal.equal_count_bins(np.array([0.5, 0.5, 0.5, 0.9]), 2).tolist() == [0, 0, 0, 1]
    assert cal.equal_count_bins(np.full(7, 0.3), 10).tolist() == [5] * 7
    sizes = np.bincount(cal.equal_count_bins(np.linspace(0, 1, 1041), 10))
    assert sorted(sizes.tolist()) == [104] * 9 + [105]
    with pytest.raises(ConfigError, match="n_bins"):
        cal.equal_count_bins(PROB, 0)


def test_parts_of_the_brier_score_by_hand():
    parts = cal.brier_parts(HIT, LEVELS)
    # share .4: reliability .5 x .2^2; resolution .5 x .2^2 + .5 x .2^2; uncertainty .4 x .6
    assert parts == pytest.approx(
        {
            "brier": 0.22,
            "reliability": 0.02,
            "resolution": 0.04,
            "uncertainty": 0.24,
            "within_bins": 0.0,
        },
        abs=1e-12,
    )
    # one bin for all: nothing resolved, and the bin hides the spread of the probabilities and what
    # it was good for
    coarse = cal.brier_parts(HIT, LEVELS, 1)
    assert coarse["reliability"] == pytest.approx(0.1**2)
    assert coarse["resolution"] == 0
    assert coarse["within_bins"] == pytest.approx(
        np.var(LEVELS) - 2 * np.mean((LEVELS - 0.5) * (HIT - 0.4))
    )


def test_no_rnas_have_no_answer():
    none = np.zeros(0)
    assert math.isnan(cal.expected_calibration_error(none, none))
    assert math.isnan(cal.log_loss(none, none))
    assert len(cal.reliability_curve(none, none)) == 0
    assert all(math.isnan(v) for v in cal.brier_parts(none, none).values())
    assert np.isnan(cal.calibration_error_by_chance(none, n_draws=3)).all()
    assert cal.fit_temperature(np.zeros((0, 2)), np.zeros((0, 2))) == 1


def test_chance_alone_by_hand():
    # one probability of .5 misses by .5 whatever comes; probabilities of 0 and 1 never miss
    assert cal.calibration_error_by_chance(np.array([0.5]), n_draws=4).tolist() == [0.5] * 4
    assert (
        cal.calibration_error_by_chance(np.array([0.0, 1.0, 1.0]), n_draws=4).tolist() == [0.0] * 4
    )
    # ten bins of 100 at .5: each misses by |N(0, .05)|, mean .05 sqrt(2 / pi)
    drawn = cal.calibration_error_by_chance(0.5 + np.linspace(-1e-6, 1e-6, 1000), n_draws=400)
    assert drawn.mean() == pytest.approx(0.05 * math.sqrt(2 / math.pi), rel=0.05)
    assert (np.diff(drawn) >= 0).all()


def test_temperature_by_hand():
    # .9 comes true in 3 of 4 cases, .1 in 1 of 4: sigmoid(ln 9 / T) = 3/4 at T = ln 9 / ln 3 = 2
    prob, true = np.repeat([0.9, 0.1], 4), np.array([1, 1, 1, 0, 0, 0, 0, 1])
    assert cal.fit_temperature(true, prob) == pytest.approx(2, abs=1e-4)
    assert cal.apply_temperature(prob, 2) == pytest.approx(np.repeat([0.75, 0.25], 4))
    # timid: .75 where 9 of 10 come true
    timid, often = np.repeat([0.75, 0.25], 10), np.r_[0, np.ones(9), 1, np.zeros(9)]
    assert cal.fit_temperature(often, timid) == pytest.approx(0.5, abs=1e-4)
    # a compartment of one class is left out, and two compartments share one T
    assert cal.fit_temperature(
        np.c_[true, np.zeros(8)], np.c_[prob, np.full(8, 0.4)]
    ) == pytest.approx(2, abs=1e-4)
    assert cal.log_loss(true, cal.apply_temperature(prob, 2)) == pytest.approx(
        -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    )


def test_temperature_is_safe_at_the_ends():
    assert cal.fit_temperature(np.zeros((5, 2)), np.full((5, 2), 0.3)) == 1
    assert cal.fit_temperature(np.ones(5), np.full(5, 0.3)) == 1
    assert cal.fit_temperature(TRUE, np.full(4, 0.5)) == 1
    sure = cal.fit_temperature(np.array([1, 0, 1, 0]), np.array([1.0, 0.0, 0.0, 1.0]))
    assert sure == pytest.approx(cal.HIGHEST, rel=1e-3)
    assert cal.fit_temperature(np.array([1, 0]), np.array([0.9, 0.1])) == pytest.approx(
        cal.LOWEST, rel=1e-3
    )
    ends = cal.apply_temperature(np.array([0.0, 1.0, 0.5]), 3)
    assert np.isfinite(ends).all()
    assert ends[0] < 1e-3
    assert ends[1] > 1 - 1e-3
    assert ends[2] == 0.5
    assert cal.apply_temperature(np.array([0.0, 1.0, 0.3]), 1).tolist() == [0.0, 1.0, 0.3]
    assert math.isfinite(cal.log_loss(np.array([1]), np.array([0.0])))


@pytest.mark.parametrize("temperature", [0, -1, math.nan, math.inf])
def test_a_temperature_out_of_range_is_refused(temperature):
    with pytest.raises(ConfigError, match="'temperature'"):
        cal.apply_temperature(PROB, temperature)


@pytest.mark.parametrize(
    ("true", "probability", "match"),
    [
        (TRUE, PROB[:3], r"found \(4,\) and \(3,\)"),
        (TRUE + 1, PROB, "labels must be 0 or 1"),
        (TRUE / 2, PROB, "labels must be 0 or 1"),
        (TRUE, PROB + 1, r"not a probability; found 1\.1"),
        (TRUE, PROB * np.nan, "not a probability; found nan"),
    ],
)
def test_bad_input_is_named(true, probability, match):
    for function in (
        cal.reliability_curve,
        cal.expected_calibration_error,
        cal.fit_temperature,
        cal.brier_parts,
    ):
        with pytest.raises(InputError, match=match):
            function(true, probability)


def test_only_the_temperature_takes_labels_that_are_not_known():
    for function in (cal.reliability_curve, cal.expected_calibration_error, cal.brier_parts):
        with pytest.raises(InputError, match="labels must be 0 or 1"):
            function(TRUE * np.nan, PROB)


def test_the_temperature_counts_what_is_known_alone() -> None:
    rng = np.random.default_rng(0)
    probability = rng.uniform(0.05, 0.95, (300, 2))
    true = (rng.random((300, 2)) < expit(2 * logit(probability))).astype(float)
    holes = true.copy()
    holes[200:, 0], holes[:, 1] = np.nan, np.nan
    expected = cal.fit_temperature(true[:200, :1], probability[:200, :1])
    assert cal.fit_temperature(holes, probability) == pytest.approx(expected, rel=1e-4)
    assert expected < 0.8
    assert cal.fit_temperature(np.full((5, 2), np.nan), probability[:5]) == 1.0
