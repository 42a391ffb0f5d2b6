"""Time of a step of a random walk at 10 k, 100 k and 1 M nodes of 10 edges each.

``python benchmarks/walks_scale.py --reference-python ENV/bin/python``

Each network is stored, opened by memory map and walked in pieces; beside it the latency of memory,
by following a random cycle through an array of the same size, in the same run. At 100 k nodes the
packages node2vec and PecanPy walk too, in an environment of their own (see node2vec_speed.py).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
from numba import njit
from scipy import sparse

from mirnagraph.walks.graph import WalkGraph, open_walk_graph, row_pointers, store_walk_graph
from mirnagraph.walks.rounds import walk_rounds

LENGTH = 80

HOPS = 1 << 22

PEERS = ("node2vec", "pecanpy")


def random_graph(n_nodes: int, n_pairs_per_node: int = 10) -> WalkGraph:
    """Symmetric random network without weights, in seconds at 1 M nodes."""
    draw = np.random.default_rng(0)
    ends = draw.integers(0, n_nodes, (2, n_nodes * n_pairs_per_node))
    ends = ends[:, ends[0] != ends[1]]
    keys = np.unique(np.concatenate([ends[0] * n_nodes + ends[1], ends[1] * n_nodes + ends[0]]))
    n_edges = np.bincount(keys // n_nodes, minlength=n_nodes)
    indptr = row_pointers(np.concatenate([[0], np.cumsum(n_edges)]))
    empty = np.empty(0, np.float64)
    return WalkGraph(indptr, (keys % n_nodes).astype(np.int32), empty, empty, np.empty(0, np.int32))


@njit(cache=True)
def _follow(following: np.ndarray, n_hops: int) -> int:
    here = 0
    for _ in range(n_hops):
        here = following[here]
    return here


def latency(n_bytes: int) -> float:
    """Nanoseconds of a read that waits for the one before, in an array of `n_bytes`."""
    n = n_bytes // 4
    order = np.random.default_rng(0).permutation(n).astype(np.int32)
    following = np.empty(n, np.int32)
    following[order] = np.roll(order, -1)
    _follow(following, 1)
    start = time.process_time()
    _follow(following, HOPS)
    return (time.process_time() - start) / HOPS * 1e9


def step_time(graph: WalkGraph, p: float, q: float, n_steps: int) -> tuple[float, int]:
    """Processor nanoseconds of a step, over whole rounds of `n_steps` or more; steps taken."""
    n_rounds = max(1, -(-n_steps // (graph.n_nodes * (LENGTH - 1))))
    start = time.process_time()
    n_taken = 0
    for walks in walk_rounds(graph, n_walks=n_rounds, walk_length=LENGTH, p=p, q=q, seed=0):
        n_taken += walks.shape[0] * (LENGTH - 1)
    return (time.process_time() - start) / n_taken * 1e9, n_taken


def reference(
    python: str, package: str, graph: WalkGraph, p: float, q: float
) -> tuple[float, float]:
    """Processor nanoseconds of a step of another package; seconds of its precomputation."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "graph.npz"
        ones = np.ones(len(graph.indices))
        shape = (graph.n_nodes, graph.n_nodes)
        sparse.save_npz(file, sparse.csr_matrix((ones, graph.indices, graph.indptr), shape))
        script = Path(__file__).with_name("node2vec_walks_reference.py")
        options = [f"--package={package}", f"--walk-length={LENGTH}", f"--p={p}", f"--q={q}"]
        told = subprocess.run(
            [python, str(script), str(file), *options],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
    found = json.loads(told.stdout)
    return found["walks"] / found["steps"] * 1e9, found["precomputation"]


def main() -> None:
    """Print a line for each size, and ratios."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nodes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--steps", type=int, default=20_000_000)
    parser.add_argument("--p", type=float, default=1.0)
    parser.add_argument("--q", type=float, default=1.0)
    parser.add_argument("--reference-python", help="Python with node2vec and pecanpy")
    parser.add_argument("--reference-nodes", type=int, default=100_000)
    args = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    step_time(random_graph(100), args.p, args.q, 1)  # compiled before the clock starts
    times = {}
    for n_nodes in args.nodes:
        with tempfile.TemporaryDirectory() as folder:
            store_walk_graph(random_graph(n_nodes), Path(folder) / "graph")
            start = time.process_time()
            graph = open_walk_graph(Path(folder) / "graph")
            opened = time.process_time() - start
            times[n_nodes], n_steps = step_time(graph, args.p, args.q, args.steps)
            n_bytes = graph.indices.nbytes + graph.indptr.nbytes
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
            print(
                f"{n_nodes:>9,} nodes, {len(graph.indices) // 2:>10,} edges: "
                f"{times[n_nodes]:6.1f} ns a step ({n_steps:,} steps); memory latency "
                f"{latency(n_bytes):.1f} ns in {n_bytes / 1e6:.1f} MB; opened in {opened:.2f} s; "
                f"peak {peak:.2f} GB",
                flush=True,
            )
            if n_nodes == args.reference_nodes and args.reference_python:
                for package in PEERS:
                    theirs, before = reference(
                        args.reference_python, package, graph, args.p, args.q
                    )
                    print(
                        f"{'':>9}  package {package} {theirs:,.0f} ns a step: ratio "
                        f"{theirs / times[n_nodes]:.1f}; and {before:.0f} s of precomputation",
                        flush=True,
                    )
    growth = times[args.nodes[-1]] / times[args.nodes[0]]
    print(f"growth from {args.nodes[0]:,} to {args.nodes[-1]:,} nodes: {growth:.2f} x")


if __name__ == "__main__":
    main()
