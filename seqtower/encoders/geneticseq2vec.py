"""GeneticSeq2Vec (Asim et al. 2022): k-mer vectors from their neighbourhood in the sequences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from scipy import sparse

from mirnagraph.config import Checked, Count, require
from mirnagraph.embedding.factorization import ProximityConfig, proximity_embedding
from mirnagraph.reading.arguments import checked
from seqtower.data.kmers import word_numbers
from seqtower.data.sequences import LengthPolicy
from seqtower.encoders.base import Encoder


@dataclass(frozen=True)
class GeneticSeq2VecConfig(Checked):
    """Settings of the k-mer vectors.

    EL-RMLocNet's Table 2 has others per RNA class (lncRNA: k 2, stride 2, 200 dimensions; miRNA:
    k 1, stride 1, 32).

    Attributes:
        k: nucleotides of a k-mer, 1 to 6.
        stride: nucleotides from one k-mer to the next.
        dim: columns per hop. The paper's Table 2 gives the width of the embedding, ``dim * hops``.
        hops: largest number of steps K (paper: up to 4).
    """

    k: int = 2
    stride: Count = 2
    dim: Count = 50
    hops: Count = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        require(1 <= self.k <= 6, "k", self.k, "1 to 6")


class GeneticSeq2Vec(Encoder):
    """Vector of each k-mer.

    Attributes:
        vectors: of all k-mers, float32, shape (4**k, dim * hops).
    """

    Config = GeneticSeq2VecConfig

    def __init__(self, settings: GeneticSeq2VecConfig, vectors: np.ndarray) -> None:
        self.settings = settings
        self.vectors = vectors
        self.k = settings.k
        self.stride = settings.stride
        self.channels = vectors.shape[1]

    @classmethod
    def fit(cls, sequences: Sequence[str], settings: GeneticSeq2VecConfig) -> Self:
        """See `Encoder.fit`."""
        return cls(settings, fit_geneticseq2vec(sequences, settings))

    def encode(self, sequences: Sequence[str], lengths: LengthPolicy) -> list[np.ndarray]:
        """See `Encoder.encode`."""
        cut = [lengths.cut(sequence) for sequence in sequences]
        return [encode_kmers(sequence, self.vectors, self.settings) for sequence in cut]

    def n_positions(self, length: int, lengths: LengthPolicy) -> int:
        """See `Encoder.n_positions`; a sequence shorter than `k` is one position."""
        n_kmers = lengths.n_kept(length) - self.k + 1
        return max(-(-n_kmers // self.stride), 1)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """See `Encoder.to_arrays`."""
        return {"vectors": self.vectors}

    @classmethod
    def from_arrays(
        cls, settings: Any, arrays: Mapping[str, np.ndarray], channels: int, fingerprint: str
    ) -> Self:
        """See `Encoder.from_arrays`."""
        return cls(settings, arrays["vectors"])


@checked
def fit_geneticseq2vec(sequences: Sequence[str], config: GeneticSeq2VecConfig) -> np.ndarray:
    """Fit vectors of all k-mers on training sequences.

    The undirected graph joins consecutive k-mers, weighted by how often they follow each other;
    each hop's positive log-proximity is factorised by SVD, and the hops are concatenated (Eq. 1 to
    4, see `mirnagraph.embedding.factorization`). Columns are scaled to unit standard deviation over
    the k-mers that occur, which the paper leaves open: without it the first columns outweigh all
    others.

    Returns:
        float32, shape (4**k, dim * hops); 0 for k-mers that do not occur.
    """
    n_kmers = 4**config.k
    counts = np.zeros((n_kmers, n_kmers))
    for sequence in sequences:
        numbers = word_numbers(sequence, config.k)[:: config.stride]
        left = numbers[:-1]
        right = numbers[1:]
        has_no_n = (left >= 0) & (right >= 0)
        np.add.at(counts, (left[has_no_n], right[has_no_n]), 1)
    adjacency = sparse.csr_array(counts + counts.T)
    vectors = proximity_embedding(adjacency, ProximityConfig(dim=config.dim, hops=config.hops))
    is_present = np.asarray(adjacency.sum(axis=1)).ravel() > 0
    sd = vectors[is_present].std(axis=0) if is_present.any() else np.ones(vectors.shape[1])
    return np.asarray(vectors / np.where(sd > 1e-6, sd, 1.0), dtype=np.float32)


@checked
def encode_kmers(sequence: str, vectors: np.ndarray, config: GeneticSeq2VecConfig) -> np.ndarray:
    """Vectors of the k-mers of a sequence, `stride` nucleotides apart; 0 for k-mers with an N.

    Returns:
        float32, shape (k-mers, width). A sequence shorter than `k` is one position of zeros.
    """
    numbers = word_numbers(sequence, config.k)[:: config.stride]
    if not len(numbers):
        return np.zeros((1, vectors.shape[1]), dtype=np.float32)
    return np.asarray(np.where(numbers[:, None] >= 0, vectors[numbers], 0), dtype=np.float32)
