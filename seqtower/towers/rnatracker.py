"""RNATracker (Yan, Lecuyer and Blanchette 2019): convolutions, bidirectional LSTM, attention."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from mirnagraph.config import Checked, Count, Rate
from seqtower.nn.layers import AdditiveAttention, MaskedConv, MaskedLSTM, pool
from seqtower.towers.base import Tower


@dataclass(frozen=True)
class RNATrackerConfig(Checked):
    """Settings; the defaults are the paper's (sections 2.4 and 2.5).

    Attributes:
        filters: filters of each convolution (paper: 32).
        kernel: positions a filter sees (paper: 10).
        window: positions of a pooling window (paper: 3, stride 3), after each of the two
            convolutions.
        units: of the LSTM in each direction. The paper prints no number; 32 as the filters.
        attention_units: width of the attention's hidden layer. The paper prints no number; 50.
        dropout: after each convolution (paper: 0.2).
    """

    filters: Count = 32
    kernel: Count = 10
    window: Count = 3
    units: Count = 32
    attention_units: Count = 50
    dropout: Rate = 0.2


class RNATracker(Tower):
    """Reads one-hot nucleotides, or nucleotides and structure, (n, width, channels)."""

    Config = RNATrackerConfig

    def __init__(self, config: RNATrackerConfig, channels: int, n_labels: int) -> None:
        super().__init__()
        self.window = config.window
        layers = [
            MaskedConv(channels, config.filters, config.kernel),
            MaskedConv(config.filters, config.filters, config.kernel),
        ]
        for layer in layers:
            nn.init.xavier_uniform_(layer.conv.weight)
        self.convolutions = nn.ModuleList(layers)
        self.dropout = nn.Dropout(config.dropout)
        self.lstm = MaskedLSTM(config.filters, config.units)
        self.attend = AdditiveAttention(2 * config.units, config.attention_units)
        self.output_dim = 2 * config.units
        self.head = nn.Linear(self.output_dim, n_labels)

    def read(self, inputs: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """See `Tower.read`."""
        values = inputs
        for layer in self.convolutions:
            values, mask = pool(layer(values, mask), mask, self.window)
            values = self.dropout(torch.relu(values))
        context, weights = self.attend(self.lstm(values, mask), mask)
        return context.flatten(1), weights
