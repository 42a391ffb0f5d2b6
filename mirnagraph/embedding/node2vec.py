"""node2vec (Grover and Leskovec 2016): biased random walks, then skip-gram; one vector per node."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from mirnagraph.config import AtLeastTwo, Checked, Count, Positive, require
from mirnagraph.errors import ConfigError
from mirnagraph.parallel import job_folder
from mirnagraph.reading.arguments import checked
from mirnagraph.seeds import child_seed
from mirnagraph.walks.graph import WalkGraph, walk_graph
from mirnagraph.walks.rounds import map_rounds, walk_rounds

SKIP_GRAM = "gensim"

# Constants of word2vec.
LOWEST_RATE = 1e-4

NOISE_EXPONENT = 0.75

DIVERGED = 1e3  # entries of trained vectors are a few units at most

Rounds = Callable[[], Iterator[np.ndarray]]


@dataclass(frozen=True)
class Node2VecConfig(Checked):
    """Settings of node2vec; the defaults are chosen for speed at no loss of quality.

    See `paper` and benchmarks/node2vec_speed.py. A short window is not only fast: on the miRNA
    association networks probes of the vectors for localization do better with it.

    Attributes:
        dim: length of a vector, 1 or more.
        n_walks: walks from every node, 1 or more.
        walk_length: nodes per walk, 2 or more.
        p: return parameter, above 0.
        q: in-out parameter, above 0. With p = q = 1 the walk is first order.
        window: largest distance of a pair along the walk, 1 or more; each position draws its own
            in [1, window].
        epochs: passes of skip-gram over the walks, 1 or more.
        negative: noise nodes per pair, drawn by visits to the power 0.75; 1 or more.
        learning_rate: of skip-gram at the start, above 0; falls linearly to 0.0001.
        subsample: share of all visits above which a node is passed over by chance in skip-gram
            (word2vec's threshold t: a node with share f is kept with chance sqrt(t/f) + t/f), in
            [0, 1]; 0 keeps every visit. gensim's own default, which the node2vec package takes too,
            is 0.001.
        engine: ``"numba"``, the only walker; the setting is in files of settings and models.
        skipgram: ``"gensim"``, the only trainer; the setting is in files of settings and models.
    """

    dim: Count = 128
    n_walks: Count = 10
    walk_length: AtLeastTwo = 80
    p: Positive = 1.0
    q: Positive = 1.0
    window: Count = 2
    epochs: Count = 2
    negative: Count = 5
    learning_rate: Positive = 0.025
    subsample: Annotated[float, "in [0, 1]"] = 0.0
    engine: Annotated[str, ("numba",)] = "numba"
    skipgram: str = SKIP_GRAM

    def __post_init__(self) -> None:
        super().__post_init__()
        only = f"{SKIP_GRAM!r}, the only trainer left ('numba' was removed)"
        require(self.skipgram == SKIP_GRAM, "skipgram", self.skipgram, only)

    @classmethod
    def paper(cls, dim: int = 128) -> Node2VecConfig:
        """Settings of GTMALoc (2025): 200 walks of 150 nodes from every node, p = q = 1.

        Window, epochs and subsampling are not printed there; 5, 5 and 0.001 are gensim's defaults.
        """
        return cls(dim=dim, n_walks=200, walk_length=150, window=5, epochs=5, subsample=0.001)


@checked
def node2vec(adjacency: Any, config: Node2VecConfig, seed: int, *, workers: int = 1) -> np.ndarray:
    """Embed every node of a network.

    Memory is that of the network, of two vectors per node and of one piece of walks.

    Args:
        adjacency: scipy sparse, shape (n_nodes, n_nodes), weights of 0 or more; an entry of 0 is no
            edge. Symmetric, or directed. Or a WalkGraph, or the folder of a stored one
            (`mirnagraph.walks.graph.store_walk_graph`), which is mapped into memory.
        config: see Node2VecConfig.
        seed: equal seeds give equal vectors bit for bit, in any process.
        workers: processes that count visits; skip-gram has one. The result does not depend on it.

    Returns:
        float32, shape (n_nodes, dim), rows in the order of `adjacency`. Nodes without any edge get
        zeros.

    Raises:
        InputError: see `walk_graph`.
        ConfigError: the skip-gram diverged.
    """
    graph = walk_graph(adjacency)
    linked = np.diff(graph.indptr) > 0
    linked[graph.indices] = True
    if not linked.any():
        return np.zeros((graph.n_nodes, config.dim), np.float32)
    settings: dict[str, Any] = {
        "n_walks": config.n_walks,
        "walk_length": config.walk_length,
        "p": config.p,
        "q": config.q,
        "seed": seed,
    }
    source: WalkGraph | Path = graph
    if isinstance(adjacency, str | Path):  # which the workers open themselves
        source = job_folder(adjacency, is_written=False)
    count = partial(_count, n_nodes=graph.n_nodes)
    visits = np.zeros(graph.n_nodes, np.int64)
    for visits_of_round in map_rounds(count, source, settings, workers):
        visits += visits_of_round
    # Walking again in each epoch is far cheaper than training, and needs no memory.
    walks = partial(walk_rounds, graph, **settings)
    vectors = train_skip_gram(walks, visits, config.n_walks * graph.n_nodes, config, seed)
    vectors[~linked] = 0
    if not np.isfinite(vectors).all() or np.abs(vectors).max() > DIVERGED:
        rate = config.learning_rate
        raise ConfigError(f"skip-gram diverged at learning_rate {rate}; a smaller one may help")
    return vectors


class Node2VecEmbedder:
    """Network embedder `node2vec`."""

    Config = Node2VecConfig

    reads_stored = True
    """Whether a network may be the folder of a stored one (`mirnagraph.walks.graph`)."""

    @staticmethod
    def embed(adjacency: Any, config: Node2VecConfig, seed: int) -> np.ndarray:
        """See `node2vec`."""
        return node2vec(adjacency, config, seed)


def count_visits(rounds: Rounds, n_nodes: int) -> np.ndarray:
    """Count the visits of each node in the walks: int64, shape (n_nodes,)."""
    return _count(rounds(), n_nodes)


def _count(pieces: Iterator[np.ndarray], n_nodes: int) -> np.ndarray:
    visits = np.zeros(n_nodes, np.int64)
    for walks in pieces:
        visits += np.bincount(walks[walks >= 0], minlength=n_nodes)
    return visits


def train_skip_gram(
    rounds: Rounds, visits: np.ndarray, n_walks: int, config: Node2VecConfig, seed: int
) -> np.ndarray:
    """Train skip-gram with negative sampling (Mikolov 2013) on walks.

    gensim's Word2Vec with one worker, since several make it unrepeatable; independent of
    PYTHONHASHSEED, as nodes are integers.

    Args:
        rounds: called once per epoch; yields int32 arrays of shape (n, walk_length), -1 after the
            end of a walk.
        visits: shape (n_nodes,), see `count_visits`.
        n_walks: number of walks in one epoch.
        config: dim, window, epochs, negative, learning_rate and subsample are read.
        seed: of initial vectors, windows and noise.

    Returns:
        float32, shape (n_nodes, dim); rows of nodes that no walk visits are zero.
    """
    from gensim.models import Word2Vec

    class Corpus:
        def __iter__(self) -> Iterator[list[int]]:
            for walks in rounds():
                for walk in walks.tolist():
                    yield walk[: walk.index(-1)] if walk[-1] < 0 else walk

    model = Word2Vec(
        vector_size=config.dim,
        alpha=config.learning_rate,
        min_alpha=LOWEST_RATE,
        window=config.window,
        negative=config.negative,
        ns_exponent=NOISE_EXPONENT,
        sg=1,
        sample=config.subsample,
        min_count=1,
        workers=1,
        seed=child_seed(seed, "skip-gram") % 2**32,
        sorted_vocab=0,
    )
    frequencies = {node: int(n) for node, n in enumerate(visits) if n > 0}
    model.build_vocab_from_freq(frequencies, corpus_count=n_walks)
    model.train(Corpus(), total_examples=n_walks, epochs=config.epochs)
    vectors = np.zeros((len(visits), config.dim), np.float32)
    vectors[np.array(model.wv.index_to_key)] = model.wv.vectors
    return vectors
