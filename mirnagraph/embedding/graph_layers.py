"""Layers of the graph encoders, on PyG's MessagePassing and convolutions.

An entry of `mirnagraph.embedding.graph_encoders.GRAPH_ENCODERS` is an `nn.Module` class. Its
attribute `scope` says what a layer reads; without it the scope is ``"network"``:

- ``"network"``: ``Layer(config)``, called with ``(h, edge_index, edge_weight)``: states
  (n_nodes, dim), edges (2, n_edges) from source to target, weights (n_edges,) or None.
  It returns new states (n_nodes, dim) and attention (n_edges, n_heads).
- ``"relation"``: the same, and `h` may be a pair (states of sources, states of targets). In a
  `HeteroData` there is one layer for each edge type.
- ``"hetero"``: ``Layer(config, metadata)``, called with dictionaries by node and edge type; returns
  two such dictionaries.

A layer of scope ``"network"`` with ``takes_pairs = True`` reads such pairs too: samples of
neighbours and blocks of nodes then compute no states that nobody reads.

The block around a layer (see `mirnagraph.embedding.graph_modules`) adds layer norm, residual
connection, feed-forward part and dropout.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch_geometric.nn import GATv2Conv, HGTConv, MessagePassing, TransformerConv
from torch_geometric.nn.module_dict import ModuleDict
from torch_geometric.utils import softmax

from mirnagraph.embedding.graph_encoders import GRAPH_ENCODERS, EdgeType, GraphTransformerConfig

Metadata: TypeAlias = tuple[list[str], list[EdgeType]]

States: TypeAlias = dict[str, Tensor]

ByEdgeType: TypeAlias = dict[EdgeType, Tensor]

EdgeWeights: TypeAlias = dict[EdgeType, Tensor | None]

NETWORK = "network"

RELATION = "relation"

HETERO = "hetero"


def scope_of(encoder: str) -> str:
    """Scope of an encoder's layers: ``"network"``, ``"relation"`` or ``"hetero"``."""
    scope: str = getattr(GRAPH_ENCODERS[encoder], "scope", NETWORK)
    return scope


def takes_pairs(layer: nn.Module) -> bool:
    """Whether a layer reads a pair (states of sources, states of targets)."""
    scope = getattr(layer, "scope", NETWORK)
    return scope == RELATION or getattr(layer, "takes_pairs", False)


class EdgeAttention(MessagePassing):
    """Encoder `gtmaloc`: multi-head attention of each node over its neighbours.

    Heads are concatenated and projected (the "splicing" that the text of Eq. 9 allows next to the
    printed average). An edge weight w multiplies the attention before it is normalised: ``a_ij`` is
    proportional to ``w_ij exp(score_ij)``. Time and memory grow with the number of edges.
    """

    scope = NETWORK
    takes_pairs = True

    def __init__(self, config: GraphTransformerConfig) -> None:
        super().__init__(aggr="add", node_dim=0)
        self.n_heads = config.n_heads
        self.width = config.dim // config.n_heads
        self.value = nn.Linear(config.dim, config.dim)
        self.out = nn.Linear(config.dim, config.dim)
        self.is_dot = config.attention == "dot"
        if self.is_dot:
            self.query = nn.Linear(config.dim, config.dim)
            self.key = nn.Linear(config.dim, config.dim)
        else:
            start = torch.empty(self.n_heads, self.width)
            self.receive = nn.Parameter(nn.init.xavier_uniform_(start.clone()))
            self.send = nn.Parameter(nn.init.xavier_uniform_(start))

    def forward(
        self, h: Tensor | tuple[Tensor, Tensor], edge_index: Tensor, edge_weight: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """New states of the targets and attention, which sums to 1 over the edges into a node."""
        source, target = h if isinstance(h, tuple) else (h, h)
        heads = (-1, self.n_heads, self.width)
        value = self.value(source).view(heads)
        if self.is_dot:
            query = self.query(target).view(heads)
            key = self.key(source).view(heads)
        else:
            # The product of `a` with two concatenated vectors is the sum of two products per node.
            received = value if target is source else self.value(target).view(heads)
            query = (received * self.receive).sum(-1)
            key = (value * self.send).sum(-1)
        attention = self.edge_updater(edge_index, query=query, key=key, edge_weight=edge_weight)
        size = (len(source), len(target))
        mixed = self.propagate(edge_index, size=size, value=value, attention=attention)
        return self.out(mixed), attention

    def edge_update(
        self,
        query_i: Tensor,
        key_j: Tensor,
        edge_weight: Tensor | None,
        index: Tensor,
        size_i: int | None,
    ) -> Tensor:
        """Attention of each edge, shape (n_edges, n_heads)."""
        if self.is_dot:
            score = (query_i * key_j).sum(-1) / self.width**0.5
        else:
            score = functional.leaky_relu(query_i + key_j, 0.2)
        if edge_weight is not None:
            score = score + edge_weight.log().unsqueeze(-1)
        return softmax(score, index, num_nodes=size_i)

    def message(self, value_j: Tensor, attention: Tensor) -> Tensor:
        """Weighted values of the sources, heads concatenated, shape (n_edges, dim)."""
        return (value_j * attention.unsqueeze(-1)).flatten(1)


class _ConvLayer(nn.Module):
    """A convolution of PyG that reads the edge weight as an edge feature, 1 where there is none."""

    conv: nn.Module

    def forward(
        self, h: Tensor | tuple[Tensor, Tensor], edge_index: Tensor, edge_weight: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """New states of the targets and attention of each edge."""
        if edge_weight is None:
            edge_weight = torch.ones(edge_index.shape[1], device=edge_index.device)
        feature = edge_weight.unsqueeze(-1)
        out, (_, attention) = self.conv(h, edge_index, feature, return_attention_weights=True)
        return out, attention


class TransformerLayer(_ConvLayer):
    """Encoder `transformer`: `TransformerConv` (Shi et al. 2021), edge weight as edge feature."""

    scope = RELATION

    def __init__(self, config: GraphTransformerConfig) -> None:
        super().__init__()
        width = config.dim // config.n_heads
        self.conv = TransformerConv(config.dim, width, heads=config.n_heads, edge_dim=1)


class GatLayer(_ConvLayer):
    """Encoder `gat`: `GATv2Conv` (Brody et al. 2022), the edge weight as edge feature."""

    scope = NETWORK
    takes_pairs = True

    def __init__(self, config: GraphTransformerConfig) -> None:
        super().__init__()
        width = config.dim // config.n_heads
        # The residual connection of the block stands for self-loops.
        self.conv = GATv2Conv(
            config.dim, width, heads=config.n_heads, edge_dim=1, add_self_loops=False
        )


class HgtLayer(nn.Module):
    """Encoder `hgt`: `HGTConv` (Hu et al. 2020) over all edge types; does not read edge weights."""

    scope = HETERO

    def __init__(self, config: GraphTransformerConfig, metadata: Metadata) -> None:
        super().__init__()
        self.conv = HGTConv(config.dim, config.dim, metadata, heads=config.n_heads)

    def forward(
        self, h: States, edge_index: ByEdgeType, _edge_weight: EdgeWeights
    ) -> tuple[States, ByEdgeType]:
        """New states of all targets by node type, and attention by edge type."""
        # HGTConv numbers its weights by the order of the edge types.
        ordered = {edge_type: edge_index[edge_type] for edge_type in self.conv.edge_types}
        attention: list[Tensor] = []

        @torch.no_grad()
        def keep_attention(_conv: HGTConv, inputs: tuple[dict[str, Any]], _out: Tensor) -> None:
            values = inputs[0]
            score = (values["q_i"] * values["k_j"]).sum(-1) * values["edge_attr"]
            score = score / values["q_i"].size(-1) ** 0.5
            attention.append(softmax(score, values["index"], num_nodes=values["size_i"]))

        # HGTConv does not return its attention.
        hook = self.conv.register_message_forward_hook(keep_attention)
        try:
            out = self.conv(h, ordered)
        finally:
            hook.remove()
        n_edges = [edges.shape[1] for edges in ordered.values()]
        return out, dict(zip(ordered, attention[0].split(n_edges), strict=True))


class RelationLayers(nn.Module):
    """One layer of scope ``"relation"`` for each edge type; messages to a node are summed."""

    def __init__(self, config: GraphTransformerConfig, metadata: Metadata) -> None:
        super().__init__()
        layer = GRAPH_ENCODERS[config.encoder]
        self.layers = ModuleDict({edge_type: layer(config) for edge_type in metadata[1]})

    def forward(
        self, h: States, edge_index: ByEdgeType, edge_weight: EdgeWeights
    ) -> tuple[States, ByEdgeType]:
        """New states of all targets by node type, and attention by edge type."""
        mixed: States = {}
        attentions: ByEdgeType = {}
        for edge_type, layer in self.layers.items():
            source, _, target = edge_type
            ends = (h[source], h[target])
            out, attention = layer(ends, edge_index[edge_type], edge_weight[edge_type])
            mixed[target] = mixed[target] + out if target in mixed else out
            attentions[edge_type] = attention
        return mixed, attentions
