"""Named child seeds: one seed per run, one independent random stream per step."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from mirnagraph.errors import ArgumentError

if TYPE_CHECKING:
    import torch


def child_seed(seed: int, *names: object) -> int:
    """Derive the seed of one named random step, independent of every other name.

    A child depends on the run's seed and its name alone: adding a fold, a step or a worker changes
    no other stream.

    Args:
        seed: the run's seed, 0 or greater.
        *names: name of the step, e.g. ``("fold", 3, "weights")``; compared by their text.

    Returns:
        An integer in [0, 2**63).

    Raises:
        ArgumentError: a seed that is no whole number.

    >>> child_seed(0, "walks") == child_seed(0, "walks")
    True
    >>> child_seed(0, "fold", 1) == child_seed(0, "fold", 2)
    False
    """
    if not isinstance(seed, int | np.integer):
        raise ArgumentError(f"a seed is {seed!r} ({type(seed).__name__}), expected a whole number")
    text = "\x1f".join([str(int(seed)), *(str(name) for name in names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *names: object) -> np.random.Generator:
    """Make a numpy generator for the named step (see `child_seed`)."""
    return np.random.default_rng(child_seed(seed, *names))


def torch_generator(seed: int, *names: object) -> torch.Generator:
    """Make a CPU torch generator for the named step (see `child_seed`)."""
    import torch

    return torch.Generator().manual_seed(child_seed(seed, *names))


def seed_torch(device: torch.device, seed: int, *names: object) -> None:
    """Seed torch's default generators of the CPU and of a device for the named step.

    Faster than `torch.manual_seed`, which seeds every kind of device and takes half a millisecond.
    """
    import torch

    number = child_seed(seed, *names)
    torch.default_generator.manual_seed(number)
    if device.type != "cpu":
        torch.get_device_module(device).manual_seed(number)


@contextlib.contextmanager
def torch_scope(seed: int, *names: object) -> Iterator[None]:
    """Seed torch's default CPU generator for the named step, and restore it after the block.

    For what takes no generator argument: the initial weights of layers, and dropout.
    """
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(child_seed(seed, *names))
        yield
