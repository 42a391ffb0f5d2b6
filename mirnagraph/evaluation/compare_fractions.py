"""Does one model follow measured fractions better than another? Paired bootstrap of Pearson's correlation, Holm's correction."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mirnagraph.config import require
from mirnagraph.errors import InputError
from mirnagraph.evaluation.compare import CHUNK, COLUMNS, holm, interval, joined
from mirnagraph.evaluation.metrics import AVERAGE
from mirnagraph.seeds import generator


def compare_fractions(first: pd.DataFrame, second: pd.DataFrame, labels: pd.DataFrame, *, n_resamples: int = 2000, seed: int = 0) -> pd.DataFrame:
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
        raise InputError("a predicted RNA has no label", column="rna_id", found=str(absent[0]), expected="an RNA of the label table")
    true = labels.loc[one.index].to_numpy(dtype=float)
    sides = [table[names].to_numpy(dtype=float) for table in (one, other)]
    rng, n = generator(seed, "compare"), len(true)
    everything = np.ones((1, n))
    at = np.array([[weighted_pearson(true[:, k], said[:, k], everything)[0] for k in range(len(names))] for said in sides])
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
        rows.append([name, "Pearson", *at[:, k], at[1, k] - at[0, k], *interval(draws[:, k]), np.nan, "bootstrap", known])
    for row, corrected in zip(rows, holm([float(str(row[7])) for row in rows]), strict=True):
        row[8] = corrected
    mean = at.mean(axis=1)
    spread = draws.mean(axis=1)
    rows.append([AVERAGE, "Pearson", *mean, mean[1] - mean[0], *interval(spread), np.nan, "bootstrap", int(np.isfinite(spread).sum())])
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
    x, y, w = true[known], said[known], weights[:, known]
    total = w.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        x_mean, y_mean = w @ x / total, w @ y / total
        joint = w @ (x * y) / total - x_mean * y_mean
        x_var, y_var = w @ x**2 / total - x_mean**2, w @ y**2 / total - y_mean**2
        varies = (x_var > 1e-15) & (y_var > 1e-15)
        return np.asarray(np.where(varies, joint / np.sqrt(np.where(varies, x_var * y_var, 1.0)), np.nan))
