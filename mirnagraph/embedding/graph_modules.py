"""Graph encoder modules: blocks of layers, for one network and for several node and edge types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch_geometric.data import HeteroData
from torch_geometric.nn.module_dict import ModuleDict
from torch_geometric.nn.parameter_dict import ParameterDict

from mirnagraph.config import require
from mirnagraph.embedding.graph_encoders import GRAPH_ENCODERS, EdgeType, GraphTransformerConfig
from mirnagraph.embedding.graph_layers import (
    HETERO,
    NETWORK,
    ByEdgeType,
    EdgeWeights,
    Metadata,
    RelationLayers,
    States,
    scope_of,
    takes_pairs,
)
from mirnagraph.errors import ConfigError

Sizes: TypeAlias = Sequence[tuple[int, int]]
"""For each layer, how many nodes it computes and how many edges it reads, from the first on."""

SizesByType: TypeAlias = Sequence[tuple[dict[str, int], dict[EdgeType, int]]]


class Block(nn.Module):
    """Pre-layer-norm block: a layer and a feed-forward part, each with a residual connection."""

    def __init__(self, config: GraphTransformerConfig) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(config.dim)
        self.norm_forward = nn.LayerNorm(config.dim)
        self.attention = GRAPH_ENCODERS[config.encoder](config)
        self.feed_forward = _feed_forward(config)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        h: Tensor,
        edge_index: Tensor,
        edge_weight: Tensor | None,
        n_targets: int | None = None,
    ) -> tuple[Tensor, Tensor]:
        """New states of the first `n_targets` nodes, which the edges point at; None for all.

        Returns:
            States (n_targets, dim) and attention (n_edges, n_heads).
        """
        states = self.norm_attention(h)
        if n_targets is not None and takes_pairs(self.attention):
            states = (states, states[:n_targets])
        mixed, attention = self.attention(states, edge_index, edge_weight)
        h = h[:n_targets] + self.dropout(mixed[:n_targets])
        return h + self.dropout(self.feed_forward(self.norm_forward(h))), attention


class HeteroBlock(nn.Module):
    """`Block` for several node types, each with its own layer norms and feed-forward part."""

    def __init__(self, config: GraphTransformerConfig, metadata: Metadata) -> None:
        super().__init__()
        types = metadata[0]
        self.norm_attention = ModuleDict({name: nn.LayerNorm(config.dim) for name in types})
        self.norm_forward = ModuleDict({name: nn.LayerNorm(config.dim) for name in types})
        self.feed_forward = ModuleDict({name: _feed_forward(config) for name in types})
        is_hetero = scope_of(config.encoder) == HETERO
        layer = GRAPH_ENCODERS[config.encoder] if is_hetero else RelationLayers
        self.attention = layer(config, metadata)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        h: States,
        edge_index: ByEdgeType,
        edge_weight: EdgeWeights,
        n_targets: Mapping[str, int] | None = None,
    ) -> tuple[States, ByEdgeType]:
        """New states by node type, of the first `n_targets` nodes, and attention by edge type."""
        normed = {name: self.norm_attention[name](state) for name, state in h.items()}
        mixed, attention = self.attention(normed, edge_index, edge_weight)
        out = {}
        for name, state in h.items():
            first = slice(None if n_targets is None else n_targets[name])
            state = state[first]
            # A node type that no edge type points at keeps its states.
            if name in mixed:
                state = state + self.dropout(mixed[name][first])
            forward = self.feed_forward[name](self.norm_forward[name](state))
            out[name] = state + self.dropout(forward)
        return out, attention


def _feed_forward(config: GraphTransformerConfig) -> nn.Sequential:
    wide = 2 * config.dim
    return nn.Sequential(nn.Linear(config.dim, wide), nn.GELU(), nn.Linear(wide, config.dim))


class _Encoder(nn.Module):
    """What the encoders of one network and of several node types share."""

    def __init__(self, config: GraphTransformerConfig) -> None:
        super().__init__()
        self.config = config

    @property
    def output_dim(self) -> int:
        """Length of an embedding."""
        return self.config.dim

    @torch.no_grad()
    def encode(self, *inputs: Any) -> Any:
        """`forward` without dropout or gradients; leaves the training mode as it was."""
        was_training = self.training
        try:
            return self.eval()(*inputs)
        finally:
            self.train(was_training)


class GraphTransformer(_Encoder):
    """Node features and edges of one network in, one unit vector per node out.

    Args:
        in_channels: columns of the features.
        config: see GraphTransformerConfig.

    Raises:
        ConfigError: the encoder reads several node types only.
    """

    def __init__(self, in_channels: int, config: GraphTransformerConfig) -> None:
        super().__init__(config)
        require(in_channels >= 1, "in_channels", in_channels, "1 or more")
        if scope_of(config.encoder) == HETERO:
            raise ConfigError(
                f"graph encoder {config.encoder!r} reads node types; use HeteroGraphTransformer"
            )
        self.project = nn.Linear(in_channels, config.dim)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_layers))
        self.norm = nn.LayerNorm(config.dim)

    def hidden(
        self,
        x: Tensor,
        edge_index: Tensor,
        edge_weight: Tensor | None = None,
        sizes: Sizes | None = None,
    ) -> tuple[Tensor, list[Tensor]]:
        """Node states before the L2 norm, which the loss reads (Eq. 10), and attention by layer.

        Args:
            x: see `forward`.
            edge_index: see `forward`.
            edge_weight: see `forward`.
            sizes: of a sample of neighbours, whose nodes and edges are in the order of hops; None
                for the whole graph.
        """
        h = self.project(x)
        attentions = []
        for layer, block in enumerate(self.blocks):
            n_targets, n_edges = (None, None) if sizes is None else sizes[layer]
            weight = None if edge_weight is None else edge_weight[:n_edges]
            h, attention = block(h, edge_index[:, :n_edges], weight, n_targets)
            attentions.append(attention)
        return self.norm(h), attentions

    def forward(
        self,
        x: Tensor,
        edge_index: Tensor,
        edge_weight: Tensor | None = None,
        return_attention: bool = False,
    ) -> Tensor | tuple[Tensor, list[Tensor]]:
        """Embed all nodes.

        Args:
            x: features, float, shape (n_nodes, in_channels).
            edge_index: int64, shape (2, n_edges): row 0 the neighbour, row 1 the node it informs.
            edge_weight: shape (n_edges,), above 0; None for 1.
            return_attention: also return a list of n_layers tensors of shape (n_edges, n_heads),
                in the order of `edge_index`.

        Returns:
            Shape (n_nodes, dim), rows of L2 norm 1. Nodes without neighbours are embedded by their
            own features.
        """
        h, attentions = self.hidden(x, edge_index, edge_weight)
        out = functional.normalize(h, dim=-1)
        return (out, attentions) if return_attention else out


class HeteroGraphTransformer(_Encoder):
    """All node and edge types of a HeteroData in, one unit vector per node out.

    Args:
        data: gives the metadata, the width of the features ``x`` of each node type and, for types
            without ``x``, the number of nodes: these start from trained vectors.
        config: see GraphTransformerConfig; the encoder is of scope ``"relation"`` or ``"hetero"``.

    Raises:
        ConfigError: the encoder reads one network only.
    """

    def __init__(self, data: HeteroData, config: GraphTransformerConfig) -> None:
        super().__init__(config)
        if scope_of(config.encoder) == NETWORK:
            raise ConfigError(
                f"graph encoder {config.encoder!r} reads one network; give "
                "fit_graph_transformer one relation (see relation_of), or choose "
                "encoder = 'transformer' or 'hgt'"
            )
        self.project = ModuleDict()
        self.start = ParameterDict()
        for name in data.node_types:
            if "x" in data[name]:
                self.project[name] = nn.Linear(data[name].x.shape[1], config.dim)
            else:
                start = torch.empty(data[name].num_nodes, config.dim)
                self.start[name] = nn.Parameter(nn.init.normal_(start))
        metadata = data.metadata()
        self.blocks = nn.ModuleList(HeteroBlock(config, metadata) for _ in range(config.n_layers))
        self.norm = ModuleDict({name: nn.LayerNorm(config.dim) for name in data.node_types})

    def hidden(
        self,
        data: HeteroData,
        visible: Mapping[EdgeType, Tensor] | None = None,
        sizes: SizesByType | None = None,
    ) -> tuple[States, list[ByEdgeType]]:
        """Node states before the L2 norm by node type, and attention by layer and edge type.

        Args:
            data: with the node and edge types of the module; ``edge_weight`` may be absent.
            visible: numbers of the edges to read, by edge type; None for all.
            sizes: of a sample of neighbours (with ``n_id``), see `GraphTransformer.hidden`.
        """
        edge_index = {}
        edge_weight = {}
        for edge_type in data.edge_types:
            edges = data[edge_type]
            numbers = slice(None) if visible is None else visible[edge_type]
            edge_index[edge_type] = edges.edge_index[:, numbers]
            has_weights = "edge_weight" in edges
            edge_weight[edge_type] = edges.edge_weight[numbers] if has_weights else None
        h = self.first_states(data)
        attentions = []
        for layer, block in enumerate(self.blocks):
            if sizes is None:
                h, attention = block(h, edge_index, edge_weight)
            else:
                n_targets, n_edges = sizes[layer]
                ends = {name: edges[:, : n_edges[name]] for name, edges in edge_index.items()}
                weights = {
                    name: None if weight is None else weight[: n_edges[name]]
                    for name, weight in edge_weight.items()
                }
                h, attention = block(h, ends, weights, n_targets)
            attentions.append(attention)
        return {name: self.norm[name](state) for name, state in h.items()}, attentions

    def first_states(self, data: HeteroData) -> States:
        """States that the first layer reads, by node type; of a sample, those of its ``n_id``."""
        h = {}
        for name in data.node_types:
            if name in self.project:
                h[name] = self.project[name](data[name].x)
            else:
                start = self.start[name]
                h[name] = start[data[name].n_id] if "n_id" in data[name] else start
        return h

    def forward(
        self, data: HeteroData, return_attention: bool = False
    ) -> States | tuple[States, list[ByEdgeType]]:
        """Embed all nodes.

        Args:
            data: with the node and edge types of the module.
            return_attention: also return, for each layer, attention by edge type, shape
                (n_edges, n_heads), in the order of its ``edge_index``.

        Returns:
            Node type -> shape (n_nodes, dim), rows of L2 norm 1.
        """
        h, attentions = self.hidden(data)
        out = {name: functional.normalize(state, dim=-1) for name, state in h.items()}
        return (out, attentions) if return_attention else out
