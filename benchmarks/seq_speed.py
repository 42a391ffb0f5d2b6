"""Full-length training of the rnatracker tower in batches beside one RNA at a time (as the paper does), and masking of a long RNA.

usage: python benchmarks/seq_speed.py [--rnas 200] [--threads 2]
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np
import torch

from mirnagraph.seeds import generator
from seqtower.batches import collate, plan
from seqtower.encoders.one_hot import one_hot
from seqtower.encoding import fit_encoding
from seqtower.interpret.masking import MaskingConfig, mask_scan
from seqtower.losses import make_loss
from seqtower.model_files import SavedTower
from seqtower.settings import seq_config
from seqtower.towers.make import make_tower


def epoch(encoded: list[np.ndarray], labels: np.ndarray, batches: list[np.ndarray]) -> float:
    """Seconds of one pass: forward, backward, step."""
    config = seq_config("rnatracker")
    torch.manual_seed(0)
    tower = make_tower(config, 4, labels.shape[1])
    loss = make_loss("kl", "fractions", labels, weighted=False)
    optimizer = torch.optim.NAdam(tower.parameters(), lr=1e-3)
    true = torch.from_numpy(labels).float()
    started = time.perf_counter()
    for rows in batches:
        batch = collate([encoded[row] for row in rows], rows)
        optimizer.zero_grad()
        loss(tower(batch.inputs, batch.mask), true[rows]).backward()
        optimizer.step()
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rnas", type=int, default=200)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--tokens", type=int, nargs="+", default=[16_384, 65_536, 262_144])
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    rng = generator(0, "speed")
    lengths = np.clip(rng.lognormal(7.8, 0.8, given.rnas), 200, 30_000).astype(int)  # as mRNAs: median 2.4 kb
    encoded = [one_hot("".join(rng.choice(list("ACGU"), n))) for n in lengths]
    labels = rng.dirichlet(np.ones(4), given.rnas)
    print(f"{given.rnas} RNAs, {lengths.sum()} nt, median {int(np.median(lengths))}, longest {lengths.max()}; {given.threads} threads")
    alone = epoch(encoded, labels, [np.array([row]) for row in range(given.rnas)])
    print(f"one RNA at a time: {1000 * alone / given.rnas:.1f} ms per RNA")
    for tokens in given.tokens:
        seconds = epoch(encoded, labels, plan(lengths, tokens, 64, rng))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"batches of {tokens} tokens: {1000 * seconds / given.rnas:.1f} ms per RNA, {alone / seconds:.1f} times faster; peak memory so far {peak:.0f} MB")
    config = seq_config("rnatracker")
    model = SavedTower(config, ("a", "b", "c", "d"), "fractions", make_tower(config, 4, 4).eval(), fit_encoding(config, ["ACGU"]), np.full(4, 0.5), {})
    rna = "".join(rng.choice(list("ACGU"), 4000))
    for shuffles in (0, MaskingConfig().shuffles):
        started = time.perf_counter()
        mask_scan(model, rna, MaskingConfig(shuffles=shuffles))
        print(f"masking 4,000 nt at stride 10, {shuffles} shuffles: {time.perf_counter() - started:.1f} s")


if __name__ == "__main__":
    main()
