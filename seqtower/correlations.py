"""How well predicted fractions follow measured ones: Pearson and Spearman per compartment, over folds and pooled."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import pearsonr, spearmanr

from mirnagraph.evaluation.metrics import AVERAGE, COLUMNS

MEASURES = {"Pearson": pearsonr, "Spearman": spearmanr}


def correlations(true: np.ndarray, said: np.ndarray, fold: np.ndarray, compartments: Sequence[str]) -> pd.DataFrame:
    """Correlations in the columns of `mirnagraph.evaluation.metrics.evaluate`.

    RNAs whose fraction is unknown are not counted. A fold with fewer than three RNAs, or in which either side never varies, has no
    answer: it is NaN and left out of the mean.

    Args:
        true: fractions, shape (n, n_labels), NaN where unknown. said: predicted, same shape.
        fold: shape (n,), 0 or above.
    """
    rows = []
    for measure, function in MEASURES.items():
        of_label = []
        for column, name in enumerate(compartments):
            each = np.array([_one(function, true[fold == f, column], said[fold == f, column]) for f in np.unique(fold)])
            known = each[np.isfinite(each)]
            pooled = _one(function, true[:, column], said[:, column])
            sd = float(known.std(ddof=1)) if len(known) > 1 else float("nan")
            rows.append((name, measure, float(known.mean()) if len(known) else float("nan"), sd, pooled, len(known), 1))
            of_label.append((rows[-1][2], pooled))
        mean, pooled = (_mean(values) for values in zip(*of_label, strict=True))
        rows.append((AVERAGE, measure, mean, float("nan"), pooled, len(np.unique(fold)), len(compartments)))
    return pd.DataFrame(rows, columns=COLUMNS)


def _one(function: object, true: np.ndarray, said: np.ndarray) -> float:
    known = np.isfinite(true)
    if known.sum() < 3 or np.ptp(true[known]) == 0 or np.ptp(said[known]) == 0:
        return float("nan")
    return float(function(true[known], said[known]).statistic)  # type: ignore[operator]


def _mean(values: Sequence[float]) -> float:
    known = np.array([value for value in values if np.isfinite(value)])
    return float(known.mean()) if len(known) else float("nan")
