"""How long the processes of a training wait for each other in a step.

Lengths: `uniform`, 1 to 3 knt; `log-normal`, median 1.5 knt; `mixed`, half hairpins of 60 to 110
nt, the rest log-normal; or those of a FASTA file, in windows of at most --tokens. Work is counted
in padded positions. A step is `even` where no process waits for more than a tenth of it; `worst` is
the longest wait, `epoch` the share of an epoch that one process waits, `time` the work of the
largest parts beside that of nucleotides shared equally. `before` are batches of one process, each
divided as evenly as whole RNAs allow.

usage: python benchmarks/divided_batches.py [--rnas 20000] [--tokens 32768] [--most 64]
[--processes 2 4 8] [--fasta FILE …]
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from mirnagraph.seeds import generator
from mirnagraph.sources.fasta import read_fasta
from seqtower.data.batches import plan, split_long
from seqtower.training.plans import LARGEST_WAIT, Plan, divide

HEADER = "lengths\tRNAs\tprocesses\tway\tsteps\teven\tworst\tepoch\ttime\tplanned in"


def lengths_of(name: str, n: int) -> np.ndarray:
    rng = generator(0, "divided batches", name)
    log_normal = np.exp(rng.normal(np.log(1500), 0.8, n)).astype(np.int64).clip(200, 30_000)
    if name == "uniform":
        return rng.integers(1000, 3001, n)
    if name == "mixed":
        return np.where(rng.random(n) < 0.5, rng.integers(60, 111, n), log_normal)
    return log_normal


def divided(
    lengths: np.ndarray, tokens: int, most: int, n_processes: int
) -> list[list[np.ndarray]]:
    """Batches of one process, divided, as before their parts were planned."""
    batches = plan(lengths, tokens, most, generator(0, "batches", 0))
    return [[batch[part] for part in divide(lengths[batch], n_processes)] for batch in batches]


def show(name: str, lengths: np.ndarray, tokens: int, most: int, n_processes: int) -> None:
    for way in ("before", "now"):
        start = time.perf_counter()
        together = Plan(
            np.arange(len(lengths)), lengths, tokens * n_processes, most * n_processes, 0
        )
        together.n_processes = n_processes
        together.n_parts = n_processes
        if way == "before":
            together.batches = lambda: before  # type: ignore[method-assign]  # noqa: B023
            before = divided(lengths, tokens * n_processes, most * n_processes, n_processes)
        waits = together.waits()
        seconds = time.perf_counter() - start
        n_even = int((waits <= LARGEST_WAIT).sum())
        time_taken = together.work().max(axis=1).sum() * n_processes / lengths.sum()
        shares = f"{waits.max():.0%}\t{together.waiting():.1%}\t{time_taken:.3f}\t{seconds:.2f} s"
        print(f"{name}\t{len(lengths)}\t{n_processes}\t{way}\t{len(waits)}\t{n_even}\t{shares}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rnas", type=int, default=20_000)
    parser.add_argument("--tokens", type=int, default=32_768, help="positions per process")
    parser.add_argument("--most", type=int, default=64, help="RNAs per process")
    parser.add_argument("--processes", type=int, nargs="+", default=[2, 4, 8])
    parser.add_argument("--fasta", type=Path, nargs="+", default=[])
    args = parser.parse_args()
    sets = {name: lengths_of(name, args.rnas) for name in ("uniform", "log-normal", "mixed")}
    for file in args.fasta:
        lengths = read_fasta(file, iupac="n")["sequence"].str.len().to_numpy()
        _, starts, ends = split_long(lengths, args.tokens)
        sets[file.name] = ends - starts
    print(HEADER)
    for name, lengths in sets.items():
        for n_processes in args.processes:
            show(name, lengths, args.tokens, args.most, n_processes)


if __name__ == "__main__":
    main()
