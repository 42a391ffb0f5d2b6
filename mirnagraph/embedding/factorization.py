"""Factorisations: k-hop proximity embedding of a network, truncated SVD of a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from mirnagraph.config import Checked, Count, require
from mirnagraph.embedding.walks import walk_graph
from mirnagraph.seeds import generator

# Up to this many nodes, or for most of the spectrum, the full decomposition is as fast.
SMALL = 400


@dataclass(frozen=True)
class ProximityConfig(Checked):
    """Settings of the proximity embedding.

    Attributes:
        dim: columns per hop, 1 or more.
        hops: largest number of steps, 1 or more; the embedding has ``dim * hops`` columns.
        shift: beta of GraRep's ``log(1 / beta)`` (Eq. 1: "vertex vocabulary size"), above 0; None
            for the number of nodes.
    """

    dim: Count = 128
    hops: Count = 3
    shift: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        is_shift = self.shift is None or 0 < self.shift < float("inf")
        require(is_shift, "shift", self.shift, "a finite number above 0, or none")


def log_proximity(power: np.ndarray, shift: float | None = None) -> np.ndarray:
    """Compute the positive log-proximity of one power of the transition matrix.

    ``max(0, log(P_ij / sum_i P_ij) - log(1 / n))``: how much likelier j is reached from i than from
    a random node.

    EL-RMLocNet's Eq. 1 prints ``log(S / X) - log(1 / b)`` with X "the summation of every row ...
    extended by repeating its only row", b the number of vertices, and Eq. 2 takes powers of the
    result. A row vector repeated downwards divides by column sums, and powers of a matrix of
    logarithms (minus infinity without an edge) have no meaning. This follows GraRep (Cao et al.
    2015, Algorithm 1), as the text does word for word: powers of the transition matrix first, each
    divided by its column sums, then the logarithm; negative values and absent paths are 0.

    Args:
        power: k-step transition probabilities, shape (n, n), 0 or greater.
        shift: b; None for n.

    Returns:
        float64, shape (n, n), 0 or greater; columns of nodes that are never reached are 0.
    """
    n_nodes = len(power)
    column = power.sum(axis=0)
    ratio = np.divide(power, column, out=np.zeros_like(power), where=column > 0)
    ratio *= n_nodes if shift is None else shift
    np.log(ratio, out=ratio, where=ratio > 0)
    return np.maximum(ratio, 0, out=ratio)


def proximity_embedding(adjacency: Any, config: ProximityConfig | None = None) -> np.ndarray:
    """Embed every node by its paths of 1 to `hops` steps.

    For each k: ``A = D^-1 S`` to the power k, positive log-proximity, truncated SVD, ``W_k = U
    sqrt(S)`` (Eq. 3 names U, S and V; the half power is GraRep's), all W_k concatenated (Eq. 4).
    The sign of each column is fixed: its largest entries sum to more than 0 (see `fix_signs`).

    Args:
        adjacency: scipy sparse, shape (n_nodes, n_nodes), weights of 0 or more. Memory is that of
            dense (n_nodes, n_nodes) matrices, since paths of a few steps join most nodes.
        config: see ProximityConfig; defaults where None.

    Returns:
        float32, shape (n_nodes, dim * hops), rows in the order of `adjacency`; hop k in columns
        (k-1)*dim to k*dim. Isolated nodes are zero, and so are columns beyond the rank.

    Raises:
        InputError: not square and sparse, or a weight is negative or not finite.
    """
    config = ProximityConfig() if config is None else config
    walk_graph(adjacency)
    weights = sparse.csr_array(adjacency, dtype=np.float64, copy=True)
    n_nodes = weights.shape[0]
    out = weights.sum(axis=1)
    inverse = np.divide(1.0, out, out=np.zeros(n_nodes), where=out > 0)
    transition = sparse.csr_array(sparse.diags_array(inverse) @ weights)
    result = np.zeros((n_nodes, config.dim * config.hops), np.float32)
    power = transition.toarray()
    for hop in range(config.hops):
        if hop > 0:
            power = transition @ power
        factor = _factor(log_proximity(power, config.shift), config.dim)
        start = hop * config.dim
        result[:, start : start + factor.shape[1]] = factor
    return result


class ProximityEmbedder:
    """Network embedder `proximity`."""

    Config = ProximityConfig

    @staticmethod
    def embed(adjacency: Any, config: ProximityConfig, seed: int) -> np.ndarray:
        """See `proximity_embedding`, which has no random step."""
        return proximity_embedding(adjacency, config)


def fix_signs(columns: np.ndarray) -> np.ndarray:
    """Fix the sign of each column: entries above the median size sum to more than 0.

    The result does not depend on the order of rows.
    """
    large = np.where(np.abs(columns) >= np.median(np.abs(columns), axis=0), columns, 0)
    return columns * np.where((large**3).sum(axis=0) < 0, -1.0, 1.0)


def _factor(matrix: np.ndarray, dim: int) -> np.ndarray:
    """``U sqrt(S)`` of the largest singular values, shape (n, at most dim), descending.

    Columns beyond the rank are zero.
    """
    from scipy.sparse.linalg import ArpackError, svds  # slow to load, and not needed to predict

    n_nodes = len(matrix)
    rank = min(dim, n_nodes)
    if not matrix.any():
        return np.zeros((n_nodes, rank))
    if n_nodes <= SMALL or rank > n_nodes // 3:
        left, strength, _ = np.linalg.svd(matrix, full_matrices=False)
    else:
        start = generator(0, "proximity").random(n_nodes) + 0.5
        try:
            left, strength, _ = svds(matrix, k=rank, v0=start, solver="arpack")
        except ArpackError:
            left, strength, _ = np.linalg.svd(matrix, full_matrices=False)
        order = np.argsort(-strength, kind="stable")
        left = left[:, order]
        strength = strength[order]
    left = left[:, :rank]
    strength = strength[:rank]
    left = np.where(strength > strength[0] * 1e-10, left, 0.0)
    return fix_signs(left) * np.sqrt(strength)


def svd_scores(matrix: sparse.csr_array | np.ndarray, dim: int) -> np.ndarray:
    """Compute left singular vectors times singular values of a table.

    The largest entry of each component is made positive, since signs are arbitrary.

    Args:
        matrix: shape (n_rows, n_columns).
        dim: number of components.

    Returns:
        Shape (n_rows, min(dim, smaller side - 1)); zeros for a table without a value, and a column
        of them for one too small for one component.
    """
    from sklearn.decomposition import TruncatedSVD  # slow to load, and not needed to predict

    dim = min(dim, min(matrix.shape) - 1)
    if dim < 1:
        return np.zeros((matrix.shape[0], 1))
    table = sparse.csr_matrix(matrix)
    if table.count_nonzero() == 0:  # ARPACK has nothing to start from
        return np.zeros((matrix.shape[0], dim))
    svd = TruncatedSVD(dim, algorithm="arpack", random_state=0)
    values = svd.fit_transform(table)
    signs = np.sign(values[np.abs(values).argmax(axis=0), np.arange(values.shape[1])])
    return values * np.where(signs == 0, 1, signs)
