"""GeneticSeq2Vec (Asim et al. 2022): k-mers embedded by who stands beside whom in the training sequences, by 1 to K steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from mirnagraph.config import require
from mirnagraph.embedding.factorization import ProximityConfig, proximity_embedding
from seqtower.data.kmers import word_numbers


@dataclass(frozen=True)
class GeneticSeq2VecConfig:
    """Settings; EL-RMLocNet's Table 2 has others per RNA class (lncRNA: k 2, stride 2, 200 dimensions; miRNA: k 1, stride 1, 32).

    Attributes:
        k: letters of a word, 1 to 6.
        stride: letters from one word to the next.
        dim: columns per hop. The paper's Table 2 gives the width of the embedding, which is ``dim * hops``.
        hops: largest number of steps K (paper: up to 4).
    """

    k: int = 2
    stride: int = 2
    dim: int = 50
    hops: int = 4

    def __post_init__(self) -> None:
        require(1 <= self.k <= 6, "k", self.k, "1 to 6")
        require(self.stride >= 1, "stride", self.stride, "1 or more")
        require(self.dim >= 1 and self.hops >= 1, "dim, hops", (self.dim, self.hops), "1 or more")


def fit_geneticseq2vec(sequences: Sequence[str], config: GeneticSeq2VecConfig) -> np.ndarray:
    """Vectors of all words, from training sequences alone.

    The undirected graph joins words that follow each other, weighted by how often they do; each hop's positive log-proximity is
    factorised by SVD, and the hops stand side by side (Eq. 1 to 4, see `mirnagraph.embedding.factorization`). Columns are scaled to unit
    standard deviation over the words that occur, which the paper leaves open: without it the first columns outweigh all others.

    Returns:
        float32, shape (4**k, dim * hops); words that do not occur are 0.
    """
    n_words = 4**config.k
    counts = np.zeros((n_words, n_words))
    for sequence in sequences:
        numbers = word_numbers(sequence, config.k)[:: config.stride]
        left = numbers[:-1]
        right = numbers[1:]
        known = (left >= 0) & (right >= 0)
        np.add.at(counts, (left[known], right[known]), 1)
    adjacency = sparse.csr_array(counts + counts.T)
    vectors = proximity_embedding(adjacency, ProximityConfig(dim=config.dim, hops=config.hops))
    present = np.asarray(adjacency.sum(axis=1)).ravel() > 0
    sd = vectors[present].std(axis=0) if present.any() else np.ones(vectors.shape[1])
    return np.asarray(vectors / np.where(sd > 1e-6, sd, 1.0), dtype=np.float32)


def encode_words(sequence: str, vectors: np.ndarray, config: GeneticSeq2VecConfig) -> np.ndarray:
    """Vector of every word of a sequence, `stride` letters apart: float32, shape (words, width); words with an N are 0.

    A sequence shorter than a word is one position of zeros.
    """
    numbers = word_numbers(sequence, config.k)[:: config.stride]
    if not len(numbers):
        return np.zeros((1, vectors.shape[1]), dtype=np.float32)
    return np.asarray(np.where(numbers[:, None] >= 0, vectors[numbers], 0), dtype=np.float32)
