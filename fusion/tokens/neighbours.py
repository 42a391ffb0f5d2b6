"""Tokens that read labels or associations of training RNAs, made anew in every fold.

``neighbours`` averages labels of similar training RNAs, ``neighbour_profile`` their associations,
``partner_labels`` labels across an association between the RNAs of the networks and those of
additional sets.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy import sparse

from fusion.tokens.evidence import shared_reports, weighted_matrix
from fusion.tokens.names import (
    MATURE,
    MEASURES,
    NEIGHBOUR_PROFILE,
    NEIGHBOURS,
    PARTNER_LABELS,
    TokenName,
)
from fusion.tokens.table import TokenTable, make_token
from mirnagraph.dataset import Dataset
from mirnagraph.embedding.factorization import svd_scores
from mirnagraph.errors import ConfigError
from mirnagraph.networks.inputs import split_matures
from mirnagraph.networks.network import NetworkSet
from mirnagraph.networks.similarities import Similarity, nearest_kept
from mirnagraph.nodes import NodeIndex
from mirnagraph.similarity.best import Keep, in_order
from mirnagraph.similarity.blocks import NamedRows, SimilarityRows, row_neighbours
from mirnagraph.similarity.profile import CosineRows, cosine_rows, gip_rows, tf_idf
from mirnagraph.similarity.scorer import DEFAULT_SCORES, ENGINES
from mirnagraph.similarity.smith_waterman import AlignedRows, mature_similarity

SMOOTHING = 0.01  # keeps the log odds of an average of 0 or 1 finite

PARTNER_SMOOTHING = 0.5


def neighbour_similarity(networks: NetworkSet, name: str) -> Similarity:
    """Similarity in which neighbours are looked up.

    Args:
        networks: hold the stored similarities and the dataset.
        name: a stored similarity (``sequence``, ``functional``, ``gip`` ...); or for a kind of
            association ``gip_KIND`` (profile kernel), ``cosine_KIND`` (rows weighted by rarity),
            ``weighted_KIND`` (rows weighted by number of records) or ``co_reported_KIND``
            (reports that name both); or ``mature``, of the mature sequences of two RNAs, which is
            computed here.

    Returns:
        float32, shape (n_rnas, n_rnas), zero diagonal, in [0, 1]; sparse, with the nearest RNAs of
        each in its row, for more RNAs than the networks' `NetworkConfig.dense_below`.

    Raises:
        ConfigError: no such similarity, or no such kind.
    """
    stored = networks.similarities.get(name)
    if stored is not None and not isinstance(stored, np.ndarray):
        return stored
    n_kept = nearest_kept(networks.settings, len(networks.dataset.index))
    if stored is None and n_kept is not None:
        rows = NamedRows(name, _rows_of(networks, name))
        keep = {name: Keep(n_kept, single=True)}
        return sparse.csr_array(row_neighbours(rows, keep)[name].nearest, dtype=np.float32)
    if stored is not None:
        values = np.array(stored, dtype=np.float32)
    elif name == MATURE and "matures" in networks.dataset.rnas:
        values = mature_similarity(_matures(networks), workers=1).astype(np.float32)
    else:
        made = _rows_of(networks, name)
        values = made.similarity(0, made.n_rows).astype(np.float32)
    np.fill_diagonal(values, 0.0)
    return values


def _matures(networks: NetworkSet) -> list[list[str]]:
    """Mature sequences of each RNA."""
    return split_matures(networks.dataset.rnas["matures"].fillna("").astype(str).tolist())


def _rows_of(networks: NetworkSet, name: str) -> SimilarityRows:
    """Rows of a similarity that is not stored; see `neighbour_similarity`."""
    dataset = networks.dataset
    token = TokenName.parse(f"{NEIGHBOURS}:{name}")
    kind = token.target
    if name == MATURE and "matures" in dataset.rnas:
        return AlignedRows.of(_matures(networks), DEFAULT_SCORES, ENGINES[0])
    if not token.measure or kind not in dataset.associations:
        pairs = [f"{measure}_{kind}" for measure in MEASURES for kind in dataset.associations]
        available = ", ".join([*networks.similarities, *pairs])
        raise ConfigError(f"no similarity {name!r}; available: {available}")
    if token.measure == "gip":
        return gip_rows(dataset.association_matrix(kind))
    return _cosine_rows(dataset, kind, token.measure)


def _cosine_rows(dataset: Dataset, kind: str, measure: str) -> CosineRows:
    """Rows of a cosine of associations of a kind, by a measure of `MEASURES`."""
    if measure == "cosine":
        return cosine_rows(tf_idf(dataset.association_matrix(kind)))
    if measure == "weighted":
        return cosine_rows(weighted_matrix(dataset, kind))
    return cosine_rows(shared_reports(dataset, kind))


def neighbour_labels(
    similarity: Similarity,
    labels: np.ndarray,
    train: np.ndarray,
    k: int,
    allowed: np.ndarray | None = None,
    *,
    is_new: bool = False,
) -> np.ndarray:
    """Similarity-weighted label average over the k nearest training neighbours, without itself.

    Args:
        similarity: of n queries to all reference RNAs, 0 or more, shape (n, n_reference). Unless
            `is_new`, the queries are the reference RNAs and the diagonal is not read. Sparse where
            the nearest RNAs of each alone are stored: others have no weight.
        labels: labels or other numbers to average, shape (n_reference, n_labels); only rows of
            `train` are read.
        train: rows whose labels may be read.
        k: number of neighbours.
        allowed: bool, as `similarity`; False where a training row may not serve a query (e.g. of
            its family). None allows all.
        is_new: the queries are none of the reference RNAs.

    Returns:
        float32, shape (n, n_labels + 2): the averages (the training mean where no neighbour has
        weight), the total weight, and the largest weight.
    """
    train_labels = labels[train].astype(np.float64)
    if not isinstance(similarity, np.ndarray):
        return _sparse_neighbour_labels(similarity, train_labels, train, k, allowed)
    weights = similarity[:, train].astype(np.float64)
    if not is_new:
        weights[train, np.arange(len(train))] = 0.0
    if allowed is not None:
        weights = np.where(allowed[:, train], weights, 0.0)
    if len(train) > k:
        # A stable sort breaks ties at the k-th neighbour by row.
        farther = np.argsort(-weights, axis=1, kind="stable")[:, k:]
        np.put_along_axis(weights, farther, 0.0, axis=1)
    total = weights.sum(axis=1, keepdims=True)
    mean = train_labels.mean(axis=0)
    scale = np.where(total > 0, total, 1)
    average = np.where(total > 0, (weights @ train_labels) / scale, mean)
    largest = weights.max(axis=1, keepdims=True)
    return np.hstack([average, total, largest]).astype(np.float32)


def _sparse_neighbour_labels(
    similarity: sparse.csr_array,
    train_labels: np.ndarray,
    train: np.ndarray,
    k: int,
    allowed: np.ndarray | None,
) -> np.ndarray:
    """`neighbour_labels` where the nearest RNAs of each alone are stored."""
    if allowed is not None:
        similarity = sparse.csr_array(similarity.multiply(allowed))
        similarity.eliminate_zeros()
    rows, columns, values = in_order(similarity[:, train], k)
    shape = (similarity.shape[0], len(train))
    weights = sparse.csr_array((values.astype(np.float64), (rows, columns)), shape=shape)
    total = np.asarray(weights.sum(axis=1))[:, None]
    scale = np.where(total > 0, total, 1)
    average = np.where(total > 0, (weights @ train_labels) / scale, train_labels.mean(axis=0))
    largest = np.zeros(total.shape)
    np.maximum.at(largest[:, 0], rows, values)
    return np.hstack([average, total, largest]).astype(np.float32)


def neighbour_tokens(
    index: NodeIndex,
    similarities: Mapping[str, Similarity],
    labels: np.ndarray,
    train: np.ndarray,
    k: int,
    allowed: np.ndarray | None = None,
    *,
    is_new: bool = False,
) -> TokenTable:
    """One token ``neighbours:NAME`` per similarity, present where a neighbour has weight.

    Its columns are the log odds of each label average (see `neighbour_labels`) minus those of the
    training rows, halved and clipped to [-3, 3], and log(1 + weight) of all neighbours and of the
    nearest one.
    """
    tokens = []
    expected = _log_odds(labels[train].mean(axis=0))
    for name, similarity in similarities.items():
        near = neighbour_labels(similarity, labels, train, k, allowed, is_new=is_new)
        weights = near[:, -2:]
        odds = np.clip((_log_odds(near[:, :-2]) - expected) / 2, -3, 3)
        values = np.hstack([odds, np.log1p(weights)])
        tokens.append(make_token(f"{NEIGHBOURS}:{name}", values, weights[:, 1] > 0))
    return TokenTable(index, tuple(tokens))


def _log_odds(share: np.ndarray) -> np.ndarray:
    return np.log((share + SMOOTHING) / (1 + SMOOTHING - share))


def neighbour_profiles(
    associations: Mapping[str, sparse.csr_array], train: np.ndarray, dim: int
) -> dict[str, np.ndarray]:
    """SVD scores of the associations of training RNAs; associations of other RNAs are not read.

    Returns:
        Kind -> float32, shape (n_rnas, dim), zeros in all rows that are not in `train`.
    """
    profiles = {}
    for kind, matrix in associations.items():
        scores = svd_scores(sparse.csr_array(matrix[train]), dim)
        profiles[kind] = np.zeros((matrix.shape[0], scores.shape[1]), dtype=np.float32)
        profiles[kind][train] = scores
    return profiles


def neighbour_profile_tokens(
    index: NodeIndex,
    similarity: Similarity,
    profiles: Mapping[str, np.ndarray],
    train: np.ndarray,
    k: int,
    *,
    is_new: bool = False,
) -> TokenTable:
    """One token ``neighbour_profile:KIND`` per kind of association.

    It is the similarity-weighted mean profile of the k nearest training RNAs, without itself;
    present where one of them has a similarity above 0.

    Args:
        index: of the n RNAs.
        similarity: shape (n, n_reference), see `neighbour_labels`.
        profiles: see `neighbour_profiles`.
        train: training rows of the reference RNAs.
        k: number of neighbours.
        is_new: see `neighbour_labels`.
    """
    tokens = []
    for kind, profile in profiles.items():
        near = neighbour_labels(similarity, profile, train, k, is_new=is_new)
        tokens.append(make_token(f"{NEIGHBOUR_PROFILE}:{kind}", near[:, :-2], near[:, -1] > 0))
    return TokenTable(index, tuple(tokens))


def partner_label_tokens(
    index: NodeIndex,
    associations: Mapping[str, sparse.csr_array],
    links: Mapping[str, np.ndarray],
    labels: np.ndarray,
    train: np.ndarray,
) -> TokenTable:
    """One token ``partner_labels:KIND`` per kind of association.

    An RNA of the networks and an RNA of an additional set are associated where the second is a
    partner of the first. Columns: per compartment, the log odds of its share among the associated
    training RNAs minus those among all training RNAs, smoothed by one RNA and 0 where none is
    labelled; then log(1 + number of associated training RNAs). Present where there is one.

    Args:
        index: RNAs of the networks first, then those of additional sets.
        associations: kind -> of the networks' RNAs, shape (n_network_rnas, n_partners).
        links: kind -> number of the partner that each RNA of an additional set is, -1 for none:
            int64, shape (n_extra_rnas,).
        labels: shape (n_rnas, n_labels), NaN where unknown; only training rows are read.
        train: training rows.
    """
    train_labels = np.full(labels.shape, np.nan)
    train_labels[train] = labels[train]
    n_labelled = (~np.isnan(train_labels)).sum(axis=0)
    n_positive = np.nansum(train_labels, axis=0)
    share = (n_positive + PARTNER_SMOOTHING) / (n_labelled + 2 * PARTNER_SMOOTHING)
    is_train = np.zeros(len(index), dtype=float)
    is_train[train] = 1
    tokens = []
    for kind, matrix in associations.items():
        linked = _links_between(matrix, links[kind])
        n_train = linked @ is_train
        values = np.hstack([_partner_odds(linked, train_labels, share), np.log1p(n_train)[:, None]])
        tokens.append(make_token(f"{PARTNER_LABELS}:{kind}", values, n_train > 0))
    return TokenTable(index, tuple(tokens))


def _links_between(matrix: sparse.csr_array, link: np.ndarray) -> sparse.csr_array:
    """Associations of all RNAs with each other, symmetric, shape (n_rnas, n_rnas)."""
    n_network_rnas = matrix.shape[0]
    n_rnas = n_network_rnas + len(link)
    rows = np.flatnonzero(link >= 0)
    entries = (np.ones(len(rows)), (rows, link[rows]))
    partner_of = sparse.csr_array(entries, shape=(len(link), matrix.shape[1]))
    is_associated = sparse.csr_array(matrix != 0).astype(float)
    pairs = sparse.csr_array(is_associated @ partner_of.T).tocoo()
    extra = pairs.col + n_network_rnas
    both = (np.concatenate([pairs.row, extra]), np.concatenate([extra, pairs.row]))
    return sparse.csr_array((np.tile(pairs.data, 2), both), shape=(n_rnas, n_rnas))


def _partner_odds(
    linked: sparse.csr_array, train_labels: np.ndarray, share: np.ndarray
) -> np.ndarray:
    n_positive = linked @ np.nan_to_num(train_labels)
    n_labelled = linked @ (~np.isnan(train_labels)).astype(float)
    smooth = (n_positive + share) / (n_labelled + 1)
    difference = np.log(smooth / (1 - smooth)) - np.log(share / (1 - share))
    return np.clip(np.where(n_labelled > 0, difference, 0.0), -3, 3)
