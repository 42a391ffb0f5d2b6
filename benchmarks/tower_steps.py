"""Time of a training step of each tower on one core.

Milliseconds of a step (collation, forward, backward, optimizer) on 16 random RNAs, the fastest of
some. Their lengths are the same, or with --spread log-normal around it.

usage: python benchmarks/tower_steps.py [--length 1000] [--spread 0] [--steps 8]
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch

from mirnagraph.seeds import generator
from seqtower.config import seq_config
from seqtower.data.batches import collate
from seqtower.encoders.base import fit_encoding
from seqtower.nn.losses import make_loss
from seqtower.towers.base import TOWERS, make_tower

N_RNAS = 16


def fastest_step(name: str, length: int, spread: float, steps: int) -> float:
    """Return the seconds of the fastest of some steps."""
    rng = generator(0, "steps")
    config = seq_config(name)
    lengths = (length * np.exp(spread * rng.standard_normal(N_RNAS))).astype(int) + 1
    if spread == 0:
        lengths[:] = length
    rnas = ["".join(rng.choice(list("ACGU"), number)) for number in lengths]
    encoding = fit_encoding(config.encoder, config.lengths, rnas)
    encoded = encoding(rnas)
    labels, rows = np.eye(4)[rng.permutation(N_RNAS) % 4], np.arange(N_RNAS)
    torch.manual_seed(0)
    network, loss = (
        make_tower(config.tower.name, config.tower.settings, encoding.channels, 4),
        make_loss("bce", "multi-label", labels, weighted=False),
    )
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
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--length", type=int, default=1000)
    parser.add_argument("--spread", type=float, default=0.0, help="SD of the log lengths")
    parser.add_argument("--steps", type=int, default=8)
    given = parser.parse_args()
    torch.set_num_threads(1)
    for name in TOWERS.names():
        seconds = fastest_step(name, given.length, given.spread, given.steps)
        print(f"{name:12} {1e3 * seconds:7.1f} ms", flush=True)


if __name__ == "__main__":
    main()
