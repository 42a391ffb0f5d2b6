"""node2vec (Grover and Leskovec 2016): biased random walks, then skip-gram; one vector per node."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from mirnagraph.config import require
from mirnagraph.embedding.skipgram import SkipGram, count_visits, train_gensim, train_numba
from mirnagraph.embedding.walks import WalkGraph, walk_graph, walk_rounds
from mirnagraph.errors import ConfigError
from mirnagraph.progress import Progress, report

ENGINES = ("numba", "reference")
SKIP_GRAMS = ("gensim", "numba")


DIVERGED = 1e3  # entries of trained vectors are a few units at most


@dataclass(frozen=True)
class Node2VecConfig:
    """Settings of node2vec; the defaults are chosen for speed at no loss of quality (see `paper` and benchmarks/node2vec_speed.py).

    A short window is not only fast: on the miRNA association networks probes of the vectors for localization do better with it.

    Attributes:
        dim: length of a vector, 1 or more.
        n_walks: walks from every node, 1 or more.
        walk_length: nodes per walk, 2 or more.
        p: return parameter, above 0.
        q: in-out parameter, above 0. With p = q = 1 the walk is first order.
        window: largest distance of a pair along the walk, 1 or more.
        epochs: passes of skip-gram over the walks, 1 or more.
        negative: noise nodes, 1 or more.
        learning_rate: of skip-gram at the start, above 0.
        subsample: share of all visits above which a node is passed over by chance in skip-gram, in [0, 1]; 0 keeps every visit.
            gensim's own default, which the node2vec package takes too, is 0.001.
        engine: ``"numba"`` walks on our own; ``"reference"`` has the node2vec package do everything.
        skipgram: ``"gensim"``, or ``"numba"`` for our own trainer, about four times as fast; used by engine ``"numba"``.
    """

    dim: int = 128
    n_walks: int = 10
    walk_length: int = 80
    p: float = 1.0
    q: float = 1.0
    window: int = 2
    epochs: int = 2
    negative: int = 5
    learning_rate: float = 0.025
    subsample: float = 0.0
    engine: str = "numba"
    skipgram: str = "gensim"

    def __post_init__(self) -> None:
        for name, least in [("dim", 1), ("n_walks", 1), ("walk_length", 2), ("window", 1), ("epochs", 1), ("negative", 1)]:
            require(getattr(self, name) >= least, name, getattr(self, name), f"{least} or more")
        for name in ("p", "q", "learning_rate"):
            value = getattr(self, name)
            require(0 < value < float("inf"), name, value, "a finite number above 0")
        require(0 <= self.subsample <= 1, "subsample", self.subsample, "a number in [0, 1]")
        require(self.engine in ENGINES, "engine", self.engine, f"one of {', '.join(ENGINES)}")
        require(self.skipgram in SKIP_GRAMS, "skipgram", self.skipgram, f"one of {', '.join(SKIP_GRAMS)}")

    @classmethod
    def paper(cls, dim: int = 128, skipgram: str = "numba") -> Node2VecConfig:
        """Settings of GTMALoc (2025): 200 walks of 150 nodes from every node, p = q = 1.

        Window, epochs and subsampling are not printed there; 5, 5 and 0.001 are what gensim takes when nothing is said.
        """
        return cls(dim=dim, n_walks=200, walk_length=150, window=5, epochs=5, subsample=0.001, skipgram=skipgram)


def node2vec(adjacency: Any, config: Node2VecConfig, seed: int, *, progress: Progress | None = None, n_threads: int = 1) -> np.ndarray:
    """Embed every node of a network.

    Args:
        adjacency: scipy sparse, shape (n_nodes, n_nodes), weights of 0 or more; an entry of 0 is no edge. Symmetric, or directed.
        config: see Node2VecConfig.
        seed: equal seeds give equal vectors bit for bit, in any process and with any number of threads.
        progress: called as ``progress(step, done, total)`` after each round of walks.
        n_threads: threads of the walker; skip-gram uses one.

    Returns:
        float32, shape (n_nodes, dim), rows in the order of `adjacency`. Nodes without any edge get zeros.

    Raises:
        InputError: see `walk_graph`.
        ConfigError: the skip-gram diverged.
        MissingExtraError: engine ``"reference"`` without the node2vec package.
    """
    graph = walk_graph(adjacency)
    linked = np.diff(graph.indptr) > 0
    linked[graph.indices] = True
    if not linked.any():
        return np.zeros((graph.n_nodes, config.dim), np.float32)
    if config.engine == "reference":
        from mirnagraph.embedding.reference import reference_node2vec

        vectors = reference_node2vec(adjacency, config, seed)
    else:
        vectors = _train(graph, config, seed, progress, n_threads)
    vectors[~linked] = 0
    if not np.isfinite(vectors).all() or np.abs(vectors).max() > DIVERGED:
        raise ConfigError(f"skip-gram {config.skipgram!r} diverged; a smaller learning_rate than {config.learning_rate}, or skipgram = 'gensim', may help")
    return vectors


class Node2VecEmbedder:
    """Network embedder `node2vec`."""

    Config = Node2VecConfig

    @staticmethod
    def embed(adjacency: Any, config: Node2VecConfig, seed: int) -> np.ndarray:
        """See `node2vec`."""
        return node2vec(adjacency, config, seed)


def _train(graph: WalkGraph, config: Node2VecConfig, seed: int, progress: Progress | None, n_threads: int) -> np.ndarray:
    settings = SkipGram(config.dim, config.window, config.epochs, config.negative, config.learning_rate, config.subsample)
    total, done = config.n_walks * config.epochs, 0

    def walks() -> Iterator[np.ndarray]:
        return walk_rounds(graph, n_walks=config.n_walks, walk_length=config.walk_length, p=config.p, q=config.q, seed=seed, n_threads=n_threads)

    def told() -> Iterator[np.ndarray]:
        # Walking again for each epoch is far cheaper than training on a walk, and nothing has to be held.
        nonlocal done
        for block in walks():
            yield block
            done += 1
            report(progress, "node2vec", done, total)

    visits = count_visits(walks, graph.n_nodes)
    if config.skipgram == "numba":
        return train_numba(told, visits, settings, seed)
    return train_gensim(told, visits, config.n_walks * graph.n_nodes, settings, seed)
