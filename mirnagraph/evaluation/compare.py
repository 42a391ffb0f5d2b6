"""DeLong, paired bootstrap, Holm."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import norm, rankdata

from mirnagraph.config import require
from mirnagraph.errors import InputError
from mirnagraph.evaluation.metrics import AVERAGE, UndefinedMetricWarning
from mirnagraph.seeds import generator

COLUMNS = [
    "compartment",
    "metric",
    "first",
    "second",
    "difference",
    "low",
    "high",
    "p",
    "p_holm",
    "test",
    "n_resamples",
]

CHUNK = 250


def compare(
    first: pd.DataFrame,
    second: pd.DataFrame,
    labels: pd.DataFrame,
    *,
    n_resamples: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Compare two models' out-of-fold predictions of the same RNAs in the same folds.

    All numbers are pooled over the folds. The AUC of a compartment is tested by DeLong, everything else by the paired bootstrap over RNAs:
    one set of resamples serves both models and all compartments. ``average`` is the mean over the compartments that have an answer.

    Args:
        first, second: predictions as in a run's ``predictions.tsv``: columns ``rna_id``, ``fold``, one per compartment. Rows of both are
            joined by id.
        labels: 0/1, index rna_id, one column per compartment; further RNAs are not used.
        n_resamples: 100 or more.
        seed: of the resamples.

    Returns:
        One row per compartment (and ``average``) and metric (AUC, AUPR): both values, their difference (second - first) with its 95%
        interval, two-sided p, p after Holm's correction over the compartments of that metric, the test, and the number of resamples behind
        it: those without an annotated or without an unannotated RNA are left out. NaN where a compartment has one class.

    Raises:
        InputError: the RNAs or folds of the two differ, an RNA has no label, a column is missing, or a value is not a number.
        ConfigError: `n_resamples` is out of range.
    """
    require(n_resamples >= 100, "n_resamples", n_resamples, "100 or more")
    names = [str(name) for name in labels.columns]
    one, other = joined(first, second, names)
    absent = one.index.difference(labels.index)
    if len(absent):
        raise InputError(
            "a predicted RNA has no label",
            column="rna_id",
            found=str(absent[0]),
            expected="an RNA of the label table",
        )
    true = labels.loc[one.index].to_numpy().astype(np.float64)
    known = [~np.isnan(true[:, k]) for k in range(len(names))]
    p = one[names].to_numpy(dtype=float)
    q = other[names].to_numpy(dtype=float)
    lacking = [
        name for k, name in enumerate(names) if not 0 < np.nansum(true[:, k]) < known[k].sum()
    ]
    if lacking:
        warnings.warn(
            f"cannot be compared, all RNAs are of one class: {', '.join(lacking)}",
            UndefinedMetricWarning,
            stacklevel=2,
        )
    rows: list[list[object]] = []
    resampled = _resampled(true, p, q, n_resamples, generator(seed, "compare"))
    for number, metric in enumerate(("AUC", "AUPR")):
        at = np.array(
            [
                [
                    weighted_scores(true[at, k], x[at, k], np.ones((1, at.sum())))[number][0]
                    for k, at in enumerate(known)
                ]
                for x in (p, q)
            ]
        )
        draws = resampled[number]
        part: list[list[object]] = []
        for k, name in enumerate(names):
            if metric == "AUC":
                _, _, low, high, chance = delong(true[known[k], k], p[known[k], k], q[known[k], k])
                part.append(
                    [
                        name,
                        metric,
                        *at[:, k],
                        at[1, k] - at[0, k],
                        low,
                        high,
                        chance,
                        np.nan,
                        "DeLong",
                        0,
                    ]
                )
            else:
                part.append(
                    [
                        name,
                        metric,
                        *at[:, k],
                        at[1, k] - at[0, k],
                        *interval(draws[:, k]),
                        np.nan,
                        "bootstrap",
                        _n(draws[:, k]),
                    ]
                )
        for row, corrected in zip(part, holm([float(str(row[7])) for row in part]), strict=True):
            row[8] = corrected
        answered = [k for k, name in enumerate(names) if name not in lacking]
        mean = at[:, answered].mean(axis=1) if answered else np.full(2, np.nan)
        spread = draws[:, answered].mean(axis=1) if answered else np.full(n_resamples, np.nan)
        part.append(
            [
                AVERAGE,
                metric,
                *mean,
                mean[1] - mean[0],
                *interval(spread),
                np.nan,
                "bootstrap",
                _n(spread),
            ]
        )
        rows += part
    return pd.DataFrame(rows, columns=COLUMNS)


def delong(
    true: np.ndarray, first: np.ndarray, second: np.ndarray
) -> tuple[float, float, float, float, float]:
    """DeLong's test of two correlated AUCs, in n log n.

    Args:
        true: 0/1, shape (n,). first, second: scores of the same RNAs, shape (n,).

    Returns:
        (AUC of the first, AUC of the second, low, high, p): the 95% interval of second - first and the two-sided p. All NaN where one class
        has no RNA; interval and p NaN where one class has a single RNA, which leaves no variance to estimate. Where the variance is zero p is
        1 for equal AUCs and 0 otherwise.

    Source: DeLong, DeLong, Clarke-Pearson 1988, doi:10.2307/2531595; Sun, Xu 2014, doi:10.1109/LSP.2014.2337313.
    """
    positive = np.asarray(true) != 0
    m = int(positive.sum())
    n = int((~positive).sum())
    nan = float("nan")
    if not m or not n:
        return (nan,) * 5
    by_positive = np.empty((2, m))
    by_negative = np.empty((2, n))
    for row, scores in enumerate((first, second)):
        rank = rankdata(scores)
        by_positive[row] = (rank[positive] - rankdata(scores[positive])) / n
        by_negative[row] = 1 - (rank[~positive] - rankdata(scores[~positive])) / m
    auc = by_positive.mean(axis=1)
    difference = float(auc[1] - auc[0])
    if m < 2 or n < 2:
        return float(auc[0]), float(auc[1]), nan, nan, nan
    variance = (
        np.var(by_positive[1] - by_positive[0], ddof=1) / m
        + np.var(by_negative[1] - by_negative[0], ddof=1) / n
    )
    sd = float(np.sqrt(variance))
    half = float(norm.ppf(0.975)) * sd
    p = float(2 * norm.sf(abs(difference) / sd)) if sd > 1e-15 else float(abs(difference) < 1e-12)
    return float(auc[0]), float(auc[1]), difference - half, difference + half, p


def holm(p: Sequence[float]) -> list[float]:
    """p-values corrected for their number (Holm 1979), in the order given; NaN stays NaN and is not counted.

    >>> [round(x, 3) for x in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    values = np.asarray(p, dtype=float)
    known = np.flatnonzero(~np.isnan(values))
    order = known[np.argsort(values[known], kind="stable")]
    corrected = np.full(len(values), np.nan)
    corrected[order] = np.minimum(
        np.maximum.accumulate(values[order] * np.arange(len(order), 0, -1)), 1.0
    )
    return [float(x) for x in corrected]


def weighted_scores(
    true: np.ndarray, scores: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """AUC and average precision of weighted RNAs, for many sets of weights at once.

    Args:
        true: 0/1, shape (n,). scores: shape (n,).
        weights: how often each RNA counts, 0 or more, shape (n_sets, n).

    Returns:
        (AUC, AUPR), each of shape (n_sets,); NaN where a set has one class only.
    """
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    starts = np.flatnonzero(
        np.r_[True, ordered[1:] != ordered[:-1]]
    )  # equal scores share one threshold
    positive = np.add.reduceat(weights[:, order] * (true[order] != 0), starts, axis=1)
    negative = np.add.reduceat(weights[:, order] * (true[order] == 0), starts, axis=1)
    n_positive = positive.sum(axis=1)
    n_negative = negative.sum(axis=1)
    defined = (n_positive > 0) & (n_negative > 0)
    found = positive.cumsum(axis=1)
    wrong = negative.cumsum(axis=1)
    below = n_negative[:, None] - wrong
    with np.errstate(invalid="ignore", divide="ignore"):
        auc = (positive * (below + negative / 2)).sum(axis=1) / (n_positive * n_negative)
        precision = np.where(found > 0, found / (found + wrong), 0.0)
        aupr = (positive * precision).sum(axis=1) / n_positive
    return np.where(defined, auc, np.nan), np.where(defined, aupr, np.nan)


def _resampled(
    true: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    n_resamples: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Differences second - first of AUC and AUPR: shape (2, n_resamples, n_labels)."""
    n, n_labels = true.shape
    out = np.empty((2, n_resamples, n_labels))
    for start in range(0, n_resamples, CHUNK):
        stop = min(start + CHUNK, n_resamples)
        weights = rng.multinomial(n, np.full(n, 1 / n), size=stop - start).astype(float)
        for k in range(n_labels):
            known = ~np.isnan(true[:, k])
            one = weighted_scores(true[known, k], first[known, k], weights[:, known])
            other = weighted_scores(true[known, k], second[known, k], weights[:, known])
            out[:, start:stop, k] = np.array(other) - np.array(one)
    return out


def interval(draws: np.ndarray) -> tuple[float, float, float]:
    """95% percentile interval and two-sided p of a resampled difference."""
    known = draws[~np.isnan(draws)]
    if not len(known):
        return (float("nan"),) * 3
    low, high = np.quantile(known, [0.025, 0.975])
    # One is added to both counts: with B resamples no p is below 2 / (B + 1).
    tail = min((known <= 0).sum(), (known >= 0).sum()) + 1
    return float(low), float(high), float(min(1.0, 2 * tail / (len(known) + 1)))


def _n(draws: np.ndarray) -> int:
    return int((~np.isnan(draws)).sum())


def joined(
    first: pd.DataFrame, second: pd.DataFrame, names: list[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both prediction tables by RNA, rows of the second in the order of the first; raises InputError where they do not belong together."""
    tables = []
    for which, table in (("first", first), ("second", second)):
        missing = [name for name in ["rna_id", "fold", *names] if name not in table.columns]
        if missing:
            raise InputError(
                f"the {which} predictions lack a column",
                column=missing[0],
                found=", ".join(map(str, table.columns)),
            )
        if table["rna_id"].duplicated().any():
            twice = table.loc[table["rna_id"].duplicated(), "rna_id"].iloc[0]
            raise InputError(
                f"the {which} predictions hold an RNA twice",
                column="rna_id",
                found=str(twice),
                expected="each RNA once",
            )
        bad = ~np.isfinite(table[names].to_numpy(dtype=float))
        if bad.any():
            row, column = np.argwhere(bad)[0]
            raise InputError(
                f"the {which} predictions lack a number for {table['rna_id'].iloc[row]}",
                column=names[column],
                expected="a probability",
            )
        tables.append(table.set_index("rna_id"))
    one, other = tables
    for here, there, which in ((one, other, "second"), (other, one, "first")):
        absent = here.index.difference(there.index)
        if len(absent):
            raise InputError(
                f"the two models predict different RNAs: {len(absent)} are not in the {which}",
                found=str(absent[0]),
                expected="the same RNAs in both",
            )
    other = other.loc[one.index]
    differ = np.flatnonzero(one["fold"].to_numpy() != other["fold"].to_numpy())
    if len(differ):
        row = differ[0]
        found = f"{one.index[row]} in fold {one['fold'].iloc[row]} and in fold {other['fold'].iloc[row]}"
        raise InputError(
            f"the two models were tested in different folds ({len(differ)} RNAs)",
            found=found,
            expected="the same folds in both",
        )
    return one, other


def compare_fractions(
    first: pd.DataFrame,
    second: pd.DataFrame,
    labels: pd.DataFrame,
    *,
    n_resamples: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Compare two models' out-of-fold predictions of the same RNAs in the same folds, pooled over the folds.

    Args:
        first, second: as for `mirnagraph.evaluation.compare.compare`.
        labels: measured fractions, index rna_id, one column per compartment; NaN where unknown.

    Returns:
        The columns of `mirnagraph.evaluation.compare.compare`, metric ``Pearson``; ``average`` is the mean over compartments.

    Raises:
        InputError: the RNAs or folds of the two differ, or an RNA has no label. ConfigError: `n_resamples` is out of range.
    """
    require(n_resamples >= 100, "n_resamples", n_resamples, "100 or more")
    names = [str(name) for name in labels.columns]
    one, other = joined(first, second, names)
    absent = one.index.difference(labels.index)
    if len(absent):
        raise InputError(
            "a predicted RNA has no label",
            column="rna_id",
            found=str(absent[0]),
            expected="an RNA of the label table",
        )
    true = labels.loc[one.index].to_numpy(dtype=float)
    sides = [table[names].to_numpy(dtype=float) for table in (one, other)]
    rng = generator(seed, "compare")
    n = len(true)
    everything = np.ones((1, n))
    at = np.array(
        [
            [weighted_pearson(true[:, k], said[:, k], everything)[0] for k in range(len(names))]
            for said in sides
        ]
    )
    draws = np.empty((n_resamples, len(names)))
    for start in range(0, n_resamples, CHUNK):
        stop = min(start + CHUNK, n_resamples)
        weights = rng.multinomial(n, np.full(n, 1 / n), size=stop - start).astype(float)
        for k in range(len(names)):
            low, high = (weighted_pearson(true[:, k], said[:, k], weights) for said in sides)
            draws[start:stop, k] = high - low
    rows: list[list[object]] = []
    for k, name in enumerate(names):
        known = int(np.isfinite(draws[:, k]).sum())
        rows.append(
            [
                name,
                "Pearson",
                *at[:, k],
                at[1, k] - at[0, k],
                *interval(draws[:, k]),
                np.nan,
                "bootstrap",
                known,
            ]
        )
    for row, corrected in zip(rows, holm([float(str(row[7])) for row in rows]), strict=True):
        row[8] = corrected
    mean = at.mean(axis=1)
    spread = draws.mean(axis=1)
    rows.append(
        [
            AVERAGE,
            "Pearson",
            *mean,
            mean[1] - mean[0],
            *interval(spread),
            np.nan,
            "bootstrap",
            int(np.isfinite(spread).sum()),
        ]
    )
    return pd.DataFrame(rows, columns=COLUMNS)


def weighted_pearson(true: np.ndarray, said: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Pearson's correlation for many sets of weights at once.

    Args:
        true: shape (n,), NaN where unknown: such RNAs do not count. said: shape (n,).
        weights: how often each RNA counts, shape (n_sets, n).

    Returns:
        Shape (n_sets,); NaN where either side does not vary.
    """
    known = np.isfinite(true)
    x = true[known]
    y = said[known]
    w = weights[:, known]
    total = w.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        x_mean = w @ x / total
        y_mean = w @ y / total
        joint = w @ (x * y) / total - x_mean * y_mean
        x_var = w @ x**2 / total - x_mean**2
        y_var = w @ y**2 / total - y_mean**2
        varies = (x_var > 1e-15) & (y_var > 1e-15)
        return np.asarray(
            np.where(varies, joint / np.sqrt(np.where(varies, x_var * y_var, 1.0)), np.nan)
        )
