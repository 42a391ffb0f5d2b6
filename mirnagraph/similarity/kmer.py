"""k-mer similarity of long sequences, linear or circular."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from mirnagraph.config import require
from mirnagraph.errors import InputError
from mirnagraph.reading.arguments import checked
from mirnagraph.reading.nucleotides import check_nucleotides, to_rna

MEASURES = ("cosine", "jaccard")

ROWS = 256
"""Rows of the similarity that are computed at a time, which bounds the memory."""

_CODES = np.full(256, -1, dtype=np.int64)
_CODES[[ord(nucleotide) for nucleotide in "ACGU"]] = range(4)


@dataclass(frozen=True)
class KmerConfig:
    """Settings of the k-mer similarity.

    Attributes:
        k: nucleotides of a k-mer, 4 to 31.
        measure: ``"cosine"``: shared k-mers over the geometric mean of both numbers;
            ``"jaccard"``: shared k-mers over those of either.
    """

    k: int = 11
    measure: str = "cosine"

    def __post_init__(self) -> None:
        require(4 <= self.k <= 31, "k", self.k, "4 to 31")
        require(self.measure in MEASURES, "measure", self.measure, " or ".join(MEASURES))


DEFAULT_KMERS = KmerConfig()


@checked
def kmer_similarity(
    sequences: Sequence[str | None],
    config: KmerConfig = DEFAULT_KMERS,
    *,
    circular: Sequence[bool] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Compute the similarity of every pair by the sets of their k-mers.

    With A and B the sets of different k-mers of two sequences, cosine is
    ``|A & B| / sqrt(|A| |B|)`` (Ochiai) and jaccard ``|A & B| / |A | B|``. T and U are equal, case
    does not matter. A k-mer with an N is not counted; k-mers of a circular RNA run over its
    junction, so that the place where its sequence is cut does not matter.

    Args:
        sequences: n sequences of ACGTUN, any length; None where unknown.
        config: length of a k-mer and measure.
        circular: whether each RNA is circular, length n; None for none.
        progress: called with (rows done, total rows).

    Returns:
        float64, shape (n, n), symmetric, in [0, 1], diagonal 1. A sequence that is unknown,
        shorter than k or with an N in every k-mer is 0 to every other one.

    Raises:
        InputError: an empty sequence or an invalid nucleotide.

    References:
        Ochiai 1957; Ondov et al. 2016 (Mash), doi:10.1186/s13059-016-0997-x, for the Jaccard index.

    >>> kmer_similarity(["ACGUA", "ACGUU", None], KmerConfig(k=4)).round(3).tolist()[0]
    [1.0, 0.5, 0.0]
    """
    kmers = kmer_rows(sequences, config, circular=circular)
    n = kmers.n_rows
    result = np.zeros((n, n))
    for start in range(0, n, ROWS):
        stop = min(start + ROWS, n)
        result[start:stop] = kmers.similarity(start, stop)
        if progress is not None:
            progress(stop, n)
    return result


@dataclass(frozen=True, eq=False)
class KmerRows:
    """Rows of `kmer_similarity`, any at a time; made by `kmer_rows`.

    Attributes:
        kmers: sets of k-mers: binary CSR, shape (n, number of different k-mers).
        transposed: of `kmers`, CSR.
        measure: see `KmerConfig`.
    """

    kmers: sparse.csr_array
    transposed: sparse.csr_array
    measure: str

    @property
    def n_rows(self) -> int:
        """Number of sequences."""
        return int(self.kmers.shape[0])

    def similarity(self, start: int, stop: int) -> np.ndarray:
        """Rows `start` to `stop`: float64, shape (stop - start, n)."""
        shared = (self.kmers[start:stop] @ self.transposed).toarray()
        sizes = np.diff(self.kmers.indptr).astype(np.float64)
        result = _normalise(shared, sizes[start:stop], sizes, self.measure)
        result[np.arange(stop - start), np.arange(start, stop)] = 1.0
        return result


@checked
def kmer_rows(
    sequences: Sequence[str | None],
    config: KmerConfig = DEFAULT_KMERS,
    *,
    circular: Sequence[bool] | None = None,
) -> KmerRows:
    """Prepare `kmer_similarity` for blocks of rows; arguments as there."""
    kmers = _kmer_sets(sequences, config.k, circular)
    return KmerRows(kmers, sparse.csr_array(kmers.T), config.measure)


@checked
def kmer_similarity_between(
    queries: Sequence[str | None],
    targets: Sequence[str | None],
    config: KmerConfig = DEFAULT_KMERS,
    *,
    circular: tuple[Sequence[bool] | None, Sequence[bool] | None] = (None, None),
) -> np.ndarray:
    """Compute `kmer_similarity` between two lists of sequences.

    Args:
        queries: see `kmer_similarity`.
        targets: the same.
        config: length of a k-mer and measure.
        circular: which of the queries, and of the targets, are circular.

    Returns:
        float64, shape (n_queries, n_targets), in [0, 1]; 0 where either sequence is unknown or has
        no k-mer without N.
    """
    is_circular = None
    if circular != (None, None):
        is_circular = [*_flags(circular[0], len(queries)), *_flags(circular[1], len(targets))]
    kmers = _kmer_sets([*queries, *targets], config.k, is_circular)
    first = kmers[: len(queries)]
    second = kmers[len(queries) :]
    shared = (first @ second.T).toarray()
    sizes = np.diff(kmers.indptr).astype(np.float64)
    n_queries = len(queries)
    return _normalise(shared, sizes[:n_queries], sizes[n_queries:], config.measure)


def _flags(circular: Sequence[bool] | None, n: int) -> list[bool]:
    flags = [False] * n if circular is None else [bool(flag) for flag in circular]
    if len(flags) != n:
        raise InputError("one flag per sequence is needed", found=len(flags), expected=n)
    return flags


def _normalise(
    shared: np.ndarray, sizes: np.ndarray, others: np.ndarray, measure: str
) -> np.ndarray:
    """Similarity of sets of given sizes from the numbers of shared elements."""
    if measure == "cosine":
        scale = np.sqrt(np.multiply.outer(sizes, others))
    else:
        scale = np.add.outer(sizes, others) - shared
    result: np.ndarray = np.divide(shared, scale, out=np.zeros(shared.shape), where=scale > 0)
    return np.minimum(result, 1.0, out=result)


def _kmer_sets(
    sequences: Sequence[str | None], k: int, circular: Sequence[bool] | None
) -> sparse.csr_array:
    """Different k-mers of each sequence: binary float64, shape (n, number of different k-mers)."""
    sets = []
    flags = None if circular is None else _flags(circular, len(sequences))
    for row, sequence in enumerate(sequences):
        # NaN and its like differ from themselves
        if sequence is None or sequence != sequence:
            sets.append(np.zeros(0, dtype=np.int64))
            continue
        text = to_rna(str(sequence))
        check_nucleotides(text, rna_id=f"sequence {row}")
        # a circle that is shorter than a k-mer has none
        if flags is not None and flags[row] and len(text) >= k:
            text += text[: k - 1]
        sets.append(_kmers(text, k))
    pointer = np.cumsum([0, *(len(kmers) for kmers in sets)])
    every = np.concatenate([np.zeros(0, dtype=np.int64), *sets])
    different, columns = np.unique(every, return_inverse=True)
    shape = (len(sequences), max(len(different), 1))
    return sparse.csr_array((np.ones(len(columns)), columns, pointer), shape=shape)


def _kmers(text: str, k: int) -> np.ndarray:
    """Numbers of the different k-mers without N, base 4: sorted int64."""
    codes = _CODES[np.frombuffer(text.encode("ascii"), dtype=np.uint8)]
    n = max(len(codes) - k + 1, 0)
    numbers = np.zeros(n, dtype=np.int64)
    is_known = np.ones(n, dtype=bool)
    for offset in range(k):
        column = codes[offset : offset + n]
        numbers = numbers * 4 + np.maximum(column, 0)
        is_known &= column >= 0
    return np.unique(numbers[is_known])
