"""Thresholds: the probability above which a compartment is called, chosen by the Matthews correlation."""

from __future__ import annotations

import numpy as np


def best_thresholds(true: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Per compartment the threshold of highest Matthews correlation, shape (n_labels,); 0.5 where there is one class only.

    Rows whose label is not known (NaN) take no part. Candidates lie halfway between neighbouring probabilities (and 0 and 1), at most 200 of
    them; the middle one of equals is taken.
    """
    found = np.full(true.shape[1], 0.5)
    for column in range(true.shape[1]):
        known = ~np.isnan(true[:, column].astype(float))
        labels, said = true[known, column], probabilities[known, column]
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
    n, positives = len(true), true.sum()
    calls, hits = called.sum(axis=0).astype(float), called[true].sum(axis=0).astype(float)
    spread = np.sqrt(calls * (n - calls) * positives * (n - positives))
    return np.asarray(np.where(spread > 0, (n * hits - calls * positives) / np.where(spread > 0, spread, 1), 0.0))
