"""What every tower has: an embedding of fixed width, attention on request, and a head with one output per compartment."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import nn


class Tower(nn.Module):
    """A network over encoded RNAs.

    Attributes:
        output_dim: width of the embedding.
        head: the last layer, from the embedding to one logit per compartment.
    """

    output_dim: int
    head: nn.Module

    @abstractmethod
    def read(self, inputs: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Embedding, shape (n, output_dim), and attention weights, shape (n, heads, steps), of inputs (n, width, channels)."""

    def encode(self, inputs: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Embedding: shape (n, output_dim)."""
        return self.read(inputs, mask)[0]

    def attention(self, inputs: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Attention over positions: shape (n, heads, width), each step's weight shared evenly by the positions it pools; sums to 1 over an RNA."""
        weights = self.read(inputs, mask)[1]
        width, steps = mask.shape[1], weights.shape[-1]
        if steps == width:
            return weights
        window = -(-width // steps)
        spread = weights.repeat_interleave(window, dim=-1)[..., :width] * mask.unsqueeze(1)
        return spread / spread.sum(dim=-1, keepdim=True).clamp_min(torch.finfo(spread.dtype).tiny)

    def forward(self, inputs: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Logits: shape (n, n_labels)."""
        logits: torch.Tensor = self.head(self.encode(inputs, mask))
        return logits
