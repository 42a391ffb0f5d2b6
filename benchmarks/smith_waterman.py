"""All-against-all Smith-Waterman: pyopal beside parasail on the same pairs, in one run.

usage: python benchmarks/smith_waterman.py [--n 400] [--length 80] [--repeat 3] [--threads 1]
    [--fasta FILE]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mirnagraph import seeds
from mirnagraph.io import read_text
from mirnagraph.similarity.smith_waterman import smith_waterman


def synthetic(n: int, length: int) -> list[str]:
    """Random sequences, lengths spread by a quarter around `length`."""
    rng = seeds.generator(0, "benchmark", "smith_waterman")
    spread = max(length // 4, 1)
    return [
        "".join(rng.choice(list("ACGU"), size=int(size)))
        for size in rng.integers(max(length - spread, 1), length + spread + 1, size=n)
    ]


def from_fasta(path: Path, n: int) -> list[str]:
    """The first n sequences of a FASTA file."""
    records = read_text(path).split(">")[1:]
    return ["".join(record.split("\n")[1:]) for record in records[:n]]


def best_of(repeat: int, work: Callable[[], np.ndarray]) -> tuple[float, np.ndarray]:
    """Seconds of the fastest of several runs, and what they return."""
    seconds = []
    for _ in range(repeat):
        start = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - start)
    return min(seconds), result


def main() -> None:
    """Time both engines and compare what they return."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--n", type=int, default=400, help="sequences")
    parser.add_argument(
        "--length", type=int, default=80, help="mean length of synthetic sequences, nt"
    )
    parser.add_argument("--repeat", type=int, default=3, help="runs per engine; the fastest counts")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--fasta", type=Path, help="take sequences from here instead of making them up"
    )
    given = parser.parse_args()
    texts = from_fasta(given.fasta, given.n) if given.fasta else synthetic(given.n, given.length)
    n_pairs = len(texts) * (len(texts) + 1) // 2
    print(
        f"{len(texts)} sequences of {np.mean([len(t) for t in texts]):.0f} nt on average, "
        f"{n_pairs:,} pairs, {given.threads} thread(s), best of {given.repeat}"
    )
    seconds, results = {}, {}
    for engine in ("pyopal", "parasail"):
        seconds[engine], results[engine] = best_of(
            given.repeat,
            lambda engine=engine: smith_waterman(texts, engine=engine, workers=given.threads),
        )
        print(
            f"{engine:9s} {seconds[engine]:8.3f} s {n_pairs / seconds[engine] / 1e6:8.2f} "
            f"million pairs/s"
        )
    same = results["pyopal"].tobytes() == results["parasail"].tobytes()
    print(
        f"pyopal is {seconds['parasail'] / seconds['pyopal']:.1f} times as fast; results are "
        f"{'equal' if same else 'NOT EQUAL'}"
    )
    if not same:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
