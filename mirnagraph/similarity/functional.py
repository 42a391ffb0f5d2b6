"""Functional similarity of miRNAs from their diseases: best-match average (Wang 2010), GTMALoc's Eq. 4, and the blend of Eq. 5."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from mirnagraph.config import require
from mirnagraph.errors import InputError

METHODS = ("best_match", "gtmaloc")
ROWS_AT_ONCE = 4096  # association rows gathered at a time: 20 MB at 640 diseases


def functional_similarity(associations: sparse.sparray | np.ndarray, semantic: np.ndarray, *, method: str = "best_match") -> np.ndarray:
    """How alike the diseases of two miRNAs are.

    With D1 and D2 the diseases of two miRNAs and S the similarity of diseases:

    - ``"best_match"`` (Wang 2010): the average, over all diseases of both, of the similarity to the nearest disease of
      the other, (sum over D1 of max over D2 of S + sum over D2 of max over D1 of S) / (\\|D1\\| + \\|D2\\|).
    - ``"gtmaloc"``: Eq. 4 prints the average of Sim(d) over d in D1 ∩ D2. Sim has two arguments in the line before, and
      Sim(d, d) is always 1. We follow the sentence above the equation ("the average semantic similarity between diseases
      in m1 and those in m2") and read Sim(d) as the mean similarity of d to the diseases of m1 and to those of m2, half
      each. Without a common disease it is 0, the underestimation that Eq. 5 is there to mend. The diagonal is set to 1.

    Args:
        associations: shape (n_mirnas, n_diseases); what is not 0 is an association.
        semantic: similarity of diseases, shape (n_diseases, n_diseases), symmetric, in [0, 1], diagonal 1.
        method: ``"best_match"`` or ``"gtmaloc"``.

    Returns:
        float64 array of shape (n_mirnas, n_mirnas): symmetric, in [0, 1], diagonal 1. A miRNA without diseases is 0 to
        every other one.

    Raises:
        InputError: the shapes do not fit.
        ConfigError: an unknown method.

    References:
        Wang et al. 2010, doi:10.1093/bioinformatics/btq241; GTMALoc, doi:10.3389/fgene.2025.1623008.

    >>> functional_similarity(np.array([[1, 0], [1, 1]]), np.array([[1.0, 0.4], [0.4, 1.0]])).round(3).tolist()
    [[1.0, 0.8], [0.8, 1.0]]
    """
    require(method in METHODS, "method", method, " or ".join(METHODS))
    profiles = binary(associations)
    n_diseases = profiles.shape[1]
    if semantic.shape != (n_diseases, n_diseases):
        raise InputError("the disease similarity does not fit the associations", found=semantic.shape, expected=(n_diseases, n_diseases))
    count = np.diff(profiles.indptr).astype(np.float64)
    if method == "best_match":
        best = _nearest(profiles, semantic)
        total = np.asarray(profiles @ best.T)
        total += total.T.copy()
        scale = np.add.outer(count, count)
        scale[count == 0] = scale[:, count == 0] = 0.0
    else:
        mean = np.asarray(profiles @ semantic) / np.maximum(count, 1)[:, None]
        own = profiles.copy()
        own.data = mean[np.repeat(np.arange(len(count)), np.diff(profiles.indptr)), profiles.indices]
        half = (own @ profiles.T).toarray()
        total = (half + half.T) / 2
        scale = (profiles @ profiles.T).toarray()
    result = np.divide(total, scale, out=np.zeros(total.shape), where=scale > 0)
    np.clip(result, 0.0, 1.0, out=result)
    np.fill_diagonal(result, 1.0)
    return result


def _nearest(profiles: sparse.csr_array, semantic: np.ndarray) -> np.ndarray:
    """Similarity of each disease to the nearest disease of each miRNA: shape (n_mirnas, n_diseases), 0 without any."""
    best = np.zeros(profiles.shape)
    first = 0
    while first < profiles.shape[0]:
        room = profiles.indptr[first] + ROWS_AT_ONCE
        last = max(first + 1, int(np.searchsorted(profiles.indptr, room, side="right")) - 1)
        starts = profiles.indptr[first : last + 1]
        filled = np.flatnonzero(np.diff(starts))  # reduceat would read the next group for an empty one
        if len(filled):
            rows = semantic[profiles.indices[starts[0] : starts[-1]]]
            best[first + filled] = np.maximum.reduceat(rows, starts[filled] - starts[0], axis=0)
        first = last
    return best


def binary(associations: sparse.sparray | np.ndarray) -> sparse.csr_array:
    """Associations as CSR with 1 for everything that is not 0, sorted indices, no stored zeros."""
    matrix = sparse.csr_array(associations, dtype=np.float64, copy=True)
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    matrix.data[:] = 1
    return matrix


def blend(functional: np.ndarray, interaction: np.ndarray, *, lambda_: float = 0.5) -> np.ndarray:
    """FS* = lambda * FS + (1 - lambda) * GIP (GTMALoc Eq. 5), for every pair alike.

    Other papers take GIP only where FS is 0; Eq. 5 is linear and so is this.

    Args:
        functional: FS, shape (n, n), in [0, 1].
        interaction: GIP, shape (n, n), in [0, 1].
        lambda_: weight of FS, in [0, 1].

    Returns:
        float64 array of shape (n, n), in [0, 1]; symmetric with diagonal 1 where both are.
    """
    require(0 <= lambda_ <= 1, "lambda_", lambda_, "a number in [0, 1]")
    if functional.shape != interaction.shape:
        raise InputError("the two similarities differ in shape", found=interaction.shape, expected=functional.shape)
    result = lambda_ * np.asarray(functional, dtype=np.float64) + (1.0 - lambda_) * np.asarray(interaction, dtype=np.float64)
    np.minimum(result, 1.0, out=result)
    if result.ndim == 2 and result.shape[0] == result.shape[1]:
        both = (functional.diagonal() == 1) & (interaction.diagonal() == 1)  # lambda + (1 - lambda) may round below 1
        result[both, both] = 1.0
    return result
