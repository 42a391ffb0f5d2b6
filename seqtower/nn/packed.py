"""Layers of packed members: several independent models computed in one tensor product."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class PackedLinear(nn.Module):
    """One linear layer for each of `n_members` models.

    Args:
        n_members: models.
        n_in: input columns.
        n_out: output columns.
        scale: of the initial weights, relative to ``1 / sqrt(n_in)``.
    """

    def __init__(self, n_members: int, n_in: int, n_out: int, scale: float = 1.0) -> None:
        super().__init__()
        start = torch.randn(n_members, n_in, n_out) * (scale / math.sqrt(max(n_in, 1)))
        self.weight = nn.Parameter(start)
        self.bias = nn.Parameter(torch.zeros(n_members, 1, n_out))

    def forward(self, values: Tensor) -> Tensor:
        """Apply every member's layer.

        Args:
            values: shape (n_members, n, n_in), or (1, n, n_in) for one input to all.

        Returns:
            Shape (n_members, n, n_out).
        """
        return torch.matmul(values, self.weight) + self.bias


class PackedAttentionPooling(nn.Module):
    """Multi-head attention of learned queries over tokens, for every member.

    Set Transformer's pooling (Lee et al. 2019, doi:10.48550/arXiv.1810.00825). A key is the token's
    projection plus a vector of its kind, so that a query can ask for a source as well as for what
    the source holds.

    Args:
        n_members: models.
        n_tokens: tokens of an RNA.
        dim: width of a token.
        n_heads: heads; divides `dim`.
        n_queries: learned queries.
    """

    def __init__(
        self, n_members: int, n_tokens: int, dim: int, n_heads: int, n_queries: int
    ) -> None:
        super().__init__()
        self.n_heads = n_heads
        width = dim // n_heads
        self.query = nn.Parameter(torch.randn(n_members, 1, n_heads, n_queries, width))
        self.kind = nn.Parameter(torch.randn(n_members, 1, n_tokens, dim))
        self.key = PackedLinear(n_members, dim, dim, scale=0.1)
        self.value = PackedLinear(n_members, dim, dim)

    def forward(self, tokens: Tensor, is_present: Tensor) -> tuple[Tensor, Tensor]:
        """Pool the tokens.

        Args:
            tokens: shape (n_members, n, n_tokens, dim).
            is_present: bool, shape (n, n_tokens); each row has at least one present token.

        Returns:
            Pooled values (n_members, n, n_queries * dim), and the weights (n_members, n, n_heads,
            n_queries, n_tokens): 0 at absent tokens, summing to 1 over the rest.
        """
        n_members, n, n_tokens, dim = tokens.shape
        flat = tokens.reshape(n_members, n * n_tokens, dim)
        heads = (n_members, n, n_tokens, self.n_heads, dim // self.n_heads)
        key = (self.key(flat).view(tokens.shape) + self.kind).view(heads).transpose(2, 3)
        value = self.value(flat).view(heads).transpose(2, 3)
        score = torch.matmul(self.query, key.transpose(-1, -2)) / math.sqrt(dim / self.n_heads)
        weights = score.masked_fill(~is_present[None, :, None, None], float("-inf")).softmax(-1)
        pooled = torch.matmul(weights, value).transpose(2, 3)
        return pooled.reshape(n_members, n, -1), weights
