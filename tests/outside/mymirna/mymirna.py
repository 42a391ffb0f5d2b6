"""One entry of each registry: token, baseline, embedder, layers of graphs, tower, encoder."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse.linalg import eigsh
from torch import nn
from torch_geometric.utils import scatter

from fusion.tokens.table import Token
from seqtower.encoders.base import Encoder
from seqtower.towers.base import Tower


def gc_token(networks, name, settings):
    """GC content of the sequence; absent where an RNA has no sequence."""
    sequences = networks.dataset.rnas["sequence"].fillna("")
    share = sequences.str.count("[GC]") / sequences.str.len().clip(lower=1)
    values = share.to_numpy(dtype=np.float32)[:, None]
    return Token(str(name), values, (sequences != "").to_numpy())


def nearest_mean(inputs, labels, train, test, seed):
    """Nearest class mean of partner counts."""
    probabilities = np.full((len(test), labels.shape[1]), 0.5)
    for column, known in enumerate(labels[train].T):
        if not 0 < known.sum() < len(known):
            continue
        positive = inputs.counts[train][known == 1].mean(axis=0)
        negative = inputs.counts[train][known == 0].mean(axis=0)
        to_positive = np.linalg.norm(inputs.counts[test] - positive, axis=1)
        to_negative = np.linalg.norm(inputs.counts[test] - negative, axis=1)
        probabilities[:, column] = to_negative / (to_positive + to_negative)
    return probabilities


@dataclass(frozen=True)
class SpectralConfig:
    """Settings of the spectral embedder."""

    dim: int = 8


class SpectralEmbedder:
    """Leading eigenvectors of the adjacency."""

    Config = SpectralConfig

    @staticmethod
    def embed(adjacency, config, seed):
        """Embed each node; equal seeds give equal vectors."""
        start = np.random.default_rng(seed).random(adjacency.shape[0])
        _, vectors = eigsh(adjacency.astype(float), k=config.dim, v0=start)
        return vectors.astype(np.float32)


class MeanLayer(nn.Module):
    """Mean of the neighbours' projected states; every neighbour has equal attention."""

    def __init__(self, config):
        super().__init__()
        self.n_heads = config.n_heads
        self.project = nn.Linear(config.dim, config.dim)

    def forward(self, h, edge_index, edge_weight):
        """New states (n_nodes, dim) and attention (n_edges, n_heads)."""
        source, target = edge_index
        mixed = scatter(self.project(h)[source], target, dim_size=len(h), reduce="mean")
        degree = scatter(torch.ones_like(target), target, dim_size=len(h), reduce="sum")
        return mixed, (1 / degree[target].float()).unsqueeze(1).expand(-1, self.n_heads)


class MeanLabels(nn.Module):
    """Mean of the neighbours' visible labels, the same in every head."""

    def __init__(self, n_heads, n_labels):
        super().__init__()
        self.n_heads = n_heads

    def forward(self, x, edge_index, edge_attr):
        """Labels of shape (n_targets, n_heads, n_labels); similarities are not read."""
        states, targets = x
        source, target = edge_index
        sums = scatter(states[source], target, dim_size=len(targets), reduce="sum")
        total, visible = sums.chunk(2, dim=1)
        mean = total / visible.clamp(min=1)
        return mean.unsqueeze(1).expand(-1, self.n_heads, -1)


@dataclass(frozen=True)
class MeanPoolConfig:
    """Settings of the mean-pooling tower."""

    units: int = 4


class MeanPoolTower(Tower):
    """Mean over positions of a linear map."""

    Config = MeanPoolConfig

    def __init__(self, config, channels, n_labels):
        super().__init__()
        self.project = nn.Linear(channels, config.units)
        self.output_dim = config.units
        self.head = nn.Linear(config.units, n_labels)

    def read(self, inputs, mask):
        """Embedding (n, units) and weights of the positions (n, 1, length)."""
        weights = mask.unsqueeze(1) / mask.sum(dim=1)[:, None, None]
        return self.project((weights @ inputs)[:, 0]), weights


@dataclass(frozen=True)
class PurineConfig:
    """Settings of the purine encoder."""

    scale: float = 1.0


class PurineEncoder(Encoder):
    """One channel: whether a nucleotide is a purine."""

    Config = PurineConfig
    channels = 1

    def __init__(self, settings):
        self.settings = settings

    @classmethod
    def fit(cls, sequences, settings):
        """Nothing is learned from the sequences."""
        return cls(settings)

    def encode(self, sequences, lengths):
        """Arrays of shape (length, 1), one per sequence."""
        cut = [lengths.cut(sequence) for sequence in sequences]
        purines = [np.isin(list(sequence), ["A", "G"]) for sequence in cut]
        return [(self.settings.scale * array).astype(np.float32)[:, None] for array in purines]

    @classmethod
    def from_arrays(cls, settings, arrays, channels, fingerprint):
        """The encoder of a saved model."""
        return cls(settings)
