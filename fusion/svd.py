"""Truncated SVD with fixed signs: the leading components of a table, the same on every run."""

from __future__ import annotations

import numpy as np
from scipy import sparse


def svd_scores(matrix: sparse.csr_array | np.ndarray, dim: int) -> np.ndarray:
    """Left singular vectors times singular values: shape (n_rows, min(dim, smaller side - 1)).

    Components are defined up to sign: the largest entry of each is made positive. A table too small for one component
    gives a column of zeros.
    """
    from sklearn.decomposition import TruncatedSVD  # takes seconds to load, and models are opened and asked without it

    dim = min(dim, min(matrix.shape) - 1)
    if dim < 1:
        return np.zeros((matrix.shape[0], 1))
    values = TruncatedSVD(dim, algorithm="arpack", random_state=0).fit_transform(sparse.csr_matrix(matrix))
    signs = np.sign(values[np.abs(values).argmax(axis=0), np.arange(values.shape[1])])
    return np.asarray(values * np.where(signs == 0, 1, signs))
