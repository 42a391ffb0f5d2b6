"""GIP kernel, cosine, tf-idf."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from mirnagraph.config import require


def gip_similarity(associations: sparse.sparray | np.ndarray, *, gamma: float = 1.0) -> np.ndarray:
    """exp(-g * squared distance of two profiles), g = gamma / mean squared norm of all profiles.

    A profile is a row of the association matrix. Two RNAs of which nothing is known have equal (empty) profiles, and the
    kernel as published gives them 1; here an RNA without associations is 0 to every other one, since nothing was
    observed that they share.

    Args:
        associations: shape (n, n_partners); weights are taken as they are.
        gamma: bandwidth before normalisation, above 0.

    Returns:
        float64 array of shape (n, n): symmetric, in [0, 1], diagonal 1.

    References:
        van Laarhoven et al. 2011, doi:10.1093/bioinformatics/btr500.

    >>> gip_similarity(np.array([[1, 0], [0, 1]])).round(4).tolist()
    [[1.0, 0.1353], [0.1353, 1.0]]
    """
    require(gamma > 0, "gamma", gamma, "above 0")
    profiles = sparse.csr_array(associations, dtype=np.float64)
    result = (profiles @ profiles.T).toarray()
    norm = result.diagonal().copy()
    if norm.any():
        # x + y is the same as y + x to the last bit, so the result is symmetric
        np.subtract(np.add.outer(norm, norm), (result + result.T), out=result)
        np.maximum(result, 0.0, out=result)
        result *= -gamma / norm.mean()
        np.exp(result, out=result)
        result[norm == 0] = result[:, norm == 0] = 0.0
    np.fill_diagonal(result, 1.0)
    return result


def tf_idf(matrix: sparse.csr_array) -> sparse.csr_array:
    """Columns weighed by log((1 + n) / (1 + RNAs in the column)): what is said of few RNAs says more of each."""
    rarity = np.log((1 + matrix.shape[0]) / (1 + np.asarray((matrix != 0).sum(axis=0)).ravel()))
    return sparse.csr_array(matrix @ sparse.diags_array(rarity)) if matrix.shape[1] else matrix


def cosine(matrix: sparse.csr_array) -> np.ndarray:
    """Cosine of every two rows: float32, shape (n, n); a row of zeros is similar to none."""
    length = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    rows = sparse.csr_array(sparse.diags_array(1 / np.where(length > 0, length, 1)) @ matrix)
    return np.asarray((rows @ rows.T).toarray(), dtype=np.float32)
