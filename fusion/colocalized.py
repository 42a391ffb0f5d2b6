"""Co-localization between the two sides of an association network: a miRNA sees where its labelled targets sit, a target where its labelled miRNAs sit.

The token ``partners:KIND`` is the first of these from a fixed table of partners (the co-localization feature of PMiSLocMF); here both directions are
made anew in every fold, of the labels of training RNAs alone.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy import sparse

from fusion.tokens import TokenTable, make_token
from mirnagraph.nodes import NodeIndex

COLOCALIZED = "colocalized:"
SMOOTHING = 0.5


def colocalized_tokens(
    index: NodeIndex, associations: Mapping[str, sparse.csr_array], links: Mapping[str, np.ndarray], labels: np.ndarray, train: np.ndarray
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
    share = (np.nansum(learned, axis=0) + SMOOTHING) / (known.sum(axis=0) + 2 * SMOOTHING)
    is_train = np.zeros(len(index), dtype=float)
    is_train[train] = 1
    return TokenTable(
        index, tuple(make_token(COLOCALIZED + kind, *_of_kind(matrix, links[kind], learned, share, is_train)) for kind, matrix in associations.items())
    )


def _of_kind(matrix: sparse.csr_array, link: np.ndarray, learned: np.ndarray, share: np.ndarray, is_train: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    n_home, n_all = matrix.shape[0], len(learned)
    linked = np.flatnonzero(link >= 0)
    of_guest = sparse.csr_array((np.ones(len(linked)), (linked, link[linked])), shape=(len(link), matrix.shape[1]))
    across = sparse.csr_array(sparse.csr_array(matrix != 0).astype(float) @ of_guest.T)  # (n_home, n_others)
    pairs = across.tocoo()
    rows, columns = np.concatenate([pairs.row, pairs.col + n_home]), np.concatenate([pairs.col + n_home, pairs.row])
    together = sparse.csr_array((np.tile(pairs.data, 2), (rows, columns)), shape=(n_all, n_all))
    yes, n_known = together @ np.nan_to_num(learned), together @ (~np.isnan(learned)).astype(float)
    smooth = (yes + share) / (n_known + 1)
    odds = np.where(n_known > 0, np.log(smooth / (1 - smooth)) - np.log(share / (1 - share)), 0.0)
    seen = together @ is_train
    return np.hstack([np.clip(odds, -3, 3), np.log1p(seen)[:, None]]), seen > 0
