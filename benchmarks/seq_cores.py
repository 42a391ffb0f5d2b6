"""Full-length training of the rnatracker tower on all cores, compared with one RNA at a time.

Per FASTA file, a sample of its RNAs at full length: wall microseconds per nucleotide and
milliseconds per RNA of one pass.

- plain, one RNA at a time: torch's own layers, one RNA and one optimizer step at a time, torch's
  threads on all cores (as the paper's script runs)
- plain, side by side: the same, one thread each, one training per core
- tower, N x M: our tower in batches of at most N RNAs and M positions, one training per core, with
  the optimizer of `seq train`

usage: python benchmarks/seq_cores.py RNAS.fa.gz … [--nucleotides 600000] [--cores 2]
"""

from __future__ import annotations

import argparse
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from seq_speed import Plain, epoch

from mirnagraph.seeds import generator
from mirnagraph.sources.fasta import read_fasta
from seqtower.config import seq_config
from seqtower.data.batches import collate, plan
from seqtower.data.kmers import one_hot
from seqtower.towers.base import make_tower
from seqtower.towers.rnatracker import RNATrackerConfig


def train(
    rnas: list[str], batched: tuple[int, int] | None, threads: int, repeats: int, ready: Any
) -> float:
    """Wall seconds of the fastest pass over the RNAs, started together with the other workers."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    encoded = [one_hot(rna) for rna in rnas]
    labels = generator(0, "labels").dirichlet(np.ones(4), len(rnas))
    lengths = np.array([len(one) for one in encoded])
    network: torch.nn.Module = Plain(4)
    batches = [np.array([row]) for row in range(len(rnas))]
    if batched is not None:
        network = make_tower("rnatracker", RNATrackerConfig(), 4, 4)
        batches = plan(lengths, batched[1], batched[0], generator(0, "batches"))
    best = np.inf
    for _ in range(repeats):
        ready.wait()
        best = min(
            best,
            epoch(
                network, labels, batches, lambda rows: collate([encoded[row] for row in rows], rows)
            )[1],
        )
    return best


def _answer(answers: Any, *given: Any) -> None:
    answers.put(train(*given))


def map_parallel(
    rnas: list[str], batched: tuple[int, int] | None, trainings: int, threads: int, repeats: int
) -> float:
    """Seconds of the clock per training when some run together: the slowest's, shared among all."""
    context = get_context("spawn")
    ready, answers = context.Barrier(trainings), context.Queue()
    processes = [
        context.Process(target=_answer, args=(answers, rnas, batched, threads, repeats, ready))
        for _ in range(trainings)
    ]
    for process in processes:
        process.start()
    slowest = max(answers.get() for _ in processes)
    for process in processes:
        process.join()
    return slowest / trainings


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("fasta", nargs="+", type=Path)
    parser.add_argument("--nucleotides", type=int, default=600_000)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    settings = seq_config("rnatracker").training
    for file in given.fasta:
        rnas = [
            rna
            for rna in read_fasta(file, iupac="n")["sequence"]
            if len(rna) <= settings.batch_tokens
        ]  # longer ones are learned from in windows
        order = generator(0, "sample").permutation(len(rnas))
        total = np.cumsum([len(rnas[row]) for row in order])
        some = [rnas[row] for row in order[: int(np.searchsorted(total, given.nucleotides)) + 1]]
        lengths = np.array([len(rna) for rna in some])
        print(
            f"\n{file.name}: {len(some)} RNAs, mean {lengths.mean():.0f}, median "
            f"{np.median(lengths):.0f}, longest {lengths.max()}",
            flush=True,
        )
        alone = map_parallel(some, None, 1, given.cores, given.repeats)
        beside = map_parallel(some, None, given.cores, 1, given.repeats)

        def show(
            name: str,
            seconds: float,
            alone: float = alone,
            beside: float = beside,
            lengths: np.ndarray = lengths,
        ) -> None:
            print(
                f"{name:26} {1e6 * seconds / lengths.sum():6.2f} us/nt "
                f"{1e3 * seconds / len(lengths):7.2f} ms per RNA: "
                f"{alone / seconds:5.1f} times one at a time, {beside / seconds:5.1f} times "
                f"one at a time on each core",
                flush=True,
            )

        show("plain, one RNA at a time", alone)
        show("plain, side by side", beside)
        for most, tokens in (
            (settings.batch_rnas, settings.batch_tokens),
            (64, 65_536),
            (64, 262_144),
        ):
            show(
                f"tower, {most} x {tokens}",
                map_parallel(some, (most, tokens), given.cores, 1, given.repeats),
            )


if __name__ == "__main__":
    main()
