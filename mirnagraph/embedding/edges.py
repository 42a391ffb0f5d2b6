"""Edges of a network as the graph transformer reads them, and non-edges to tell them from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mirnagraph.embedding.walks import walk_graph
from mirnagraph.errors import InputError


def edges_of(adjacency: Any) -> tuple[Tensor, Tensor | None]:
    """Edges of a network for `GraphTransformer`: edge_index (2, n_edges), sorted by looking node, and weights, None where all are 1.

    Raises:
        InputError: see `walk_graph`.
    """
    graph = walk_graph(adjacency)
    target = np.repeat(np.arange(graph.n_nodes), np.diff(graph.indptr))
    edge_index = torch.from_numpy(np.stack([graph.indices.astype(np.int64), target]))
    return edge_index, torch.from_numpy(graph.weights.astype(np.float32)) if graph.is_weighted else None


def groups_of(kinds: Sequence[object] | None, n_nodes: int) -> np.ndarray:
    """Kinds of nodes as numbers from 0, int64, shape (n_nodes,); all 0 where `kinds` is None.

    Raises:
        InputError: there are more or fewer kinds than nodes.
    """
    if kinds is None:
        return np.zeros(n_nodes, np.int64)
    if len(kinds) != n_nodes:
        raise InputError("kinds do not fit the network", found=f"{len(kinds)} kinds", expected=f"{n_nodes}")
    return np.unique([str(kind) for kind in kinds], return_inverse=True)[1]


def draw_non_edges(pairs: np.ndarray, groups: np.ndarray, known: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """For each edge a pair in which one end, by chance, is another node of its kind and no neighbour; int64, shape (2, n or fewer).

    A node that is linked with all others of the kind gets none: its pairs are given up after 20 draws. `known` are the edges, sorted.
    """
    n_nodes = len(groups)
    turned = draw.random(pairs.shape[1]) < 0.5
    near, far = np.where(turned, pairs[1], pairs[0]), np.where(turned, pairs[0], pairs[1])
    order, size = np.argsort(groups, kind="stable"), np.bincount(groups)
    begin, kind = np.cumsum(size) - size, groups[far]
    missing = np.arange(len(near))
    for _ in range(20 if len(near) else 0):
        of = kind[missing]
        far[missing] = order[begin[of] + draw.integers(0, size[of])]
        key = near[missing] * n_nodes + far[missing]
        place = np.minimum(np.searchsorted(known, key), len(known) - 1)
        missing = missing[(far[missing] == near[missing]) | (known[place] == key)]
        if not len(missing):
            break
    kept = np.ones(len(near), bool)
    kept[missing] = False
    return np.stack([near[kept], far[kept]])
