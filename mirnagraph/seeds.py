"""Named child seeds: one --seed per run, one independent stream per random step."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def child_seed(seed: int, *names: object) -> int:
    """Seed of one named random step, independent of every other name.

    Adding a fold, a step or a worker leaves the streams of all others as they were, because a child depends on the run's
    seed and its own name alone.

    Args:
        seed: the run's seed, 0 or greater.
        names: what the step is called, e.g. ``("fold", 3, "weights")``; compared by their text.

    Returns:
        An integer in [0, 2**63).

    >>> child_seed(0, "walks") == child_seed(0, "walks")
    True
    >>> child_seed(0, "fold", 1) == child_seed(0, "fold", 2)
    False
    """
    text = "\x1f".join([str(int(seed)), *(str(name) for name in names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *names: object) -> np.random.Generator:
    """A numpy generator for the named step (see `child_seed`)."""
    return np.random.default_rng(child_seed(seed, *names))


def torch_generator(seed: int, *names: object) -> torch.Generator:
    """A CPU torch generator for the named step (see `child_seed`)."""
    import torch

    return torch.Generator().manual_seed(child_seed(seed, *names))


def seed_torch(device: torch.device, seed: int, *names: object) -> None:
    """Set torch's own generators of the CPU and of a device to those of the named step, for what takes no generator argument.

    `torch.manual_seed` says the same to every kind of device there might be, and notes each time from where it was called: for a step of
    a training half a millisecond.
    """
    import torch

    number = child_seed(seed, *names)
    torch.default_generator.manual_seed(number)
    if device.type != "cpu":
        torch.get_device_module(device).manual_seed(number)


@contextlib.contextmanager
def torch_scope(seed: int, *names: object) -> Iterator[None]:
    """Inside the block torch's own CPU generator is that of the named step; afterwards it is as it was before.

    For what takes no generator argument: the initial weights of layers, and dropout.
    """
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(child_seed(seed, *names))
        yield
