"""One epoch of the graph transformer on samples, at 10 k, 100 k and 1 M nodes of 10 edges each.

``python benchmarks/sampled_transformer.py --nodes 10000 100000 --threads 2``

Each size runs in a process of its own, which prints its peak memory. Beside it, in the same run:
the whole graph at once at the smallest size, where memory holds it, and neighbours drawn by numpy
in place of the compiled sampler. ``--steps 50`` takes a part of the epoch, on the whole graph.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import torch
from torch_geometric.sampler import NodeSamplerInput
from walks_scale import random_graph

from mirnagraph.embedding.graph_encoders import GraphTransformerConfig
from mirnagraph.embedding.graph_modules import GraphTransformer
from mirnagraph.embedding.graph_sampled import (
    SampledGraph,
    encode_in_blocks,
    graph_of,
    seed_states_of,
    train_sampled,
)
from mirnagraph.embedding.graph_sampler import NeighbourSampler, network_edges
from mirnagraph.embedding.graph_training import NODE, ONE_TYPE, relation_of_network
from mirnagraph.embedding.graph_transformer import fit_graph_transformer
from mirnagraph.walks.graph import WalkGraph

LARGEST_WHOLE = 100_000
"""Nodes up to which the whole graph is trained on at once: 9 KB an edge."""


def peak() -> float:
    """Largest memory of this process so far, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def clocks() -> np.ndarray:
    """Wall and processor seconds."""
    return np.array([time.perf_counter(), time.process_time()])


def sampled(
    graph: WalkGraph, features: np.ndarray, config: GraphTransformerConfig, n_steps: int
) -> tuple[dict[str, np.ndarray], int, int]:
    """(wall, processor) seconds of the parts of `fit_graph_transformer` on samples.

    Args:
        graph: the network.
        features: of its nodes.
        config: of one epoch.
        n_steps: most steps of the epoch; what is left out is edges to rebuild, nothing else.

    Returns:
        Seconds of preparation, steps and embedding; steps taken, and steps of a whole epoch.
    """
    marks = [clocks()]
    x = torch.from_numpy(features)
    edges = network_edges(graph)
    relation = relation_of_network(graph)
    n_whole = -(-min(relation.ends.shape[1], len(x)) // config.batch_size)
    if n_steps < n_whole:
        rows = np.random.default_rng(2).permutation(relation.ends.shape[1])
        relation = replace(relation, ends=relation.ends[:, rows[: n_steps * config.batch_size]])
    sampler = NeighbourSampler(
        {NODE: len(x)}, edges, config.neighbours_by_hop, 0, config.hidden_edges
    )
    module = GraphTransformer(x.shape[1], config)
    marks.append(clocks())
    train_sampled(
        module,
        seed_states_of(module, None),
        SampledGraph(graph_of(x), sampler),
        [relation],
        np.zeros(len(x), np.int64),
        config,
    )
    marks.append(clocks())
    encode_in_blocks(module, x, edges[ONE_TYPE], None)
    marks.append(clocks())
    seconds = dict(zip(("prepare", "steps", "embed"), np.diff(marks, axis=0), strict=True))
    return seconds, min(n_steps, n_whole), n_whole


def sampler_rates(graph: WalkGraph, n_neighbours: tuple[int, ...]) -> tuple[float, float]:
    """Edges drawn per second around 1,024 seeds: compiled, and by numpy one node at a time."""
    sampler = NeighbourSampler({NODE: graph.n_nodes}, network_edges(graph), n_neighbours, 0)
    draw = np.random.default_rng(0)
    seeds = draw.choice(graph.n_nodes, 1024, replace=False)
    inputs = NodeSamplerInput(torch.arange(len(seeds)), torch.from_numpy(seeds))
    sampler.sample_from_nodes(inputs)
    start = time.process_time()
    out = sampler.sample_from_nodes(inputs)
    ours = len(out.row) / (time.process_time() - start)
    start = time.process_time()
    n_edges = 0
    frontier = seeds
    for n_most in n_neighbours:
        drawn = []
        for node in frontier:
            row = graph.indices[graph.indptr[node] : graph.indptr[node + 1]]
            drawn.append(draw.choice(row, min(n_most, len(row)), replace=False))
        n_edges += sum(map(len, drawn))
        frontier = np.setdiff1d(np.concatenate(drawn), frontier)
    return ours, n_edges / (time.process_time() - start)


def one_size(n_nodes: int, config: GraphTransformerConfig, n_steps: int, *, whole: bool) -> None:
    """Measure and print one size."""
    graph = random_graph(n_nodes)
    features = np.random.default_rng(1).standard_normal((n_nodes, config.dim), np.float32)
    sampled(random_graph(1000), features[:1000], config, 1)  # compiled before the clock starts
    n_edges = len(graph.indices) // 2
    before = peak()
    seconds, n_steps, n_whole = sampled(graph, features, config, n_steps)
    print(
        f"{n_nodes:>9,} nodes, {n_edges:>10,} edges; peak {peak():.2f} GB "
        f"({before:.2f} GB with the network and features alone)"
    )
    for step, (wall, processor) in seconds.items():
        print(f"{'':>9}  {step:8} {wall:8.1f} s wall {processor:8.1f} s processor")
    wall, processor = seconds["steps"] / n_steps
    print(
        f"{'':>9}  {n_steps} of the {n_whole} steps of an epoch: {processor:.2f} s processor and "
        f"{wall:.2f} s wall a step, so {processor * n_whole / 60:.1f} processor minutes and "
        f"{wall * n_whole / 60:.1f} minutes an epoch"
    )
    ours, numpy_rate = sampler_rates(graph, config.neighbours_by_hop)
    print(
        f"{'':>9}  sampler {ours / 1e6:.1f} M edges a second, numpy {numpy_rate / 1e6:.2f} M: "
        f"ratio {ours / numpy_rate:.0f}"
    )
    if whole:
        start = clocks()
        fit_graph_transformer(features, graph, replace(config, sampled_above=n_edges), 0)
        wall, processor = clocks() - start
        print(
            f"{'':>9}  whole graph at once: {wall:.1f} s wall {processor:.1f} s processor for one "
            f"step on all edges and embedding; peak {peak():.2f} GB"
        )


def main() -> None:
    """Run each size in a fresh process."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nodes", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--batch-size", type=int, default=1024)
    parser.add_argument("--neighbours", type=int, nargs="+", default=[5, 3])
    parser.add_argument("--steps", type=int, default=10**9, help="most steps of the epoch")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--whole", action="store_true", help="also the whole graph at once")
    parser.add_argument("--here", action="store_true", help="in this process")
    args = parser.parse_args()
    if not args.here:
        for number, n_nodes in enumerate(args.nodes):
            options = [*sys.argv[1:], "--here", "--nodes", str(n_nodes)]
            options += ["--whole"] if number == 0 and n_nodes <= LARGEST_WHOLE else []
            environment = os.environ | {"OMP_NUM_THREADS": str(args.threads)}
            subprocess.run([sys.executable, __file__, *options], check=True, env=environment)
        return
    torch.set_num_threads(args.threads)
    config = GraphTransformerConfig(
        dim=args.dim,
        epochs=1,
        batch_size=args.batch_size,
        n_neighbours=tuple(args.neighbours),
    )
    one_size(args.nodes[0], config, args.steps, whole=args.whole)


if __name__ == "__main__":
    main()
