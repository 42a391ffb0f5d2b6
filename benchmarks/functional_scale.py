"""Time and peak memory of functional similarity and GIP in blocks, by number of RNAs.

`python benchmarks/functional_scale.py --rnas 1000 4000 10000 38589 100000 --edges 1000000`: each
size is a synthetic dataset in a process of its own, of whose associations a fifth is with diseases.
With `build_networks_scale.py` and `nearest_sequences.py`, the curves of docs/scale.md.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time

from build_networks_scale import SHARES, dataset_of

from mirnagraph.networks.build import NetworkConfig
from mirnagraph.networks.large import large_functional


def one_case(n_rnas: int, n_edges: int, workers: int) -> None:
    """Compute one size; print its figures as JSON."""
    dataset = dataset_of(n_rnas, n_edges)
    before = resource.getrusage(resource.RUSAGE_SELF)
    start = time.perf_counter()
    network = large_functional(dataset, NetworkConfig(dense_below=0), workers, None)
    own = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    figures = {
        "wall": time.perf_counter() - start,
        "worked": own.ru_utime - before.ru_utime + children.ru_utime,
        "before": before.ru_maxrss / 2**20,
        "memory": own.ru_maxrss / 2**20,
        "worker": children.ru_maxrss / 2**20,
        "edges": network.matrix.nnz // 2,
    }
    print(json.dumps(figures))


def main() -> None:
    """Run all sizes and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rnas", type=int, nargs="+", default=[1000, 4000, 10000])
    parser.add_argument("--edges", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--case", type=int, default=None, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.case is not None:
        one_case(given.case, given.edges, given.workers)
        return
    print("RNAs | of diseases | wall, processor s | GB, before, of a worker | edges")
    for n_rnas in given.rnas:
        words = [sys.executable, __file__, "--workers", str(given.workers)]
        words += ["--edges", str(given.edges), "--case", str(n_rnas)]
        done = subprocess.run(words, check=True, capture_output=True, text=True)
        f = json.loads(done.stdout)
        print(
            f"{n_rnas:7,} | {round(given.edges * SHARES['disease']):9,} |"
            f" {f['wall']:6.0f} {f['worked']:6.0f} |"
            f" {f['memory']:5.2f} {f['before']:5.2f} {f['worker']:5.2f} | {f['edges']:9,}",
            flush=True,
        )


if __name__ == "__main__":
    main()
