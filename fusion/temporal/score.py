"""Score by which unlabelled pairs of RNA and compartment are ranked."""

from __future__ import annotations

import numpy as np
import pandas as pd

from fusion.config import RankingSettings
from fusion.tokens.builders import shared_sequence, texts
from mirnagraph.dataset import Dataset
from mirnagraph.evaluation.scores import popularity


def mean_ranks(values: np.ndarray) -> np.ndarray:
    """Rank of each value in its column, lowest first, as a share of the number of rows.

    Args:
        values: shape (n,) or (n, n_columns); NaN is not ranked.

    Returns:
        float64 in (0, 1], NaN where `values` is; ties share their mean rank.
    """
    ranks = pd.DataFrame(np.asarray(values, dtype=float)).rank(pct=True).to_numpy()
    return ranks[:, 0] if np.ndim(values) == 1 else ranks


def molecule_share(dataset: Dataset) -> np.ndarray:
    """Popularity of each id relative to the most popular id with the same mature sequence.

    Databases collect findings on a molecule under one of its ids; the others stay empty.

    Returns:
        float64 in (0, 1], shape (n_rnas,); 1 for an id that shares no mature.
    """
    values = popularity(dataset)
    is_shared = shared_sequence(texts(dataset, "matures"))
    others = is_shared.multiply(values[None, :]).max(axis=1).toarray().ravel()
    largest = np.maximum(values, others)
    return np.asarray(values / np.where(largest > 0, largest, 1.0))


def ranking_scores(
    probabilities: np.ndarray, dataset: Dataset, settings: RankingSettings
) -> np.ndarray:
    """Weighted mean of the ranks of probabilities and popularity, and of the molecule share.

    A probability says which annotated RNAs an RNA resembles; whether someone has looked is said by
    popularity. An unlabelled pair is ranked by both.

    Args:
        probabilities: out-of-fold, shape (n_rnas, n_labels); NaN in rows that no fold tested.
        dataset: the RNAs, in the same order.
        settings: weights.

    Returns:
        float64 in [0, 1], shape (n_rnas, n_labels); NaN where `probabilities` is.
    """
    weights = np.array([settings.model, settings.popularity, settings.molecule])
    is_tested = ~np.isnan(probabilities).any(axis=1)
    studied = np.where(is_tested, popularity(dataset), np.nan)
    parts = (
        mean_ranks(probabilities),
        mean_ranks(studied)[:, None],
        molecule_share(dataset)[:, None],
    )
    total = sum(weight * part for weight, part in zip(weights, parts, strict=True))
    return np.asarray(total / weights.sum())
