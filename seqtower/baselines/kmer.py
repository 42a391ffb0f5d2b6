"""k-mer baselines that stand beside every tower: logistic regression and gradient boosting on what an RNA is made of."""

from __future__ import annotations

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge

from mirnagraph.evaluation.metrics import FRACTIONS, MULTI_LABEL
from mirnagraph.seeds import child_seed

TOWER = "tower"

LOGISTIC = "kmer_logistic"
BOOSTING = "kmer_boosting"
DESCRIPTORS = "descriptor_trees"

OWN_SET = "own_set"

KMERS = (LOGISTIC, BOOSTING)

BASELINES = {
    LOGISTIC: "logistic regression (ridge for fractions) on the frequencies of words of 1 to 5 letters and the length",
    BOOSTING: "gradient boosting on the same",
    DESCRIPTORS: "extra trees and boosting on descriptors: short words, ends, reading frames, extremes along the RNA, known elements, junctions of circRNAs",
    OWN_SET: "the same trees, fitted for each of the sets on its own RNAs alone",
}

K = 5


def kmer_models(
    features: np.ndarray,
    labels: np.ndarray,
    kind: str,
    train: np.ndarray,
    rows: np.ndarray,
    seed: int,
) -> dict[str, np.ndarray]:
    """Fit both baselines on words on the training rows and predict others.

    Args:
        features: of `seqtower.data.kmers.kmer_counts`, shape (n, width).
        labels: shape (n, n_labels), NaN where unknown; only training rows are read.
        kind: see `mirnagraph.evaluation.metrics.KINDS`.

    Returns:
        Name -> probabilities or fractions of `rows`: float64, shape (len(rows), n_labels); classes and fractions sum to 1.
    """
    mean = features[train].mean(axis=0)
    sd = features[train].std(axis=0)
    scaled = (features - mean) / np.where(sd > 1e-9, sd, 1)
    found = {name: np.zeros((len(rows), labels.shape[1])) for name in KMERS}
    for column in range(labels.shape[1]):
        known = train[~np.isnan(labels[train, column])]
        target = labels[known, column]
        if kind == FRACTIONS:
            boost = HistGradientBoostingRegressor(
                max_iter=150,
                learning_rate=0.05,
                max_leaf_nodes=15,
                max_features=0.2,
                random_state=_seed(seed, column),
            )
            found[LOGISTIC][:, column] = (
                Ridge(alpha=300.0).fit(scaled[known], target).predict(scaled[rows])
            )
            found[BOOSTING][:, column] = boost.fit(features[known], target).predict(features[rows])
        elif target.min() == target.max():
            for said in found.values():
                said[:, column] = target.mean()
        else:
            grow = HistGradientBoostingClassifier(
                max_iter=150,
                learning_rate=0.05,
                max_leaf_nodes=15,
                max_features=0.2,
                random_state=_seed(seed, column),
            )
            found[LOGISTIC][:, column] = (
                LogisticRegression(C=0.002, max_iter=500)
                .fit(scaled[known], target)
                .predict_proba(scaled[rows])[:, 1]
            )
            found[BOOSTING][:, column] = grow.fit(features[known], target).predict_proba(
                features[rows]
            )[:, 1]
    if kind != MULTI_LABEL:
        found = {name: _shares(said) for name, said in found.items()}
    return found


def _shares(said: np.ndarray) -> np.ndarray:
    kept = np.clip(said, 1e-6, None)
    return np.asarray(kept / kept.sum(axis=1, keepdims=True))


def _seed(seed: int, column: int) -> int:
    return child_seed(seed, "k-mer boosting", column) % 2**32
