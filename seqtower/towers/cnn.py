"""Small convolutional tower: two convolutions, then maximum and mean over positions."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from mirnagraph.config import require
from seqtower.nn.layers import MaskedConv, pool
from seqtower.towers.base import Tower


@dataclass(frozen=True)
class CnnConfig:
    """Settings.

    Attributes:
        filters: filters of each convolution.
        kernel: nucleotides that a filter of the first convolution sees.
        window: nucleotides of a pooling window after the first convolution.
        dropout: rate on the inputs of each convolution, in [0, 1).
    """

    filters: int = 24
    kernel: int = 7
    window: int = 2
    dropout: float = 0.1

    def __post_init__(self) -> None:
        for name in ("filters", "kernel", "window"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "1 or more")
        require(0 <= self.dropout < 1, "dropout", self.dropout, "in [0, 1)")


class Cnn(Tower):
    """Reads one-hot nucleotides with further channels, (n, width, channels)."""

    Config = CnnConfig

    def __init__(self, config: CnnConfig, channels: int, n_labels: int) -> None:
        super().__init__()
        self.window = config.window
        self.first = MaskedConv(channels, config.filters, config.kernel)
        self.second = MaskedConv(config.filters, config.filters, 5)
        self.dropout = nn.Dropout(config.dropout)
        self.output_dim = 2 * config.filters
        self.head = nn.Linear(self.output_dim, n_labels)

    def read(self, inputs: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """See `Tower.read`; attention is even over the pooled steps."""
        values, mask = pool(torch.relu(self.first(self.dropout(inputs), mask)), mask, self.window)
        values = torch.relu(self.second(self.dropout(values), mask))
        is_step = mask.unsqueeze(-1).to(values.dtype)
        n_steps = is_step.sum(dim=1).clamp(min=1)
        embedding = torch.cat([values.amax(dim=1), values.sum(dim=1) / n_steps], dim=1)
        even = mask.to(values.dtype) / n_steps
        return embedding, even.unsqueeze(1)
