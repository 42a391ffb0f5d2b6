"""Calibration error, temperature, decision thresholds."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from mirnagraph.config import require
from mirnagraph.errors import InputError
from mirnagraph.seeds import generator

N_BINS = 10

CURVE_COLUMNS = ["n", "low", "high", "predicted", "observed"]

# Probabilities nearer to 0 or 1 than this are taken for this near: one sure mistake must not cost infinitely much.
EPSILON = 1e-12

LOWEST = 0.1
HIGHEST = 10.0


def equal_count_bins(probability: np.ndarray, n_bins: int = N_BINS) -> np.ndarray:
    """Bins of equally many probabilities: int64 in 0 … n_bins - 1, shape (n,); equal probabilities share a bin, so bins may differ in size.

    Which bin an RNA is in does not depend on the order of the rows.
    """
    from scipy.stats import (
        rankdata,  # takes seconds to load, and models are opened and asked without it
    )

    require(n_bins >= 1, "n_bins", n_bins, "1 or more")
    n = len(probability)
    # the middle of an RNA's (mean) rank as a share of all: ties have one rank, hence one bin
    share = (rankdata(probability) - 0.5) / max(n, 1)
    return np.minimum((share * n_bins).astype(np.int64), n_bins - 1)


def reliability_curve(
    true: np.ndarray, probability: np.ndarray, n_bins: int = N_BINS
) -> pd.DataFrame:
    """What was predicted and what came true, over bins of equally many RNAs.

    Args:
        true: 0/1, shape (n,).
        probability: in [0, 1], shape (n,).
        n_bins: 1 or more; bins that equal probabilities leave empty are left out.

    Returns:
        One row per bin, lowest first: ``n`` (RNAs), ``low``, ``high`` (smallest and largest probability), ``predicted`` (mean
        probability), ``observed`` (share annotated), all but ``n`` in [0, 1]. No rows for no RNAs.
    """
    true, probability = _pair(true, probability, 1)
    table = pd.DataFrame(
        {"bin": equal_count_bins(probability, n_bins), "true": true, "probability": probability}
    )
    grouped = table.groupby("bin")
    columns = [
        grouped.size(),
        grouped["probability"].min(),
        grouped["probability"].max(),
        grouped["probability"].mean(),
        grouped["true"].mean(),
    ]
    return pd.concat(columns, axis=1, keys=CURVE_COLUMNS).reset_index(drop=True)


def expected_calibration_error(
    true: np.ndarray, probability: np.ndarray, n_bins: int = N_BINS
) -> float:
    """Mean distance of predicted and observed over the bins, weighted by their size: in [0, 1], 0 is best; NaN for no RNAs.

    Guo et al. 2017 (arXiv:1706.04599, Eq. 3) with two changes that suit one rare compartment at a time: the probability of being
    annotated in place of the confidence in the chosen class, and bins of equal count in place of equal width. Chance alone keeps it
    above 0, the more the fewer RNAs a bin has (see `calibration_error_by_chance`): over folds of 100 RNAs it says little, pooled it says more.

    Args:
        true: 0/1, shape (n,).
        probability: in [0, 1], shape (n,).
        n_bins: 1 or more.
    """
    true, probability = _pair(true, probability, 1)
    if not len(true):
        return float("nan")
    of = equal_count_bins(probability, n_bins)
    return float(np.abs(np.bincount(of, weights=probability - true)).sum() / len(true))


def calibration_error_by_chance(
    probability: np.ndarray, *, n_bins: int = N_BINS, n_draws: int = 500, seed: int = 0
) -> np.ndarray:
    """Expected calibration errors of a perfectly calibrated model of the same probabilities, its labels drawn from them.

    Args:
        probability: in [0, 1], shape (n,).
        n_draws: how often labels are drawn, 1 or more.
        seed: of the draws.

    Returns:
        float64, shape (n_draws,), sorted. NaN for no RNAs.
    """
    require(n_draws >= 1, "n_draws", n_draws, "1 or more")
    probability = np.asarray(probability, dtype=float)
    if not len(probability):
        return np.full(n_draws, np.nan)
    of = equal_count_bins(probability, n_bins)
    random = generator(seed, "calibration by chance")
    found = np.empty(n_draws)
    for draw in range(n_draws):
        labels = random.random(len(probability)) < probability
        found[draw] = np.abs(np.bincount(of, weights=probability - labels)).sum() / len(probability)
    return np.sort(found)


def brier_parts(
    true: np.ndarray, probability: np.ndarray, n_bins: int = N_BINS
) -> dict[str, float]:
    """The Brier score as reliability - resolution + uncertainty + what the bins hide.

    - ``reliability``: squared distance of predicted and observed over the bins, 0 is best
    - ``resolution``: how far the bins' observed shares lie from the overall share, more is better
    - ``uncertainty``: share x (1 - share), which no model changes
    - ``within_bins``: variance of the probabilities inside the bins, less twice their covariance with the labels; 0 where each bin holds one
      probability, so that the others are then exactly Murphy's three

    All NaN for no RNAs.

    Args:
        true: 0/1, shape (n,).
        probability: in [0, 1], shape (n,).

    Source: Murphy 1973, doi:10.1175/1520-0450(1973)012<0595:ANVPOT>2.0.CO;2; Stephenson et al. 2008, doi:10.1175/2007WAF2006116.1.
    """
    true, probability = _pair(true, probability, 1)
    if not len(true):
        return dict.fromkeys(
            ("brier", "reliability", "resolution", "uncertainty", "within_bins"), float("nan")
        )
    curve = reliability_curve(true, probability, n_bins)
    weight = curve["n"].to_numpy() / len(true)
    share = float(true.mean())
    brier = float(np.mean((probability - true) ** 2))
    reliability = float(weight @ (curve["predicted"] - curve["observed"]).to_numpy() ** 2)
    resolution = float(weight @ (curve["observed"] - share).to_numpy() ** 2)
    uncertainty = share * (1 - share)
    rest = brier - (reliability - resolution + uncertainty)
    return {
        "brier": brier,
        "reliability": reliability,
        "resolution": resolution,
        "uncertainty": uncertainty,
        "within_bins": rest,
    }


def log_loss(true: np.ndarray, probability: np.ndarray) -> float:
    """Mean of -log of the probability given to what is true, 0 or more, 0 is best; probabilities are kept 1e-12 away from 0 and 1; NaN for none.

    Arguments of any shape, the same for both.
    """
    true = np.asarray(true, dtype=float)
    probability = np.asarray(probability, dtype=float)
    return _loss(true, _safe_logit(probability)) if true.size else float("nan")


def fit_temperature(true: np.ndarray, probability: np.ndarray) -> float:
    """The temperature T at which sigmoid(logit(p) / T) has the smallest log loss, one T for all compartments.

    T above 1 pulls over-confident probabilities towards 0.5, T below 1 sharpens timid ones; ranks within and between compartments stay.
    Fit it on RNAs of the training part that the model did not learn from.

    Args:
        true: 0/1, shape (n,) or (n, n_labels); NaN where unknown, which counts for nothing.
        probability: in [0, 1], same shape; 0 and 1 are taken as 1e-12 away.

    Returns:
        T in [0.1, 10]. 1 where no compartment has both classes (those with one class are left out), where all probabilities are 0.5, and
        where no other T is better.

    Raises:
        InputError: shapes that do not fit, labels other than 0 and 1, probabilities outside [0, 1].

    Source: Guo et al. 2017, arXiv:1706.04599, section 4.2.
    """
    from scipy.optimize import minimize_scalar  # models are opened and asked without it

    true, probability = _pair(true, probability, 2, unknown=True)
    known = ~np.isnan(true)
    two = (
        ((true == 0).any(axis=0) & (true == 1).any(axis=0))
        if len(true)
        else np.zeros(true.shape[1], dtype=bool)
    )
    if not two.any():
        return 1.0
    labels = true[:, two]
    logits = _safe_logit(probability[:, two])
    if not known.all():
        labels = labels[known[:, two]]
        logits = logits[known[:, two]]
    # the loss is convex in 1 / T, hence has one valley in log T
    found = minimize_scalar(
        lambda t: _loss(labels, logits * np.exp(-t)),
        bounds=(np.log(LOWEST), np.log(HIGHEST)),
        method="bounded",
        options={"xatol": 1e-6},
    )
    # a bounded search never quite reaches its ends
    best = min(
        (float(found.x), np.log(LOWEST), np.log(HIGHEST)),
        key=lambda t: _loss(labels, logits * np.exp(-t)),
    )
    return (
        float(np.clip(np.exp(best), LOWEST, HIGHEST))
        if _loss(labels, logits * np.exp(-best)) < _loss(labels, logits) - 1e-12
        else 1.0
    )


def apply_temperature(probability: np.ndarray, temperature: float) -> np.ndarray:
    """sigmoid(logit(p) / T): float64 in [0, 1], same shape; a T of 1 changes nothing.

    Args:
        probability: in [0, 1]; 0 and 1 are taken as 1e-12 away.
        temperature: above 0, finite.

    Raises:
        ConfigError: the temperature is out of range.
    """
    require(
        bool(np.isfinite(temperature)) and temperature > 0,
        "temperature",
        temperature,
        "a number above 0",
    )
    probability = np.asarray(probability, dtype=float)
    return (
        probability.copy()
        if temperature == 1
        else np.asarray(expit(_safe_logit(probability) / temperature))
    )


def _safe_logit(probability: np.ndarray) -> np.ndarray:
    return np.asarray(logit(np.clip(probability, EPSILON, 1 - EPSILON)))


def _loss(true: np.ndarray, logits: np.ndarray) -> float:
    """Log loss from logits: log(1 + e^x) - y x, without overflow."""
    return float(np.mean(np.logaddexp(0, logits) - true * logits))


def _pair(
    true: np.ndarray, probability: np.ndarray, dimensions: int, *, unknown: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Both as float64 of one shape with that many dimensions; one column where there was none. `unknown`: labels may be NaN."""
    true = np.asarray(true, dtype=float)
    probability = np.asarray(probability, dtype=float)
    if dimensions == 2 and true.ndim == 1 and true.shape == probability.shape:
        true = true[:, None]
        probability = probability[:, None]
    if true.shape != probability.shape or true.ndim != dimensions:
        expected = "(n,) twice" if dimensions == 1 else "(n, n_labels) twice"
        raise InputError(
            "labels and probabilities do not fit each other",
            found=f"{true.shape} and {probability.shape}",
            expected=expected,
        )
    if not (np.isin(true, (0, 1)) | (unknown & np.isnan(true))).all():
        raise InputError("labels must be 0 or 1")
    bad = ~((probability >= 0) & (probability <= 1))
    if bad.any():
        raise InputError(
            "not a probability", found=float(probability[bad][0]), expected="a number in [0, 1]"
        )
    return true, probability


def best_thresholds(true: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Per compartment the threshold of highest Matthews correlation, shape (n_labels,); 0.5 where there is one class only.

    Rows whose label is not known (NaN) take no part. Candidates lie halfway between neighbouring probabilities (and 0 and 1), at most 200 of
    them; the middle one of equals is taken.
    """
    found = np.full(true.shape[1], 0.5)
    for column in range(true.shape[1]):
        known = ~np.isnan(true[:, column].astype(float))
        labels = true[known, column]
        said = probabilities[known, column]
        if not len(labels) or labels.min() == labels.max():
            continue
        levels = np.unique(said)
        if len(levels) < 2:
            continue
        # below all and above all stand at the ends: calling every RNA, or none, may be best
        between = np.array([levels[0] / 2, *(levels[1:] + levels[:-1]) / 2, (levels[-1] + 1) / 2])
        if len(between) > 200:
            between = np.quantile(between, np.linspace(0, 1, 200))
        scores = _mcc(labels > 0.5, said[:, None] >= between)
        best = np.flatnonzero(scores >= scores.max() - 1e-12)
        found[column] = between[best[len(best) // 2]]
    return found


def _mcc(true: np.ndarray, called: np.ndarray) -> np.ndarray:
    """Matthews correlation of every column of 0/1 calls, shape (n, n_cuts), with the truth (n,); 0 where it is undefined."""
    n = len(true)
    positives = true.sum()
    calls = called.sum(axis=0).astype(float)
    hits = called[true].sum(axis=0).astype(float)
    spread = np.sqrt(calls * (n - calls) * positives * (n - positives))
    return np.asarray(
        np.where(spread > 0, (n * hits - calls * positives) / np.where(spread > 0, spread, 1), 0.0)
    )
