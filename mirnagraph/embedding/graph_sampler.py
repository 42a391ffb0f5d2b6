"""Neighbour sampler for PyG's NodeLoader, compiled with numba; neither pyg-lib nor torch-sparse."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor
from torch_geometric.data import HeteroData
from torch_geometric.sampler import (
    BaseSampler,
    HeteroSamplerOutput,
    NodeSamplerInput,
    SamplerOutput,
)

from mirnagraph.embedding.graph_encoders import EdgeType
from mirnagraph.embedding.graph_training import NODE, ONE_TYPE, node_starts, relation_numbers
from mirnagraph.seeds import child_seed
from mirnagraph.walks.graph import WalkGraph
from mirnagraph.walks.steps import index_below, mix_bits, unit_of

# Rows up to this many times the sample are read whole; of longer ones slots are drawn.
READ_WHOLE = 4

TRIES = 16


@dataclass(frozen=True, eq=False)
class InEdges:
    """Edges of one type, by the node that they point at.

    Attributes:
        indptr: int64, shape (n_targets + 1,).
        sources: int, shape (n_edges,): neighbours of node i in ``indptr[i]`` to ``indptr[i + 1]``.
        order: number of each edge in the ``edge_index`` of the graph, int64, shape (n_edges,); None
            where it is its place.
        relation: number that an edge type shares with its reverse.
        first_source: number of the first source, counted over all node types.
        first_target: the same of the first target.
    """

    indptr: np.ndarray
    sources: np.ndarray
    order: np.ndarray | None = None
    relation: int = 0
    first_source: int = 0
    first_target: int = 0

    def numbers(self, places: slice) -> np.ndarray:
        """Numbers in the graph of the edges at some places."""
        if self.order is None:
            return np.arange(places.start, places.stop)
        return self.order[places]


class NeighbourSampler(BaseSampler):  # type: ignore[misc]
    """Draw neighbours of neighbours of seed nodes, without replacement, for `NodeLoader`.

    Every draw comes from the seed, the epoch and the numbers of the batch in the loader's input, so
    the sample does not depend on the worker that takes it. Hidden edges are drawn by a hash of
    their two ends: both directions, and both edge types of a relation, are hidden together, in all
    batches of the epoch, and no array holds them.

    Args:
        n_nodes: number of nodes of each type.
        edges: of each edge type.
        n_neighbours: most neighbours of a node by hop, for each edge type.
        seed: of neighbours and hidden edges.
        hidden_edges: share of the linked pairs that no sample of an epoch holds, in [0, 1).
        epoch: number of the epoch.
    """

    def __init__(
        self,
        n_nodes: Mapping[str, int],
        edges: Mapping[EdgeType, InEdges],
        n_neighbours: Sequence[int],
        seed: int,
        hidden_edges: float = 0.0,
        epoch: int = 0,
    ) -> None:
        super().__init__()
        self.n_nodes = dict(n_nodes)
        self.edges = dict(edges)
        self.n_neighbours = tuple(n_neighbours)
        self.seed = seed
        self.hidden_edges = hidden_edges
        self.epoch = epoch

    def at_epoch(self, epoch: int) -> NeighbourSampler:
        """The sampler of another epoch, with the same edges."""
        other = copy.copy(self)
        other.epoch = epoch
        return other

    def sample_from_nodes(
        self, index: NodeSamplerInput, **_: Any
    ) -> SamplerOutput | HeteroSamplerOutput:
        """Sample around seed nodes.

        Args:
            index: seeds, their numbers in the loader's input, and their type (None for a network of
                one type).

        Returns:
            Nodes in the order of hops, seeds first; edges in the order of hops, ends numbered by
            that order. A `SamplerOutput` where `index` has no type.
        """
        is_hetero = index.input_type is not None
        seed_type = index.input_type if is_hetero else NODE
        batch = 0 if index.input_id is None or not len(index.input_id) else int(index.input_id[0])
        drawn = self._draw(seed_type, index.node.numpy(), batch)
        metadata = (index.input_id, index.time)
        if is_hetero:
            return HeteroSamplerOutput(
                node={name: torch.from_numpy(ids) for name, ids in drawn.nodes.items()},
                row=drawn.rows,
                col=drawn.columns,
                edge=drawn.edges,
                num_sampled_nodes=drawn.n_nodes,
                num_sampled_edges=drawn.n_edges,
                metadata=metadata,
            )
        return SamplerOutput(
            node=torch.from_numpy(drawn.nodes[NODE]),
            row=drawn.rows[ONE_TYPE],
            col=drawn.columns[ONE_TYPE],
            edge=drawn.edges[ONE_TYPE],
            num_sampled_nodes=drawn.n_nodes[NODE],
            num_sampled_edges=drawn.n_edges[ONE_TYPE],
            metadata=metadata,
        )

    def sample_from_edges(self, *_: Any, **__: Any) -> Any:
        """Refused: pairs are drawn by `mirnagraph.embedding.graph_sampled`."""
        raise NotImplementedError("this sampler takes seed nodes; use NodeLoader")

    @property
    def edge_permutation(self) -> dict[EdgeType, Tensor | None] | None:
        """Number in the graph of each edge, by edge type; None for a network of one type."""
        if set(self.edges) == {ONE_TYPE}:
            return None
        orders = {edge_type: edges.order for edge_type, edges in self.edges.items()}
        return {
            edge_type: None if order is None else torch.from_numpy(order)
            for edge_type, order in orders.items()
        }

    def _draw(self, seed_type: str, seeds: np.ndarray, batch: int) -> _Sample:
        place = {name: np.full(n, -1, np.int32) for name, n in self.n_nodes.items()}
        sample = _Sample.empty(self.n_nodes, self.edges)
        _place_seeds(seeds, place[seed_type])
        sample.add_nodes(dict.fromkeys(self.n_nodes, np.empty(0, np.int64)) | {seed_type: seeds})
        for hop, n_most in enumerate(self.n_neighbours):
            fresh: dict[str, list[np.ndarray]] = {name: [] for name in self.n_nodes}
            for number, (edge_type, edges) in enumerate(self.edges.items()):
                source, _, target = edge_type
                frontier, first = sample.last(target)
                stream = child_seed(
                    self.seed, "neighbours", self.epoch, seed_type, batch, hop, number
                )
                hiding = child_seed(self.seed, "hidden edges", self.epoch, edges.relation)
                n_known = sample.size(source) + sum(map(len, fresh[source]))
                places, columns = _choose(
                    edges.indptr,
                    edges.sources,
                    frontier,
                    (first, n_most, edges.first_source, edges.first_target),
                    (np.uint64(stream), np.uint64(hiding)),
                    self.hidden_edges,
                )
                rows, new = _number(edges.sources[places], place[source], n_known)
                fresh[source].append(new)
                sample.add_edges(edge_type, rows, columns, places)
            sample.add_nodes({name: _joined(parts) for name, parts in fresh.items()})
        return sample.joined()


@dataclass(frozen=True, eq=False)
class _Sample:
    """Nodes and edges drawn so far, by hop; after `joined`, one array of each type."""

    nodes: dict[str, Any]
    rows: dict[EdgeType, Any]
    columns: dict[EdgeType, Any]
    edges: dict[EdgeType, Any]
    n_nodes: dict[str, list[int]]
    n_edges: dict[EdgeType, list[int]]

    @classmethod
    def empty(cls, node_types: Mapping[str, int], edge_types: Mapping[EdgeType, Any]) -> _Sample:
        def lists(names: Iterable[Any]) -> dict[Any, list[Any]]:
            return {name: [] for name in names}

        return cls(
            nodes=lists(node_types),
            rows=lists(edge_types),
            columns=lists(edge_types),
            edges=lists(edge_types),
            n_nodes=lists(node_types),
            n_edges=lists(edge_types),
        )

    def size(self, node_type: str) -> int:
        return sum(self.n_nodes[node_type])

    def last(self, node_type: str) -> tuple[np.ndarray, int]:
        """Nodes of the last hop, and the number of the first of them."""
        return self.nodes[node_type][-1], sum(self.n_nodes[node_type][:-1])

    def add_nodes(self, nodes: Mapping[str, np.ndarray]) -> None:
        for name, ids in nodes.items():
            self.nodes[name].append(ids)
            self.n_nodes[name].append(len(ids))

    def add_edges(
        self, edge_type: EdgeType, rows: np.ndarray, columns: np.ndarray, places: np.ndarray
    ) -> None:
        self.rows[edge_type].append(rows)
        self.columns[edge_type].append(columns)
        self.edges[edge_type].append(places)
        self.n_edges[edge_type].append(len(rows))

    def joined(self) -> _Sample:
        nodes = {name: _joined(parts) for name, parts in self.nodes.items()}
        rows, columns, edges = (
            {edge_type: torch.from_numpy(_joined(parts)) for edge_type, parts in ends.items()}
            for ends in (self.rows, self.columns, self.edges)
        )
        return _Sample(nodes, rows, columns, edges, self.n_nodes, self.n_edges)


def _joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.empty(0, np.int64), *parts])


def network_edges(graph: WalkGraph) -> dict[EdgeType, InEdges]:
    """Edges of one symmetric network, in the order of `graph_training.edges_of`."""
    return {ONE_TYPE: InEdges(graph.indptr, graph.indices)}


def hetero_edges(data: HeteroData) -> dict[EdgeType, InEdges]:
    """Edges of a HeteroData by edge type; a type and its reverse (``rev_``) are one relation."""
    starts = node_starts(data)
    edges = {}
    for edge_type, relation in relation_numbers(data).items():
        source, _, target = edge_type
        sources, targets = data[edge_type].edge_index.numpy()
        order = np.argsort(targets, kind="stable")
        n_edges = np.bincount(targets, minlength=data[target].num_nodes)
        indptr = np.concatenate([[0], np.cumsum(n_edges)])
        edges[edge_type] = InEdges(
            indptr, sources[order], order, relation, starts[source], starts[target]
        )
    return edges


@njit(cache=True, nogil=True)
def _place_seeds(seeds: Any, place: Any) -> None:
    """A seed that is given twice keeps both numbers; edges from it start at the first."""
    for number in range(len(seeds)):
        if place[seeds[number]] < 0:
            place[seeds[number]] = number


@njit(cache=True, nogil=True)
def _number(sources: Any, place: Any, n_known: Any) -> Any:
    """Number in the sample of each source, and the sources that are new to it."""
    rows = np.empty(len(sources), np.int64)
    new = np.empty(len(sources), np.int64)
    n_new = 0
    for edge in range(len(sources)):
        node = sources[edge]
        if place[node] < 0:
            place[node] = n_known + n_new
            new[n_new] = node
            n_new += 1
        rows[edge] = place[node]
    return rows, new[:n_new]


@njit(cache=True, nogil=True, inline="always")
def _is_visible(hiding: Any, one: Any, other: Any, hidden_edges: Any) -> Any:
    """Whether the pair of two nodes, numbered over all types, is not hidden in this epoch."""
    step = np.uint64(0x9E3779B97F4A7C15)
    pair = mix_bits(np.uint64(min(one, other)) * step + np.uint64(max(one, other)))
    return unit_of(mix_bits(hiding + pair * step)) >= hidden_edges


@njit(cache=True, nogil=True)
def _choose(  # noqa: C901  one compiled kernel
    indptr: Any, sources: Any, frontier: Any, numbers: Any, streams: Any, hidden_edges: Any
) -> Any:
    """Places of up to `n_most` visible edges into each node, and the node's number in the sample.

    Every set of visible edges of the same size is equally likely.
    """
    first, n_most, first_source, first_target = numbers
    stream, hiding = streams
    step = np.uint64(0x9E3779B97F4A7C15)
    total = 0
    longest = 0
    for node in frontier:
        degree = indptr[node + 1] - indptr[node]
        total += min(degree, n_most)
        longest = max(longest, degree)
    places = np.empty(total, np.int64)
    columns = np.empty(total, np.int64)
    visible = np.empty(longest, np.int64)
    n_chosen = 0
    for number in range(len(frontier)):
        node = np.int64(frontier[number])
        lo = indptr[node]
        degree = indptr[node + 1] - lo
        state = mix_bits(stream + mix_bits(np.uint64(node + 1) * step))
        begin = n_chosen
        if degree > READ_WHOLE * n_most:
            for _ in range(TRIES * n_most):
                state += step
                edge = lo + index_below(mix_bits(state), degree)
                is_new = _is_visible(
                    hiding, first_source + sources[edge], first_target + node, hidden_edges
                )
                for earlier in range(begin, n_chosen):
                    is_new = is_new and places[earlier] != edge
                if is_new:
                    places[n_chosen] = edge
                    n_chosen += 1
                    if n_chosen - begin == n_most:
                        break
        if n_chosen - begin < n_most:
            # Drawn anew: what few tries found is no more likely than any other set.
            n_chosen = begin
            n_visible = 0
            for edge in range(lo, lo + degree):
                if _is_visible(
                    hiding, first_source + sources[edge], first_target + node, hidden_edges
                ):
                    visible[n_visible] = edge
                    n_visible += 1
            for slot in range(min(n_visible, n_most)):
                if n_visible > n_most:
                    state += step
                    other = slot + index_below(mix_bits(state), n_visible - slot)
                    visible[slot], visible[other] = visible[other], visible[slot]
                places[n_chosen] = visible[slot]
                n_chosen += 1
        for edge in range(begin, n_chosen):
            columns[edge] = first + number
    return places[:n_chosen], columns[:n_chosen]
