"""Scores over whole sets of compartments: of the predicted set (Chou) and of the ranking of compartments."""

from __future__ import annotations

import numpy as np


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
    t, p = true != 0, predicted != 0
    both, either = (t & p).sum(axis=1), (t | p).sum(axis=1)
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
    from sklearn.metrics import coverage_error, label_ranking_average_precision_score, label_ranking_loss

    names = ("average precision", "coverage error", "ranking loss", "one-error")
    located = true.any(axis=1)
    if not located.any():
        return dict.fromkeys(names, float("nan"))
    t, p = (true[located] != 0).astype(int), probabilities[located]
    if t.shape[1] == 1:  # scikit-learn takes no single column; with one compartment every ranking is right
        return dict(zip(names, (1.0, 0.0, 0.0, 0.0), strict=True))
    values = (
        label_ranking_average_precision_score(t, p),
        coverage_error(t, p) - 1,
        label_ranking_loss(t, p),
        1 - t[np.arange(len(t)), p.argmax(axis=1)].mean(),
    )
    return {name: float(value) for name, value in zip(names, values, strict=True)}
