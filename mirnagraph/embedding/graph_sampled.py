"""Graph encoders on graphs that do not fit: training on samples, embedding in blocks of nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch_geometric.data import Data, HeteroData
from torch_geometric.loader import NodeLoader

from mirnagraph.embedding.graph_encoders import EdgeType, GraphTransformerConfig
from mirnagraph.embedding.graph_layers import States
from mirnagraph.embedding.graph_modules import GraphTransformer, HeteroGraphTransformer
from mirnagraph.embedding.graph_sampler import InEdges, NeighbourSampler
from mirnagraph.embedding.graph_training import (
    Relation,
    check_finite,
    draw_non_edges,
    optimizer_of,
    reconstruction_loss,
)
from mirnagraph.parallel import Progress, report
from mirnagraph.seeds import generator, torch_generator

BLOCK_EDGES = 1 << 17
"""Edges into a block of nodes that are embedded at once; one node may have more."""

BLOCK_NODES = 1 << 14


@dataclass(frozen=True, eq=False)
class SampledGraph:
    """A graph that is read in samples.

    Attributes:
        graph: that the loader takes features and weights from.
        sampler: of neighbours; its seed is that of all draws of the training.
        loader_workers: processes that sample; 0 for this one. No result depends on them.
    """

    graph: Data | HeteroData
    sampler: NeighbourSampler
    loader_workers: int = 0


def train_sampled(
    module: nn.Module,
    seed_states: Callable[[str, Any], Tensor],
    sampled: SampledGraph,
    relations: Sequence[Relation],
    groups: np.ndarray,
    config: GraphTransformerConfig,
    progress: Progress | None = None,
) -> np.ndarray:
    """Train a module to rebuild edges, each step on samples around the ends of some of them.

    The loss of a step is that of `mirnagraph.embedding.graph_training.train` over edges drawn from
    each relation, and as many non-edges times `n_negatives`. An epoch rebuilds as many edges of a
    relation as the graph has nodes, drawn anew without replacement, or all where there are fewer.
    Hidden edges are in no sample of the epoch.

    Args:
        module: trained in place, and left in evaluation mode.
        seed_states: node type and a batch of the loader -> states of its seeds, (n_seeds, dim).
        sampled: the graph.
        relations: one or more; nodes are numbered over all types.
        groups: kind of each node, see `mirnagraph.embedding.graph_training.train`.
        config: also batch size; see `mirnagraph.embedding.graph_training.train`.
        progress: called after each epoch.

    Returns:
        Mean loss of the steps of each epoch, float64, shape (epochs,).

    Raises:
        ConfigError: the loss is not finite.
    """
    optimizer = optimizer_of(module, config)
    losses = np.zeros(config.epochs)
    draw = generator(sampled.sampler.seed, "sampled edges")
    for epoch in range(config.epochs):
        steps = _steps(relations, groups, config, draw)
        batches = _batches(sampled, epoch, [nodes for nodes, _ in steps])
        total = 0.0
        for (_, pairs), batch in zip(steps, batches, strict=True):
            h = torch.cat([seed_states(node_type, sample) for node_type, sample in batch])
            parts = [reconstruction_loss(h, *map(torch.from_numpy, both)) for both in pairs]
            loss = torch.stack(parts).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        losses[epoch] = total / len(steps)
        check_finite(losses[epoch], epoch, config)
        report(progress, "graph transformer", epoch + 1, config.epochs)
    module.eval()
    return losses


Step: TypeAlias = tuple[np.ndarray, list[tuple[np.ndarray, np.ndarray]]]
"""Nodes of a step, sorted; edges and non-edges of each relation as numbers among these nodes."""


def _steps(
    relations: Sequence[Relation],
    groups: np.ndarray,
    config: GraphTransformerConfig,
    draw: np.random.Generator,
) -> list[Step]:
    """Draw what an epoch rebuilds, cut into steps with about equal shares of every relation."""
    n_nodes = len(groups)
    n_drawn = [min(relation.ends.shape[1], n_nodes) for relation in relations]
    n_steps = max(1, -(-max(n_drawn) // config.batch_size))
    parts: list[list[tuple[np.ndarray, np.ndarray]]] = [[] for _ in range(n_steps)]
    for relation, n in zip(relations, n_drawn, strict=True):
        edges = relation.ends[:, draw.choice(relation.ends.shape[1], n, replace=False)]
        # Repeated edge by edge, so that non-edges lie near the edges that they are drawn for.
        repeated = np.repeat(edges, config.n_negatives, axis=1)
        non_edges = draw_non_edges(repeated, groups, relation.known, draw)
        cut = [np.array_split(pairs, n_steps, axis=1) for pairs in (edges, non_edges)]
        for step, both in zip(parts, zip(*cut, strict=True), strict=True):
            step.append(both)
    return [_numbered(part) for part in parts]


def _numbered(pairs: list[tuple[np.ndarray, np.ndarray]]) -> Step:
    each = [ends for both in pairs for ends in both]
    nodes, numbers = np.unique(np.concatenate(each, axis=1), return_inverse=True)
    cut = np.split(numbers.reshape(2, -1), np.cumsum([ends.shape[1] for ends in each])[:-1], axis=1)
    return nodes, list(zip(cut[::2], cut[1::2], strict=True))


def _batches(
    sampled: SampledGraph, epoch: int, nodes: Sequence[np.ndarray]
) -> Iterator[list[tuple[str, Any]]]:
    """For each step, samples around its nodes, one of each node type that it has."""
    graph = sampled.graph
    sampler = sampled.sampler.at_epoch(epoch)
    starts = np.cumsum([0, *sampler.n_nodes.values()])
    bounds = np.array([np.searchsorted(ids, starts) for ids in nodes])
    loaders = {}
    for number, node_type in enumerate(sampler.n_nodes):
        first, last = bounds[:, number], bounds[:, number + 1]
        if (first == last).all():
            continue
        seeds = [ids[lo:hi] for ids, lo, hi in zip(nodes, first, last, strict=True)]
        ends = np.cumsum([len(ids) for ids in seeds])
        ranges = [range(end - len(ids), end) for ids, end in zip(seeds, ends, strict=True)]
        ids = torch.from_numpy(np.concatenate(seeds) - starts[number])
        loaders[node_type] = iter(
            NodeLoader(
                graph,
                sampler,
                input_nodes=ids if isinstance(graph, Data) else (node_type, ids),
                batch_sampler=[positions for positions in ranges if len(positions)],
                num_workers=sampled.loader_workers,
                generator=torch_generator(sampler.seed, "loader"),
            )
        )
    for lo, hi in zip(bounds[:, :-1], bounds[:, 1:], strict=True):
        present = [name for name, n in zip(sampler.n_nodes, hi - lo, strict=True) if n]
        yield [(node_type, next(loaders[node_type])) for node_type in present]


def seed_states_of(
    module: GraphTransformer, edge_weight: Tensor | None
) -> Callable[[str, Data], Tensor]:
    """States of the seeds of a sample of one network.

    Args:
        module: the encoder.
        edge_weight: of all edges, in the order of the sampler; None for 1.
    """

    def states(_node_type: str, batch: Data) -> Tensor:
        weight = None if edge_weight is None else edge_weight[batch.e_id]
        sizes = list(
            zip(
                _by_layer(batch.num_sampled_nodes[:-1]),
                _by_layer(batch.num_sampled_edges),
                strict=True,
            )
        )
        return module.hidden(batch.x, batch.edge_index, weight, sizes)[0]

    return states


def hetero_seed_states_of(module: HeteroGraphTransformer) -> Callable[[str, HeteroData], Tensor]:
    """States of the seeds of a sample of several node types."""

    def states(node_type: str, batch: HeteroData) -> Tensor:
        nodes = {name: _by_layer(batch[name].num_sampled_nodes[:-1]) for name in batch.node_types}
        edges = {kind: _by_layer(batch[kind].num_sampled_edges) for kind in batch.edge_types}
        sizes = [
            (
                {name: counts[layer] for name, counts in nodes.items()},
                {kind: counts[layer] for kind, counts in edges.items()},
            )
            for layer in range(module.config.n_layers)
        ]
        return module.hidden(batch, sizes=sizes)[0][node_type]

    return states


def _by_layer(counts: Sequence[int]) -> list[int]:
    """Running sums of counts by hop, for the first layer, which reads the most hops, to the last.

    >>> _by_layer([3, 20, 70])
    [93, 23, 3]
    """
    return [int(total) for total in np.cumsum(counts)[::-1]]


def graph_of(x: Tensor) -> Data:
    """Features of one network for the loader; the edges are in the sampler alone."""
    return Data(x=x, edge_index=torch.empty(2, 0, dtype=torch.long))


@torch.no_grad()
def encode_in_blocks(
    module: GraphTransformer,
    x: Tensor,
    edges: InEdges,
    edge_weight: Tensor | None,
    *,
    block_edges: int = BLOCK_EDGES,
) -> Tensor:
    """Embed all nodes layer by layer, in blocks of nodes with all their edges.

    Equal to ``module.encode`` but for rounding. Memory is that of two states per node and of the
    edges of one block.

    Args:
        module: the encoder, in evaluation mode.
        x: features, shape (n_nodes, in_channels).
        edges: of the network.
        edge_weight: in the order of `edges`; None for 1.
        block_edges: edges of a block.

    Returns:
        Shape (n_nodes, dim), rows of L2 norm 1.
    """
    h = torch.cat([module.project(rows) for rows in x.split(BLOCK_NODES)])
    for block in module.blocks:
        out = torch.empty_like(h)
        for lo, hi in _blocks(edges.indptr, block_edges):
            first, last = edges.indptr[lo], edges.indptr[hi]
            nodes, rows = _around(np.arange(lo, hi), edges.sources[first:last])
            columns = np.repeat(np.arange(hi - lo), np.diff(edges.indptr[lo : hi + 1]))
            ends = torch.from_numpy(np.stack([rows, columns]))
            weight = None if edge_weight is None else edge_weight[first:last]
            out[lo:hi] = block(h[torch.from_numpy(nodes)], ends, weight, hi - lo)[0]
        h = out
    return _unit_rows(h, module.norm)


@torch.no_grad()
def encode_hetero_in_blocks(
    module: HeteroGraphTransformer,
    data: HeteroData,
    edges: Mapping[EdgeType, InEdges],
    *,
    block_edges: int = BLOCK_EDGES,
) -> States:
    """Embed all nodes of all types layer by layer, see `encode_in_blocks`.

    Args:
        module: the encoder, in evaluation mode.
        data: gives features, or the number of nodes, and weights.
        edges: see `mirnagraph.embedding.graph_sampler.hetero_edges`.
        block_edges: edges of a block.

    Returns:
        Node type -> shape (n_nodes, dim), rows of L2 norm 1.
    """
    h = module.first_states(data)
    for block in module.blocks:
        out = {name: torch.empty_like(states) for name, states in h.items()}
        for target, states in out.items():
            into = {kind: part for kind, part in edges.items() if kind[2] == target}
            total = sum((part.indptr for part in into.values()), np.arange(len(states) + 1))
            for lo, hi in _blocks(total, block_edges):
                sample = _block_sample(data, edges, into, target, lo, hi)
                nodes, ends, weights = sample
                read = {name: h[name][torch.from_numpy(ids)] for name, ids in nodes.items()}
                n_targets = dict.fromkeys(h, 0) | {target: hi - lo}
                states[lo:hi] = block(read, ends, weights, n_targets)[0][target]
        h = out
    return {name: _unit_rows(states, module.norm[name]) for name, states in h.items()}


def _block_sample(
    data: HeteroData,
    edges: Mapping[EdgeType, InEdges],
    into: Mapping[EdgeType, InEdges],
    target: str,
    lo: int,
    hi: int,
) -> tuple[dict[str, np.ndarray], dict[EdgeType, Tensor], dict[EdgeType, Tensor | None]]:
    """Nodes, ends and weights of a block of nodes of one type, by type; targets come first."""
    places = {kind: slice(part.indptr[lo], part.indptr[hi]) for kind, part in into.items()}
    nodes = {}
    rows: dict[EdgeType, np.ndarray] = {}
    for name in data.node_types:
        kinds = [kind for kind in into if kind[0] == name]
        sources = [into[kind].sources[places[kind]] for kind in kinds]
        first = np.arange(lo, hi) if name == target else np.empty(0, np.int64)
        nodes[name], numbers = _around(first, np.concatenate([np.empty(0, np.int64), *sources]))
        cut = np.cumsum([len(ids) for ids in sources])[:-1]
        rows |= dict(zip(kinds, np.split(numbers, cut), strict=True)) if kinds else {}
    ends = {}
    weights: dict[EdgeType, Tensor | None] = {}
    for kind, part in edges.items():
        n_edges = np.diff(part.indptr[lo : hi + 1]) if kind in into else np.empty(0, np.int64)
        columns = np.repeat(np.arange(len(n_edges)), n_edges)
        ends[kind] = torch.from_numpy(np.stack([rows.get(kind, columns), columns]))
        weights[kind] = None
        if "edge_weight" in data[kind]:
            numbers = part.numbers(places.get(kind, slice(0, 0)))
            weights[kind] = data[kind].edge_weight[torch.from_numpy(numbers)]
    return nodes, ends, weights


def _blocks(indptr: np.ndarray, block_edges: int) -> Iterator[tuple[int, int]]:
    """First node and the one behind the last of each block, by edges into it and by nodes."""
    n_nodes = len(indptr) - 1
    lo = 0
    while lo < n_nodes:
        last = int(np.searchsorted(indptr, indptr[lo] + block_edges, side="right")) - 1
        hi = min(max(last, lo + 1), lo + BLOCK_NODES, n_nodes)
        yield lo, hi
        lo = hi


def _around(targets: np.ndarray, sources: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The targets, a range, then the other sources; and the number of each source among them."""
    others, inverse = np.unique(sources, return_inverse=True)
    lo = targets[0] if len(targets) else 0
    is_target = (others >= lo) & (others < lo + len(targets))
    numbers = np.where(is_target, others - lo, len(targets) + np.cumsum(~is_target) - 1)
    nodes = np.concatenate([targets, others[~is_target]]).astype(np.int64)
    return nodes, numbers[inverse].astype(np.int64)


def _unit_rows(h: Tensor, norm: nn.Module) -> Tensor:
    for rows in h.split(BLOCK_NODES):
        rows.copy_(functional.normalize(norm(rows), dim=-1))
    return h
