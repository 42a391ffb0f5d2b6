"""Which models of a mean of logits are left out: losses, gains, errors, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from mirnagraph.errors import ConfigError
from mirnagraph.evaluation import mixture
from mirnagraph.evaluation.mixture import left_out, losses


def test_losses_by_hand():
    true = np.array([[1.0, 0.0], [1.0, np.nan], [np.nan, np.nan]])
    probability = np.array([[0.8, 0.4], [0.5, 0.9], [0.1, 0.2]])
    found = losses(true, probability)
    assert found[0] == pytest.approx(-(np.log(0.8) + np.log(0.6)) / 2)
    assert found[1] == pytest.approx(np.log(2))
    assert np.isnan(found[2])
    # certain and wrong: log 1e-12
    assert losses(np.ones((1, 1)), np.zeros((1, 1)))[0] == pytest.approx(27.631, abs=1e-3)
    assert losses(np.zeros((1, 1)), np.ones((1, 1)))[0] == pytest.approx(27.631, abs=1e-3)


def models(n: int, rng: np.random.Generator) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Labels, and logits of two good models and of one that is noise."""
    true = rng.integers(0, 2, (n, 3)).astype(float)
    good = (2 * true - 1) + rng.normal(0, 1, (n, 3))
    other = (2 * true - 1) + rng.normal(0, 1, (n, 3))
    return true, {"good": good, "other": other, "noise": rng.normal(0, 3, (n, 3))}


def mean_of(logits: dict[str, np.ndarray]):
    return lambda names: expit(np.mean([logits[name] for name in names], axis=0))


def test_noise_is_left_out_and_good_models_stay():
    true, logits = models(300, np.random.default_rng(0))
    assert left_out(true, list(logits), mean_of(logits), 0.01) == ("noise",)


def test_nothing_is_left_out_where_the_gain_is_small():
    true, logits = models(300, np.random.default_rng(0))
    assert left_out(true, ["good", "other"], mean_of(logits), 0.01) == ()
    assert left_out(true, list(logits), mean_of(logits), 5.0) == ()


def test_a_gain_within_two_standard_errors_does_not_count():
    true, logits = models(6, np.random.default_rng(4))
    whole = mean_of(logits)(list(logits))
    without = mean_of(logits)(["good", "other"])
    gain = losses(true, whole) - losses(true, without)
    assert 0 < gain.mean() < 2 * gain.std(ddof=1) / np.sqrt(6)
    assert left_out(true, list(logits), mean_of(logits), 1e-6) == ()


def test_a_scale_is_no_reason_since_both_means_are_calibrated():
    true, logits = models(300, np.random.default_rng(1))
    logits = {"good": logits["good"], "loud": 20 * logits["good"]}
    assert left_out(true, list(logits), mean_of(logits), 0.01) == ()


def test_the_worst_goes_first_and_one_remains():
    true, logits = models(400, np.random.default_rng(2))
    wrong = {"wrong": -6 * logits["good"], "noise": logits["noise"], "good": logits["good"]}
    assert left_out(true, list(wrong), mean_of(wrong), 0.01) == ("wrong", "noise")
    both = {"one": -logits["good"], "other": -logits["good"]}
    assert left_out(true, list(both), mean_of(both), 0.01) == ()


def test_unknown_labels_do_not_count():
    true, logits = models(300, np.random.default_rng(0))
    more = {name: np.vstack([values, values[:5]]) for name, values in logits.items()}
    unknown = np.vstack([true, np.full((5, 3), np.nan)])
    assert left_out(unknown, list(more), mean_of(more), 0.01) == ("noise",)


def test_a_least_gain_of_nothing_is_refused():
    with pytest.raises(ConfigError, match="least_gain"):
        left_out(np.ones((2, 1)), ["one"], lambda names: np.ones((2, 1)), 0.0)


@pytest.mark.parametrize(
    ("gains", "removed"),
    [
        # mean 1; half the distance of two RNAs is the standard error: twice 0.49 and twice 0.51
        ((1.49, 0.51), ("worse",)),
        ((1.51, 0.49), ()),
        # no more than the least gain
        ((0.25, 0.25), ()),
        ((0.375, 0.375), ("worse",)),
        # one RNA has no error
        ((1.0, np.nan), ()),
    ],
)
def test_gains_of_two_rnas(
    gains: tuple[float, float], removed: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Losses themselves are given: 2 with both models, less by `gains` without the worse one."""
    monkeypatch.setattr(mixture, "fit_temperature", lambda *_: 1.0)
    monkeypatch.setattr(mixture, "apply_temperature", lambda probability, _: probability)
    monkeypatch.setattr(mixture, "losses", lambda _, probability: probability[:, 0])
    both = np.full((2, 1), 2.0)
    loss_of = {
        ("worse", "better"): both,
        ("better",): both - np.array(gains)[:, None],
        ("worse",): both + 1,
    }
    found = left_out(both, ["worse", "better"], lambda names: loss_of[tuple(names)], 0.25)
    assert found == removed
