"""Time of a step of the walks of the packages node2vec and PecanPy, for walks_scale.py.

Needs node2vec, pecanpy, networkx, scipy and numpy only: both packages pin numpy below 2.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from typing import Any

os.environ["NUMBA_NUM_THREADS"] = "1"  # before PecanPy loads numba

import networkx as nx
from scipy import sparse


def node2vec_walks(args: argparse.Namespace) -> tuple[float, float, list[Any]]:
    """Processor seconds of precomputation and of a walk from every node; the walks."""
    from node2vec import Node2Vec

    graph = nx.from_scipy_sparse_array(sparse.load_npz(args.graph))
    start = time.process_time()
    settings = {"walk_length": args.walk_length, "p": args.p, "q": args.q, "quiet": True}
    walker = Node2Vec(graph, num_walks=0, workers=1, **settings)
    precomputation = time.process_time() - start
    walker.num_walks = 1
    start = time.process_time()
    walks = walker._generate_walks()  # what its constructor calls
    return precomputation, time.process_time() - start, walks


def pecanpy_walks(args: argparse.Namespace) -> tuple[float, float, list[Any]]:
    """The same of PecanPy's mode without precomputation; its steps are compiled before."""
    from pecanpy import pecanpy

    is_first_order = args.p == args.q == 1
    mode = pecanpy.FirstOrderUnweighted if is_first_order else pecanpy.SparseOTF
    graph = mode(p=args.p, q=args.q, workers=1, random_state=0)
    graph.read_npz(args.graph, weighted=False, implicit_ids=True)
    graph.simulate_walks(1, 2)
    start = time.process_time()
    walks = graph.simulate_walks(1, args.walk_length - 1)  # it counts steps, not nodes
    return 0.0, time.process_time() - start, walks


def main() -> None:
    """Walk once from every node of a CSR matrix (.npz); print processor seconds as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("graph", help="scipy .npz file with a symmetric matrix")
    parser.add_argument("--package", choices=["node2vec", "pecanpy"], default="node2vec")
    parser.add_argument("--walk-length", type=int, default=80)
    parser.add_argument("--p", type=float, default=1.0)
    parser.add_argument("--q", type=float, default=1.0)
    args = parser.parse_args()
    walked = node2vec_walks if args.package == "node2vec" else pecanpy_walks
    precomputation, seconds, walks = walked(args)
    n_steps = sum(len(walk) - 1 for walk in walks)
    print(
        json.dumps({"precomputation": precomputation, "walks": seconds, "steps": n_steps}),
    )


if __name__ == "__main__":
    main()
