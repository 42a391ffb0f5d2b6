"""Exact nearest sequences of many hairpins, beside the raw rate of the SIMD library.

`python benchmarks/nearest_sequences.py HAIRPINS.fa.gz --workers 2`; `--first N` reads the first N,
and where the file has fewer, adds shuffled copies of them.
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np
import pandas as pd

from mirnagraph.networks.sparsify import top_k
from mirnagraph.seeds import generator
from mirnagraph.similarity.nearest import nearest_sequences
from mirnagraph.similarity.smith_waterman import DEFAULT_SCORES, pyopal_rows, smith_waterman
from mirnagraph.sources.fasta import read_fasta

N_RATE = 4000
"""Sequences of the measurement of the raw rate, drawn."""

N_QUERIES = 300


def raw_rate(texts: list[str]) -> float:
    """Cells per second of one core in the library, on a draw of the same sequences by length."""
    rng = generator(0, "rate")
    rows = rng.permutation(len(texts))[:N_RATE]
    drawn = sorted((texts[row] for row in rows.tolist()), key=len)
    score = pyopal_rows(drawn, DEFAULT_SCORES)
    queries = [drawn[row] for row in rng.permutation(len(drawn))[:N_QUERIES].tolist()]
    start = time.process_time()
    for query in queries:
        score(query, 0)
    seconds = time.process_time() - start
    return sum(map(len, queries)) * sum(map(len, drawn)) / seconds


def read_or_shuffle(path: str, n: int | None) -> pd.DataFrame:
    """The first n records of a file; after its last one, shuffled copies from its first one on."""
    records = read_fasta(path, iupac="n")[:n]
    if n is None or len(records) == n:
        return records
    rng = generator(0, "shuffled")
    places = np.arange(n - len(records)) % len(records)
    texts = records["sequence"].to_numpy()[places]
    shuffled = ["".join(rng.permutation(list(text)).tolist()) for text in texts]
    ids = [f"shuffled-{place}" for place in range(len(shuffled))]
    more = pd.DataFrame({"id": ids, "sequence": shuffled})
    return pd.concat([records, more], ignore_index=True)


def main() -> None:
    """Run it and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("fasta")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--first", type=int, default=None)
    parser.add_argument("--top-k", type=int, default=20)
    parser.add_argument("--store", default=None, help="folder of finished blocks")
    parser.add_argument("--prefix", default="hsa-", help="ids compared with the dense way")
    given = parser.parse_args()
    records = read_or_shuffle(given.fasta, given.first)
    texts = records["sequence"].tolist()
    different = sorted(set(texts), key=len)
    cells = sum(map(len, different)) ** 2 / 2
    rate = raw_rate(different)
    nearest_sequences(texts[:10], 2)  # numba compiles
    start = time.perf_counter()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_utime

    def progress(_step: str, done: int, total: int) -> None:
        seconds = time.perf_counter() - start
        print(f"  {done / total:6.1%} {seconds:7.0f} s", flush=True)

    network = nearest_sequences(
        texts, given.top_k, workers=given.workers, store=given.store, progress=progress
    )
    seconds = time.perf_counter() - start
    own = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    worked = own.ru_utime - before + children.ru_utime
    ours = cells / worked
    print(f"sequences {len(texts):,}, different {len(different):,}, edges {network.nnz // 2:,}")
    print(f"time {seconds:.0f} s with {given.workers} processes")
    print(f"processor time {worked:.0f} s")
    print(
        f"memory {own.ru_maxrss / 2**20:.2f} GB, "
        f"of a worker process at most {children.ru_maxrss / 2**20:.2f} GB"
    )
    print(f"billion cells per processor second {ours / 1e9:.2f}; the library {rate / 1e9:.2f}")
    print(f"ratio {rate / ours:.2f}")
    rows = np.flatnonzero(records["id"].str.startswith(given.prefix).to_numpy())
    dense = top_k(smith_waterman([texts[row] for row in rows.tolist()]), given.top_k)
    among = nearest_sequences([texts[row] for row in rows.tolist()], given.top_k)
    print(f"{given.prefix}: {(dense != among).nnz} of {dense.nnz} edges differ from the dense way")


if __name__ == "__main__":
    main()
