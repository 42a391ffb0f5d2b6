"""How an RNA joins the networks by its sequence alone: how many RNAs are like it, and what the nearest of them are associated with."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy import sparse

from fusion.neighbours import neighbour_labels
from fusion.svd import svd_scores
from fusion.tokens import Token, TokenTable, make_token
from mirnagraph.nodes import NodeIndex

ALIKE, TRANSFER = "alike", "transfer:"
LEVELS = (0.25, 0.3, 0.4, 0.6, 0.8)
"""Smith-Waterman similarities beyond which another RNA counts as alike: from just above chance (0.25 among human hairpins) to near-copies."""


def alike_counts(similarity: np.ndarray, *, newcomers: bool = False) -> np.ndarray:
    """How many known RNAs are more similar than each of `LEVELS`, as log(1 + n): float32, shape (n, 5).

    A large family is an old one, and an old one is expressed in more places: the sequences of relatives say so, whatever is known of them.

    Args:
        similarity: shape (n, n_known), in [0, 1]; of the known RNAs themselves, whose diagonal is not counted, unless they are `newcomers`.
    """
    counts = np.stack([(similarity > level).sum(axis=1) for level in LEVELS], axis=1).astype(np.float32)
    if not newcomers:
        counts -= np.diagonal(similarity)[:, None] > np.array(LEVELS, dtype=np.float32)
    return np.asarray(np.log1p(counts), dtype=np.float32)


def alike_token(similarity: np.ndarray, known: np.ndarray, *, newcomers: bool = False) -> Token:
    """The token ``alike``; absent for an RNA whose sequence is not known (`known`: bool, shape (n,))."""
    return make_token(ALIKE, alike_counts(similarity, newcomers=newcomers), known)


def transfer_profiles(associations: Mapping[str, sparse.csr_array], train: np.ndarray, dim: int) -> dict[str, np.ndarray]:
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
    index: NodeIndex, similarity: np.ndarray, profiles: Mapping[str, np.ndarray], train: np.ndarray, k: int, *, newcomers: bool = False
) -> TokenTable:
    """One token ``transfer:KIND`` per kind of association: the similarity-weighted mean profile of the k nearest training RNAs, itself excluded.

    Present where such an RNA has a similarity above 0.

    Args:
        similarity: shape (n, n_known), see `fusion.neighbours.neighbour_labels`.
        profiles: see `transfer_profiles`.
    """
    tokens = []
    for kind, profile in profiles.items():
        found = neighbour_labels(similarity, profile, train, k, newcomers=newcomers)
        tokens.append(make_token(f"{TRANSFER}{kind}", found[:, :-2], found[:, -1] > 0))
    return TokenTable(index, tuple(tokens))
