"""Properties of calibration: bounds, order of rows, plain definitions, temperatures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from scipy.stats import rankdata

from mirnagraph.evaluation import calibration as cal


@st.composite
def predictions(draw, n_min=2, n_max=60):
    n = draw(st.integers(n_min, n_max))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    prob = np.round(
        rng.random(n), draw(st.sampled_from([1, 6]))
    )  # one digit makes ties, and 0 and 1
    return (rng.random(n) < draw(st.sampled_from([0.0, 0.3, 0.9]))).astype(int), prob, rng


def plain_error(true, prob, n_bins):
    """Bin by the middle of the mean rank, then add up distances: loops over the definition."""
    bins = {}
    for t, p in zip(true, prob, strict=True):
        middle = sum(q < p for q in prob) + sum(q == p for q in prob) / 2
        bins.setdefault(int(middle * n_bins / len(prob)), []).append((t, p))
    return sum(
        abs(np.mean([p for _, p in b]) - np.mean([t for t, _ in b])) * len(b) for b in bins.values()
    ) / len(prob)


@given(predictions(), st.integers(1, 12))
@settings(max_examples=10, deadline=None)
def test_the_error_is_that_of_the_plain_definition_in_any_order(made, n_bins):
    true, prob, rng = made
    got = cal.expected_calibration_error(true, prob, n_bins)
    assert got == pytest.approx(plain_error(true.tolist(), prob.tolist(), n_bins), abs=1e-12)
    order = rng.permutation(len(true))
    assert cal.expected_calibration_error(true[order], prob[order], n_bins) == pytest.approx(
        got, abs=1e-12
    )
    # never below the distance of the two means, which one bin alone shows, and never above the mean
    # absolute error
    assert abs(prob.mean() - true.mean()) - 1e-12 <= got <= np.abs(prob - true).mean() + 1e-12
    curve = cal.reliability_curve(true, prob, n_bins)
    assert curve["n"].sum() == len(true)
    assert len(curve) <= n_bins
    assert (curve["low"] <= curve["predicted"] + 1e-12).all()
    assert (curve["predicted"] <= curve["high"] + 1e-12).all()
    assert (curve["high"].to_numpy()[:-1] < curve["low"].to_numpy()[1:]).all()
    assert (curve["n"] * (curve["predicted"] - curve["observed"]).abs()).sum() / len(
        true
    ) == pytest.approx(got, abs=1e-12)


@given(predictions(), st.integers(1, 12))
@settings(max_examples=10, deadline=None)
def test_the_parts_add_up_to_the_brier_score(made, n_bins):
    true, prob, _ = made
    parts = cal.brier_parts(true, prob, n_bins)
    assert parts["brier"] == pytest.approx(np.mean((true - prob) ** 2))
    of = cal.equal_count_bins(prob, n_bins)
    hidden = 0.0
    for one in np.unique(of):
        t, p = true[of == one], prob[of == one]
        hidden += len(t) / len(true) * (p.var() - 2 * np.mean((p - p.mean()) * (t - t.mean())))
    assert parts["within_bins"] == pytest.approx(hidden, abs=1e-12)
    assert min(parts["reliability"], parts["resolution"], parts["uncertainty"]) >= 0


@given(predictions(n_min=5), st.floats(0.3, 3))
@settings(max_examples=10, deadline=None)
def test_a_temperature_keeps_the_order_and_can_be_taken_back(made, temperature):
    prob = 0.001 + 0.998 * made[1]  # nearer to 0 and 1 a number has no room for the order
    changed = cal.apply_temperature(prob, temperature)
    assert rankdata(changed).tolist() == rankdata(prob).tolist()
    np.testing.assert_allclose(cal.apply_temperature(changed, 1 / temperature), prob, atol=1e-6)
    softer = np.abs(changed - 0.5) <= np.abs(prob - 0.5) + 1e-12
    assert softer.all() if temperature >= 1 else (softer == np.isclose(prob, 0.5)).all()


@given(predictions(n_min=5))
@settings(max_examples=10, deadline=None)
def test_the_fitted_temperature_is_best_among_many(made):
    true, prob, rng = made
    two = np.c_[true, rng.permutation(true)]
    probs = np.c_[prob, rng.random(len(prob))]
    fitted = cal.fit_temperature(two, probs)
    assert cal.LOWEST <= fitted <= cal.HIGHEST
    least = cal.log_loss(two, cal.apply_temperature(probs, fitted))
    if 0 < true.sum() < len(true):
        assert (
            least
            <= min(
                cal.log_loss(two, cal.apply_temperature(probs, t))
                for t in np.geomspace(cal.LOWEST, cal.HIGHEST, 25)
            )
            + 1e-7
        )
    else:
        assert fitted == 1
    assert cal.fit_temperature(two[::-1], probs[::-1]) == pytest.approx(fitted, rel=1e-4)


@given(st.integers(0, 1000), st.floats(1.5, 4))
@settings(max_examples=4, deadline=None)
def test_a_temperature_of_one_half_heals_over_confidence_of_the_other_half(seed, factor):
    rng = np.random.default_rng(seed)
    honest = expit(rng.normal(0, 1.5, (600, 3)))
    true = (rng.random(honest.shape) < honest).astype(int)
    loud = expit(logit(honest) * factor)
    fitted = cal.fit_temperature(true[:300], loud[:300])
    assert fitted == pytest.approx(factor, rel=0.3)
    assert cal.log_loss(true[300:], cal.apply_temperature(loud[300:], fitted)) < cal.log_loss(
        true[300:], loud[300:]
    )
    healed = cal.apply_temperature(loud, fitted)
    before, after = (
        np.mean([cal.expected_calibration_error(true[300:, k], p[300:, k]) for k in range(3)])
        for p in (loud, healed)
    )
    assert after < before
