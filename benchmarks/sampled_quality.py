"""AUC of hidden edges: graph transformer trained on samples of neighbours against the whole graph.

``MIRNAGRAPH_DATA=... python benchmarks/sampled_quality.py --networks disease mRNA --seeds 5``

A tenth of the edges is held out; node2vec of the others gives the features. Both ways of training
see the same edges and features; a held-out edge is scored against a non-edge of the same kinds.
"""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import replace

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from scipy import sparse
from sklearn.metrics import roc_auc_score

from mirnagraph.embedding.graph_encoders import GraphTransformerConfig
from mirnagraph.embedding.graph_training import draw_non_edges, groups_of
from mirnagraph.embedding.graph_transformer import fit_graph_transformer
from mirnagraph.embedding.node2vec import Node2VecConfig, node2vec
from mirnagraph.networks.build import build_networks
from mirnagraph.networks.network import Network
from mirnagraph.seeds import generator
from mirnagraph.sources import mirna1041

HELD_OUT = 0.1


def split(network: Network) -> tuple[sparse.csr_array, np.ndarray, np.ndarray]:
    """Network without a tenth of its edges; these, and as many non-edges, shape (2, n)."""
    matrix = sparse.coo_array(sparse.triu(network.adjacency, k=1))
    ends = np.stack([matrix.row, matrix.col]).astype(np.int64)
    draw = generator(0, "held out")
    is_held = draw.random(ends.shape[1]) < HELD_OUT
    n_nodes = matrix.shape[0]
    both = np.concatenate([ends, ends[::-1]], axis=1)
    known = np.sort(both[0] * n_nodes + both[1])
    groups = groups_of(network.nodes.kinds, n_nodes)
    non_edges = draw_non_edges(ends[:, is_held], groups, known, draw)
    seen = (matrix.data[~is_held], ends[:, ~is_held])
    half = sparse.csr_array(sparse.coo_array(seen, shape=matrix.shape))
    return sparse.csr_array(half + half.T), ends[:, is_held], non_edges


def auc(vectors: np.ndarray, edges: np.ndarray, non_edges: np.ndarray) -> float:
    """AUC of the product of two unit vectors."""
    pairs = np.concatenate([edges, non_edges], axis=1)
    is_edge = np.arange(pairs.shape[1]) < edges.shape[1]
    return float(roc_auc_score(is_edge, (vectors[pairs[0]] * vectors[pairs[1]]).sum(axis=1)))


def main() -> None:
    """Print AUCs by seed, their means and standard deviations, and processor seconds."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--networks", nargs="+", default=["disease", "mRNA"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--encoder", default="gtmaloc")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--batch-size", type=int, default=1024)
    parser.add_argument("--neighbours", type=int, nargs="+", default=[5, 3])
    parser.add_argument("--ways", nargs="+", default=["whole", "sampled"])
    args = parser.parse_args()
    torch.set_num_threads(1)
    networks = build_networks(mirna1041.load(os.environ["MIRNAGRAPH_DATA"])).networks
    whole = GraphTransformerConfig(
        epochs=args.epochs,
        encoder=args.encoder,
        batch_size=args.batch_size,
        n_neighbours=tuple(args.neighbours),
    )
    configs = {"whole": whole, "sampled": replace(whole, sampled_above=0)}
    for name in args.networks:
        seen, edges, non_edges = split(networks[name])
        features = node2vec(seen, Node2VecConfig(), 0)
        print(f"\n{name}: {seen.shape[0]} nodes, {seen.nnz // 2} edges, {edges.shape[1]} held out")
        print(f"  node2vec alone  AUC {auc(unit(features), edges, non_edges):.4f}")
        for way in args.ways:
            start = time.process_time()
            aucs = []
            for seed in range(args.seeds):
                fitted = fit_graph_transformer(
                    features, seen, configs[way], seed, kinds=networks[name].nodes.kinds
                )
                aucs.append(auc(fitted.embedding, edges, non_edges))
            seconds = (time.process_time() - start) / args.seeds
            each = " ".join(f"{value:.4f}" for value in aucs)
            spread = np.std(aucs, ddof=min(1, args.seeds - 1))
            print(
                f"  {way:8} AUC {np.mean(aucs):.4f} SD {spread:.4f}  ({each})  "
                f"loss {fitted.losses[-1]:.3f}  {seconds:.1f} processor s a run",
                flush=True,
            )


def unit(vectors: np.ndarray) -> np.ndarray:
    """Rows of norm 1."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


if __name__ == "__main__":
    main()
