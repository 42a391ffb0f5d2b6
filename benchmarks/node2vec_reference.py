"""Times and vectors of the node2vec package on one graph, for node2vec_speed.py.

Needs node2vec, networkx, scipy and numpy only, since the package pins numpy below 2 and cannot
share an environment with mirnagraph.
"""

from __future__ import annotations

import argparse
import json
import os
import time

import networkx as nx
import numpy as np
from node2vec import Node2Vec
from scipy import sparse


def main() -> None:
    """Embed a CSR matrix (.npz) and write its vectors (.npy) in row order.

    Prints one line of JSON: (wall, processor) seconds per step.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "graph", help="scipy .npz file with a symmetric matrix without stored zeros"
    )
    parser.add_argument("vectors", help="where to write the vectors (.npy)")
    for name, kind, default in [
        ("dim", int, 128),
        ("n-walks", int, 200),
        ("walk-length", int, 150),
        ("window", int, 5),
        ("epochs", int, 5),
    ]:
        parser.add_argument(f"--{name}", type=kind, default=default)
    parser.add_argument("--subsample", type=float, default=1e-3)
    parser.add_argument("--p", type=float, default=1.0)
    parser.add_argument("--q", type=float, default=1.0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    matrix = sparse.load_npz(args.graph)
    graph = nx.from_scipy_sparse_array(matrix)
    settings = {
        "dimensions": args.dim,
        "walk_length": args.walk_length,
        "p": args.p,
        "q": args.q,
        "seed": args.seed,
        "quiet": True,
    }
    start = clocks()
    Node2Vec(graph, num_walks=0, workers=1, **settings)
    precomputation = clocks() - start
    start = clocks()
    model = Node2Vec(graph, num_walks=args.n_walks, workers=args.workers, **settings)
    walks = clocks() - start - precomputation
    start = clocks()
    fitted = model.fit(
        window=args.window,
        min_count=1,
        sample=args.subsample,
        epochs=args.epochs,
        seed=args.seed,
        workers=args.workers,
    )
    skipgram = clocks() - start
    np.save(args.vectors, np.stack([fitted.wv[str(node)] for node in range(matrix.shape[0])]))
    print(
        json.dumps(
            {
                "precomputation": precomputation.tolist(),
                "walks": walks.tolist(),
                "skip-gram": skipgram.tolist(),
            }
        )
    )


def clocks() -> np.ndarray:
    """(wall, processor) seconds; the second counts processes that have ended too."""
    here = os.times()
    return np.array(
        [time.perf_counter(), here.user + here.system + here.children_user + here.children_system]
    )


if __name__ == "__main__":
    main()
