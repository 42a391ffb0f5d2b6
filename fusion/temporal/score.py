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


def with_base_rates(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Rank of the RNAs, times the share of RNAs labelled in each compartment.

    So pairs of different compartments can be ranked together; within a compartment the order is
    that of the values.

    Args:
        values: of every RNA, shape (n_rnas,), or of every pair, shape (n_rnas, n_labels).
        labels: 0/1, shape (n_rnas, n_labels).

    Returns:
        float64 in [0, 1], shape (n_rnas, n_labels); NaN where `values` is.
    """
    shares = (labels.sum(axis=0) + 1) / (len(labels) + 2)
    ranks = mean_ranks(values)
    return np.asarray((ranks if ranks.ndim == 2 else ranks[:, None]) * shares)


def ranking_scores(
    probabilities: np.ndarray, labels: np.ndarray, dataset: Dataset, settings: RankingSettings
) -> np.ndarray:
    """Score that orders the RNAs of a compartment by a weighted mean of three ranks.

    A probability says which annotated RNAs an RNA resembles; whether someone has looked is said by
    popularity. The RNAs of each compartment are ranked by the weighted mean of the rank of the
    probability, the rank of the popularity, and the share of the molecule (`molecule_share`). The
    rank is multiplied by the share of RNAs labelled in the compartment (`with_base_rates`).

    Args:
        probabilities: out-of-fold, shape (n_rnas, n_labels); NaN in rows that no fold tested.
        labels: 0/1 that the model was trained on, shape (n_rnas, n_labels).
        dataset: the RNAs, in the same order.
        settings: weights.

    Returns:
        float64 in [0, 1], shape (n_rnas, n_labels); NaN where `probabilities` is.
    """
    is_tested = ~np.isnan(probabilities).any(axis=1)
    studied = np.where(is_tested, popularity(dataset), np.nan)
    total = settings.model * mean_ranks(probabilities)
    total += settings.popularity * mean_ranks(studied)[:, None]
    total += settings.molecule * molecule_share(dataset)[:, None]
    return with_base_rates(total.round(12), labels)
