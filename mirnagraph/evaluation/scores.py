"""Scores of one compartment, of label sets and of rankings; popularity of RNAs."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from functools import partial, wraps
from typing import Any

import numpy as np
import pandas as pd

from mirnagraph.dataset import Dataset
from mirnagraph.errors import ArgumentError, InputError
from mirnagraph.evaluation.calibration import expected_calibration_error
from mirnagraph.reading.arguments import checked, finite_matrix
from mirnagraph.reading.arrays import check_same_shape, finite_vector, number_array, zero_one

Score = Callable[[np.ndarray, np.ndarray], float]

NAN = float("nan")

SET_SCORES = ("aiming", "coverage", "accuracy", "absolute true", "absolute false")

RANKING_SCORES = ("average precision", "coverage error", "ranking loss", "one-error")


@checked
def set_scores(true: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Score the predicted set P against the true set T of each RNA, as a mean over all RNAs.

    - ``aiming``: share of P that is true, ``|T & P| / |P|``
    - ``coverage``: share of T that is predicted, ``|T & P| / |T|``
    - ``accuracy``: ``|T & P| / |T | P|`` (also the accuracy of EL-RMLocNet, Eq. 23)
    - ``absolute true``: share of RNAs with P = T
    - ``absolute false``: ``(|T | P| - |T & P|) / n_labels``, 0 is best

    0/0 counts 1 where both sets are empty, 0 where only one is. NaN for no RNAs.

    Args:
        true: 0/1, shape (n, n_labels).
        predicted: 0/1, shape (n, n_labels).

    References:
        Chen, Gu, Zhou 2024 (PMiSLocMF), doi:10.1093/bib/bbae386, after Chou 2013,
        doi:10.1039/c3mb25555g.
    """
    in_true = zero_one(true, "true", 2)
    in_predicted = zero_one(predicted, "predicted", 2)
    check_same_shape(in_true, "true", in_predicted, "predicted")
    if not len(in_true):
        return dict.fromkeys(SET_SCORES, NAN)
    both = (in_true & in_predicted).sum(axis=1)
    either = (in_true | in_predicted).sum(axis=1)
    return {
        "aiming": _share(both, in_predicted.sum(axis=1), either),
        "coverage": _share(both, in_true.sum(axis=1), either),
        "accuracy": _share(both, either, either),
        "absolute true": float((both == either).mean()),
        "absolute false": float(((either - both) / in_true.shape[1]).mean()),
    }


def _share(n_part: np.ndarray, n_whole: np.ndarray, n_either: np.ndarray) -> float:
    return float(np.where(n_whole > 0, n_part / np.maximum(n_whole, 1), n_either == 0).mean())


@checked
def ranking_scores(true: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """Score the ranking of compartments, as a mean over RNAs with one compartment or more.

    - ``average precision``: over true compartments, share of true ones among those ranked as high
      or higher
    - ``coverage error``: steps down the ranking until every true compartment is seen, counted from
      0; 0 … n_labels - 1
    - ``ranking loss``: share of (true, other) pairs in the wrong order, ties counted as wrong; 0
      for an RNA in every compartment
    - ``one-error``: share of RNAs whose highest compartment is not true (the first of equals)

    Args:
        true: 0/1, shape (n, n_labels). RNAs without compartment are left out.
        probabilities: shape (n, n_labels).

    Returns:
        The four means; NaN where no RNA has a compartment.

    References:
        Asim et al. 2022 (EL-RMLocNet), Eq. 23, doi:10.1016/j.csbj.2022.07.031. Its coverage is
        called coverage error here, as in scikit-learn, unlike the coverage of sets.
    """
    from sklearn.metrics import (
        coverage_error,
        label_ranking_average_precision_score,
        label_ranking_loss,
    )

    in_true = zero_one(true, "true", 2)
    numbers = finite_matrix(probabilities, "probabilities")
    check_same_shape(in_true, "true", numbers, "probabilities")
    is_located = in_true.any(axis=1)
    if not is_located.any():
        return dict.fromkeys(RANKING_SCORES, NAN)
    labels = in_true[is_located].astype(int)
    scores = numbers[is_located]
    # scikit-learn takes no single column; with one compartment every ranking is right
    if labels.shape[1] == 1:
        return dict(zip(RANKING_SCORES, (1.0, 0.0, 0.0, 0.0), strict=True))
    is_first_true = labels[np.arange(len(labels)), scores.argmax(axis=1)]
    return {
        "average precision": float(label_ranking_average_precision_score(labels, scores)),
        "coverage error": float(coverage_error(labels, scores) - 1),
        "ranking loss": float(label_ranking_loss(labels, scores)),
        "one-error": float(1 - is_first_true.mean()),
    }


def _has_both(true: np.ndarray) -> bool:
    """Whether some RNAs are annotated and some are not: with one class scores are 0 or 1 by it."""
    return bool(0 < true.sum() < len(true))


def _checked_pair(score: Score, *, of_choices: bool = False) -> Score:
    """A score whose labels are 0/1 and whose predictions are finite, or 0/1: shape (n,) twice."""
    names = list(inspect.signature(score).parameters)

    @wraps(score)
    def call(*args: Any, **kwargs: Any) -> float:
        values = {**dict(zip(names, args, strict=False)), **kwargs}
        if len(args) > len(names) or set(values) != set(names):
            raise ArgumentError(f"{score.__name__}: expected {' and '.join(names)}")
        true = zero_one(values[names[0]], names[0], 1)
        read = zero_one(values[names[1]], names[1], 1) if of_choices else None
        predicted = finite_vector(values[names[1]], names[1]) if read is None else read
        check_same_shape(predicted, names[1], true, names[0])
        return score(true, predicted)

    return call


_of_choices = partial(_checked_pair, of_choices=True)


@_checked_pair
def auc(true: np.ndarray, probabilities: np.ndarray) -> float:
    """Area under the ROC curve in [0, 1], ties counted half; NaN where all are of one class."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(true, probabilities)) if _has_both(true) else NAN


@_checked_pair
def aupr(true: np.ndarray, probabilities: np.ndarray) -> float:
    """Average precision, sum over thresholds of (recall_k - recall_k-1) x precision_k.

    In (0, 1]; NaN where all are of one class.
    """
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(true, probabilities)) if _has_both(true) else NAN


@_checked_pair
def brier(true: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean squared distance of probability and label, in [0, 1], 0 is best; NaN for no RNAs."""
    return float(np.mean((probabilities - true) ** 2)) if len(true) else NAN


@_of_choices
def precision(true: np.ndarray, predicted: np.ndarray) -> float:
    """Share of predicted RNAs that are annotated.

    0 where none is predicted, NaN where all RNAs are of one class.
    """
    return float((true * predicted).sum() / max(predicted.sum(), 1)) if _has_both(true) else NAN


@_of_choices
def recall(true: np.ndarray, predicted: np.ndarray) -> float:
    """Share of annotated RNAs that are predicted; NaN where all RNAs are of one class."""
    return float((true * predicted).sum() / true.sum()) if _has_both(true) else NAN


@_of_choices
def f1(true: np.ndarray, predicted: np.ndarray) -> float:
    """2 TP / (2 TP + FP + FN) in [0, 1]; NaN where all RNAs are of one class."""
    if not _has_both(true):
        return NAN
    return float(2 * (true * predicted).sum() / (true.sum() + predicted.sum()))


@_of_choices
def mcc(true: np.ndarray, predicted: np.ndarray) -> float:
    """Matthews correlation in [-1, 1].

    0 where one class alone is predicted, NaN where all RNAs are of one class.
    """
    n = len(true)
    n_true = int(true.sum())
    n_predicted = int(predicted.sum())
    n_both = int((true * predicted).sum())
    if not 0 < n_true < n:
        return NAN
    scale = math.sqrt(n_true * (n - n_true)) * math.sqrt(n_predicted * (n - n_predicted))
    return (n * n_both - n_true * n_predicted) / scale if scale else 0.0


FROM_PROBABILITIES: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "AUC": auc,
    "AUPR": aupr,
    "Brier": brier,
    "ECE": expected_calibration_error,
}

FROM_CHOICES: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "F1": f1,
    "MCC": mcc,
    "precision": precision,
    "recall": recall,
}


@checked
def popularity(dataset: Dataset) -> np.ndarray:
    """Sum, over association kinds, the rank of each RNA by its number of associations.

    Measures how well studied an RNA is. Supporting kinds do not count.

    Returns:
        float64, shape (n_rnas,); ties within a kind share their mean rank.
    """
    total = np.zeros(len(dataset.index))
    for kind in dataset.associations:
        if kind not in dataset.supporting:
            counts = np.asarray(dataset.association_matrix(kind).sum(axis=1))
            total += pd.Series(counts).rank().to_numpy()
    return total


@checked
def popularity_deciles(dataset: Dataset) -> np.ndarray:
    """Decile of each RNA's popularity (see `popularity`) over the whole dataset."""
    return deciles(popularity(dataset))


@checked
def deciles(values: np.ndarray) -> np.ndarray:
    """Decile of each value among all of them.

    Equal values share a decile, that of the middle of their (mean) rank, so that deciles may differ
    in size and do not depend on the order.

    Returns:
        0 (smallest) … 9 (largest): int64, shape (n,).

    Raises:
        InputError: another shape, or a value that is missing.
    """
    numbers = number_array(values, "values")
    if numbers.ndim != 1 or not np.isfinite(numbers).all():
        found = numbers.shape if numbers.ndim != 1 else "NaN or infinity"
        raise InputError("values have no deciles", found=found, expected="(n,), none missing")
    rank = pd.Series(numbers).rank().to_numpy()
    below = rank - 0.5
    return np.asarray(below * 10 // max(len(rank), 1), dtype=np.int64)


@checked
def within_auc(true: np.ndarray, probabilities: np.ndarray, decile: np.ndarray) -> float:
    """AUC over the pairs (annotated, not annotated) of equally well studied RNAs.

    It measures what is predicted beyond popularity.

    Args:
        true: 0/1, shape (n,).
        probabilities: shape (n,).
        decile: see `popularity_deciles`, shape (n,).

    Returns:
        Mean of the AUC of each decile, weighted by its number of pairs; NaN where no decile has
        both classes.

    Raises:
        InputError: arrays of different lengths, or a label other than 0 and 1.
    """
    true = zero_one(true, "true", 1)
    probabilities = finite_vector(probabilities, "probabilities")
    decile = finite_vector(decile, "decile")
    check_same_shape(probabilities, "probabilities", true, "true")
    check_same_shape(decile, "decile", true, "true")
    total = 0.0
    n_pairs = 0.0
    for value in np.unique(decile):
        rows = decile == value
        n = float(true[rows].sum() * (rows.sum() - true[rows].sum()))
        if n:
            total += n * auc(true[rows], probabilities[rows])
            n_pairs += n
    return total / n_pairs if n_pairs else NAN
