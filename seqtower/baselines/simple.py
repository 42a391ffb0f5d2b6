"""The simplest baselines: the base rate of each compartment, and the length of an RNA alone."""

from __future__ import annotations

import numpy as np
from sklearn.ensemble import ExtraTreesRegressor

from mirnagraph.evaluation.metrics import MULTI_LABEL
from mirnagraph.seeds import child_seed

BASE_RATE = "base_rate"
LENGTH = "length"

LEAST = 1e-6
"""Least class probability or fraction before predictions are scaled to a sum of 1."""

N_TREES = 100

LEAST_IN_LEAF = 10
"""Fewest training RNAs in a leaf, which smooths the curve over the length."""


def simple_models(
    lengths: np.ndarray,
    labels: np.ndarray,
    kind: str,
    train: np.ndarray,
    rows: np.ndarray,
    seed: int,
) -> dict[str, np.ndarray]:
    """Fit both baselines on training rows and predict others.

    Args:
        lengths: nucleotides per RNA, shape (n,).
        labels: shape (n, n_labels), NaN where unknown; only training rows are read.
        kind: of the labels, see `mirnagraph.evaluation.metrics.KINDS`.
        train: row numbers of the training RNAs.
        rows: row numbers of the RNAs to predict.
        seed: of the trees.

    Returns:
        Name -> probabilities or fractions of `rows`: float64, shape (len(rows), n_labels); classes
        and fractions sum to 1.
    """
    rates = base_rates(labels[train])
    by_length = np.empty((len(rows), labels.shape[1]))
    logs = np.log(np.maximum(lengths, 1))[:, None]
    for column, rate in enumerate(rates):
        known = train[~np.isnan(labels[train, column])]
        by_length[:, column] = rate
        if len(known):
            column_seed = child_seed(seed, "length", column) % 2**32
            trees = ExtraTreesRegressor(
                N_TREES, min_samples_leaf=LEAST_IN_LEAF, random_state=column_seed
            )
            by_length[:, column] = trees.fit(logs[known], labels[known, column]).predict(logs[rows])
    predictions = {BASE_RATE: np.tile(rates, (len(rows), 1)), LENGTH: by_length}
    if kind == MULTI_LABEL:
        return predictions
    return {name: sum_to_one(values) for name, values in predictions.items()}


def base_rates(labels: np.ndarray) -> np.ndarray:
    """Share of positives, or mean fraction, of each compartment over its known labels.

    Args:
        labels: of the training RNAs, NaN where unknown, shape (n_train, n_labels).

    Returns:
        float64, shape (n_labels,); 0.5 where no label is known.
    """
    n_known = (~np.isnan(labels)).sum(axis=0)
    return np.where(n_known > 0, np.nansum(labels, axis=0) / np.maximum(n_known, 1), 0.5)


def sum_to_one(values: np.ndarray) -> np.ndarray:
    """Scale classes or fractions to a sum of 1 per RNA, none of them below `LEAST` before."""
    clipped = np.clip(values, LEAST, None)
    return np.asarray(clipped / clipped.sum(axis=1, keepdims=True))
