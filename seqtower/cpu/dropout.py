"""Dropout by whole numbers of 16 bits: what is drawn, and by how much larger what stays becomes."""

from __future__ import annotations

import numpy as np
import torch

RANGE = 2**16
"""Values that a draw may have; those below the number of dropped ones drop."""


def dropped_of(rate: float) -> int:
    """Of `RANGE` draws, how many drop: never all, so that what stays can be made larger."""
    return min(round(RANGE * rate), RANGE - 1)


def gain(dropped: int) -> float:
    """By how much larger what stays becomes, so that the mean stays."""
    return RANGE / (RANGE - dropped)


def draws(count: int) -> np.ndarray:
    """Draws, uint16 of shape (count,), which torch's generator decides: a tenth of the work of torch's draws of doubles."""
    if not count:
        return np.empty(0, np.uint16)  # nothing is drawn, so that a prediction leaves torch's generator as it is
    seed = int(torch.empty((), dtype=torch.int64).random_())
    return np.random.SFC64(seed).random_raw(-(-count // 4)).view(np.uint16)[:count]
