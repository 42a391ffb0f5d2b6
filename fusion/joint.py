"""A sequence tower inside attention: sequences as rows of a table, and the module that reads such rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor, nn

from seqtower.towers.base import Tower


def pack(encoded: Sequence[np.ndarray], channels: int) -> np.ndarray:
    """Encoded RNAs of any length as rows of equal width, which travel, are saved and are batched like every other token.

    Args:
        encoded: each of shape (positions, channels).

    Returns:
        float32, shape (n, longest * (channels + 1)): per position its channels and a 1; zeros behind the last position.
    """
    longest = max(1, *(len(one) for one in encoded))
    table = np.zeros((len(encoded), longest, channels + 1), dtype=np.float32)
    for row, one in enumerate(encoded):
        table[row, : len(one), :channels] = one
        table[row, : len(one), channels] = 1
    return table.reshape(len(encoded), -1)


class JointReader(nn.Module):
    """The embedding of packed sequences (see `pack`) by a tower: (n, width) to (n, output_dim), zeros for an RNA without a position."""

    def __init__(self, tower: Tower, channels: int) -> None:
        super().__init__()
        tower.head = nn.Identity()  # attention answers
        self.tower, self.channels, self.output_dim = tower, channels, tower.output_dim

    def forward(self, packed: Tensor) -> Tensor:
        """Embeddings, shape (n, output_dim)."""
        table = packed.view(len(packed), -1, self.channels + 1)
        mask = table[..., -1] > 0
        there = mask.any(dim=1)
        found = packed.new_zeros(len(packed), self.output_dim)
        if bool(there.any()):
            width = int(mask.sum(dim=1).max())
            found[there] = self.tower.encode(table[there, :width, :-1], mask[there, :width])
        return found


def fits(width: int, trained: int, channels: int) -> bool:
    """Whether a packed token of this width can be read where one of another width was trained: only the longest RNA may differ."""
    return width % (channels + 1) == 0 and trained % (channels + 1) == 0
