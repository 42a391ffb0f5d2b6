"""Self-supervised training of graph encoders: relations, non-edges, loss, training loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor, nn
from torch.nn import functional
from torch_geometric.data import HeteroData

from mirnagraph.embedding.graph_encoders import EdgeType, GraphTransformerConfig
from mirnagraph.errors import ConfigError, InputError
from mirnagraph.parallel import Progress, report
from mirnagraph.seeds import generator
from mirnagraph.walks.graph import WalkGraph, walk_graph

REVERSE = "rev_"

LINKED = "linked_with"

NODE = "node"
"""Node type of a network that has one."""

ONE_TYPE: EdgeType = (NODE, LINKED, NODE)

DRAWS = 20


@dataclass(frozen=True, eq=False)
class Relation:
    """Edges of one relation as pairs of nodes, which training rebuilds.

    Attributes:
        ends: int64, shape (2, n_pairs): each linked pair once, the lower node first.
        known: int64, sorted: ``n_nodes * a + b`` of every linked pair, in both directions.
        pair_of_edge: edge type -> pair of each of its edges, int64, shape (n_edges,); may be empty
            where training is sampled.
    """

    ends: np.ndarray
    known: np.ndarray
    pair_of_edge: Mapping[EdgeType, np.ndarray]


def edges_of(adjacency: Any) -> tuple[Tensor, Tensor | None]:
    """Edges of a network: edge_index (2, n_edges), sorted by target; weights, None where all are 1.

    Raises:
        InputError: see `walk_graph`.
    """
    graph = walk_graph(adjacency)
    target = np.repeat(np.arange(graph.n_nodes), np.diff(graph.indptr))
    edge_index = torch.from_numpy(np.stack([graph.indices.astype(np.int64), target]))
    if not graph.is_weighted:
        return edge_index, None
    return edge_index, torch.from_numpy(graph.weights.astype(np.float32))


def groups_of(kinds: Sequence[object] | None, n_nodes: int) -> np.ndarray:
    """Kinds of nodes as numbers from 0, int64, shape (n_nodes,); all 0 where `kinds` is None.

    Raises:
        InputError: there are more or fewer kinds than nodes.
    """
    if kinds is None:
        return np.zeros(n_nodes, np.int64)
    if len(kinds) != n_nodes:
        found = f"{len(kinds)} kinds"
        raise InputError("kinds do not fit the network", found=found, expected=f"{n_nodes}")
    return np.unique([str(kind) for kind in kinds], return_inverse=True)[1]


def relation_from(
    edges: Mapping[EdgeType, np.ndarray], n_nodes: int, *, is_numbered: bool = True
) -> Relation:
    """A relation from its edge types: a type and its reverse, ends numbered over all nodes.

    Args:
        edges: ends by edge type, int64, shape (2, n_edges).
        n_nodes: number of nodes.
        is_numbered: fill in ``pair_of_edge``, which training in samples does not read.
    """
    keys = np.concatenate(
        [np.minimum(*ends) * n_nodes + np.maximum(*ends) for ends in edges.values()]
    )
    if is_numbered:
        pairs, pair_of_edge = np.unique(keys, return_inverse=True)
        last = np.cumsum([ends.shape[1] for ends in edges.values()])
        parts = np.split(pair_of_edge, last[:-1])
        numbers = dict(zip(edges, parts, strict=True))
    else:
        pairs = np.unique(keys)
        numbers = {}
    ends = np.stack([pairs // n_nodes, pairs % n_nodes])
    known = np.unique(np.concatenate([pairs, ends[1] * n_nodes + ends[0]]))
    return Relation(ends, known, numbers)


def relation_of_network(graph: WalkGraph) -> Relation:
    """`relation_from` of one network, without ``pair_of_edge``; needs no sorting if symmetric."""
    n_nodes = graph.n_nodes
    target = np.repeat(np.arange(n_nodes), np.diff(graph.indptr))
    shape = (n_nodes, n_nodes)
    is_edge = np.ones(len(target), bool)
    turned = sparse.csc_array((is_edge, graph.indices, graph.indptr), shape=shape).tocsr()
    is_symmetric = np.array_equal(turned.indptr, graph.indptr)
    if not is_symmetric or not np.array_equal(turned.indices, graph.indices):
        ends = np.stack([graph.indices, target])
        return relation_from({ONE_TYPE: ends}, n_nodes, is_numbered=False)
    is_first = target <= graph.indices
    ends = np.stack([target[is_first], graph.indices[is_first].astype(np.int64)])
    return Relation(ends, target * n_nodes + graph.indices, {})


def relations_of(data: HeteroData, *, is_numbered: bool = True) -> list[Relation]:
    """Relations of a HeteroData: each edge type with its reverse (``rev_``), where there is one.

    Nodes are numbered over all node types, in the order of ``data.node_types``.
    """
    start = node_starts(data)
    families: dict[int, dict[EdgeType, np.ndarray]] = {}
    for edge_type, number in relation_numbers(data).items():
        source, _, target = edge_type
        offset = np.array([[start[source]], [start[target]]])
        edges = data[edge_type].edge_index.cpu().numpy() + offset
        families.setdefault(number, {})[edge_type] = edges
    n_nodes = sum(data[name].num_nodes for name in data.node_types)
    return [relation_from(family, n_nodes, is_numbered=is_numbered) for family in families.values()]


def relation_numbers(data: HeteroData) -> dict[EdgeType, int]:
    """Number of the relation of each edge type, from 0; a type and its reverse share one."""
    numbers: dict[EdgeType, int] = {}
    relations = {}
    for edge_type in data.edge_types:
        forward = _forward(edge_type, data.edge_types)
        relations[edge_type] = numbers.setdefault(forward, len(numbers))
    return relations


def node_starts(data: HeteroData) -> dict[str, int]:
    """Number of the first node of each type, counted over all types in their order."""
    n_nodes = [data[name].num_nodes for name in data.node_types]
    return dict(zip(data.node_types, np.cumsum([0, *n_nodes]).tolist(), strict=False))


def _forward(edge_type: EdgeType, edge_types: Sequence[EdgeType]) -> EdgeType:
    """The edge type of which this one is the reverse, or itself."""
    source, name, target = edge_type
    forward = (target, name.removeprefix(REVERSE), source)
    return forward if name.startswith(REVERSE) and forward in edge_types else edge_type


def hetero_of(
    features: Tensor, edge_index: Tensor, edge_weight: Tensor | None, groups: np.ndarray
) -> tuple[HeteroData, list[np.ndarray]]:
    """One network as a HeteroData with a node type for each group, and the rows of each type."""
    data = HeteroData()
    rows = [np.flatnonzero(groups == group) for group in range(int(groups.max()) + 1)]
    place = np.empty(len(groups), np.int64)
    for group, members in enumerate(rows):
        place[members] = np.arange(len(members))
        data[str(group)].x = features[torch.from_numpy(members)]
    source, target = edge_index.numpy()
    weight = torch.ones(len(source)) if edge_weight is None else edge_weight
    kinds = np.stack([groups[source], groups[target]])
    for first, second in np.unique(kinds, axis=1).T.tolist():
        numbers = np.flatnonzero((kinds[0] == first) & (kinds[1] == second))
        name = LINKED if first <= second else REVERSE + LINKED
        edges = data[str(first), name, str(second)]
        ends = np.stack([place[source[numbers]], place[target[numbers]]])
        edges.edge_index = torch.from_numpy(ends)
        edges.edge_weight = weight[torch.from_numpy(numbers)]
    return data, rows


def draw_non_edges(
    pairs: np.ndarray, groups: np.ndarray, known: np.ndarray, draw: np.random.Generator
) -> np.ndarray:
    """Draw for each edge a pair in which one end is another node of its kind and no neighbour.

    A node that is linked with all others of the kind gets none, after 20 draws.

    Args:
        pairs: the edges, int64, shape (2, n_pairs).
        groups: kind of each node, numbers from 0.
        known: see `Relation`.
        draw: random numbers.

    Returns:
        int64, shape (2, n_pairs or fewer).
    """
    n_nodes = len(groups)
    is_turned = draw.random(pairs.shape[1]) < 0.5
    near = np.where(is_turned, pairs[1], pairs[0])
    far = np.where(is_turned, pairs[0], pairs[1])
    order = np.argsort(groups, kind="stable")
    size = np.bincount(groups)
    begin = np.cumsum(size) - size
    kind = groups[far]
    missing = np.arange(len(near))
    for _ in range(DRAWS if len(near) else 0):
        of = kind[missing]
        far[missing] = order[begin[of] + draw.integers(0, size[of])]
        key = near[missing] * n_nodes + far[missing]
        place = np.minimum(np.searchsorted(known, key), len(known) - 1)
        missing = missing[(far[missing] == near[missing]) | (known[place] == key)]
        if not len(missing):
            break
    is_drawn = np.ones(len(near), bool)
    is_drawn[missing] = False
    return np.stack([near[is_drawn], far[is_drawn]])


def reconstruction_loss(h: Tensor, edges: Tensor, non_edges: Tensor) -> Tensor:
    """Eq. 11 over node states and pairs; a mean over each kind of pair, 0 where there is none.

    Args:
        h: node states, shape (n_nodes, dim).
        edges: linked pairs, shape (2, n).
        non_edges: pairs without an edge, shape (2, m).
    """
    loss = h.sum() * 0
    for pairs, sign in ((edges, -1), (non_edges, 1)):
        if pairs.shape[1] > 0:
            product = h.index_select(0, pairs[0]) * h.index_select(0, pairs[1])
            score = product.sum(-1) / h.shape[1] ** 0.5
            loss = loss + functional.softplus(sign * score).mean()
    return loss


def train(
    module: nn.Module,
    states: Callable[[dict[EdgeType, Tensor]], Tensor],
    relations: Sequence[Relation],
    groups: np.ndarray,
    config: GraphTransformerConfig,
    seed: int,
    progress: Progress | None = None,
) -> np.ndarray:
    """Train a module to rebuild the edges of all relations; the loss is a mean over relations.

    Args:
        module: trained in place, and left in evaluation mode.
        states: numbers of the visible edges by edge type -> states of all nodes, (n_nodes, dim).
        relations: one or more.
        groups: kind of each node; a non-edge joins nodes of the kinds of its edge.
        config: epochs, learning rate, weight decay, share of hidden edges, non-edges per edge.
        seed: of hidden edges and non-edges.
        progress: called after each epoch.

    Returns:
        Loss of each epoch before its step, float64, shape (epochs,).

    Raises:
        ConfigError: the loss is not finite.
    """
    optimizer = optimizer_of(module, config)
    losses = np.zeros(config.epochs)
    draw = generator(seed, "non-edges")
    for epoch in range(config.epochs):
        visible = {}
        pairs = []
        for relation in relations:
            ends = relation.ends
            is_visible = np.asarray(draw.random(ends.shape[1]) >= config.hidden_edges)
            for edge_type, pair in relation.pair_of_edge.items():
                visible[edge_type] = torch.from_numpy(np.flatnonzero(is_visible[pair]))
            repeated = np.tile(ends, config.n_negatives)
            pairs.append((ends, draw_non_edges(repeated, groups, relation.known, draw)))
        h = states(visible)
        parts = [reconstruction_loss(h, *map(torch.from_numpy, both)) for both in pairs]
        loss = torch.stack(parts).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses[epoch] = loss.item()
        check_finite(losses[epoch], epoch, config)
        report(progress, "graph transformer", epoch + 1, config.epochs)
    module.eval()
    return losses


def optimizer_of(module: nn.Module, config: GraphTransformerConfig) -> torch.optim.Optimizer:
    """Adam over all parameters."""
    return torch.optim.Adam(
        module.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )


def check_finite(loss: float, epoch: int, config: GraphTransformerConfig) -> None:
    """Raise ConfigError where the loss of an epoch, counted from 0, is not finite."""
    if not np.isfinite(loss):
        raise ConfigError(
            f"the graph transformer diverged in epoch {epoch + 1}; "
            f"a smaller learning_rate than {config.learning_rate} may help"
        )
