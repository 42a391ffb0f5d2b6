"""Full-length training of the rnatracker tower in batches or by single RNAs; masking of an RNA.

Per class of lengths (log-normal, by their mean), process and wall seconds per nucleotide.

- plain, alone: plain torch layers, one RNA and one optimizer step at a time, no padding
- plain, padded: the same, every RNA padded to the longest, 64 at a time (on the first 64 RNAs)
- tower, alone: our tower, one RNA at a time
- tower, N x M: our tower in batches of at most N RNAs and M positions

usage: python benchmarks/seq_speed.py [--means 300 1000 3300 10000] [--nucleotides 300000]
[--threads 1]
"""

from __future__ import annotations

import argparse
import contextlib
import resource
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from mirnagraph.seeds import generator
from seqtower.config import seq_config
from seqtower.data.batches import Batch, collate, plan
from seqtower.data.kmers import one_hot
from seqtower.encoders.base import fit_encoding
from seqtower.interpret.attribution import MaskingConfig, mask_scan
from seqtower.nn.losses import make_loss
from seqtower.saved import SavedTower
from seqtower.towers.base import make_tower


class Plain(nn.Module):
    """RNATracker of torch's own layers, which know nothing of padding."""

    def __init__(self, n_labels: int) -> None:
        super().__init__()
        block = [
            nn.Conv1d(4, 32, 10, padding="same"),
            nn.ReLU(),
            nn.MaxPool1d(3, ceil_mode=True),
            nn.Dropout(0.2),
        ]
        self.convolutions = nn.Sequential(
            *block,
            nn.Conv1d(32, 32, 10, padding="same"),
            nn.ReLU(),
            nn.MaxPool1d(3, ceil_mode=True),
            nn.Dropout(0.2),
        )
        self.lstm = nn.LSTM(32, 32, batch_first=True, bidirectional=True)
        self.scores = nn.Sequential(nn.Linear(64, 50), nn.Tanh(), nn.Linear(50, 1, bias=False))
        self.head = nn.Linear(64, n_labels)

    def forward(self, inputs: torch.Tensor, _mask: torch.Tensor) -> torch.Tensor:
        """Logits."""
        states = self.lstm(self.convolutions(inputs.transpose(1, 2)).transpose(1, 2))[0]
        return self.head((torch.softmax(self.scores(states), dim=1) * states).sum(dim=1))


def epoch(
    network: nn.Module,
    labels: np.ndarray,
    batches: list[np.ndarray],
    made: Callable[[np.ndarray], Batch],
) -> tuple[float, float]:
    """Seconds of this process and of the clock for one pass: collation, forward, backward, step."""
    loss = make_loss("kl", "fractions", labels, weighted=False)
    optimizer = torch.optim.NAdam(network.parameters(), lr=1e-3)
    true = torch.from_numpy(labels).float()

    def step(rows: np.ndarray) -> None:
        batch = made(rows)
        optimizer.zero_grad()
        loss(network(batch.inputs, batch.mask), true[rows]).backward()
        optimizer.step()

    with contextlib.suppress(OSError):  # Linux forgets its peak of memory when told so
        Path("/proc/self/clear_refs").write_text("5")
    step(batches[0])  # what is set up at the first call is not the training's
    own, clock = time.process_time(), time.perf_counter()
    for rows in batches:
        step(rows)
    return time.process_time() - own, time.perf_counter() - clock


def compare(mean: int, nucleotides: int, tokens: list[int]) -> None:
    """Print one class of lengths."""
    rng, config = generator(0, "speed", mean), seq_config("rnatracker")
    n = max(64, nucleotides // mean)
    lengths = np.clip(rng.lognormal(np.log(mean) - 0.32, 0.8, n), 100, 30_000).astype(
        int
    )  # a spread of 0.8, as mRNAs
    encoded = [one_hot("".join(rng.choice(list("ACGU"), length))) for length in lengths]
    labels = rng.dirichlet(np.ones(4), n)
    print(
        f"\n{n} RNAs, {lengths.sum()} nt: mean {lengths.mean():.0f}, median "
        f"{np.median(lengths):.0f}, longest {lengths.max()}"
    )
    first = np.inf

    def show(name: str, network: nn.Module, batches: list[np.ndarray], at_least: int = 1) -> None:
        nonlocal first
        own, clock = epoch(
            network,
            labels,
            batches,
            lambda rows: collate([encoded[row] for row in rows], rows, at_least=at_least),
        )
        total = lengths[np.concatenate(batches)].sum()
        first = own / total if first == np.inf else first
        padding = (
            sum(max(at_least, lengths[rows].max()) * len(rows) for rows in batches) / total - 1
        )
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"{name:22} {1e6 * own / total:6.2f} us/nt own, {1e6 * clock / total:6.2f} clock, "
            f"{first * total / own:5.1f} times the first; "
            f"{len(batches)} steps, padding {padding:.0%}, peak memory {peak:.0f} MB",
            flush=True,
        )

    def tower() -> nn.Module:
        torch.manual_seed(0)
        return make_tower(config.tower.name, config.tower.settings, 4, 4)

    alone = [np.array([row]) for row in range(n)]
    show("plain, alone", Plain(4), alone)
    show("tower, alone", tower(), alone)
    for most, budget in [
        (config.training.batch_rnas, config.training.batch_tokens),
        *((64, number) for number in tokens),
    ]:
        show(f"tower, {most} x {budget}", tower(), plan(lengths, budget, most, rng))
    show("plain, padded", Plain(4), [np.arange(64)], int(lengths.max()))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--means", type=int, nargs="*", default=[300, 1000, 3300, 10_000])
    parser.add_argument("--nucleotides", type=int, default=300_000)
    parser.add_argument(
        "--threads", type=int, default=1, help="A training has one: folds run side by side."
    )
    parser.add_argument("--tokens", type=int, nargs="*", default=[16_384, 65_536, 262_144])
    parser.add_argument("--no-masking", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    print(f"{given.threads} threads")
    for mean in given.means:
        compare(mean, given.nucleotides, given.tokens)
    if given.no_masking:
        return
    rng, config = generator(0, "speed"), seq_config("rnatracker")
    model = SavedTower(
        config,
        ("a", "b", "c", "d"),
        "fractions",
        make_tower(config.tower.name, config.tower.settings, 4, 4).eval(),
        fit_encoding(config.encoder, config.lengths, ["ACGU"]),
        np.full(4, 0.5),
        {},
    )
    rna = "".join(rng.choice(list("ACGU"), 4000))
    for shuffles in (0, MaskingConfig().shuffles):
        own, started = time.process_time(), time.perf_counter()
        mask_scan(model, rna, MaskingConfig(shuffles=shuffles))
        print(
            f"masking 4,000 nt at stride 10, {shuffles} shuffles: "
            f"{time.perf_counter() - started:.1f} s, own {time.process_time() - own:.1f} s"
        )


if __name__ == "__main__":
    main()
