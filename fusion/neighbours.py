"""Label averages over the nearest training neighbours: the only tokens that read labels, made anew in every fold."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy import sparse

from fusion.evidence import shared_reports, tf_idf, weighted_matrix
from fusion.tokens import TokenTable, make_token
from mirnagraph.errors import ConfigError
from mirnagraph.networks.types import NetworkSet
from mirnagraph.nodes import NodeIndex
from mirnagraph.similarity.gip import gip_similarity

SMOOTHING = 0.01  # keeps the log odds of an average of 0 or 1 finite


def neighbour_similarity(networks: NetworkSet, name: str) -> np.ndarray:
    """A dense similarity in which neighbours are looked for: float32, shape (n_rnas, n_rnas), zero diagonal, in [0, 1].

    Args:
        name: a stored similarity (``sequence``, ``functional``, ``gip`` …); or for a kind of association ``gip_KIND`` (profile
            kernel), ``cosine_KIND`` (rows weighed by rarity), ``weighted_KIND`` (rows weighed by number of records) or
            ``reports_KIND`` (reports that name both).

    Raises:
        ConfigError: no such similarity, or no such kind.
    """
    dataset = networks.dataset
    measure, _, kind = name.partition("_")
    if name in networks.similarities:
        values = np.array(networks.similarities[name], dtype=np.float32)
    elif measure not in ("gip", "cosine", "weighted", "reports") or kind not in dataset.associations:
        made = ", ".join(f"{m}_{k}" for m in ("gip", "cosine", "weighted", "reports") for k in dataset.associations)
        raise ConfigError(f"no similarity {name!r}; there are {', '.join(networks.similarities)}, {made}")
    elif measure == "gip":
        values = gip_similarity(dataset.association_matrix(kind)).astype(np.float32)
    elif measure == "cosine":
        values = cosine(tf_idf(dataset.association_matrix(kind)))
    elif measure == "weighted":
        values = cosine(weighted_matrix(dataset, kind))
    else:
        values = cosine(shared_reports(dataset, kind))
    np.fill_diagonal(values, 0.0)
    return values


def cosine(matrix: sparse.csr_array) -> np.ndarray:
    """Cosine of every two rows: float32, shape (n, n); a row of zeros is similar to none."""
    length = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    rows = sparse.csr_array(sparse.diags_array(1 / np.where(length > 0, length, 1)) @ matrix)
    return np.asarray((rows @ rows.T).toarray(), dtype=np.float32)


def neighbour_labels(
    similarity: np.ndarray, labels: np.ndarray, train: np.ndarray, k: int, allowed: np.ndarray | None = None, *, newcomers: bool = False
) -> np.ndarray:
    """Similarity-weighted label average over the k nearest training neighbours of every RNA, itself excluded.

    Args:
        similarity: shape (n, n_known), 0 or more, of n queries to all known RNAs; the queries are the known RNAs themselves, and the diagonal
            is not read, unless they are `newcomers`.
        labels: shape (n_known, n_labels), or any other numbers to average; only rows named by `train` are read.
        train: rows whose labels are known here.
        k: neighbours to average.
        allowed: bool, as `similarity`, False where a training row may not serve a query (e.g. relatives); None allows all.
        newcomers: the queries are none of the known RNAs.

    Returns:
        float32, shape (n, n_labels + 2): the averages (the training mean where no neighbour has weight), the total
        weight, and the largest weight.
    """
    known = labels[train].astype(np.float64)
    weights = similarity[:, train].astype(np.float64)
    if not newcomers:
        weights[train, np.arange(len(train))] = 0.0
    if allowed is not None:
        weights = np.where(allowed[:, train], weights, 0.0)
    if len(train) > k:
        # ties at the k-th place are broken by row, so that the result does not depend on the sort's inner order
        order = np.argsort(-weights, axis=1, kind="stable")[:, :k]
        kept = np.zeros_like(weights)
        np.put_along_axis(kept, order, np.take_along_axis(weights, order, axis=1), axis=1)
        weights = kept
    total = weights.sum(axis=1, keepdims=True)
    mean = known.mean(axis=0)
    average = np.where(total > 0, (weights @ known) / np.where(total > 0, total, 1), mean)
    return np.hstack([average, total, weights.max(axis=1, keepdims=True)]).astype(np.float32)


def neighbour_tokens(
    index: NodeIndex,
    similarities: Mapping[str, np.ndarray],
    labels: np.ndarray,
    train: np.ndarray,
    k: int,
    allowed: np.ndarray | None = None,
    *,
    newcomers: bool = False,
) -> TokenTable:
    """One token ``neighbours:NAME`` per similarity, present where a neighbour has weight.

    Its columns are the log odds of each label average (see `neighbour_labels`) against those of the training rows, halved and
    cut at 3, and log(1 + weight) of all neighbours and of the nearest.
    """
    tokens = []
    expected = _log_odds(labels[train].mean(axis=0))
    for name, similarity in similarities.items():
        found = neighbour_labels(similarity, labels, train, k, allowed, newcomers=newcomers)
        odds = np.clip((_log_odds(found[:, :-2]) - expected) / 2, -3, 3)
        tokens.append(make_token(f"neighbours:{name}", np.hstack([odds, np.log1p(found[:, -2:])]), found[:, -1] > 0))
    return TokenTable(index, tuple(tokens))


def _log_odds(share: np.ndarray) -> np.ndarray:
    return np.asarray(np.log((share + SMOOTHING) / (1 + SMOOTHING - share)))
