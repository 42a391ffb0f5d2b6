"""Factorisations: k-hop proximity embedding of a network, truncated SVD of a table."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from scipy import sparse

from mirnagraph.config import Checked, Count, require
from mirnagraph.reading.arguments import checked, finite_matrix
from mirnagraph.seeds import generator
from mirnagraph.walks.graph import walk_graph

# Up to this many nodes, or for most of the spectrum, the full decomposition is as fast.
SMALL = 400

BLOCK = 1 << 24
"""Most entries of a block of rows, above ``dense_up_to`` nodes."""

OVERSAMPLING = 10

POWER_ITERATIONS = 3

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ProximityConfig(Checked):
    """Settings of the proximity embedding.

    Attributes:
        dim: columns per hop, 1 or more.
        hops: largest number of steps, 1 or more; the embedding has ``dim * hops`` columns.
        shift: beta of GraRep's ``log(1 / beta)`` (Eq. 1: "vertex vocabulary size"), above 0; None
            for the number of nodes.
        dense_up_to: nodes up to which the matrices are dense, 1 or more. Of larger networks their
            rows are made in blocks, and the singular vectors by random projection.
    """

    dim: Count = 128
    hops: Count = 3
    shift: float | None = None
    dense_up_to: Count = 10_000

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


@checked
def proximity_embedding(adjacency: Any, config: ProximityConfig | None = None) -> np.ndarray:
    """Embed every node by its paths of 1 to `hops` steps.

    For each k: ``A = D^-1 S`` to the power k, positive log-proximity, truncated SVD, ``W_k = U
    sqrt(S)`` (Eq. 3 names U, S and V; the half power is GraRep's), all W_k concatenated (Eq. 4).
    The sign of each column is fixed: its largest entries sum to more than 0 (see `fix_signs`).

    Args:
        adjacency: scipy sparse, shape (n_nodes, n_nodes), weights of 0 or more. Up to
            ``config.dense_up_to`` nodes memory is that of dense (n_nodes, n_nodes) matrices, since
            paths of a few steps join most nodes; above it, that of the network, of a few vectors
            of ``dim`` numbers per node and of `BLOCK` entries. Time grows with the pairs of nodes
            that a path joins.
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
    is_dense = n_nodes <= config.dense_up_to
    power = transition.toarray() if is_dense else None
    for hop in range(config.hops):
        if power is None:
            factor = _factor_in_blocks(transition, hop + 1, config)
        else:
            power = transition @ power if hop > 0 else power
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
    return _scaled(left[:, :rank], strength[:rank])


def _scaled(left: np.ndarray, strength: np.ndarray) -> np.ndarray:
    left = np.where(strength > strength[0] * 1e-10, left, 0.0)
    return fix_signs(left) * np.sqrt(strength)


def _factor_in_blocks(
    transition: sparse.csr_array, hops: int, config: ProximityConfig
) -> np.ndarray:
    """`_factor` of the log-proximity of `hops` steps, by random projection (Halko et al. 2011).

    The share of the squared matrix that the projection leaves out is logged.
    """
    n_nodes = transition.shape[0]
    column = np.ones(n_nodes)
    for _ in range(hops):
        column = transition.T @ column
    shift = n_nodes if config.shift is None else config.shift
    scale = np.divide(shift, column, out=np.zeros(n_nodes), where=column > 0)
    rows = (transition, hops, scale)
    width = min(config.dim + OVERSAMPLING, n_nodes)
    basis = generator(0, "proximity", hops).standard_normal((n_nodes, width))
    for _ in range(POWER_ITERATIONS):
        basis, _ = np.linalg.qr(_times(rows, basis))
        basis, _ = np.linalg.qr(_transposed_times(rows, basis)[0])
    basis, _ = np.linalg.qr(_times(rows, basis))
    projected, total = _transposed_times(rows, basis)
    rank = min(config.dim, n_nodes)
    if total == 0:
        return np.zeros((n_nodes, rank))
    left, strength, _ = np.linalg.svd(projected.T, full_matrices=False)
    left_out = max(0.0, 1 - (strength[:rank] ** 2).sum() / total)
    logger.info("proximity of %d steps: %.1f %% of the matrix left out", hops, 100 * left_out)
    return _scaled(basis @ left[:, :rank], strength[:rank])


Rows: TypeAlias = tuple[sparse.csr_array, int, np.ndarray]
"""Transition matrix, number of steps, and what each column is multiplied by."""


def _proximity_rows(rows: Rows) -> Iterator[tuple[slice, sparse.csr_array]]:
    """Rows of the log-proximity matrix in blocks, sparse."""
    transition, hops, scale = rows
    n_nodes = transition.shape[0]
    n_rows = max(1, BLOCK // n_nodes)
    for start in range(0, n_nodes, n_rows):
        place = slice(start, min(start + n_rows, n_nodes))
        power = transition[place]
        for _ in range(hops - 1):
            power = sparse.csr_array(power @ transition)
        ratio = power.data * scale[power.indices]
        power.data = np.maximum(np.log(ratio, out=np.zeros_like(ratio), where=ratio > 0), 0)
        yield place, power


def _times(rows: Rows, matrix: np.ndarray) -> np.ndarray:
    """Product of the log-proximity matrix with another, shape of the other."""
    product = np.empty_like(matrix)
    for place, block in _proximity_rows(rows):
        product[place] = block @ matrix
    return product


def _transposed_times(rows: Rows, matrix: np.ndarray) -> tuple[np.ndarray, float]:
    """Product of the transposed log-proximity matrix with another; sum of its squared entries."""
    product = np.zeros_like(matrix)
    total = 0.0
    for place, block in _proximity_rows(rows):
        product += block.T @ matrix[place]
        total += float((block.data**2).sum())
    return product, total


@checked
def svd_scores(matrix: sparse.csr_array | np.ndarray, dim: int) -> np.ndarray:
    """Compute left singular vectors times singular values of a table.

    The largest entry of each component is made positive, since signs are arbitrary.

    Args:
        matrix: finite, shape (n_rows, n_columns).
        dim: number of components, 1 or more.

    Returns:
        Shape (n_rows, min(dim, smaller side - 1)); zeros for a table without a value, and a column
        of them for one too small for one component.

    Raises:
        InputError: no matrix of two dimensions, or a number that is not finite.
        ConfigError: `dim` is below 1.
    """
    from sklearn.decomposition import TruncatedSVD  # slow to load, and not needed to predict

    require(dim >= 1, "dim", dim, "1 or more")
    matrix = finite_matrix(matrix, "matrix")
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
