"""Seconds of walks and skip-gram of node2vec and of the package node2vec, on the same cores.

- on a synthetic network: ``python benchmarks/node2vec_speed.py``
- with the package: ``--reference-python ENV/bin/python``
- on the benchmark: ``--data mirna1041 --preset paper --networks disease``
- several networks in parallel: ``--data mirna1041 --preset default --workers 2 --all``

The package pins numpy below 2, so it needs an environment of its own: ``python -m venv ENV &&
ENV/bin/pip install node2vec``. With ``--fraction 0.1`` a tenth of the walks is taken: walks and
skip-gram take time in proportion, precomputation does not. Processor seconds are printed next to
wall seconds, since they hold on a shared machine.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy import sparse

os.environ.setdefault("OMP_NUM_THREADS", "1")

from mirnagraph.embedding.embed import embed_networks
from mirnagraph.embedding.node2vec import Node2VecConfig, count_visits, node2vec, train_skip_gram
from mirnagraph.walks.graph import walk_graph
from mirnagraph.walks.rounds import walk_rounds

SEQUENCE_DIM, ASSOCIATION_DIM = 64, 128


def made_up_networks(n_rnas: int = 400, n_partners: int = 250) -> dict[str, sparse.csr_array]:
    """One weighted similarity network and one association network with uneven degrees."""
    rng = np.random.default_rng(0)
    weights = np.triu((rng.random((n_rnas, n_rnas)) < 0.03) * rng.random((n_rnas, n_rnas)), 1)
    pull = rng.pareto(1.5, n_rnas)[:, None] * rng.pareto(1.5, n_partners)[None, :]
    linked = rng.random(pull.shape) < np.minimum(1, 0.05 * pull / pull.mean())
    full = np.block(
        [[np.zeros((n_rnas, n_rnas)), linked], [linked.T, np.zeros((n_partners, n_partners))]]
    )
    return {"sequence": sparse.csr_array(weights + weights.T), "disease": sparse.csr_array(full)}


def benchmark_networks() -> dict[str, sparse.csr_array]:
    """Embedded networks of mirna1041 in MIRNAGRAPH_DATA: all but the functional one."""
    from mirnagraph.networks.build import build_networks
    from mirnagraph.sources import mirna1041

    networks = build_networks(mirna1041.load(os.environ["MIRNAGRAPH_DATA"])).networks
    return {name: network.adjacency for name, network in networks.items() if name != "functional"}


def ours(
    matrix: sparse.csr_array, config: Node2VecConfig, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """(wall, processor) seconds of walking once and of training, in this process on one thread."""
    graph = walk_graph(matrix)

    def rounds() -> Iterator[np.ndarray]:
        return walk_rounds(
            graph,
            n_walks=config.n_walks,
            walk_length=config.walk_length,
            p=config.p,
            q=config.q,
            seed=seed,
        )

    times, watch = {}, Watch()
    visits = count_visits(rounds, graph.n_nodes)
    times["walks"] = watch.lap()
    train_skip_gram(rounds, visits, config.n_walks * graph.n_nodes, config, seed)
    times["skip-gram"] = watch.lap()
    return times


class Watch:
    """Wall and processor seconds since the last look."""

    def __init__(self) -> None:
        self.lap()

    def lap(self) -> tuple[float, float]:
        """(wall, processor) seconds since the last call."""
        now = (time.perf_counter(), time.process_time())
        before, self.last = getattr(self, "last", now), now
        return now[0] - before[0], now[1] - before[1]


def reference(
    python: str, matrix: sparse.csr_array, config: Node2VecConfig, workers: int
) -> dict[str, tuple[float, float]]:
    """(wall, processor) seconds of the package in its own environment."""
    with tempfile.TemporaryDirectory() as folder:
        graph = Path(folder) / "graph.npz"
        sparse.save_npz(graph, sparse.csr_matrix(matrix))
        script = Path(__file__).with_name("node2vec_reference.py")
        sizes = {
            name: getattr(config, name)
            for name in ("dim", "n_walks", "walk_length", "window", "epochs", "subsample", "p", "q")
        }
        options = [f"--{name.replace('_', '-')}={value}" for name, value in sizes.items()]
        told = subprocess.run(
            [
                python,
                str(script),
                str(graph),
                str(Path(folder) / "vectors.npy"),
                *options,
                f"--workers={workers}",
            ],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
    return {name: (wall, cpu) for name, (wall, cpu) in json.loads(told.stdout).items()}


def map_parallel(
    name: str,
    matrix: sparse.csr_array,
    config: Node2VecConfig,
    python: str | None,
    reference_workers: int,
) -> None:
    """Print one network's times and ratios."""
    print(
        f"\n{name}: {matrix.shape[0]} nodes, {matrix.nnz // 2} edges, {config.n_walks} walks "
        f"of {config.walk_length}, ",
        end="",
    )
    print(
        f"window {config.window}, {config.epochs} epochs, subsampling {config.subsample:g}, "
        f"{config.dim} dimensions"
    )
    node2vec(matrix, replace(config, n_walks=1, epochs=1), 0)  # compiled before the clock starts
    mine = ours(matrix, config)
    for step, (wall, cpu) in mine.items():
        print(f"  ours     {step:20} {wall:8.1f} s wall {cpu:8.1f} s processor")
    if python is None:
        return
    theirs = reference(python, matrix, config, reference_workers)
    for step, (wall, cpu) in theirs.items():
        print(f"  package  {step:20} {wall:8.1f} s wall {cpu:8.1f} s processor")
    total = [sum(times[i] for times in theirs.values()) for i in (0, 1)]
    print(f"  package  {'total':20} {total[0]:8.1f} s wall {total[1]:8.1f} s processor")
    both = [mine["walks"][i] + mine["skip-gram"][i] for i in (0, 1)]
    print(f"  ours     {'total':20} {both[0]:8.1f} s wall {both[1]:8.1f} s processor")
    print(
        f"  package / ours = {total[0] / both[0]:.1f} (wall), {total[1] / both[1]:.1f} (processor)"
    )
    print(
        f"  walks with precomputation: package / ours = "
        f"{(total[1] - theirs['skip-gram'][1]) / mine['walks'][1]:.0f} (processor)"
    )


def main() -> None:
    """Read the options and print times."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", choices=["synthetic", "mirna1041"], default="synthetic")
    parser.add_argument(
        "--networks", nargs="+", help="names of the networks to take (default: all)"
    )
    parser.add_argument("--preset", choices=["default", "paper"], default="default")
    parser.add_argument(
        "--fraction",
        type=float,
        default=1.0,
        help="share of the walks to take, for settings that take long",
    )
    parser.add_argument(
        "--reference-python", help="Python of an environment with the node2vec package"
    )
    parser.add_argument(
        "--reference-workers",
        type=int,
        default=1,
        help="workers of the package (more than 1 is not repeatable)",
    )
    parser.add_argument(
        "--all",
        action="store_true",
        help="embed all networks at once instead, in --workers processes",
    )
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    networks = made_up_networks() if args.data == "synthetic" else benchmark_networks()
    networks = {
        name: matrix
        for name, matrix in networks.items()
        if args.networks is None or name in args.networks
    }
    base = Node2VecConfig.paper() if args.preset == "paper" else Node2VecConfig()
    base = replace(base, n_walks=max(1, round(base.n_walks * args.fraction)))
    configs = {
        name: replace(base, dim=SEQUENCE_DIM if name == "sequence" else ASSOCIATION_DIM)
        for name in networks
    }
    if not args.all:
        for name, matrix in networks.items():
            map_parallel(name, matrix, configs[name], args.reference_python, args.reference_workers)
        return
    watch = Watch()
    embed_networks(networks, configs, seed=0, workers=args.workers)
    print(f"all of {', '.join(networks)} with {args.workers} workers: {watch.lap()[0]:.1f} s wall")


if __name__ == "__main__":
    main()
