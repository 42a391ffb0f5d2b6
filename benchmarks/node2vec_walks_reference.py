"""Time of a step of the node2vec package's walks, for walks_scale.py.

Needs node2vec, networkx, scipy and numpy only: the package pins numpy below 2.
"""

from __future__ import annotations

import argparse
import json
import time

import networkx as nx
from node2vec import Node2Vec
from scipy import sparse


def main() -> None:
    """Walk once from every node of a CSR matrix (.npz); print processor seconds as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("graph", help="scipy .npz file with a symmetric matrix")
    parser.add_argument("--walk-length", type=int, default=80)
    parser.add_argument("--p", type=float, default=1.0)
    parser.add_argument("--q", type=float, default=1.0)
    args = parser.parse_args()
    graph = nx.from_scipy_sparse_array(sparse.load_npz(args.graph))
    start = time.process_time()
    settings = {"walk_length": args.walk_length, "p": args.p, "q": args.q, "quiet": True}
    walker = Node2Vec(graph, num_walks=0, workers=1, **settings)
    precomputation = time.process_time() - start
    walker.num_walks = 1
    start = time.process_time()
    walks = walker._generate_walks()  # what its constructor calls
    seconds = time.process_time() - start
    n_steps = sum(len(walk) - 1 for walk in walks)
    print(
        json.dumps({"precomputation": precomputation, "walks": seconds, "steps": n_steps}),
    )


if __name__ == "__main__":
    main()
