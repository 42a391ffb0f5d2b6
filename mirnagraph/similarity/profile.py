"""Similarity of profiles: GIP kernel, cosine, tf-idf weights, correlation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse
from threadpoolctl import threadpool_limits

from mirnagraph.config import require
from mirnagraph.errors import InputError
from mirnagraph.reading.arguments import checked, finite_matrix
from mirnagraph.reading.arrays import number_array
from mirnagraph.similarity import Matrix

CORRELATIONS = ("spearman", "pearson")

ROWS = 256
"""Profiles of a block whose norms are computed together."""


@checked
def gip_similarity(associations: Matrix, *, gamma: float = 1.0) -> np.ndarray:
    """Compute the Gaussian interaction profile kernel, exp(-g * squared distance of two profiles).

    g = gamma / mean squared norm of all profiles; a profile is a row of the association matrix. The
    kernel as published gives 1 to two RNAs without associations; here such an RNA is 0 to every
    other one, since nothing was observed that they share.

    Args:
        associations: finite, shape (n, n_partners); weights are taken as they are.
        gamma: bandwidth before normalisation, above 0.

    Returns:
        float64 array of shape (n, n): symmetric, in [0, 1], diagonal 1.

    Raises:
        InputError: no matrix of two dimensions, or a number that is not finite.

    References:
        van Laarhoven et al. 2011, doi:10.1093/bioinformatics/btr500.

    >>> gip_similarity(np.array([[1, 0], [0, 1]])).round(4).tolist()
    [[1.0, 0.1353], [0.1353, 1.0]]
    """
    profiles = gip_rows(associations, gamma=gamma)
    return profiles.similarity(0, profiles.n_rows)


@dataclass(frozen=True, eq=False)
class GipRows:
    """Rows of `gip_similarity`, any at a time; made by `gip_rows`.

    Attributes:
        profiles: CSR, sorted indices, shape (n, n_partners).
        transposed: of `profiles`, CSR.
        norms: squared norm of each profile, shape (n,).
        gamma: bandwidth before normalisation.
    """

    profiles: sparse.csr_array
    transposed: sparse.csr_array
    norms: np.ndarray
    gamma: float

    @property
    def n_rows(self) -> int:
        """Number of RNAs."""
        return len(self.norms)

    def similarity(self, start: int, stop: int) -> np.ndarray:
        """Rows `start` to `stop`: float64, shape (stop - start, n)."""
        result = (self.profiles[start:stop] @ self.transposed).toarray()
        norms = self.norms[start:stop]
        if self.norms.any():
            # sums over sorted indices: as large from j to i as from i to j, to the last bit
            np.subtract(np.add.outer(norms, self.norms), 2 * result, out=result)
            np.maximum(result, 0.0, out=result)
            result *= -self.gamma / self.norms.mean()
            np.exp(result, out=result)
            result[norms == 0] = 0.0
            result[:, self.norms == 0] = 0.0
        result[np.arange(stop - start), np.arange(start, stop)] = 1.0
        return result


@checked
def gip_rows(associations: Matrix, *, gamma: float = 1.0) -> GipRows:
    """Prepare `gip_similarity` for blocks of rows; arguments as there."""
    require(0 < gamma < np.inf, "gamma", gamma, "above 0, finite")
    profiles = sparse.csr_array(finite_matrix(associations, "associations"))
    profiles.sort_indices()
    norms = [np.zeros(0)]
    for start in range(0, profiles.shape[0], ROWS):
        part = profiles[start : start + ROWS]
        norms.append((part @ part.T).diagonal())
    squares = np.concatenate(norms)
    if not np.isfinite(squares.sum()):
        largest = float(np.abs(profiles.data).max())
        raise InputError("associations are too large to be squared", found=largest)
    return GipRows(profiles, sparse.csr_array(profiles.T), squares, gamma)


@checked
def tf_idf(matrix: Matrix) -> sparse.csr_array:
    """Weight columns by inverse document frequency, log((1 + n_rnas) / (1 + n_rnas_in_column))."""
    matrix = sparse.csr_array(finite_matrix(matrix, "matrix"))
    if not matrix.shape[1]:
        return matrix
    n_in_column = np.asarray((matrix != 0).sum(axis=0)).ravel()
    weight = np.log((1 + matrix.shape[0]) / (1 + n_in_column))
    return sparse.csr_array(matrix @ sparse.diags_array(weight))


@checked
def cosine(matrix: Matrix) -> np.ndarray:
    """Compute the cosine of every two rows: float32, shape (n, n); 0 for a row of zeros."""
    rows = cosine_rows(matrix)
    return rows.similarity(0, rows.n_rows)


@dataclass(frozen=True, eq=False)
class CosineRows:
    """Rows of `cosine`, any at a time; made by `cosine_rows`.

    Attributes:
        units: rows of length 1, or of zeros: CSR, shape (n, n_columns).
        transposed: of `units`, CSR.
    """

    units: sparse.csr_array
    transposed: sparse.csr_array

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return int(self.units.shape[0])

    def similarity(self, start: int, stop: int) -> np.ndarray:
        """Rows `start` to `stop`: float32, shape (stop - start, n)."""
        product = self.units[start:stop] @ self.transposed
        return np.asarray(product.toarray(), dtype=np.float32)


@checked
def cosine_rows(matrix: Matrix) -> CosineRows:
    """Prepare `cosine` for blocks of rows."""
    matrix = sparse.csr_array(finite_matrix(matrix, "matrix"))
    if matrix.shape[1]:
        largest = abs(matrix).max(axis=1).toarray().ravel()
        matrix = sparse.csr_array(sparse.diags_array(_below_one(largest)) @ matrix)
    length = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    scale = 1 / np.where(length > 0, length, 1)
    units = sparse.csr_array(sparse.diags_array(scale) @ matrix)
    return CosineRows(units, sparse.csr_array(units.T))


def _below_one(largest: np.ndarray) -> np.ndarray:
    """Powers of two that bring rows below 1, whose squares are numbers, without rounding.

    Args:
        largest: number of each row, without its sign.
    """
    return np.asarray(np.ldexp(1.0, np.clip(-np.frexp(largest)[1], -1000, 1000)))


@checked
def correlation_similarity(profiles: Matrix, *, method: str = "spearman") -> np.ndarray:
    """Compute the correlation of every two rows, negative ones as 0.

    Args:
        profiles: shape (n, n_samples), NaN where not measured. Each row is centred over its
            measured samples; a sample that was not measured adds nothing to a product.
        method: ``"pearson"``, or ``"spearman"``: the same on ranks within the row (mean rank of
            ties).

    Returns:
        float32, shape (n, n): symmetric, in [0, 1], diagonal 1; 0 to all others for a row without
        variation or without values.

    >>> correlation_similarity(np.array([[1, 2, 3], [1, 2, 9], [3, 2, 1.0]])).tolist()
    [[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    units = _unit_rows(profiles, method)
    product = units @ units.T
    similarity = np.clip((product + product.T) / 2, 0.0, 1.0).astype(np.float32)
    np.fill_diagonal(similarity, 1.0)
    return similarity


def _unit_rows(profiles: Matrix, method: str) -> np.ndarray:
    """Centred rows of length 1, zeros for a row without variation: float64, as `profiles`."""
    require(method in CORRELATIONS, "method", method, " or ".join(CORRELATIONS))
    dense: Any = profiles
    if sparse.issparse(dense):
        dense = dense.toarray()
    values = number_array(dense, "profiles")
    finite_matrix(np.nan_to_num(values, nan=0.0, posinf=np.inf, neginf=-np.inf), "profiles")
    table = pd.DataFrame(values)
    if method == "spearman":
        table = table.rank(axis=1)
    largest = np.abs(table).max(axis=1).fillna(0.0).to_numpy()
    scale = _below_one(largest)
    table = table.mul(scale, axis=0)
    centred = table.sub(table.mean(axis=1), axis=0).fillna(0.0).to_numpy()
    length = np.linalg.norm(centred, axis=1)
    # what is left of a constant row by rounding is no variation
    is_varied = length > 1e-9 * (scale + largest * scale)
    units = centred / np.where(is_varied, length, 1.0)[:, None]
    units[~is_varied] = 0.0
    return units


@dataclass(frozen=True, eq=False)
class CorrelationRows:
    """Rows of `correlation_similarity`, a block at a time; made by `correlation_rows`.

    Sums are made in squares of `side` rows and columns, so that a number may differ from that of
    `correlation_similarity` by rounding.

    Attributes:
        units: centred rows of length 1: float64, shape (n, n_samples).
        side: rows of a block.
    """

    units: np.ndarray
    side: int

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.units)

    def similarity(self, start: int, stop: int) -> np.ndarray:
        """Rows of a block, `start` a multiple of `side`: float32, shape (stop - start, n)."""
        own = self.units[start:stop]
        result = np.zeros((stop - start, self.n_rows), dtype=np.float32)
        with threadpool_limits(1):  # so that sums keep their order
            for first in range(0, self.n_rows, self.side):
                others = self.units[first : first + self.side]
                both = (own @ others.T + (others @ own.T).T) / 2
                result[:, first : first + self.side] = np.clip(both, 0.0, 1.0)
        result[np.arange(stop - start), np.arange(start, stop)] = 1.0
        return result


@checked
def correlation_rows(
    profiles: Matrix, *, method: str = "spearman", side: int = ROWS
) -> CorrelationRows:
    """Prepare `correlation_similarity` for blocks of `side` rows; arguments as there."""
    return CorrelationRows(_unit_rows(profiles, method), side)
