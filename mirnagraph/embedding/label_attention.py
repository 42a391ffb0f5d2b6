"""Graph tower: attention of an RNA over labels of others, through similarities and partners."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.data import HeteroData
from torch_geometric.nn import HeteroConv, MessagePassing, TransformerConv
from torch_geometric.utils import softmax

from mirnagraph.registry import Registry

RNA = "rna:reference"
"""Node type of the reference RNAs, whose labels are read; no kind of partner has a colon."""

TARGET = "rna:embedded"
"""Node type of the RNAs to embed."""

SMOOTHING = 3.0
"""RNAs with the base rate that every partner is counted to have in addition."""


class LabelAttention(MessagePassing):
    """Multi-head attention over neighbours, with a learned weight per head for an edge feature.

    ``a_ij`` of head h is the softmax over the edges into i of ``strength_h * feature_ij``. With the
    logarithm of a similarity as feature and strength 1, it is the similarity-weighted mean; a
    larger strength reads fewer, nearer neighbours.

    Args:
        n_heads: heads.
        n_labels: compartments; the layer's size does not depend on it.
    """

    def __init__(self, n_heads: int, n_labels: int = 0) -> None:
        super().__init__(aggr="add", node_dim=0)
        self.strength = nn.Parameter(torch.rand(n_heads) * 3)

    def forward(self, x: tuple[Tensor, Tensor], edge_index: Tensor, edge_attr: Tensor) -> Tensor:
        """Mean of the sources' labels, by head.

        Args:
            x: states of the sources, shape (n_sources, 2 * n_labels): labels, 0 where hidden, then
                1 where they are visible; and any tensor with a row for each target.
            edge_index: sources and targets, shape (2, n_edges).
            edge_attr: feature, shape (n_edges,).

        Returns:
            Shape (n_targets, n_heads, n_labels): mean over the visible labels, 0 without any.
        """
        sources, targets = x
        sums = self.propagate(
            edge_index, x=(sources, None), feature=edge_attr, size=(len(sources), len(targets))
        )
        total, visible = sums.chunk(2, dim=-1)
        return total / visible.clamp(min=1e-6)

    def message(self, x_j: Tensor, feature: Tensor, index: Tensor, size_i: int | None) -> Tensor:
        """Weighted states of the sources, shape (n_edges, n_heads, 2 * n_labels)."""
        score = feature.unsqueeze(-1) * self.strength
        attention = softmax(score, index, num_nodes=size_i)
        return attention.unsqueeze(-1) * x_j.unsqueeze(1)


class TransformerLabels(nn.Module):
    """PyG's `TransformerConv` with the edge feature, in place of `LabelAttention`.

    Queries do not depend on the target. Edge features count in keys and values, so that its output
    is no mean of labels.

    Args:
        n_heads: heads.
        n_labels: compartments.
    """

    def __init__(self, n_heads: int, n_labels: int) -> None:
        super().__init__()
        self.shape = (n_heads, n_labels)
        self.conv = TransformerConv(
            (2 * n_labels, 1), n_labels, heads=n_heads, edge_dim=1, root_weight=False
        )

    def forward(self, x: tuple[Tensor, Tensor], edge_index: Tensor, edge_attr: Tensor) -> Tensor:
        """Messages by head; arguments and shape as in `LabelAttention`."""
        sources, targets = x
        queries = sources.new_ones(len(targets), 1)
        mixed: Tensor = self.conv((sources, queries), edge_index, edge_attr.unsqueeze(-1))
        return mixed.view(-1, *self.shape)


LABEL_LAYERS: Registry[Any] = Registry(
    "label layer",
    "mirnagraph.label_layers",
    {
        "labels": "mirnagraph.embedding.label_attention:LabelAttention",
        "transformer": "mirnagraph.embedding.label_attention:TransformerLabels",
    },
)
"""Layers of `LabelGraphTower`, built as ``Layer(n_heads, n_labels)`` and called as
`LabelAttention`."""


class LabelCounts(MessagePassing):
    """Sum of the sources' states, shape (n_targets, 2 * n_labels)."""

    def __init__(self) -> None:
        super().__init__(aggr="add", node_dim=0)

    def forward(self, x: tuple[Tensor, Tensor], edge_index: Tensor) -> Tensor:
        """Sum over the edges into each target; arguments as in `LabelAttention`."""
        sources, targets = x
        counts: Tensor = self.propagate(
            edge_index, x=(sources, None), size=(len(sources), len(targets))
        )
        return counts


def _by_edge_type(layers: Mapping[tuple[str, str, str], nn.Module], aggr: str | None) -> HeteroConv:
    """Layers by edge type, without the warning that sources keep their states, as they should."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="There exist node types", category=UserWarning)
        return HeteroConv(dict(layers), aggr=aggr)


@dataclass(frozen=True, eq=False)
class Surroundings:
    """What a graph tower reads of n RNAs.

    Attributes:
        nearest: relation -> row numbers of similar reference RNAs, int64, and similarities, 0 where
            there is none; both of shape (n, k).
        profiles: kind of partner -> associations of the RNAs, above 0 where associated, shape
            (n, n_partners).
    """

    nearest: Mapping[str, tuple[Tensor, Tensor]]
    profiles: Mapping[str, Tensor]


class LabelGraphTower(nn.Module):
    """Labels of reference RNAs, passed along similarities and through shared partners.

    The graph is heterogeneous: reference RNAs, partners (diseases, drugs, genes) and the RNAs to
    embed. An RNA attends over its similar reference RNAs in every relation (`LabelAttention`), and
    over its partners, whose states are label shares of the reference RNAs associated with them. An
    RNA never reads its own label: it is not among its nearest RNAs, and `hidden` takes it out of
    the shares of partners (UniMP, Shi et al. 2021, arXiv:2009.03509).

    Args:
        relations: names of the similarities.
        kinds: kind of partner -> number of partners.
        n_reference: reference RNAs.
        n_labels: compartments.
        n_heads: heads of each relation.
        layer: entry of `LABEL_LAYERS`.
    """

    def __init__(
        self,
        relations: tuple[str, ...],
        kinds: Mapping[str, int],
        n_reference: int,
        n_labels: int,
        n_heads: int,
        layer: str = "labels",
    ) -> None:
        super().__init__()
        self.relations = relations
        self.kinds = dict(kinds)
        self.n_heads = n_heads
        self.n_labels = n_labels
        self.register_buffer("labels", torch.zeros(n_reference, n_labels))
        self.register_buffer("visible", torch.zeros(n_reference, n_labels))
        self.register_buffer("base", torch.full((n_labels,), 0.5))
        for kind, n_partners in self.kinds.items():
            self.register_buffer(f"profile_{kind}", torch.zeros(n_reference, n_partners))
        make = LABEL_LAYERS[layer]
        layers = {(RNA, relation, TARGET): make(n_heads, n_labels) for relation in relations}
        layers |= {(kind, "of", TARGET): make(n_heads, n_labels) for kind in self.kinds}
        counts = {(RNA, "in", kind): LabelCounts() for kind in self.kinds}
        self.read = _by_edge_type(layers, aggr=None)
        self.count = _by_edge_type(counts, aggr="sum") if counts else None

    @property
    def names(self) -> tuple[str, ...]:
        """Relations, then kinds of partners: the order of the outputs of `forward`."""
        return (*self.relations, *self.kinds)

    def set_reference(self, labels: Tensor, profiles: Mapping[str, Tensor]) -> None:
        """Set labels, NaN where they may not be read, and associations of the reference RNAs.

        The base rate of a label is over all labels that may be read: one number for all RNAs and
        steps, which therefore says nothing about a hidden one.
        """
        is_known = ~torch.isnan(labels)
        known = torch.where(is_known, labels, 0.0)
        base = (known.sum(dim=0) + 0.5) / (is_known.sum(dim=0) + 1)
        self.get_buffer("visible").copy_(is_known)
        self.get_buffer("labels").copy_(known)
        self.get_buffer("base").copy_(base.clamp(0.001, 0.999))
        for kind in self.kinds:
            self.get_buffer(f"profile_{kind}").copy_(profiles[kind])

    def graph(self, rnas: Surroundings, hidden: Tensor | None = None) -> HeteroData:
        """The graph around some RNAs.

        Args:
            rnas: n RNAs.
            hidden: rows of reference RNAs whose labels partners may not read.

        Returns:
            Node types `RNA` (``x``: labels and visibility, shape (n_reference, 2 * n_labels)),
            `TARGET` (``x``: shape (n, 0)) and the kinds of partners (``x``: shape (n_partners,
            0)); edges with ``edge_attr``: the logarithm of the similarity, relative to the RNA's
            largest one.
        """
        data = HeteroData()
        labels, visible = self.get_buffer("labels"), self.get_buffer("visible")
        data[RNA].x = torch.cat([labels, visible], dim=1)
        firsts = [rows for rows, _ in rnas.nearest.values()]
        n_rnas = len(next(iter([*firsts, *rnas.profiles.values()])))
        data[TARGET].x = labels.new_zeros(n_rnas, 0)
        for relation in self.relations:
            rows, similarity = rnas.nearest[relation]
            is_edge = similarity > 0
            targets = torch.arange(n_rnas).unsqueeze(1).expand_as(rows)
            edges = data[RNA, relation, TARGET]
            edges.edge_index = torch.stack([rows[is_edge], targets[is_edge]])
            largest = similarity.amax(dim=1, keepdim=True).clamp(min=1e-6)
            edges.edge_attr = (similarity / largest)[is_edge].log()
        is_visible = visible.any(dim=1)
        if hidden is not None:
            is_visible[hidden] = False
        for kind, n_partners in self.kinds.items():
            data[kind].x = labels.new_zeros(n_partners, 0)
            of_reference = self.get_buffer(f"profile_{kind}") * is_visible.unsqueeze(1)
            data[RNA, "in", kind].edge_index = of_reference.nonzero().t()
            targets, partners = rnas.profiles[kind].nonzero().t()
            data[kind, "of", TARGET].edge_index = torch.stack([partners, targets])
        return data

    def forward(self, rnas: Surroundings, hidden: Tensor | None = None) -> Tensor:
        """Labels around each RNA.

        Args:
            rnas: n RNAs.
            hidden: see `graph`.

        Returns:
            Shape (n, n_relations + n_kinds, n_heads, n_labels): for a relation the mean of labels;
            for a kind of partner the mean log ratio of the partners' label shares to the base rate.
        """
        data = self.graph(rnas, hidden)
        states = dict(data.x_dict)
        features = {
            (RNA, relation, TARGET): data[RNA, relation, TARGET].edge_attr
            for relation in self.relations
        }
        base = self.get_buffer("base")
        if self.count is not None:
            edges = {(RNA, "in", kind): data[RNA, "in", kind].edge_index for kind in self.kinds}
            for kind, counts in self.count(states, edges).items():
                total, visible = counts.chunk(2, dim=1)
                share = (total + SMOOTHING * base) / (visible + SMOOTHING)
                ratio = share.log() - base.log()
                states[kind] = torch.cat([ratio, torch.ones_like(ratio)], dim=1)
                partners = data[kind, "of", TARGET].edge_index[0]
                features[kind, "of", TARGET] = -visible.amax(dim=1)[partners].log1p()
        edges = {name: data[name].edge_index for name in features}
        read: Tensor = self.read(states, edges, edge_attr_dict=features)[TARGET]
        return read
