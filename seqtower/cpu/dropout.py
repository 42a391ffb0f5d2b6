"""Dropout by whole numbers of 16 bits: what is drawn, and by how much larger what stays becomes."""

from __future__ import annotations

import numpy as np
import torch
from numba import njit

RANGE = 2**16
"""Values that a draw may have; those below the number of dropped ones drop."""


def dropped_of(rate: float) -> int:
    """Of `RANGE` draws, how many drop: never all, so that what stays can be made larger."""
    return min(round(RANGE * rate), RANGE - 1)


def gain(dropped: int) -> float:
    """By how much larger what stays becomes, so that the mean stays."""
    return RANGE / (RANGE - dropped)


def draws(count: int) -> np.ndarray:
    """Draws, uint16 of shape (count,), which torch's generator decides: a small part of the work of torch's draws of doubles."""
    found = np.empty(-(-count // 4), np.uint64)
    if count:  # else nothing is drawn, so that a prediction leaves torch's generator as it is
        _split_mix(np.uint64(int(torch.empty((), dtype=torch.int64).random_())), found)
    return found.view(np.uint16)[:count]


@njit(cache=True, nogil=True)
def _split_mix(seed, found):  # type: ignore[no-untyped-def]
    """Fill with numbers of 64 bits: SplitMix64 (Steele, Lea and Flood 2014), whose numbers do not wait for each other."""
    for i in range(len(found)):
        z = seed + np.uint64(i + 1) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        found[i] = z ^ (z >> np.uint64(31))


def factors(count: int, dropped: int) -> np.ndarray:
    """By what each of so many values is multiplied, 0 or `gain`: float32 of shape (count,)."""
    found = np.empty(count, np.float32)
    _keep(draws(count), dropped, gain(dropped), found)
    return found


@njit(cache=True, nogil=True)
def _keep(drawn, dropped, gain, found):  # type: ignore[no-untyped-def]
    for i in range(len(found)):
        found[i] = np.float32(gain) if drawn[i] >= dropped else np.float32(0)
