"""Tokens that read training labels, rebuilt per fold.

The token ``partners:KIND`` is the first of these from a fixed table of partners (the co-localization feature of PMiSLocMF); here both directions are
made anew in every fold, of the labels of training RNAs alone.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy import sparse

from fusion.tokens.builders import shared_reports, weighted_matrix
from fusion.tokens.names import COLOCALIZED, TRANSFER
from fusion.tokens.table import TokenTable, make_token
from mirnagraph.embedding.factorization import svd_scores
from mirnagraph.errors import ConfigError
from mirnagraph.networks.network import NetworkSet
from mirnagraph.nodes import NodeIndex
from mirnagraph.similarity.profile import cosine, gip_similarity, tf_idf

SMOOTHING = 0.01  # keeps the log odds of an average of 0 or 1 finite

PARTNER_SMOOTHING = 0.5


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
    elif (
        measure not in ("gip", "cosine", "weighted", "reports") or kind not in dataset.associations
    ):
        made = ", ".join(
            f"{m}_{k}"
            for m in ("gip", "cosine", "weighted", "reports")
            for k in dataset.associations
        )
        raise ConfigError(
            f"no similarity {name!r}; there are {', '.join(networks.similarities)}, {made}"
        )
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


def neighbour_labels(
    similarity: np.ndarray,
    labels: np.ndarray,
    train: np.ndarray,
    k: int,
    allowed: np.ndarray | None = None,
    *,
    newcomers: bool = False,
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
        tokens.append(
            make_token(
                f"neighbours:{name}", np.hstack([odds, np.log1p(found[:, -2:])]), found[:, -1] > 0
            )
        )
    return TokenTable(index, tuple(tokens))


def _log_odds(share: np.ndarray) -> np.ndarray:
    return np.asarray(np.log((share + SMOOTHING) / (1 + SMOOTHING - share)))


def transfer_profiles(
    associations: Mapping[str, sparse.csr_array], train: np.ndarray, dim: int
) -> dict[str, np.ndarray]:
    """What can be carried over from training RNAs: kind -> SVD scores of their associations, shape (n_known, dim), zeros in all other rows.

    Nothing is read of an RNA that is not in `train`, so that its associations may be unknown.
    """
    found = {}
    for kind, matrix in associations.items():
        scores = svd_scores(sparse.csr_array(matrix[train]), dim)
        found[kind] = np.zeros((matrix.shape[0], scores.shape[1]), dtype=np.float32)
        found[kind][train] = scores
    return found


def transfer_tokens(
    index: NodeIndex,
    similarity: np.ndarray,
    profiles: Mapping[str, np.ndarray],
    train: np.ndarray,
    k: int,
    *,
    newcomers: bool = False,
) -> TokenTable:
    """One token ``transfer:KIND`` per kind of association: the similarity-weighted mean profile of the k nearest training RNAs, itself excluded.

    Present where such an RNA has a similarity above 0.

    Args:
        similarity: shape (n, n_known), see `fusion.tokens.neighbours.neighbour_labels`.
        profiles: see `transfer_profiles`.
    """
    tokens = []
    for kind, profile in profiles.items():
        found = neighbour_labels(similarity, profile, train, k, newcomers=newcomers)
        tokens.append(make_token(f"{TRANSFER}{kind}", found[:, :-2], found[:, -1] > 0))
    return TokenTable(index, tuple(tokens))


def colocalized_tokens(
    index: NodeIndex,
    associations: Mapping[str, sparse.csr_array],
    links: Mapping[str, np.ndarray],
    labels: np.ndarray,
    train: np.ndarray,
) -> TokenTable:
    """One token ``colocalized:KIND`` per kind of association.

    Its columns are, per compartment, the log odds of the share of training RNAs on the other side that have it against that of all training RNAs,
    smoothed by one RNA and 0 where none is labelled; then log(1 + number of training RNAs on the other side). Present where there is one.

    Args:
        index: the networks' RNAs first, the others after them.
        associations: kind -> of the networks' RNAs with partners, shape (n_home, n_partners).
        links: kind -> number of the partner that each of the other RNAs is, -1 for none: int64, shape (n_others,).
        labels: shape (n_rnas, n_labels), NaN where unknown; only training rows are read.
        train: rows to learn from.
    """
    learned = np.full(labels.shape, np.nan)
    learned[train] = labels[train]
    known = ~np.isnan(learned)
    share = (np.nansum(learned, axis=0) + PARTNER_SMOOTHING) / (
        known.sum(axis=0) + 2 * PARTNER_SMOOTHING
    )
    is_train = np.zeros(len(index), dtype=float)
    is_train[train] = 1
    return TokenTable(
        index,
        tuple(
            make_token(COLOCALIZED + kind, *_of_kind(matrix, links[kind], learned, share, is_train))
            for kind, matrix in associations.items()
        ),
    )


def _of_kind(
    matrix: sparse.csr_array,
    link: np.ndarray,
    learned: np.ndarray,
    share: np.ndarray,
    is_train: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    n_network_rnas = matrix.shape[0]
    n_all = len(learned)
    linked = np.flatnonzero(link >= 0)
    of_extra_rna = sparse.csr_array(
        (np.ones(len(linked)), (linked, link[linked])), shape=(len(link), matrix.shape[1])
    )
    across = sparse.csr_array(
        sparse.csr_array(matrix != 0).astype(float) @ of_extra_rna.T
    )  # (n_home, n_others)
    pairs = across.tocoo()
    rows = np.concatenate([pairs.row, pairs.col + n_network_rnas])
    columns = np.concatenate([pairs.col + n_network_rnas, pairs.row])
    together = sparse.csr_array((np.tile(pairs.data, 2), (rows, columns)), shape=(n_all, n_all))
    yes = together @ np.nan_to_num(learned)
    n_known = together @ (~np.isnan(learned)).astype(float)
    smooth = (yes + share) / (n_known + 1)
    odds = np.where(n_known > 0, np.log(smooth / (1 - smooth)) - np.log(share / (1 - share)), 0.0)
    seen = together @ is_train
    return np.hstack([np.clip(odds, -3, 3), np.log1p(seen)[:, None]]), seen > 0
