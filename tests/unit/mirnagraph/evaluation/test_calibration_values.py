"""Calibration by hand where defaults, ends and messages decide."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mirnagraph.errors import ConfigError, InputError
from mirnagraph.evaluation.calibration import (
    apply_temperature,
    brier_parts,
    calibration_error_by_chance,
    equal_count_bins,
    expected_calibration_error,
    fit_temperature,
    log_loss,
    reliability_curve,
)


def test_ten_bins_unless_told_otherwise() -> None:
    probability = np.arange(20) / 20
    assert equal_count_bins(probability).tolist() == [number // 2 for number in range(20)]
    assert equal_count_bins(probability[::-1], 4).tolist() == [
        (19 - number) // 5 for number in range(20)
    ]
    # pairs .00 .05, .10 .15, … of which the first is never annotated and the second always
    true = np.tile([0, 1], 10)
    pairs = np.array([0.025 + 0.1 * number for number in range(10)])
    assert expected_calibration_error(true, probability) == pytest.approx(
        np.abs(pairs - 0.5).mean()
    )
    assert reliability_curve(true, probability)["predicted"].tolist() == pytest.approx(
        pairs.tolist()
    )
    parts = brier_parts(true, probability)
    assert parts["reliability"] == pytest.approx(((pairs - 0.5) ** 2).mean())
    assert parts["resolution"] == pytest.approx(0)


def test_a_single_rna_is_in_the_middle() -> None:
    # rank 1 of 1: (1 - 0.5) / 1 x 10 = 5
    assert equal_count_bins(np.array([0.9])).tolist() == [5]
    assert equal_count_bins(np.zeros(0)).tolist() == []


def test_bins_of_unequal_size_weigh_by_their_size() -> None:
    # .1 three times, once annotated: off by 3 x .1 - 1 = -.7; .8 once, annotated: off by -.2
    true = np.array([1, 0, 0, 1])
    probability = np.array([0.1, 0.1, 0.1, 0.8])
    assert expected_calibration_error(true, probability, 2) == pytest.approx((0.7 + 0.2) / 4)
    curve = reliability_curve(true, probability, 2)
    assert curve["n"].tolist() == [3, 1]
    assert curve["observed"].tolist() == pytest.approx([1 / 3, 1])
    parts = brier_parts(true, probability, 2)
    assert parts["brier"] == pytest.approx((0.81 + 0.01 + 0.01 + 0.04) / 4)
    assert parts["reliability"] == pytest.approx((3 * (0.1 - 1 / 3) ** 2 + 0.2**2) / 4)
    assert parts["resolution"] == pytest.approx((3 * (1 / 3 - 1 / 2) ** 2 + (1 - 1 / 2) ** 2) / 4)
    assert parts["uncertainty"] == pytest.approx(1 / 4)
    assert parts["within_bins"] == pytest.approx(0)


def test_probabilities_of_zero_and_one_are_allowed() -> None:
    assert expected_calibration_error(np.array([0, 1]), np.array([0.0, 1.0])) == 0
    assert expected_calibration_error(np.array([1, 0]), np.array([0.0, 1.0])) == 1


def test_chance_draws_500_times_with_seed_0_unless_told_otherwise() -> None:
    probability = np.linspace(0.1, 0.9, 12)
    drawn = calibration_error_by_chance(probability)
    assert len(drawn) == 500
    assert (
        drawn.tolist()
        == calibration_error_by_chance(probability, n_bins=10, n_draws=500, seed=0).tolist()
    )
    assert drawn.tolist() != calibration_error_by_chance(probability, seed=1).tolist()
    assert calibration_error_by_chance(np.array([0.25]), n_draws=1).tolist() in ([0.25], [0.75])
    with pytest.raises(ConfigError, match="n_draws"):
        calibration_error_by_chance(probability, n_draws=0)


def test_log_loss_by_hand() -> None:
    # -ln .8 for the annotated one, -ln (1 - .4) for the other
    expected = -(math.log(0.8) + math.log(0.6)) / 2
    assert log_loss(np.array([1, 0]), np.array([0.8, 0.4])) == pytest.approx(expected)
    assert log_loss(np.array([[1], [0]]), np.array([[0.8], [0.4]])) == pytest.approx(expected)
    sure = 12 * math.log(10)
    assert log_loss(np.array([1]), np.array([0.0])) == pytest.approx(sure)
    assert log_loss(np.array([0]), np.array([1.0])) == pytest.approx(sure, rel=1e-4)


def test_temperature_stretches_and_shrinks_the_log_odds() -> None:
    # odds of .8 are 4: T = 2 takes the root, 2 to 1; T = 1/2 squares, 16 to 1
    probability = np.array([0.8, 0.5, 0.2])
    assert apply_temperature(probability, 2) == pytest.approx([2 / 3, 1 / 2, 1 / 3])
    assert apply_temperature(probability, 0.5) == pytest.approx([16 / 17, 1 / 2, 1 / 17])


def test_a_fitted_temperature_reaches_its_ends() -> None:
    assert fit_temperature(np.array([1, 0]), np.array([0.9, 0.1])) == pytest.approx(0.1, rel=1e-12)
    wrong = fit_temperature(np.array([1, 0]), np.array([0.1, 0.9]))
    assert wrong == pytest.approx(10, rel=1e-12)


def test_a_fitted_temperature_between_its_ends() -> None:
    # .9 comes true in 3 of 5 cases: ln 9 / T = ln 1.5 at T = 5.419; .6 in 9 of 10: T = ln 1.5 / ln
    # 9 = .1845
    often = np.r_[1, 1, 1, 0, 0, 0, 0, 0, 1, 1]
    assert fit_temperature(often, np.repeat([0.9, 0.1], 5)) == pytest.approx(
        math.log(9) / math.log(1.5), rel=1e-4
    )
    timid = np.r_[0, np.ones(9), 1, np.zeros(9)]
    expected = math.log(1.5) / math.log(9)
    assert fit_temperature(timid, np.repeat([0.6, 0.4], 10)) == pytest.approx(expected, rel=1e-4)


def test_compartments_of_one_class_do_not_move_the_temperature() -> None:
    true = np.array([1, 1, 1, 0, 0, 0, 0, 1])
    probability = np.repeat([0.9, 0.1], 4)
    for labels in (np.zeros(8), np.ones(8)):
        both = fit_temperature(np.c_[labels, true], np.c_[np.full(8, 0.7), probability])
        assert both == pytest.approx(2, abs=1e-4)


def test_messages_name_the_shape_that_is_expected() -> None:
    column = np.zeros((2, 1))
    with pytest.raises(InputError, match=r"expected \(n,\) twice"):
        expected_calibration_error(column, column)
    with pytest.raises(InputError, match=r"expected \(n, n_labels\) twice"):
        fit_temperature(np.zeros(2), np.zeros((2, 1)))
    with pytest.raises(InputError, match=r"found 1\.5, expected a number in \[0, 1\]"):
        expected_calibration_error(np.zeros(3), np.array([0.5, 1.5, 2.5]))
