"""A training step of each tower on one core, with the kernels of `seqtower.cpu` beside the same tower of torch's own layers.

Milliseconds of a step (collation, forward, backward, optimizer) of 16 made-up RNAs of one length, the fastest of some, and the ratio.

usage: python benchmarks/tower_steps.py [--length 1000] [--steps 8]
"""

from __future__ import annotations

import argparse
import time
from unittest.mock import patch

import numpy as np
import torch

from mirnagraph.seeds import generator
from seqtower.batches import collate
from seqtower.encoding import fit_encoding
from seqtower.losses import make_loss
from seqtower.settings import TOWERS, seq_config
from seqtower.towers.make import make_tower

N_RNAS = 16


def fastest_step(name: str, length: int, steps: int) -> float:
    """Seconds of the fastest of some steps."""
    rng, config = generator(0, "steps"), seq_config(name)
    rnas = ["".join(rng.choice(list("ACGU"), length)) for _ in range(N_RNAS)]
    encoding = fit_encoding(config, rnas)
    encoded = encoding(rnas)
    labels, rows = np.eye(4)[rng.permutation(N_RNAS) % 4], np.arange(N_RNAS)
    torch.manual_seed(0)
    network, loss = make_tower(config, encoding.channels, 4), make_loss("bce", "multi-label", labels, weighted=False)
    optimizer, true = torch.optim.Adam(network.parameters()), torch.from_numpy(labels).float()
    best = np.inf
    for _ in range(steps + 1):  # the first sets things up
        begin = time.perf_counter()
        batch = collate(encoded, rows)
        optimizer.zero_grad()
        loss(network(batch.inputs, batch.mask), true).backward()
        optimizer.step()
        best = min(best, time.perf_counter() - begin)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--length", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=8)
    given = parser.parse_args()
    torch.set_num_threads(1)
    for name in TOWERS:
        ours = fastest_step(name, given.length, given.steps)
        with patch("seqtower.layers.can_fuse", lambda _values: False):
            theirs = fastest_step(name, given.length, given.steps)
        print(f"{name:12} {1e3 * ours:7.1f} ms, torch's layers {1e3 * theirs:7.1f} ms: {theirs / ours:4.1f} times", flush=True)


if __name__ == "__main__":
    main()
