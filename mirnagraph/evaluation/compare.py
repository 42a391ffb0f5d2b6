"""Paired tests of two models on the same folds: DeLong, bootstrap over RNAs, Holm correction."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm, rankdata

from mirnagraph.config import require
from mirnagraph.errors import InputError, counted
from mirnagraph.evaluation.inputs import by_rna, check_same_rnas
from mirnagraph.evaluation.metrics import AVERAGE, UndefinedMetricWarning
from mirnagraph.reading.arguments import checked, finite_matrix
from mirnagraph.reading.arrays import (
    check_same_shape,
    finite_vector,
    number_array,
    p_values,
    zero_one,
)
from mirnagraph.seeds import generator

CHUNK = 250  # resamples scored at a time

NAN = float("nan")

Scores = Callable[[np.ndarray, np.ndarray, np.ndarray], Sequence[np.ndarray]]
"""Labels (n,), predictions (n,), weights (n_sets, n) -> each metric of every set, (n_sets,)."""


@dataclass(frozen=True, eq=False)
class _Pair:
    """Labels, shape (n, n_labels), and predictions of both models, shape (2, n, n_labels)."""

    names: list[str]
    true: np.ndarray
    predicted: np.ndarray


@checked
def compare(
    first: pd.DataFrame,
    second: pd.DataFrame,
    labels: pd.DataFrame,
    *,
    n_resamples: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Compare two models' out-of-fold predictions of the same RNAs in the same folds.

    All values are pooled over the folds. The AUC of a compartment is tested by DeLong, everything
    else by the paired bootstrap over RNAs: one set of resamples, drawn over the rows of `first`,
    serves both models and all compartments. ``average`` is the mean over the compartments with
    both classes.

    Args:
        first: predictions as in a run's ``predictions.tsv``: columns ``rna_id``, ``fold``, one per
            compartment.
        second: the same of the other model; rows of both are joined by id.
        labels: 0/1, NaN where unknown, index rna_id, one column per compartment; further RNAs are
            not used.
        n_resamples: 100 or more.
        seed: of the resamples.

    Returns:
        One row per compartment (and ``average``) and metric (AUC, AUPR): both values, their
        difference (second - first) with its 95% interval, two-sided p, p after Holm's correction
        over the compartments of that metric, the test, and the number of resamples it used:
        resamples with a single class are left out. NaN where a compartment has one class.

    Raises:
        InputError: the RNAs or folds of the two differ, an RNA has no label or two rows of labels,
            a column is missing, a value is not a number, or a label is neither 0 nor 1.
        ConfigError: `n_resamples` is out of range.
    """
    pair = _paired(first, second, labels, n_resamples)
    is_label = np.isin(pair.true, (0, 1)) | np.isnan(pair.true)
    if not is_label.all():
        found = float(pair.true[~is_label][0])
        raise InputError("labels must be 0 or 1 (NaN where unknown)", found=found)
    has_both = (pair.true == 0).any(axis=0) & (pair.true == 1).any(axis=0)
    if not has_both.all():
        single = ", ".join(np.array(pair.names)[~has_both])
        warnings.warn(
            f"cannot be compared, all RNAs are of one class: {single}",
            UndefinedMetricWarning,
            stacklevel=2,
        )
    rng = generator(seed, "compare")
    return _compared(pair, ("AUC", "AUPR"), weighted_scores, n_resamples, rng, has_both)


@checked
def compare_fractions(
    first: pd.DataFrame,
    second: pd.DataFrame,
    labels: pd.DataFrame,
    *,
    n_resamples: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Compare two models of fractions by Pearson's correlation, pooled over the folds.

    Args:
        first: as for `compare`.
        second: as for `compare`.
        labels: measured fractions, index rna_id, one column per compartment; NaN where unknown.
        n_resamples: 100 or more.
        seed: of the resamples.

    Returns:
        The columns of `compare`, metric ``Pearson``; ``average`` is the mean over compartments.

    Raises:
        InputError: the RNAs or folds of the two differ, or an RNA has no label.
        ConfigError: `n_resamples` is out of range.
    """
    pair = _paired(first, second, labels, n_resamples)

    def scores(true: np.ndarray, predicted: np.ndarray, weights: np.ndarray) -> list[np.ndarray]:
        return [weighted_pearson(true, predicted, weights)]

    every = np.ones(len(pair.names), dtype=bool)
    rng = generator(seed, "compare")
    return _compared(pair, ("Pearson",), scores, n_resamples, rng, every)


@checked
def delong(
    true: np.ndarray, first: np.ndarray, second: np.ndarray
) -> tuple[float, float, float, float, float]:
    """Test the difference of two correlated AUCs, in n log n (DeLong et al. 1988).

    Args:
        true: 0/1, shape (n,).
        first: scores of the RNAs by one model, shape (n,).
        second: scores of the same RNAs by the other model, shape (n,).

    Returns:
        (AUC of the first, AUC of the second, low, high, p): the 95% interval of second - first and
        the two-sided p. All NaN where one class has no RNA; interval and p NaN where one class has
        a single RNA, which leaves no variance to estimate. Where the variance is zero p is 1 for
        equal AUCs and 0 otherwise.

    References:
        DeLong, DeLong, Clarke-Pearson 1988, doi:10.2307/2531595; Sun, Xu 2014,
        doi:10.1109/LSP.2014.2337313.
    """
    positive = zero_one(true, "true", 1)
    scores_of = {"first": finite_vector(first, "first"), "second": finite_vector(second, "second")}
    for name, scores in scores_of.items():
        check_same_shape(scores, name, positive, "true")
    m = int(positive.sum())
    n = int((~positive).sum())
    if not m or not n:
        return (NAN,) * 5
    by_positive = np.empty((2, m))
    by_negative = np.empty((2, n))
    for row, scores in enumerate(scores_of.values()):
        rank = rankdata(scores)
        by_positive[row] = (rank[positive] - rankdata(scores[positive])) / n
        by_negative[row] = 1 - (rank[~positive] - rankdata(scores[~positive])) / m
    auc = by_positive.mean(axis=1).tolist()
    difference = auc[1] - auc[0]
    if m < 2 or n < 2:
        return auc[0], auc[1], NAN, NAN, NAN
    variance = (
        np.var(by_positive[1] - by_positive[0], ddof=1) / m
        + np.var(by_negative[1] - by_negative[0], ddof=1) / n
    )
    sd = float(np.sqrt(variance))
    half = float(norm.ppf(0.975)) * sd
    if sd > 1e-15:
        p = float(2 * norm.sf(abs(difference) / sd))
    else:
        p = float(abs(difference) < 1e-12)
    return auc[0], auc[1], difference - half, difference + half, p


@checked
def holm(p: Sequence[float]) -> list[float]:
    """Correct p-values for their number (Holm 1979).

    Args:
        p: p-values; NaN stays NaN and is not counted.

    Returns:
        Corrected p-values, in the order given.

    >>> [round(x, 3) for x in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    values = p_values(p)
    known = np.flatnonzero(~np.isnan(values))
    order = known[np.argsort(values[known], kind="stable")]
    n_left = np.arange(len(order), 0, -1)
    corrected = np.full(len(values), np.nan)
    corrected[order] = np.minimum(np.maximum.accumulate(values[order] * n_left), 1.0)
    return list(corrected.tolist())


@checked
def weighted_scores(
    true: np.ndarray, scores: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Compute AUC and average precision of weighted RNAs, for many sets of weights at once.

    Args:
        true: 0/1, shape (n,); NaN where unknown, which does not count.
        scores: shape (n,).
        weights: how often each RNA counts, 0 or more, shape (n_sets, n).

    Returns:
        (AUC, AUPR), each of shape (n_sets,); NaN where a set has one class only.

    Raises:
        InputError: see `_weighted`.
    """
    true, scores, weights = _weighted(true, scores, weights)
    known = ~np.isnan(true)
    if not known.any():
        return np.full(len(weights), np.nan), np.full(len(weights), np.nan)
    true = true[known]
    scores = scores[known]
    weights = weights[:, known]
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    # equal scores share one threshold
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    positive = np.add.reduceat(weights[:, order] * (true[order] != 0), starts, axis=1)
    negative = np.add.reduceat(weights[:, order] * (true[order] == 0), starts, axis=1)
    n_positive = positive.sum(axis=1)
    n_negative = negative.sum(axis=1)
    is_defined = (n_positive > 0) & (n_negative > 0)
    true_positives = positive.cumsum(axis=1)
    false_positives = negative.cumsum(axis=1)
    below = n_negative[:, None] - false_positives
    with np.errstate(invalid="ignore", divide="ignore"):
        auc = (positive * (below + negative / 2)).sum(axis=1) / (n_positive * n_negative)
        share = true_positives / (true_positives + false_positives)
        precision = np.where(true_positives > 0, share, 0.0)
        aupr = (positive * precision).sum(axis=1) / n_positive
    return np.where(is_defined, auc, np.nan), np.where(is_defined, aupr, np.nan)


@checked
def weighted_pearson(true: np.ndarray, predicted: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Compute Pearson's correlation for many sets of weights at once.

    Args:
        true: shape (n,); NaN where unknown, which does not count.
        predicted: shape (n,).
        weights: how often each RNA counts, shape (n_sets, n).

    Returns:
        Shape (n_sets,); NaN where either side does not vary.

    Raises:
        InputError: see `_weighted`.
    """
    true, predicted, weights = _weighted(true, predicted, weights)
    known = ~np.isnan(true)
    x = _standard(true[known])
    y = _standard(predicted[known])
    w = weights[:, known]
    total = w.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        x_mean = w @ x / total
        y_mean = w @ y / total
        joint = w @ (x * y) / total - x_mean * y_mean
        x_var = w @ x**2 / total - x_mean**2
        y_var = w @ y**2 / total - y_mean**2
        varies = (x_var > 1e-15) & (y_var > 1e-15)
        scale = np.sqrt(np.where(varies, x_var * y_var, 1.0))
        return np.asarray(np.where(varies, joint / scale, np.nan))


def _weighted(
    true: np.ndarray, predicted: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Check values and weights of RNAs.

    Raises:
        InputError: shapes that do not fit, or a number that is infinite, missing or, of a weight,
            negative.
    """
    labels = number_array(true, "true")
    values = finite_vector(predicted, "predicted")
    check_same_shape(labels, "true", values, "predicted")
    numbers = np.asarray(finite_matrix(weights, "weights"))
    if numbers.shape[1] != len(values) or (numbers < 0).any() or np.isinf(labels).any():
        found = f"{numbers.shape}, the lowest {numbers.min(initial=0.0):g}"
        raise InputError(
            "weights do not fit the values",
            found=found,
            expected=f"(n_sets, {len(values)}) numbers of 0 or more, and no infinite value",
        )
    return labels, values, numbers


def _standard(values: np.ndarray) -> np.ndarray:
    """Values around 0 in [-1, 1], so that rounding does not depend on their scale."""
    centred = values - values.mean() if len(values) else values
    largest = float(np.abs(centred).max(initial=0.0))
    # what is left of equal values by rounding is no variation
    if largest <= 1e-12 * float(np.abs(values).max(initial=0.0)):
        return np.zeros(len(values))
    return np.asarray(centred / largest)


@checked
def interval(draws: np.ndarray) -> tuple[float, float, float]:
    """95% percentile interval and two-sided p of a resampled difference.

    Args:
        draws: shape (n_resamples,); NaN where undefined, which does not count.

    Returns:
        (low, high, p); all NaN without a defined draw.

    Raises:
        InputError: another shape, or an infinite number.
    """
    draws = number_array(draws, "draws")
    known = finite_vector(draws[~np.isnan(draws)], "draws")
    if draws.ndim != 1:
        raise InputError("draws have another shape", found=draws.shape, expected="(n_resamples,)")
    if not len(known):
        return (NAN,) * 3
    low, high = np.quantile(known, [0.025, 0.975])
    # One is added to both counts: with B resamples no p is below 2 / (B + 1).
    tail = min((known <= 0).sum(), (known >= 0).sum()) + 1
    return float(low), float(high), float(min(1.0, 2 * tail / (len(known) + 1)))


def _compared(
    pair: _Pair,
    metrics: Sequence[str],
    scores: Scores,
    n_resamples: int,
    rng: np.random.Generator,
    is_averaged: np.ndarray,
) -> pd.DataFrame:
    """Table of `compare`; the mean is over the compartments that `is_averaged` marks."""
    # both models over all RNAs: shape (2, n_metrics, n_labels)
    values = _scored(pair, scores, np.ones((1, len(pair.true))))[..., 0].transpose(0, 2, 1)
    draws = _resampled(pair, scores, n_resamples, rng)
    rows = []
    for number, metric in enumerate(metrics):
        rows += _metric_rows(metric, pair, values[:, number], draws[number], is_averaged)
    return pd.DataFrame(rows)


def _scored(pair: _Pair, scores: Scores, weights: np.ndarray) -> np.ndarray:
    """Metrics of both models, shape (2, n_labels, n_metrics, n_sets)."""
    sides = []
    for predicted in pair.predicted:
        columns = zip(pair.true.T, predicted.T, strict=True)
        sides.append([scores(true, column, weights) for true, column in columns])
    return np.array(sides)


def _resampled(
    pair: _Pair, scores: Scores, n_resamples: int, rng: np.random.Generator
) -> np.ndarray:
    """Differences second - first of each metric: shape (n_metrics, n_resamples, n_labels)."""
    n = len(pair.true)
    chunks = []
    for start in range(0, n_resamples, CHUNK):
        size = min(CHUNK, n_resamples - start)
        weights = rng.multinomial(n, np.full(n, 1 / n), size=size).astype(float)
        first, second = _scored(pair, scores, weights)
        chunks.append(np.moveaxis(second - first, 0, -1))
    return np.concatenate(chunks, axis=1)


def _metric_rows(
    metric: str, pair: _Pair, values: np.ndarray, draws: np.ndarray, is_averaged: np.ndarray
) -> list[dict[str, Any]]:
    """Rows of one metric: each compartment, then the mean over those that `is_averaged` marks."""
    rows = []
    for column, name in enumerate(pair.names):
        row = _bootstrap_row(name, metric, values[:, column], draws[:, column])
        if metric == "AUC":
            known = ~np.isnan(pair.true[:, column])
            low, high, p = delong(pair.true[known, column], *pair.predicted[:, known, column])[2:]
            row |= {"low": low, "high": high, "p": p, "test": "DeLong", "n_resamples": 0}
        rows.append(row)
    for row, corrected in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row["p_holm"] = corrected
    mean = np.full(2, np.nan)
    mean_draws = np.full(len(draws), np.nan)
    if is_averaged.any():
        mean = values[:, is_averaged].mean(axis=1)
        mean_draws = draws[:, is_averaged].mean(axis=1)
    return [*rows, _bootstrap_row(AVERAGE, metric, mean, mean_draws)]


def _bootstrap_row(
    compartment: str, metric: str, values: np.ndarray, draws: np.ndarray
) -> dict[str, Any]:
    low, high, p = interval(draws)
    return {
        "compartment": compartment,
        "metric": metric,
        "first": values[0],
        "second": values[1],
        "difference": values[1] - values[0],
        "low": low,
        "high": high,
        "p": p,
        "p_holm": np.nan,
        "test": "bootstrap",
        "n_resamples": int((~np.isnan(draws)).sum()),
    }


def _paired(
    first: pd.DataFrame, second: pd.DataFrame, labels: pd.DataFrame, n_resamples: int
) -> _Pair:
    """Join labels and both prediction tables by RNA; refuse what cannot be compared."""
    require(n_resamples >= 100, "n_resamples", n_resamples, "100 or more")
    names = [str(name) for name in labels.columns]
    if AVERAGE in names or len(set(names)) < len(names) or not names:
        raise InputError(
            "compartment names do not fit",
            found=", ".join(names),
            expected=f"different names, none of them {AVERAGE!r}",
        )
    repeated = labels.index[labels.index.duplicated()]
    if len(repeated):
        raise InputError(
            "labels hold an RNA twice", column="rna_id", found=str(repeated[0]), expected="once"
        )
    first = by_rna(first, names, "first")
    second = by_rna(second, names, "second")
    check_same_rnas(first, second)
    second = second.loc[first.index]
    differ = first.index[first["fold"] != second["fold"]]
    if len(differ):
        folds = [table["fold"].loc[differ[0]] for table in (first, second)]
        n_differ = counted(len(differ), "RNA")
        raise InputError(
            f"the two models were tested in different folds ({n_differ})",
            found=f"{differ[0]} in fold {folds[0]} and in fold {folds[1]}",
            expected="the same folds in both",
        )
    absent = first.index.difference(labels.index)
    if len(absent):
        raise InputError(
            "a predicted RNA has no label",
            column="rna_id",
            found=str(absent[0]),
            expected="an RNA of the label table",
        )
    true = number_array(labels.loc[first.index], "labels")
    predicted = [number_array(table[names], "predictions") for table in (first, second)]
    return _Pair(names, true, np.stack(predicted))
