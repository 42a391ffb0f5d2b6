"""Random walks in pieces, round after round of one walk from every node.

Every walk has a counter-based generator seeded from (seed, walk number), so the result does not
depend on the size of the pieces, or on which process makes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from mirnagraph.config import require
from mirnagraph.parallel import map_parallel
from mirnagraph.reading.arguments import checked
from mirnagraph.seeds import child_seed, generator
from mirnagraph.walks.graph import WalkGraph, walk_graph
from mirnagraph.walks.steps import walk

PIECE = 1 << 20
"""Numbers of a piece of walks: the memory of walks, whatever the size of the network."""

ResultT = TypeVar("ResultT")


@checked
def walk_rounds(
    graph: WalkGraph,
    *,
    n_walks: int,
    walk_length: int,
    p: float,
    q: float,
    seed: int,
    rounds: Iterable[int] | None = None,
    piece: int = PIECE,
) -> Iterator[np.ndarray]:
    """Yield walks in pieces, round after round of one walk from every node.

    Memory holds one piece, and the order of one round.

    Args:
        graph: see `walk_graph`.
        n_walks: number of rounds.
        walk_length: nodes per walk, the start included; 1 or more.
        p: return parameter, above 0: weight 1/p of the previous node (Grover and Leskovec 2016,
            section 3.2).
        q: in-out parameter, above 0: weight 1/q of a node without an edge from the previous one.
        seed: of all walks.
        rounds: numbers of the rounds to walk, in [0, n_walks); None for all.
        piece: largest number of nodes in a piece; a piece holds one walk or more. The walks do not
            depend on it.

    Yields:
        A piece of one round: int32, shape (n, walk_length), the starts in random order. A walk that
        ends early (isolated node, or no outgoing edge in a directed network) is filled up with -1.

    Raises:
        ConfigError: a number out of range, with the first piece.
    """
    for name, value in {"p": p, "q": q}.items():
        require(0 < value < float("inf"), name, value, "above 0")
    for name, count in {"walk_length": walk_length, "piece": piece}.items():
        require(count >= 1, name, count, "1 or more")
    require(n_walks >= 0, "n_walks", n_walks, "0 or more")
    stream = np.uint64(child_seed(seed, "walks"))
    kernel: Any = walk
    n_rows = max(1, piece // walk_length)
    for number in range(n_walks) if rounds is None else rounds:
        order = generator(seed, "walk order", number).permutation(graph.n_nodes).astype(np.int32)
        for start in range(0, graph.n_nodes, n_rows):
            starts = order[start : start + n_rows]
            walks = np.empty((len(starts), walk_length), np.int32)
            first = np.uint64(number * graph.n_nodes + start)
            kernel(*graph, starts, walks, first, stream, float(p), float(q))
            yield walks


def map_rounds(
    function: Callable[[Iterator[np.ndarray]], ResultT],
    graph: WalkGraph | Path,
    settings: Mapping[str, Any],
    workers: int = 1,
) -> Iterator[ResultT]:
    """Call a function on the walks of each round, in worker processes or on a cluster.

    Walks stay where they are made; only what the function returns comes back.

    Args:
        function: of a module's top level, called with the pieces of one round.
        graph: or the folder of a stored one, which every worker then opens by itself.
        settings: arguments of `walk_rounds` by name, with ``n_walks``.
        workers: processes; see `mirnagraph.parallel.map_parallel`.

    Yields:
        Results in the order in which rounds finish.
    """
    shared = (function, graph, dict(settings))
    yield from map_parallel(_map_round, shared, range(settings["n_walks"]), workers)


def _map_round(shared: tuple[Any, WalkGraph | Path, dict[str, Any]], number: int) -> Any:
    function, graph, settings = shared
    return function(walk_rounds(walk_graph(graph), **settings, rounds=[number]))
