"""Tokens ``nearest:NAME``: the training RNAs most similar to an RNA, made anew in every fold."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fusion.tokens.names import NEAREST
from fusion.tokens.table import TokenTable, make_token
from mirnagraph.networks.similarities import Similarity
from mirnagraph.nodes import NodeIndex
from mirnagraph.similarity.best import nearest_lists


def nearest_rows(
    similarity: Similarity, train: np.ndarray, k: int, *, is_new: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """The k most similar training rows of every RNA, without itself.

    Equal similarities are ordered by row.

    Args:
        similarity: of n queries to all reference RNAs, 0 or more, shape (n, n_reference). Unless
            `is_new`, the queries are the reference RNAs and the diagonal is not read. Sparse where
            the nearest RNAs of each alone are stored (see `NetworkSet.similarities`): training RNAs
            that are not among these have a similarity of 0.
        train: training rows, ascending.
        k: number of neighbours.
        is_new: the queries are none of the reference RNAs.

    Returns:
        Row numbers, int64, and similarities, float32, both of shape (n, k), most similar first;
        where fewer have a similarity above 0, row number and similarity are 0.
    """
    if not isinstance(similarity, np.ndarray):
        near, weights = nearest_lists(similarity[:, train], k)
        return np.where(near >= 0, train[near], 0), weights
    weights = similarity[:, train].astype(np.float32)
    if not is_new:
        weights[train, np.arange(len(train))] = 0.0
    order = np.argsort(-weights, axis=1, kind="stable")[:, :k]
    nearest = np.take_along_axis(weights, order, axis=1)
    rows = np.where(nearest > 0, train[order], 0)
    missing = ((0, 0), (0, k - rows.shape[1]))
    return np.pad(rows, missing), np.pad(np.maximum(nearest, 0), missing)


def nearest_tokens(
    index: NodeIndex,
    similarities: Mapping[str, Similarity],
    train: np.ndarray,
    k: int,
    *,
    is_new: bool = False,
) -> TokenTable:
    """One token ``nearest:NAME`` per similarity, present where a training RNA has weight.

    Its columns are k row numbers among the reference RNAs, then their k similarities; float32 holds
    row numbers exactly up to 16,777,216.
    """
    tokens = []
    for name, similarity in similarities.items():
        rows, weights = nearest_rows(similarity, train, k, is_new=is_new)
        values = np.hstack([rows.astype(np.float32), weights])
        tokens.append(make_token(f"{NEAREST}:{name}", values, weights[:, 0] > 0))
    return TokenTable(index, tuple(tokens))
