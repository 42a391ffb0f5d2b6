"""Training of a graph encoder without labels, on one network or on all relations together.

The default encoder, `gtmaloc`, is attention from each node to its neighbours, trained to rebuild
the edges (GTMALoc 2025, section 5, Eq. 7-11).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor
from torch_geometric.data import HeteroData

from mirnagraph.embedding.graph_encoders import EdgeType, GraphTransformerConfig
from mirnagraph.embedding.graph_layers import HETERO, scope_of
from mirnagraph.embedding.graph_modules import GraphTransformer, HeteroGraphTransformer
from mirnagraph.embedding.graph_sampled import (
    SampledGraph,
    encode_hetero_in_blocks,
    encode_in_blocks,
    graph_of,
    hetero_seed_states_of,
    seed_states_of,
    train_sampled,
)
from mirnagraph.embedding.graph_sampler import NeighbourSampler, hetero_edges, network_edges
from mirnagraph.embedding.graph_training import (
    NODE,
    ONE_TYPE,
    edges_of,
    groups_of,
    hetero_of,
    relation_from,
    relation_of_network,
    relations_of,
    train,
)
from mirnagraph.errors import InputError
from mirnagraph.parallel import Progress
from mirnagraph.reading.arguments import checked
from mirnagraph.seeds import torch_scope
from mirnagraph.walks.graph import WalkGraph, walk_graph


@dataclass(frozen=True, eq=False)
class GraphEmbedding:
    """Result of `fit_graph_transformer`.

    Attributes:
        embedding: float32, shape (n_nodes, dim), rows of L2 norm 1 in the order of the features.
        losses: float64, shape (epochs,): mean loss of each epoch, before its step.
        module: the trained module, in evaluation mode.
    """

    embedding: np.ndarray
    losses: np.ndarray
    module: GraphTransformer | HeteroGraphTransformer


@dataclass(frozen=True, eq=False)
class HeteroEmbedding:
    """Result of `fit_hetero`.

    Attributes:
        embeddings: node type -> float32, shape (n_nodes, dim), rows of L2 norm 1.
        losses: float64, shape (epochs,): mean loss over relations, before the step of the epoch.
        module: the trained module, in evaluation mode.
    """

    embeddings: dict[str, np.ndarray]
    losses: np.ndarray
    module: HeteroGraphTransformer


@checked
def fit_graph_transformer(
    features: np.ndarray,
    adjacency: Any,
    config: GraphTransformerConfig | None = None,
    seed: int = 0,
    *,
    kinds: Sequence[object] | None = None,
    loader_workers: int = 0,
    progress: Progress | None = None,
) -> GraphEmbedding:
    """Train a graph encoder on one network, without labels, and embed its nodes.

    The loss is Eq. 11, as a mean instead of a sum over edges and over non-edges, so that the
    learning rate does not depend on the size. An encoder of scope ``"hetero"`` reads the network
    with a node type for each of the `kinds`. A network of more than ``config.sampled_above`` edges
    is trained on in samples and embedded in blocks of nodes (`graph_sampled`).

    Args:
        features: shape (n_nodes, d), finite; any vectors of the nodes, such as node2vec's or rows
            of a similarity matrix.
        adjacency: scipy sparse, shape (n_nodes, n_nodes), symmetric, weights of 0 or more; or a
            WalkGraph, or the folder of a stored one (`mirnagraph.walks.graph`).
        config: defaults where None.
        seed: of initial weights, dropout, non-edges and samples; equal seeds give equal results bit
            for bit on a CPU.
        kinds: kind of each node, length n_nodes; None for one kind. A non-edge joins nodes of the
            kinds of its edge, since the kinds alone would separate other pairs.
        loader_workers: processes that sample neighbours; the result does not depend on them.
        progress: called after each epoch.

    Raises:
        InputError: features do not fit the network or are not finite, a weight is negative or not
            finite, kinds do not fit.
        ConfigError: training diverged (the loss is not finite).
    """
    config = GraphTransformerConfig() if config is None else config
    graph = walk_graph(adjacency)
    x = _checked(features, graph.n_nodes)
    groups = groups_of(kinds, len(x))
    if scope_of(config.encoder) == HETERO:
        data, rows = hetero_of(x, *edges_of(graph), groups)
        joint = fit_hetero(data, config, seed, loader_workers=loader_workers, progress=progress)
        embedding = np.empty((len(x), config.dim), np.float32)
        for name, members in zip(data.node_types, rows, strict=True):
            embedding[members] = joint.embeddings[name]
        return GraphEmbedding(embedding, joint.losses, joint.module)
    if len(graph.indices) > 2 * config.sampled_above:
        return _fit_sampled(x, graph, groups, config, seed, loader_workers, progress)
    edge_index, edge_weight = edges_of(graph)
    relation = relation_from({ONE_TYPE: edge_index.numpy()}, len(x))
    with torch_scope(seed, "graph transformer"):
        module = GraphTransformer(x.shape[1], config)

        def states(visible: dict[EdgeType, Tensor]) -> Tensor:
            seen = visible[ONE_TYPE]
            weight = None if edge_weight is None else edge_weight[seen]
            return module.hidden(x, edge_index[:, seen], weight)[0]

        losses = train(module, states, [relation], groups, config, seed, progress)
    return GraphEmbedding(module.encode(x, edge_index, edge_weight).numpy(), losses, module)


def _fit_sampled(
    x: Tensor,
    graph: WalkGraph,
    groups: np.ndarray,
    config: GraphTransformerConfig,
    seed: int,
    loader_workers: int,
    progress: Progress | None,
) -> GraphEmbedding:
    """`fit_graph_transformer` on samples of one network."""
    edges = network_edges(graph)
    sampler = NeighbourSampler(
        {NODE: len(x)}, edges, config.neighbours_by_hop, seed, config.hidden_edges
    )
    relation = relation_of_network(graph)
    weight = torch.from_numpy(graph.weights.astype(np.float32)) if graph.is_weighted else None
    with torch_scope(seed, "graph transformer"):
        module = GraphTransformer(x.shape[1], config)
        losses = train_sampled(
            module,
            seed_states_of(module, weight),
            SampledGraph(graph_of(x), sampler, loader_workers),
            [relation],
            groups,
            config,
            progress,
        )
    embedding = encode_in_blocks(module, x, edges[ONE_TYPE], weight)
    return GraphEmbedding(embedding.numpy(), losses, module)


def fit_hetero(
    data: HeteroData,
    config: GraphTransformerConfig | None = None,
    seed: int = 0,
    *,
    loader_workers: int = 0,
    progress: Progress | None = None,
) -> HeteroEmbedding:
    """Train one graph encoder on all relations of a HeteroData, without labels.

    The loss is that of `fit_graph_transformer` for each relation, and their mean. An edge type
    ``(b, "rev_NAME", a)`` is the reverse of ``(a, NAME, b)``: both are hidden or seen together.
    Above ``config.sampled_above`` edges, two directions counted once, training is on samples.

    Args:
        data: e.g. of `mirnagraph.networks.export.to_pyg`. Read are ``x`` (nodes; where a type has
            none, its nodes start from trained vectors), ``edge_index`` and ``edge_weight`` (1 where
            absent). Labels are not read.
        config: defaults where None, with encoder ``"hgt"``. Encoders of scope ``"relation"`` or
            ``"hetero"``: ``"transformer"``, ``"hgt"``.
        seed: as of `fit_graph_transformer`.
        loader_workers: as of `fit_graph_transformer`.
        progress: called after each epoch.

    Raises:
        InputError: there is no edge type, or a feature or weight is out of range.
        ConfigError: the encoder reads one network only, or training diverged.
    """
    config = GraphTransformerConfig(encoder="hgt") if config is None else config
    _check_hetero(data)
    n_nodes = [data[name].num_nodes for name in data.node_types]
    groups = np.repeat(np.arange(len(n_nodes)), n_nodes)
    n_edges = sum(data[edge_type].edge_index.shape[1] for edge_type in data.edge_types)
    if n_edges > 2 * config.sampled_above:
        return _fit_hetero_sampled(data, groups, config, seed, loader_workers, progress)
    with torch_scope(seed, "graph transformer"):
        module = HeteroGraphTransformer(data, config)

        def states(visible: dict[EdgeType, Tensor]) -> Tensor:
            return torch.cat(list(module.hidden(data, visible)[0].values()))

        losses = train(module, states, relations_of(data), groups, config, seed, progress)
    embeddings = {name: states.numpy() for name, states in module.encode(data).items()}
    return HeteroEmbedding(embeddings, losses, module)


def _fit_hetero_sampled(
    data: HeteroData,
    groups: np.ndarray,
    config: GraphTransformerConfig,
    seed: int,
    loader_workers: int,
    progress: Progress | None,
) -> HeteroEmbedding:
    """`fit_hetero` on samples."""
    edges = hetero_edges(data)
    n_nodes = {name: int(data[name].num_nodes) for name in data.node_types}
    sampler = NeighbourSampler(n_nodes, edges, config.neighbours_by_hop, seed, config.hidden_edges)
    with torch_scope(seed, "graph transformer"):
        module = HeteroGraphTransformer(data, config)
        losses = train_sampled(
            module,
            hetero_seed_states_of(module),
            SampledGraph(data, sampler, loader_workers),
            relations_of(data, is_numbered=False),
            groups,
            config,
            progress,
        )
    embedded = encode_hetero_in_blocks(module, data, edges)
    embeddings = {name: states.numpy() for name, states in embedded.items()}
    return HeteroEmbedding(embeddings, losses, module)


def relation_of(data: HeteroData, edge_type: EdgeType) -> tuple[sparse.csr_array, list[str]]:
    """One relation of a HeteroData as `fit_graph_transformer` reads it.

    Returns:
        Symmetric adjacency over the source nodes, then the target nodes where their type is
        another; and the type of each node.

    Raises:
        InputError: there is no such edge type.
    """
    if edge_type not in data.edge_types:
        known = ", ".join(str(name) for name in data.edge_types)
        raise InputError("no such edge type", found=str(edge_type), expected=known)
    source, _, target = edge_type
    edges = data[edge_type]
    first, second = edges.edge_index.numpy()
    weight = edges.edge_weight.numpy() if "edge_weight" in edges else np.ones(len(first))
    kinds = [source] * data[source].num_nodes
    if source != target:
        second = second + len(kinds)
        kinds += [target] * data[target].num_nodes
    matrix = sparse.coo_array((weight, (first, second)), shape=(len(kinds), len(kinds)))
    both = matrix.maximum(matrix.T) if source == target else matrix + matrix.T
    return sparse.csr_array(both), kinds


def _check_hetero(data: HeteroData) -> None:
    if not data.edge_types:
        raise InputError("nothing to train on", found="no edge type", expected="1 or more")
    for name in data.node_types:
        if "x" in data[name]:
            _checked(data[name].x.numpy(), data[name].num_nodes)
    for edge_type in data.edge_types:
        if "edge_weight" not in data[edge_type]:
            continue
        weight = data[edge_type].edge_weight.numpy()
        is_weight = np.isfinite(weight) & (weight > 0)
        if not is_weight.all():
            found = float(weight[~is_weight][0])
            what = f"a weight of edge type {edge_type} is out of range"
            raise InputError(what, found=found, expected="a finite number above 0")


def _checked(features: np.ndarray, n_nodes: int) -> Tensor:
    values = np.ascontiguousarray(features, dtype=np.float32)
    if values.ndim != 2 or len(values) != n_nodes or values.shape[1] == 0:
        found = f"shape {values.shape}"
        expected = f"({n_nodes}, 1 or more)"
        raise InputError("features do not fit the network", found=found, expected=expected)
    if not np.isfinite(values).all():
        row, column = np.argwhere(~np.isfinite(values))[0].tolist()
        found = f"{values[row, column]} in row {row}, column {column}"
        raise InputError("a feature is not finite", found=found, expected="finite numbers")
    # PyTorch warns of arrays that cannot be written; nothing writes to features.
    return torch.from_numpy(values if values.flags.writeable else values.copy())
