"""k-mer baselines of a tower: logistic regression and gradient boosting; names of all baselines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge

from mirnagraph.evaluation.metrics import FRACTIONS, MULTI_LABEL
from mirnagraph.seeds import child_seed
from seqtower.baselines.simple import BASE_RATE, LENGTH, sum_to_one

TOWER = "tower"

LOGISTIC = "kmer_logistic"
BOOSTING = "kmer_boosting"
DESCRIPTORS = "descriptor_trees"
OWN_SET = "own_set"

KMERS = (LOGISTIC, BOOSTING)

BASELINES = {
    BASE_RATE: "share of positives (mean fraction) in the training RNAs, the same for every RNA: "
    "AUC 0.5 in every fold",
    LENGTH: "extra trees on the logarithm of the length alone",
    LOGISTIC: "logistic regression (ridge for fractions) on k-mer frequencies, k 1 to 5, and the "
    "length",
    BOOSTING: "gradient boosting on the same",
    DESCRIPTORS: "extra trees and boosting on descriptors: short k-mers, ends, reading frames, "
    "extremes along the RNA, known elements, junctions of circRNAs",
    OWN_SET: "the same trees, fitted for each set on its own RNAs alone",
}

K = 5
"""Longest k-mer of the baselines."""

AT_A_TIME = 10_000
"""RNAs that are predicted at a time, which bounds memory beside the features."""

Predict = Callable[[np.ndarray], np.ndarray]
"""Features of some RNAs -> predictions of one compartment, shape (n,)."""

GROWTH: dict[str, Any] = {
    "max_iter": 150,
    "learning_rate": 0.05,
    "max_leaf_nodes": 15,
    "max_features": 0.2,
}
"""Settings of gradient boosting."""


def kmer_models(
    features: np.ndarray,
    labels: np.ndarray,
    kind: str,
    train: np.ndarray,
    rows: np.ndarray,
    seed: int,
) -> dict[str, np.ndarray]:
    """Fit both k-mer baselines on training rows and predict others.

    Args:
        features: of `seqtower.data.kmers.kmer_counts`, shape (n, width).
        labels: shape (n, n_labels), NaN where unknown; only training rows are read.
        kind: of the labels, see `mirnagraph.evaluation.metrics.KINDS`.
        train: row numbers of the training RNAs.
        rows: row numbers of the RNAs to predict.
        seed: of the boosting.

    Returns:
        Name -> probabilities or fractions of `rows`: float64, shape (len(rows), n_labels); classes
        and fractions sum to 1.
    """
    predictions = {}
    for name in KMERS:
        of_train = features[train]
        mean: Any = np.float32(0)
        scale: Any = np.float32(1)
        if name == LOGISTIC:
            mean = of_train.mean(axis=0)
            sd = of_train.std(axis=0)
            scale = np.where(sd > 1e-9, sd, 1)
            of_train -= mean
            of_train /= scale
        models = _fit_compartments(name, of_train, labels[train], kind, seed)
        del of_train
        predicted = np.empty((len(rows), labels.shape[1]))
        for start in range(0, len(rows), AT_A_TIME):
            block = slice(start, start + AT_A_TIME)
            others = (features[rows[block]] - mean) / scale
            predicted[block] = np.stack([model(others) for model in models], axis=1)
        predictions[name] = predicted
    if kind == MULTI_LABEL:
        return predictions
    return {name: sum_to_one(values) for name, values in predictions.items()}


def _fit_compartments(
    name: str, features: np.ndarray, labels: np.ndarray, kind: str, seed: int
) -> list[Predict]:
    """Fit each compartment on the RNAs with a label of it; 0.5 where none has one."""
    fit = _fit_fractions if kind == FRACTIONS else _fit_probabilities
    models = []
    for column, values in enumerate(labels.T):
        is_known = ~np.isnan(values)
        if not is_known.any():
            models.append(_constant(0.5))
            continue
        column_seed = child_seed(seed, "k-mer boosting", column) % 2**32
        known = features if is_known.all() else features[is_known]
        models.append(fit(name, known, values[is_known], column_seed))
    return models


def _fit_fractions(name: str, features: np.ndarray, true: np.ndarray, seed: int) -> Predict:
    """Fit fractions of one compartment."""
    model: Any = Ridge(alpha=300.0)
    if name == BOOSTING:
        model = HistGradientBoostingRegressor(random_state=seed, **GROWTH)
    return model.fit(features, true).predict


def _fit_probabilities(name: str, features: np.ndarray, true: np.ndarray, seed: int) -> Predict:
    """Fit 0/1 labels of one compartment; the label where there is only one."""
    if true.min() == true.max():
        return _constant(float(true.mean()))
    model: Any = LogisticRegression(C=0.002, max_iter=500)
    if name == BOOSTING:
        model = HistGradientBoostingClassifier(random_state=seed, **GROWTH)
    model.fit(features, true)
    return lambda others: model.predict_proba(others)[:, 1]


def _constant(value: float) -> Predict:
    return lambda others: np.full(len(others), value)
