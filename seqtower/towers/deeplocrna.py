"""DeepLocRNA (Wang et al. 2024): dilated residual convolutions and multi-head attention pooling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import nn

from mirnagraph.config import Checked, Count, Rate
from seqtower.nn.layers import AdditiveAttention, MaskedConv, pool
from seqtower.towers.base import Tower


@dataclass(frozen=True)
class DeepLocRNAConfig(Checked):
    """Settings.

    The paper prints the layout (ten rounds of features, pooling by 8, attention, a fully connected
    head) and leaves the sizes to its supplement, which is not at hand: they follow RBPnet
    (Horlacher et al. 2023), narrower so that a CPU can train them.

    Attributes:
        filters: of every convolution (RBPnet: 128).
        first_kernel: positions the first convolution sees (RBPnet: 12).
        kernel: positions of the dilated convolutions (RBPnet: 6).
        blocks: dilated residual blocks (paper: ten rounds of feature extraction, the first
            convolution being one).
        growth: dilation of each block over that of the one before (RBPnet: 1.75).
        window: positions of a pooling window before attention (paper: 8000 nt to 1000).
        heads: attention heads.
        attention_units: width of the attention's hidden layer.
        dropout: in the residual blocks and before the head.
    """

    filters: Count = 32
    first_kernel: Count = 12
    kernel: Count = 6
    blocks: Count = 9
    growth: Annotated[float, "1 or more"] = 1.75
    window: Count = 8
    heads: Count = 4
    attention_units: Count = 32
    dropout: Rate = 0.25


class DeepLocRNA(Tower):
    """Reads one-hot nucleotides, (n, width, channels)."""

    Config = DeepLocRNAConfig
    feature_parts = ("first", "blocks", "norms")
    feature_settings = ("filters", "first_kernel", "kernel", "blocks", "growth")

    def __init__(self, config: DeepLocRNAConfig, channels: int, n_labels: int) -> None:
        super().__init__()
        filters = config.filters
        dilations = [max(1, round(config.growth**number)) for number in range(config.blocks)]
        self.window = config.window
        self.first = MaskedConv(channels, filters, config.first_kernel)
        self.blocks = nn.ModuleList(
            [MaskedConv(filters, filters, config.kernel, dilation) for dilation in dilations]
        )
        self.norms = nn.ModuleList([nn.LayerNorm(filters) for _ in dilations])
        self.dropout = nn.Dropout(config.dropout)
        self.attend = AdditiveAttention(filters, config.attention_units, config.heads)
        self.feature_dim = filters
        self.output_dim = filters * config.heads
        self.head = nn.Sequential(nn.Dropout(config.dropout), nn.Linear(self.output_dim, n_labels))

    def features(self, inputs: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Outputs of the residual blocks: shape (n, width, filters); see `Tower.features`."""
        values = torch.relu(self.first(inputs, mask))
        for layer, norm in zip(self.blocks, self.norms, strict=True):
            values = values + self.dropout(torch.relu(layer(norm(values), mask)))
        return values

    def read(self, inputs: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """See `Tower.read`."""
        values, mask = pool(self.features(inputs, mask), mask, self.window)
        context, weights = self.attend(values, mask)
        return context.flatten(1), weights
