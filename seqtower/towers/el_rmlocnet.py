"""EL-RMLocNet (Asim et al. 2022): k-mer vectors, an LSTM with dropped weights, and attention."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from mirnagraph.config import Checked, Count, Rate
from seqtower.nn.layers import AdditiveAttention, MaskedLSTM
from seqtower.towers.base import Tower


@dataclass(frozen=True)
class ELRMLocNetConfig(Checked):
    """Settings; the defaults are those of human lncRNA in the paper's Table 2, but for the units.

    Attributes:
        units: of the LSTM (paper, lncRNA: 200; 64 here, which a CPU can train).
        layers: of the LSTM (paper: 1).
        attention_units: width of the attention's hidden layer (paper: 50).
        kmer_dropout: share of k-mers, in all their places at once, that a training step does not
            see (paper, lncRNA: 0.005).
        embedding_dropout: share of embedding columns that a training step does not see
            (paper: 0.005).
        weight_dropout: share of the LSTM's weights, recurrent and not, that a training step does
            not see (paper, lncRNA: 0.1).
        dropout: before the head (paper, lncRNA: 0.1).
    """

    units: Count = 64
    layers: Count = 1
    attention_units: Count = 50
    kmer_dropout: Rate = 0.005
    embedding_dropout: Rate = 0.005
    weight_dropout: Rate = 0.1
    dropout: Rate = 0.1


class DroppedLSTM(nn.Module):
    """Unidirectional LSTM that drops input and recurrent weights in training (DropConnect)."""

    def __init__(self, channels: int, units: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.inner = MaskedLSTM(channels, units, bidirectional=False, layers=layers)
        self.dropout = dropout

    def forward(self, values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Compute hidden states: shape (n, width, units), 0 at padding."""
        weights = {}
        if self.training and self.dropout:
            for name, value in self.inner.named_parameters():
                if "weight" in name:
                    weights[name] = nn.functional.dropout(value, self.dropout)
        return torch.func.functional_call(self.inner, weights, (values, mask))


class ELRMLocNet(Tower):
    """Reads k-mer vectors (see `seqtower.encoders.geneticseq2vec`), (n, k-mers, width).

    The paper averages the k-mer vectors of an RNA into one before its LSTM (section 2.2.1), which
    leaves the LSTM a sequence of length one, and draws an LSTM over k-mers (Fig. 3); this follows
    the figure. Its attention (Eq. 12) weighs input features by the LSTM's state; here the states
    are weighed over k-mers, as in Fig. 3, so that attention refers to positions of the RNA.
    """

    Config = ELRMLocNetConfig

    def __init__(self, config: ELRMLocNetConfig, channels: int, n_labels: int) -> None:
        super().__init__()
        self.config = config
        self.lstm = DroppedLSTM(channels, config.units, config.layers, config.weight_dropout)
        self.attend = AdditiveAttention(config.units, config.attention_units)
        self.output_dim = config.units
        self.head = nn.Sequential(nn.Dropout(config.dropout), nn.Linear(config.units, n_labels))

    def read(self, inputs: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """See `Tower.read`."""
        context, weights = self.attend(self.lstm(self._drop(inputs), mask), mask)
        return context.flatten(1), weights

    def _drop(self, inputs: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return inputs
        if self.config.embedding_dropout:
            columns = inputs.new_ones(inputs.shape[-1])
            inputs = inputs * nn.functional.dropout(columns, self.config.embedding_dropout)
        if self.config.kmer_dropout:
            # A tower sees vectors, not k-mers: a random projection tells k-mers apart.
            direction = torch.randn(inputs.shape[-1], device=inputs.device)
            projected = torch.round(inputs.detach() @ direction, decimals=4)
            _, kmer = torch.unique(projected, return_inverse=True)
            n_kmers = int(kmer.max()) + 1
            factors = nn.functional.dropout(inputs.new_ones(n_kmers), self.config.kmer_dropout)
            inputs = inputs * factors[kmer].unsqueeze(-1)
        return inputs
