"""Decision thresholds by hand: ends, ties, two levels, more than 200 candidates."""

from __future__ import annotations

import numpy as np
import pytest

from mirnagraph.evaluation.calibration import best_thresholds
from mirnagraph.evaluation.scores import mcc


def threshold(true: list[float], said: list[float]) -> float:
    return float(best_thresholds(np.array(true)[:, None], np.array(said)[:, None])[0])


def test_two_probabilities() -> None:
    assert threshold([0, 1], [0.2, 0.8]) == 0.5


def test_nothing_is_called_where_every_cut_inside_is_wrong() -> None:
    # candidates .1 (all called, 0), .5 (-1), .9 (none called, 0): the second of the two equals
    assert threshold([1, 0], [0.2, 0.8]) == pytest.approx(0.9)


def test_a_probability_of_one_is_called_by_every_candidate() -> None:
    # candidates .1 (all called, 0), .6 (-1), 1 (reached by the probability 1, -1)
    assert threshold([1, 0], [0.2, 1.0]) == pytest.approx(0.1)


def test_the_middle_one_of_equal_candidates_is_taken() -> None:
    # at .15 three are called, two rightly: (4 x 2 - 3 x 2) / sqrt(3 x 1 x 2 x 2) = 1 / sqrt(3); at
    # .35 one is called, rightly: (4 x 1 - 1 x 2) / sqrt(1 x 3 x 2 x 2) = 1 / sqrt(3); 0 at the
    # others
    assert threshold([0, 1, 0, 1], [0.1, 0.2, 0.3, 0.4]) == pytest.approx(0.35)


def test_unknown_labels_and_each_compartment_by_itself() -> None:
    true = np.array([[0, 1], [1, 0], [np.nan, 1], [1, 0]])
    said = np.array([[0.1, 0.6], [0.5, 0.4], [0.2, 0.8], [0.9, 0.3]])
    # first: .1 against .5 and .9; second: .3 and .4 against .6 and .8
    np.testing.assert_allclose(best_thresholds(true, said), [0.3, 0.5])


def test_candidates_are_thinned_to_200_where_there_are_more() -> None:
    # 400 levels i / 400 have 401 candidates, the i-th at (i - 0.5) / 400, of which 200 are taken at
    # even distances: only the candidate at 100 x 400 / 199 = 201.005 lies between the levels 200
    # and 201
    levels = np.arange(400) / 400
    found = threshold((levels >= 201 / 400).tolist(), levels.tolist())
    assert found == pytest.approx((100 * 400 / 199 - 0.5) / 400)


def test_one_candidate_more_than_200_is_thinned_and_200_are_not() -> None:
    # 200 levels have 201 candidates: the 100th of 200 at even distances lies at 100 x 200 / 199 =
    # 100.503
    levels = np.arange(200) / 200
    found = threshold((levels >= 101 / 200).tolist(), levels.tolist())
    assert found == pytest.approx((100 * 200 / 199 - 0.5) / 200)
    levels = np.arange(199) / 199
    found = threshold((levels >= 101 / 199).tolist(), levels.tolist())
    assert found == pytest.approx(100.5 / 199)


@pytest.mark.parametrize("seed", range(12))
def test_no_cut_has_a_higher_matthews_correlation(seed: int) -> None:
    rng = np.random.default_rng(seed)
    true = np.r_[0, 1, rng.integers(0, 2, 13)]
    said = rng.random(15).round(1)
    best = mcc(true, (said >= threshold(true.tolist(), said.tolist())).astype(int))
    others = [mcc(true, (said >= cut).astype(int)) for cut in np.arange(0.05, 1.0, 0.1)]
    assert best >= max(others) - 1e-12
