"""Training on several devices: how many there are to use, and which of their processes this one is."""

from __future__ import annotations

import sys

import torch
from torch import distributed


def count_devices(setting: int) -> int:
    """Processes that one training takes: as many as are asked for; for 0 one per GPU, or one where there is none.

    An interactive session, which cannot start other processes, takes one for 0.
    """
    if setting:
        return setting
    return 1 if hasattr(sys, "ps1") else max(1, torch.cuda.device_count())


def place() -> tuple[int, int]:
    """Number of this process among those that train together, and how many they are: ``(0, 1)`` where it is alone."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1
