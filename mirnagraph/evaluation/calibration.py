"""Calibration error, reliability curve, temperature scaling, decision thresholds."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from mirnagraph.config import require
from mirnagraph.errors import InputError
from mirnagraph.reading.arguments import checked
from mirnagraph.reading.arrays import check_same_shape, finite_vector, number_array, zero_one
from mirnagraph.seeds import generator

N_BINS = 10

BRIER_PARTS = ("brier", "reliability", "resolution", "uncertainty", "within_bins")

# Probabilities are clipped this far from 0 and 1: one certain mistake must not cost infinitely.
EPSILON = 1e-12

LOWEST = 0.1
HIGHEST = 10.0


@checked
def equal_count_bins(probability: np.ndarray, n_bins: int = N_BINS) -> np.ndarray:
    """Assign probabilities to bins of equal count.

    Equal probabilities share a bin, so bins may differ in size. The bin of an RNA does not depend
    on the order of the rows.

    Returns:
        int64 in 0 … n_bins - 1, shape (n,).
    """
    from scipy.stats import rankdata  # slow to load, and not needed to predict

    require(n_bins >= 1, "n_bins", n_bins, "1 or more")
    probability = finite_vector(probability, "probability")
    n = len(probability)
    # the middle of an RNA's (mean) rank as a share of all: ties have one rank, hence one bin
    share = (rankdata(probability) - 0.5) / max(n, 1)
    return np.minimum((share * n_bins).astype(np.int64), n_bins - 1)


@checked
def reliability_curve(
    true: np.ndarray, probability: np.ndarray, n_bins: int = N_BINS
) -> pd.DataFrame:
    """Compare predicted with observed frequencies over bins of equal count.

    Args:
        true: 0/1, shape (n,).
        probability: in [0, 1], shape (n,).
        n_bins: 1 or more; bins that equal probabilities leave empty are left out.

    Returns:
        One row per bin, lowest first: ``n`` (RNAs), ``low``, ``high`` (smallest and largest
        probability), ``predicted`` (mean probability), ``observed`` (share annotated), all but
        ``n`` in [0, 1]. No rows for no RNAs.
    """
    true, probability = _pair(true, probability, 1)
    table = pd.DataFrame({"true": true, "probability": probability})
    return (
        table.groupby(equal_count_bins(probability, n_bins))
        .agg(
            n=("true", "size"),
            low=("probability", "min"),
            high=("probability", "max"),
            predicted=("probability", "mean"),
            observed=("true", "mean"),
        )
        .reset_index(drop=True)
    )


@checked
def expected_calibration_error(
    true: np.ndarray, probability: np.ndarray, n_bins: int = N_BINS
) -> float:
    """Mean distance of predicted and observed frequency over the bins, weighted by their size.

    In [0, 1], 0 is best; NaN for no RNAs. Guo et al. 2017 (arXiv:1706.04599, Eq. 3) with two
    changes that suit one rare compartment at a time: the probability of being annotated in place of
    the confidence in the predicted class, and bins of equal count in place of equal width. Chance
    alone keeps it above 0, the more the fewer RNAs a bin has (see `calibration_error_by_chance`):
    pooled values are more reliable than those of folds of 100 RNAs.

    Args:
        true: 0/1, shape (n,).
        probability: in [0, 1], shape (n,).
        n_bins: 1 or more.
    """
    true, probability = _pair(true, probability, 1)
    if not len(true):
        return float("nan")
    return _binned_error(equal_count_bins(probability, n_bins), probability - true)


def _binned_error(bins: np.ndarray, differences: np.ndarray) -> float:
    """Mean distance of predicted and observed frequency over bins, weighted by their size."""
    return float(np.abs(np.bincount(bins, weights=differences)).sum() / len(bins))


@checked
def calibration_error_by_chance(
    probability: np.ndarray, *, n_bins: int = N_BINS, n_draws: int = 500, seed: int = 0
) -> np.ndarray:
    """Expected calibration errors of a perfectly calibrated model: labels drawn from probabilities.

    Args:
        probability: in [0, 1], shape (n,).
        n_bins: 1 or more.
        n_draws: how often labels are drawn, 1 or more.
        seed: of the draws.

    Returns:
        float64, shape (n_draws,), sorted. NaN for no RNAs.
    """
    require(n_draws >= 1, "n_draws", n_draws, "1 or more")
    probability = finite_vector(probability, "probability")
    _check_range(probability)
    if not len(probability):
        return np.full(n_draws, np.nan)
    bins = equal_count_bins(probability, n_bins)
    rng = generator(seed, "calibration by chance")
    errors = np.empty(n_draws)
    for draw in range(n_draws):
        labels = rng.random(len(probability)) < probability
        errors[draw] = _binned_error(bins, probability - labels)
    return np.sort(errors)


@checked
def brier_parts(
    true: np.ndarray, probability: np.ndarray, n_bins: int = N_BINS
) -> dict[str, float]:
    """Decompose the Brier score: reliability - resolution + uncertainty + within_bins.

    - ``reliability``: squared distance of predicted and observed over the bins, 0 is best
    - ``resolution``: distance of the bins' observed shares from the overall share, more is better
    - ``uncertainty``: share x (1 - share), which no model changes
    - ``within_bins``: variance of the probabilities inside the bins, less twice their covariance
      with the labels; 0 where each bin holds one probability, which leaves Murphy's three terms

    All NaN for no RNAs.

    Args:
        true: 0/1, shape (n,).
        probability: in [0, 1], shape (n,).
        n_bins: 1 or more.

    References:
        Murphy 1973, doi:10.1175/1520-0450(1973)012<0595:ANVPOT>2.0.CO;2; Stephenson et al. 2008,
        doi:10.1175/2007WAF2006116.1.
    """
    true, probability = _pair(true, probability, 1)
    if not len(true):
        return dict.fromkeys(BRIER_PARTS, float("nan"))
    curve = reliability_curve(true, probability, n_bins)
    weight = curve["n"].to_numpy() / len(true)
    share = float(true.mean())
    brier = float(np.mean((probability - true) ** 2))
    reliability = float(weight @ (curve["predicted"] - curve["observed"]).to_numpy() ** 2)
    resolution = float(weight @ (curve["observed"] - share).to_numpy() ** 2)
    uncertainty = share * (1 - share)
    rest = brier - (reliability - resolution + uncertainty)
    parts = (brier, reliability, resolution, uncertainty, rest)
    return dict(zip(BRIER_PARTS, parts, strict=True))


@checked
def log_loss(true: np.ndarray, probability: np.ndarray) -> float:
    """Mean negative log likelihood of 0/1 labels, 0 is best; NaN for no labels.

    Probabilities are clipped 1e-12 away from 0 and 1. Arguments of any shape, the same for both.
    """
    labels = zero_one(true, "true", np.ndim(true)).astype(float)
    probability = number_array(probability, "probability")
    check_same_shape(probability, "probability", labels, "true")
    _check_range(probability)
    return _loss(labels, _safe_logit(probability)) if labels.size else float("nan")


@checked
def fit_temperature(true: np.ndarray, probability: np.ndarray) -> float:
    """Fit the temperature T at which sigmoid(logit(p) / T) has the smallest log loss.

    One T serves all compartments. T above 1 pulls over-confident probabilities towards 0.5, T below
    1 sharpens under-confident ones; ranks within and between compartments stay. Fit it on
    validation rows.

    Args:
        true: 0/1, shape (n,) or (n, n_labels); NaN where unknown, which does not count.
        probability: in [0, 1], same shape, clipped 1e-12 away from 0 and 1.

    Returns:
        T in [0.1, 10]. 1 where no compartment has both classes (those with one class are left out),
        where all probabilities are 0.5, and where no other T is better.

    Raises:
        InputError: shapes that do not fit, labels other than 0 and 1, probabilities outside [0, 1].

    References:
        Guo et al. 2017, arXiv:1706.04599, section 4.2.
    """
    from scipy.optimize import minimize_scalar  # slow to load, and not needed to predict

    true, probability = _pair(true, probability, 2, unknown=True)
    has_both = (true == 0).any(axis=0) & (true == 1).any(axis=0)
    if not has_both.any():
        return 1.0
    labels = true[:, has_both]
    logits = _safe_logit(probability[:, has_both])
    is_known = ~np.isnan(labels)
    if not is_known.all():
        labels = labels[is_known]
        logits = logits[is_known]

    def loss(log_temperature: float) -> float:
        return _loss(labels, logits * np.exp(-log_temperature))

    # the loss is convex in 1 / T, hence has one minimum in log T
    ends = (np.log(LOWEST), np.log(HIGHEST))
    search = minimize_scalar(loss, bounds=ends, method="bounded", options={"xatol": 1e-6})
    # a bounded search never quite reaches its ends
    best = min((float(search.x), *ends), key=loss)
    if loss(best) < _loss(labels, logits) - 1e-12:
        return float(np.clip(np.exp(best), LOWEST, HIGHEST))
    return 1.0


@checked
def apply_temperature(probability: np.ndarray, temperature: float) -> np.ndarray:
    """Return sigmoid(logit(p) / T): float64 in [0, 1], same shape; a T of 1 changes nothing.

    Args:
        probability: in [0, 1], clipped 1e-12 away from 0 and 1; NaN stays.
        temperature: above 0, finite.

    Raises:
        ConfigError: the temperature is out of range.
    """
    is_valid = bool(np.isfinite(temperature)) and temperature > 0
    require(is_valid, "temperature", temperature, "a number above 0")
    probability = number_array(probability, "probability")
    _check_range(probability[~np.isnan(probability)])
    if temperature == 1:
        return probability.copy()
    return np.asarray(expit(_safe_logit(probability) / temperature))


def _safe_logit(probability: np.ndarray) -> np.ndarray:
    return np.asarray(logit(np.clip(probability, EPSILON, 1 - EPSILON)))


def _loss(true: np.ndarray, logits: np.ndarray) -> float:
    """Log loss from logits: log(1 + e^x) - y x, without overflow."""
    return float(np.mean(np.logaddexp(0, logits) - true * logits))


def _pair(
    true: np.ndarray, probability: np.ndarray, dimensions: int, *, unknown: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Check both, as float64 with that many dimensions; with `unknown`, labels may be NaN."""
    true = number_array(true, "true")
    probability = number_array(probability, "probability")
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
    _check_range(probability)
    return true, probability


def _check_range(probability: np.ndarray) -> None:
    is_bad = ~((probability >= 0) & (probability <= 1))
    if is_bad.any():
        first = float(probability[is_bad][0])
        raise InputError("not a probability", found=first, expected="a number in [0, 1]")


@checked
def best_thresholds(true: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Choose the threshold of highest Matthews correlation for each compartment.

    Candidates lie halfway between neighbouring probabilities (and 0 and 1), at most 200 of them;
    the middle one of equals is taken.

    Args:
        true: 0/1, shape (n, n_labels), or (n,) of one compartment; NaN where unknown, which does
            not count.
        probabilities: in [0, 1], same shape.

    Returns:
        Shape (n_labels,); 0.5 where there is one class only.
    """
    true, _ = _pair(true, probabilities, 2, unknown=True)
    # in its precision, which the thresholds have
    probabilities = np.asarray(probabilities).reshape(true.shape)
    thresholds = np.full(true.shape[1], 0.5)
    for column in range(true.shape[1]):
        is_known = ~np.isnan(true[:, column].astype(float))
        labels = true[is_known, column]
        scores = probabilities[is_known, column]
        if not len(labels) or labels.min() == labels.max():
            continue
        levels = np.unique(scores)
        if len(levels) < 2:
            continue
        # predicting every RNA, or none, may be best
        cuts = np.array([levels[0] / 2, *(levels[1:] + levels[:-1]) / 2, (levels[-1] + 1) / 2])
        if len(cuts) > 200:
            cuts = np.quantile(cuts, np.linspace(0, 1, 200))
        correlations = _mcc(labels > 0.5, scores[:, None] >= cuts)
        best = np.flatnonzero(correlations >= correlations.max() - 1e-12)
        thresholds[column] = cuts[best[len(best) // 2]]
    return thresholds


def _mcc(true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Matthews correlation of each column of `predicted`, (n, n_cuts); 0 where it is undefined."""
    n = len(true)
    n_true = true.sum()
    n_predicted = predicted.sum(axis=0).astype(float)
    n_both = predicted[true].sum(axis=0).astype(float)
    scale = np.sqrt(n_predicted * (n - n_predicted) * n_true * (n - n_true))
    ratio = (n * n_both - n_predicted * n_true) / np.where(scale > 0, scale, 1)
    return np.asarray(np.where(scale > 0, ratio, 0.0))
