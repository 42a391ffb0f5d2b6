"""Scores of one label or label set: pure functions."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd

from mirnagraph.dataset import Dataset
from mirnagraph.evaluation.calibration import expected_calibration_error

NAN = float("nan")


def set_scores(true: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Agreement of the predicted set P and the true set T of each RNA, as a mean over all RNAs.

    - ``aiming``: share of P that is true, ``|T & P| / |P|``
    - ``coverage``: share of T that is found, ``|T & P| / |T|``
    - ``accuracy``: ``|T & P| / |T | P|`` (also the accuracy of EL-RMLocNet, Eq. 23)
    - ``absolute true``: share of RNAs with P = T
    - ``absolute false``: ``(|T | P| - |T & P|) / n_labels``, 0 is best

    0/0 is an agreement on nothing and counts 1 where both sets are empty, 0 where only one is. NaN for no RNAs.

    Args:
        true, predicted: 0/1, shape (n, n_labels).

    Source: Chen, Gu, Zhou 2024 (PMiSLocMF), doi:10.1093/bib/bbae386, after Chou 2013, doi:10.1039/c3mb25555g.
    """
    names = ("aiming", "coverage", "accuracy", "absolute true", "absolute false")
    if not len(true):
        return dict.fromkeys(names, float("nan"))
    t = true != 0
    p = predicted != 0
    both = (t & p).sum(axis=1)
    either = (t | p).sum(axis=1)
    values = (
        _share(both, p.sum(axis=1), either),
        _share(both, t.sum(axis=1), either),
        _share(both, either, either),
        (both == either).mean(),
        ((either - both) / true.shape[1]).mean(),
    )
    return {name: float(value) for name, value in zip(names, values, strict=True)}


def _share(part: np.ndarray, whole: np.ndarray, either: np.ndarray) -> float:
    return float(np.where(whole > 0, part / np.maximum(whole, 1), either == 0).mean())


def ranking_scores(true: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """How well the true compartments of an RNA rank before the others, as a mean over RNAs with one compartment or more.

    - ``average precision``: over true compartments, share of true ones among those ranked as high or higher
    - ``coverage error``: steps down the ranking until every true compartment is seen, counted from 0; 0 … n_labels - 1
    - ``ranking loss``: share of (true, other) pairs in the wrong order, ties counted as wrong; 0 for an RNA in every compartment
    - ``one-error``: share of RNAs whose highest compartment is not true (the first of equals)

    Args:
        true: 0/1, shape (n, n_labels). RNAs without compartment rank nothing and are left out.
        probabilities: shape (n, n_labels).

    Returns:
        The four means; NaN where no RNA has a compartment.

    Source: Asim et al. 2022 (EL-RMLocNet), Eq. 23, doi:10.1016/j.csbj.2022.07.031. Its coverage is called coverage error here, as scikit-learn
    does, to keep it apart from the coverage of sets.
    """
    from sklearn.metrics import (
        coverage_error,
        label_ranking_average_precision_score,
        label_ranking_loss,
    )

    names = ("average precision", "coverage error", "ranking loss", "one-error")
    located = true.any(axis=1)
    if not located.any():
        return dict.fromkeys(names, float("nan"))
    t = (true[located] != 0).astype(int)
    p = probabilities[located]
    if (
        t.shape[1] == 1
    ):  # scikit-learn takes no single column; with one compartment every ranking is right
        return dict(zip(names, (1.0, 0.0, 0.0, 0.0), strict=True))
    values = (
        label_ranking_average_precision_score(t, p),
        coverage_error(t, p) - 1,
        label_ranking_loss(t, p),
        1 - t[np.arange(len(t)), p.argmax(axis=1)].mean(),
    )
    return {name: float(value) for name, value in zip(names, values, strict=True)}


def auc(true: np.ndarray, probabilities: np.ndarray) -> float:
    """Area under the ROC curve in [0, 1], ties counted half; NaN where all RNAs are of one class. Arguments of shape (n,)."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(true, probabilities)) if 0 < true.sum() < len(true) else NAN


def aupr(true: np.ndarray, probabilities: np.ndarray) -> float:
    """Average precision, sum over thresholds of (recall_k - recall_k-1) x precision_k, in (0, 1]; NaN without an annotated RNA."""
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(true, probabilities)) if true.sum() > 0 else NAN


def brier(true: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean squared distance of probability and label, in [0, 1], 0 is best; NaN for no RNAs."""
    return float(np.mean((probabilities - true) ** 2)) if len(true) else NAN


def precision(true: np.ndarray, predicted: np.ndarray) -> float:
    """Share of predicted RNAs that are annotated; 0 where none is predicted, NaN where none is annotated."""
    return float((true * predicted).sum() / max(predicted.sum(), 1)) if true.sum() > 0 else NAN


def recall(true: np.ndarray, predicted: np.ndarray) -> float:
    """Share of annotated RNAs that are predicted; NaN where none is annotated."""
    return float((true * predicted).sum() / true.sum()) if true.sum() > 0 else NAN


def f1(true: np.ndarray, predicted: np.ndarray) -> float:
    """2 TP / (2 TP + FP + FN) in [0, 1]; NaN where none is annotated."""
    return (
        float(2 * (true * predicted).sum() / (true.sum() + predicted.sum()))
        if true.sum() > 0
        else NAN
    )


def mcc(true: np.ndarray, predicted: np.ndarray) -> float:
    """Matthews correlation in [-1, 1]; 0 where one class alone is predicted, NaN where all RNAs are of one class."""
    n = len(true)
    yes = int(true.sum())
    chosen = int(predicted.sum())
    both = int((true * predicted).sum())
    if not 0 < yes < n:
        return NAN
    spread = math.sqrt(yes * (n - yes)) * math.sqrt(chosen * (n - chosen))
    return (n * both - yes * chosen) / spread if spread else 0.0


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


def popularity(dataset: Dataset) -> np.ndarray:
    """How well studied each RNA is: the sum over association kinds (supporting ones left aside) of the rank of its number of associations.

    Returns:
        float64, shape (n_rnas,); ties within a kind share their mean rank.
    """
    total = np.zeros(len(dataset.index))
    for kind in (k for k in dataset.associations if k not in dataset.supporting):
        total += (
            pd.Series(np.asarray(dataset.association_matrix(kind).sum(axis=1))).rank().to_numpy()
        )
    return total


def popularity_deciles(dataset: Dataset) -> np.ndarray:
    """Decile of each RNA's popularity (see `popularity`) over the whole dataset.

    RNAs of equal popularity share a decile, that of the middle of their (mean) rank, so that deciles may differ in size and do not
    depend on the order of rows.

    Returns:
        0 (least) … 9 (most): int64, shape (n_rnas,).
    """
    rank = pd.Series(popularity(dataset)).rank().to_numpy()
    below = rank - 0.5
    return np.asarray(below * 10 // max(len(rank), 1), dtype=np.int64)


def within_auc(true: np.ndarray, probabilities: np.ndarray, decile: np.ndarray) -> float:
    """AUC over the pairs (annotated, not annotated) of equally well studied RNAs: what is known beyond popularity.

    Args:
        true, probabilities: shape (n,).
        decile: see `popularity_deciles`, shape (n,).

    Returns:
        Mean of the AUC of each decile, weighted by its number of pairs; NaN where no decile has both classes.
    """
    won = pairs = 0.0
    for one in np.unique(decile):
        here = decile == one
        n = float(true[here].sum() * (here.sum() - true[here].sum()))
        if n:
            won += n * auc(true[here], probabilities[here])
            pairs += n
    return won / pairs if pairs else NAN
