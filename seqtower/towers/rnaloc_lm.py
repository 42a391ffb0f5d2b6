"""RNALoc-LM (2025): tokens, a TextCNN of several widths, a BiLSTM and multi-head attention."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from mirnagraph.config import Checked, Count, Rate, require
from seqtower.nn.layers import AdditiveAttention, MaskedConv, MaskedLSTM, pool
from seqtower.towers.base import Tower


@dataclass(frozen=True)
class RNALocLMConfig(Checked):
    """Settings. The paper's abstract names the parts and their order; all sizes are our choice.

    Attributes:
        token_dim: width of a token, a linear map of the inputs; with one-hot nucleotides it is a
            learned token of each nucleotide.
        filters: per width of the TextCNN.
        widths: positions that the filters see.
        window: positions of a pooling window after the TextCNN, so that the LSTM reads long RNAs in
            fewer steps.
        units: of the LSTM in each direction.
        heads: of the attention.
        attention_units: width of the attention's hidden layer.
        dropout: after the tokens, after the TextCNN and before the head.
    """

    token_dim: Count = 32
    filters: Count = 32
    widths: tuple[int, ...] = (3, 5, 7, 9)
    window: Count = 4
    units: Count = 32
    heads: Count = 4
    attention_units: Count = 32
    dropout: Rate = 0.3

    def __post_init__(self) -> None:
        super().__post_init__()
        has_widths = len(self.widths) > 0 and min(self.widths) >= 1
        require(has_widths, "widths", self.widths, "one or more numbers, each 1 or more")


class RNALocLM(Tower):
    """Reads one-hot nucleotides or language model embeddings, (n, width, channels)."""

    Config = RNALocLMConfig
    feature_parts = ("tokens", "convolutions")
    feature_settings = ("token_dim", "filters", "widths")

    def __init__(self, config: RNALocLMConfig, channels: int, n_labels: int) -> None:
        super().__init__()
        self.window = config.window
        self.tokens = nn.Linear(channels, config.token_dim)
        self.convolutions = nn.ModuleList(
            [MaskedConv(config.token_dim, config.filters, width) for width in config.widths]
        )
        self.lstm = MaskedLSTM(config.filters * len(config.widths), config.units)
        self.attend = AdditiveAttention(2 * config.units, config.attention_units, config.heads)
        self.dropout = nn.Dropout(config.dropout)
        self.feature_dim = config.filters * len(config.widths)
        self.output_dim = 2 * config.units * config.heads
        self.head = nn.Sequential(nn.Dropout(config.dropout), nn.Linear(self.output_dim, n_labels))

    def features(self, inputs: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Outputs of the TextCNN: shape (n, width, filters * widths); see `Tower.features`."""
        tokens = self.dropout(self.tokens(inputs))
        return torch.cat([torch.relu(layer(tokens, mask)) for layer in self.convolutions], dim=-1)

    def read(self, inputs: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """See `Tower.read`."""
        values, mask = pool(self.features(inputs, mask), mask, self.window)
        context, weights = self.attend(self.lstm(self.dropout(values), mask), mask)
        return context.flatten(1), weights
