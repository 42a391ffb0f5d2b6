"""Label averages over the nearest training neighbours: the only tokens that read labels, made anew in every fold."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fusion.tokens import TokenTable, make_token
from mirnagraph.networks.types import NetworkSet
from mirnagraph.nodes import NodeIndex


def neighbour_similarities(networks: NetworkSet) -> dict[str, np.ndarray]:
    """Dense similarities in which neighbours are looked for: float32, shape (n_rnas, n_rnas), zero diagonal.

    The stored similarities (sequence, functional, GIP …) and the cosine of the rows of each association network.
    """
    found = {name: np.array(values, dtype=np.float32) for name, values in networks.similarities.items()}
    for name, network in networks.networks.items():
        if not network.is_similarity:
            norm = np.sqrt(np.asarray(network.matrix.multiply(network.matrix).sum(axis=1)).ravel())
            rows = network.matrix.multiply(1 / np.where(norm > 0, norm, 1)[:, None]).tocsr()
            found[f"cosine_{name}"] = (rows @ rows.T).toarray().astype(np.float32)
    for values in found.values():
        np.fill_diagonal(values, 0.0)
    return found


def neighbour_labels(similarity: np.ndarray, labels: np.ndarray, train: np.ndarray, k: int, allowed: np.ndarray | None = None) -> np.ndarray:
    """Similarity-weighted label average over the k nearest training neighbours of every RNA, itself excluded.

    Args:
        similarity: shape (n, n), 0 or more; the diagonal is not read.
        labels: shape (n, n_labels); only rows named by `train` are read.
        train: rows whose labels are known here.
        k: neighbours to average.
        allowed: bool (n, n), False where a training row may not serve a query (e.g. relatives); None allows all.

    Returns:
        float32, shape (n, n_labels + 2): the averages (the training mean where no neighbour has weight), the total
        weight, and the largest weight.
    """
    known = labels[train].astype(np.float64)
    weights = similarity[:, train].astype(np.float64)
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
    index: NodeIndex, similarities: Mapping[str, np.ndarray], labels: np.ndarray, train: np.ndarray, k: int, allowed: np.ndarray | None = None
) -> TokenTable:
    """One token ``neighbours:NAME`` per similarity (see `neighbour_labels`), present where a neighbour has weight."""
    tokens = []
    for name, similarity in similarities.items():
        values = neighbour_labels(similarity, labels, train, k, allowed)
        tokens.append(make_token(f"neighbours:{name}", values, values[:, -1] > 0))
    return TokenTable(index, tuple(tokens))
