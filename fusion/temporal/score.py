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
    """Rank of one number per RNA, times the share of RNAs labelled in each compartment.

    So a number that knows no compartment can rank pairs of all compartments; within a compartment
    the order is that of the number.

    Args:
        values: shape (n_rnas,).
        labels: 0/1, shape (n_rnas, n_labels).

    Returns:
        Shape (n_rnas, n_labels).
    """
    shares = (labels.sum(axis=0) + 1) / (len(labels) + 2)
    return np.asarray(mean_ranks(values)[:, None] * shares)


def ranking_scores(
    probabilities: np.ndarray, dataset: Dataset, settings: RankingSettings
) -> np.ndarray:
    """Probabilities in the order of a weighted mean of three ranks.

    A probability says which annotated RNAs an RNA resembles; whether someone has looked is said by
    popularity. Within each compartment the RNAs are ordered by the weighted mean of the rank of the
    probability, the rank of the popularity, and the share of the molecule (`molecule_share`); the
    first gets the highest probability of the compartment, the second the next, and so on. So pairs
    of different compartments stay comparable: a compartment of many RNAs has higher scores.

    Args:
        probabilities: out-of-fold, shape (n_rnas, n_labels); NaN in rows that no fold tested.
        dataset: the RNAs, in the same order.
        settings: weights.

    Returns:
        float64 in [0, 1], shape (n_rnas, n_labels); NaN where `probabilities` is. RNAs of equal
        weighted mean share a score.
    """
    is_tested = ~np.isnan(probabilities).any(axis=1)
    studied = mean_ranks(popularity(dataset)[is_tested])
    share = molecule_share(dataset)[is_tested]
    scores = np.full(probabilities.shape, np.nan)
    for column, tested in enumerate(probabilities[is_tested].T):
        total = settings.model * mean_ranks(tested)
        total = total + settings.popularity * studied + settings.molecule * share
        places = mean_ranks(total.round(12)) * len(total)
        every_place = np.arange(1, len(total) + 1)
        scores[is_tested, column] = np.interp(places, every_place, np.sort(tested))
    return scores
