"""Similarity of profiles: GIP kernel, cosine, tf-idf weights, correlation."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import sparse

from mirnagraph.config import require
from mirnagraph.reading.arguments import checked, finite_matrix
from mirnagraph.similarity import Matrix

CORRELATIONS = ("spearman", "pearson")


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
    require(gamma > 0, "gamma", gamma, "above 0")
    profiles = sparse.csr_array(finite_matrix(associations, "associations"))
    result = (profiles @ profiles.T).toarray()
    norm = result.diagonal().copy()
    if norm.any():
        # x + y is the same as y + x to the last bit, so the result is symmetric
        np.subtract(np.add.outer(norm, norm), (result + result.T), out=result)
        np.maximum(result, 0.0, out=result)
        result *= -gamma / norm.mean()
        np.exp(result, out=result)
        result[norm == 0] = 0.0
        result[:, norm == 0] = 0.0
    np.fill_diagonal(result, 1.0)
    return result


def tf_idf(matrix: Matrix) -> sparse.csr_array:
    """Weight columns by inverse document frequency, log((1 + n_rnas) / (1 + n_rnas_in_column))."""
    matrix = sparse.csr_array(finite_matrix(matrix, "matrix"))
    if not matrix.shape[1]:
        return matrix
    n_in_column = np.asarray((matrix != 0).sum(axis=0)).ravel()
    weight = np.log((1 + matrix.shape[0]) / (1 + n_in_column))
    return sparse.csr_array(matrix @ sparse.diags_array(weight))


def cosine(matrix: Matrix) -> np.ndarray:
    """Compute the cosine of every two rows: float32, shape (n, n); 0 for a row of zeros."""
    matrix = sparse.csr_array(finite_matrix(matrix, "matrix"))
    length = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    scale = 1 / np.where(length > 0, length, 1)
    rows = sparse.csr_array(sparse.diags_array(scale) @ matrix)
    return np.asarray((rows @ rows.T).toarray(), dtype=np.float32)


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
    require(method in CORRELATIONS, "method", method, " or ".join(CORRELATIONS))
    values = np.asarray(profiles, dtype=np.float64)
    finite_matrix(np.nan_to_num(values, nan=0.0, posinf=np.inf, neginf=-np.inf), "profiles")
    table = pd.DataFrame(values)
    if method == "spearman":
        table = table.rank(axis=1)
    centred = table.sub(table.mean(axis=1), axis=0).fillna(0.0).to_numpy()
    length = np.linalg.norm(centred, axis=1)
    # what is left of a constant row by rounding is no variation
    is_varied = length > 1e-9 * (1 + np.abs(table).max(axis=1).fillna(0.0).to_numpy())
    units = centred / np.where(is_varied, length, 1.0)[:, None]
    units[~is_varied] = 0.0
    product = units @ units.T
    similarity = np.clip((product + product.T) / 2, 0.0, 1.0).astype(np.float32)
    np.fill_diagonal(similarity, 1.0)
    return similarity
