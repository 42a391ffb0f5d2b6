"""The node2vec package behind our own interface, with its slips handled; for comparison, since it is slow and pins numpy below 2."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from mirnagraph.errors import MissingExtraError
from mirnagraph.seeds import child_seed

if TYPE_CHECKING:
    from mirnagraph.embedding.node2vec import Node2VecConfig


def reference_node2vec(adjacency: Any, config: Node2VecConfig, seed: int) -> np.ndarray:
    """Embed every node with the node2vec package (version 0.4.6 or later).

    Zero-weight edges are dropped first, since the package walks them as if they weighed 1; isolated nodes are kept by ``min_count=1``;
    both walks and skip-gram get seeds and one worker; names, which come back as text, are put into row order; the global generators,
    which the package seeds, are as they were afterwards.

    Args:
        adjacency: scipy sparse, shape (n_nodes, n_nodes), checked.
        config: engine and skipgram are not read.
        seed: of walks and skip-gram.

    Returns:
        float32, shape (n_nodes, dim), rows in the order of `adjacency`.

    Raises:
        MissingExtraError: the package is not installed.
    """
    try:
        from node2vec import Node2Vec
    except ImportError:
        raise MissingExtraError("node2vec", "node2vec", "the engine 'reference'") from None
    import networkx as nx

    matrix = sparse.csr_array(adjacency, dtype=np.float64, copy=True)
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    n_nodes = matrix.shape[0]
    directed = abs(matrix - matrix.T).nnz > 0
    graph = nx.from_scipy_sparse_array(matrix, create_using=nx.DiGraph if directed else nx.Graph)
    with _restored_generators():
        model = Node2Vec(
            graph,
            dimensions=config.dim,
            walk_length=config.walk_length,
            num_walks=config.n_walks,
            p=config.p,
            q=config.q,
            workers=1,
            seed=child_seed(seed, "walks") % 2**32,
            quiet=True,
        )
        fitted = model.fit(
            window=config.window,
            epochs=config.epochs,
            negative=config.negative,
            alpha=config.learning_rate,
            sample=config.subsample,
            min_count=1,
            workers=1,
            seed=child_seed(seed, "skip-gram") % 2**32,
        )
    return np.stack([np.asarray(fitted.wv[str(node)], dtype=np.float32) for node in range(n_nodes)])


@contextlib.contextmanager
def _restored_generators() -> Iterator[None]:
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
