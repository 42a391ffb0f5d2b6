"""Piecewise-linear encoding of numbers, worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fusion.nn.encoding import PiecewiseLinear


def column(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float32)[:, None]


def encoded(encoding: PiecewiseLinear, *values: float) -> list[list[float]]:
    rows: list[list[float]] = encoding(torch.from_numpy(column(*values))).tolist()
    return rows


def test_two_bins_by_hand() -> None:
    # bins end at 0, 2 and 4; the training rows are (0, 0), (.5, 0), (1, 0), (1, .5) and (1, 1),
    # of mean (.7, .3)
    encoding = PiecewiseLinear.fit(column(0, 1, 2, 3, 4), 2)
    assert encoding.n_components == 2
    found = encoded(encoding, 0.5, 2, 3, 4)
    expected = [[-0.45, -0.3], [0.3, -0.3], [0.3, 0.2], [0.3, 0.7]]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_values_beyond_the_bins_leave_them_by_half_a_bin() -> None:
    encoding = PiecewiseLinear.fit(column(0, 1, 2, 3, 4), 2)
    # -0.5 is a quarter of a bin below the first one; -9 and 9 are farther than half a bin
    found = encoded(encoding, -0.5, -9, 4.5, 9)
    expected = [[-0.95, -0.3], [-1.2, -0.3], [0.3, 0.95], [0.3, 1.2]]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_quantiles_that_coincide_are_one_edge() -> None:
    # quantiles 0, 0 and 4: one bin, open at both ends; mean 1/5
    encoding = PiecewiseLinear.fit(column(0, 0, 0, 0, 4), 2)
    found = encoded(encoding, 0, 2, 4, 8, -8)
    np.testing.assert_allclose(found, [[-0.2], [0.3], [0.8], [1.3], [-0.7]], atol=1e-6)


def test_quantiles_that_coincide_in_float32_are_one_edge() -> None:
    # the quantile at 0.3 is 1 + 4e-15, by rounding of 0.3 * 10
    values = column(0, 0, 1, 1, 10, 11, 12, 13, 14, 15, 16)
    encoding = PiecewiseLinear.fit(values, 10)
    assert encoding.get_buffer("start").tolist() == [0, 1, 10, 11, 12, 13, 14, 15]
    assert encoding.get_buffer("width").tolist() == [1, 9, 1, 1, 1, 1, 1, 1]


def test_each_column_has_its_own_bins_and_a_constant_one_none() -> None:
    values = np.array([[0, 7, 0], [2, 7, 10], [4, 7, 20]], dtype=np.float32)
    encoding = PiecewiseLinear.fit(values, 2)
    assert encoding.get_buffer("column").tolist() == [0, 0, 2, 2]
    found = encoding(torch.tensor([[1.0, 99, 15]]))
    # columns: (.5, 0) and (1, .5), minus (2/3, 1/3) each
    expected = [[0.5 - 2 / 3, -1 / 3, 1 / 3, 0.5 - 1 / 3]]
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("n_rows", [0, 1, 3])
def test_without_rows_or_variation_there_is_no_component(n_rows: int) -> None:
    encoding = PiecewiseLinear.fit(np.ones((n_rows, 3), dtype=np.float32), 4)
    assert encoding.n_components == 0
    assert encoding(torch.ones(5, 3)).shape == (5, 0)


def test_training_rows_have_mean_0_and_values_stay_in_order() -> None:
    values = np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32)
    encoding = PiecewiseLinear.fit(values, 5)
    found = encoding(torch.from_numpy(values))
    assert found.shape == (40, 10)
    np.testing.assert_allclose(found.mean(dim=0), 0, atol=1e-6)
    order = np.argsort(values[:, 0])
    assert (np.diff(found.numpy()[order, :5].sum(axis=1)) > 0).all()


def test_the_first_column_may_be_the_constant_one() -> None:
    values = np.array([[7, 0], [7, 1], [7, 2]], dtype=np.float32)
    encoding = PiecewiseLinear.fit(values, 1)
    # one bin from 0 to 2 of mean 1/2, open below and above by half a bin
    found = encoding(torch.tensor([[7.0, -9], [7, 1], [7, 9]])).tolist()
    np.testing.assert_allclose(found, [[-1], [0], [1]], atol=1e-6)


def test_before_fitting_there_is_no_component() -> None:
    assert PiecewiseLinear(2).n_components == 0
