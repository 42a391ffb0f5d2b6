"""Fusion of two towers: graph, sequence and other sources as tokens, joined by attention."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from fusion.model_config import FusionConfig
from fusion.nn.encoding import PiecewiseLinear
from fusion.tokens.names import JOIN, KERNEL_FEATURES, LETTERS, NEAREST, PROFILE, TokenName
from fusion.tokens.table import TokenTable
from mirnagraph.embedding.label_attention import LabelGraphTower, Surroundings
from seqtower.nn.packed import PackedAttentionPooling, PackedLinear
from seqtower.towers.base import Tower, TowerConfig, make_tower

N_LETTERS = 5
"""Codes of nucleotides in the token ``letters``: 1 to 5 for A, C, G, U and N, 0 for padding; a
nucleotide of a mature miRNA has `N_LETTERS` more."""

PRESENCE = "presence"
"""Token that says which of the others an RNA has; every RNA has it."""


def kind_of(text: str) -> str:
    """Kind of a token; empty for joined tokens, which are numbers of any kind."""
    return "" if JOIN in text else TokenName.parse(text).kind


@dataclass(frozen=True, eq=False)
class Inputs:
    """What `TwoTowerFusion` reads of n RNAs.

    Attributes:
        dense: kernel components (see `fusion.models.kernel_features`) of each kernel, then the
            piecewise-linear encoding of each other token of numbers; zeros where it is absent.
        rnas: for the graph tower.
        letters: codes of nucleotides (see `N_LETTERS`), int64, shape (n, width); None without the
            token.
        present: bool, shape (n, n_tokens): which tokens an RNA has, in the order of
            `TwoTowerFusion.sources`; the last, `PRESENCE`, always.
    """

    dense: tuple[Tensor, ...]
    rnas: Surroundings
    letters: Tensor | None
    present: Tensor

    def rows(self, rows: Tensor) -> Inputs:
        """Some of the RNAs."""
        nearest = {
            name: (near[rows], sims[rows]) for name, (near, sims) in self.rnas.nearest.items()
        }
        profiles = {kind: profile[rows] for kind, profile in self.rnas.profiles.items()}
        letters = None if self.letters is None else self.letters[rows]
        dense = tuple(values[rows] for values in self.dense)
        return Inputs(dense, Surroundings(nearest, profiles), letters, self.present[rows])

    def without_nearest(self, is_hidden: Mapping[str, Tensor]) -> Inputs:
        """Without some similar RNAs: relation -> bool, shape (n, k)."""
        nearest = {
            name: (near, sims.masked_fill(is_hidden[name], 0.0))
            for name, (near, sims) in self.rnas.nearest.items()
        }
        return replace(self, rnas=Surroundings(nearest, self.rnas.profiles))


class TwoTowerFusion(nn.Module):
    """Logits of compartments from a graph tower, a sequence tower and further sources.

    Each source is a token of width `dim`: numbers by their kernel components, or by a
    piecewise-linear encoding, and a projection;
    each relation and each kind of partner of the graph tower (labels of other RNAs, see
    `LabelGraphTower`); the sequence tower's embedding of the nucleotides. Learned queries attend
    over the tokens that an RNA has, and a hidden layer reads what they return. Members are packed:
    all have weights of their own but for the sequence tower's, which they share.

    Args:
        widths: token -> columns, in token order.
        n_labels: compartments.
        config: settings.
        n_reference: RNAs whose labels the graph tower may read.
    """

    def __init__(
        self, widths: Mapping[str, int], n_labels: int, config: FusionConfig, n_reference: int
    ) -> None:
        super().__init__()
        self.config = config
        self.names = tuple(widths)
        self.widths = list(widths.values())
        self.n_labels = n_labels
        self.n_reference = n_reference
        n_members, dim = config.n_members, config.dim
        towers = (NEAREST, PROFILE, LETTERS)
        kernels = [name for name in widths if kind_of(name) == KERNEL_FEATURES]
        others = [name for name in widths if kind_of(name) not in (*towers, KERNEL_FEATURES)]
        self.n_kernels = len(kernels)
        self.dense = [*kernels, *others]
        self.nearest = [name for name in widths if kind_of(name) == NEAREST]
        self.profiles = [name for name in widths if kind_of(name) == PROFILE]
        self.encodings = nn.ModuleList(PiecewiseLinear(widths[name]) for name in others)
        self.project_kernels = nn.ModuleList(
            PackedLinear(n_members, widths[name], dim) for name in kernels
        )
        self.project = nn.ModuleList()
        self.graph: LabelGraphTower | None = None
        if self.nearest or self.profiles:
            n_heads = n_members * config.graph_heads
            kinds = {TokenName.parse(name).target: widths[name] for name in self.profiles}
            self.graph = LabelGraphTower(
                tuple(self.nearest), kinds, n_reference, n_labels, n_heads, config.graph_layer
            )
            of_heads = config.graph_heads * n_labels
            self.read_nearest = nn.ModuleList(
                nn.ModuleList(
                    [
                        PackedLinear(n_members, of_heads + 2, 2 * dim),
                        PackedLinear(n_members, 2 * dim, dim),
                    ]
                )
                for _ in self.nearest
            )
            self.read_profiles = nn.ModuleList(
                PackedLinear(n_members, of_heads, dim) for _ in self.profiles
            )
        self.sequence: Tower | None = None
        if LETTERS in widths:
            tower = TowerConfig(config.sequence_tower, config.sequence_settings)
            self.sequence = make_tower(tower.name, tower.settings, N_LETTERS + 1, n_labels)
            self.read_letters = PackedLinear(n_members, self.sequence.output_dim, dim)
        self.read_presence = PackedLinear(n_members, len(self.sources), dim)
        if config.pooling == "attention":
            self.pool = PackedAttentionPooling(
                n_members, len(self.sources), dim, config.n_heads, config.n_queries
            )
        n_pooled = config.n_queries * dim if config.pooling == "attention" else dim
        self.hidden = PackedLinear(n_members, n_pooled, config.hidden)
        self.head = PackedLinear(n_members, config.hidden, n_labels, scale=0.3)

    @property
    def sources(self) -> list[str]:
        """Tokens in the order in which attention reads them; the last is `PRESENCE`."""
        letters = [LETTERS] if LETTERS in self.names else []
        return [*self.dense, *self.nearest, *self.profiles, *letters, PRESENCE]

    def fit_inputs(self, tokens: TokenTable, rows: np.ndarray, labels: np.ndarray) -> None:
        """Set bins of numbers, and labels and partners that the graph tower reads.

        Args:
            tokens: of all RNAs, in the order of `names`.
            rows: training rows.
            labels: shape (n_reference, n_labels); NaN where a label may not be read.
        """
        encodings: list[PiecewiseLinear] = []
        for name in self.dense[self.n_kernels :]:
            token = tokens[name]
            with_token = rows[token.present[rows]]
            encodings.append(PiecewiseLinear.fit(token.values[with_token], self.config.bins))
        self.set_encodings(encodings)
        if self.graph is not None:
            profiles = {
                TokenName.parse(name).target: torch.from_numpy(tokens[name].values)
                for name in self.profiles
            }
            self.graph.set_reference(torch.from_numpy(labels.astype(np.float32)), profiles)
        n_known = (~np.isnan(labels[rows])).sum(axis=0)
        n_positive = np.nansum(labels[rows], axis=0)
        share = np.where(n_known > 0, n_positive / np.maximum(n_known, 1), 0.5).clip(0.01, 0.99)
        with torch.no_grad():
            self.head.bias.copy_(torch.logit(torch.from_numpy(share).float()))

    def set_encodings(self, encodings: list[PiecewiseLinear]) -> None:
        """Set the encodings of numbers and make their projections."""
        n_members, dim = self.config.n_members, self.config.dim
        self.encodings = nn.ModuleList(encodings)
        self.project = nn.ModuleList(
            PackedLinear(n_members, encoding.n_components, dim) for encoding in encodings
        )

    def inputs(self, values: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Inputs:
        """Encode tokens of n RNAs.

        Args:
            values: token -> float32, shape (n, width).
            present: token -> bool, shape (n,).
        """
        kernels = self.dense[: self.n_kernels]
        dense = [values[name] * present[name].unsqueeze(1) for name in kernels]
        for name, encoding in zip(self.dense[self.n_kernels :], self.encodings, strict=True):
            dense.append(encoding(values[name]) * present[name].unsqueeze(1))
        nearest = {}
        for name in self.nearest:
            rows, similarities = values[name].chunk(2, dim=1)
            nearest[name] = (rows.long(), similarities * present[name].unsqueeze(1))
        profiles = {
            TokenName.parse(name).target: values[name] * present[name].unsqueeze(1)
            for name in self.profiles
        }
        letters = None
        if self.sequence is not None:
            letters = (values[LETTERS] * present[LETTERS].unsqueeze(1)).long()
        columns = [present[name] for name in self.sources[:-1]]
        columns.append(torch.ones(len(next(iter(values.values()))), dtype=torch.bool))
        rnas = Surroundings(nearest, profiles)
        return Inputs(tuple(dense), rnas, letters, torch.stack(columns, dim=1))

    def forward(self, inputs: Inputs, hidden: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Logits and attention.

        Args:
            inputs: of n RNAs.
            hidden: rows of reference RNAs whose labels the partners may not read.

        Returns:
            Logits, shape (n_members, n, n_labels); attention over `sources`, shape (n_members, n,
            n_heads, n_queries, n_tokens).
        """
        config = self.config
        tokens = []
        projections = (*self.project_kernels, *self.project)
        for values, project in zip(inputs.dense, projections, strict=True):
            tokens.append(project(self._drop(values, config.input_dropout)))
        if self.graph is not None:
            tokens += self._graph_tokens(self.graph, inputs.rnas, hidden)
        if self.sequence is not None and inputs.letters is not None:
            tokens.append(self._sequence_token(self.sequence, inputs.letters))
        tokens.append(self.read_presence(inputs.present.float()))
        stacked = torch.stack([token.expand(config.n_members, -1, -1) for token in tokens], dim=2)
        pooled, weights = self._pool(functional.gelu(stacked), inputs.present)
        hidden_layer = functional.gelu(self.hidden(self._drop(pooled, config.dropout)))
        return self.head(self._drop(hidden_layer, config.dropout)), weights

    def _pool(self, tokens: Tensor, is_present: Tensor) -> tuple[Tensor, Tensor]:
        """Pooled tokens and attention, see `PackedAttentionPooling`."""
        if self.config.pooling == "attention":
            pooled, weights = self.pool(tokens, is_present)
            return pooled, weights
        share = is_present / is_present.sum(dim=1, keepdim=True)
        pooled = (tokens * share[None, :, :, None]).sum(dim=2)
        return pooled, share[None, :, None, None]

    def _graph_tokens(
        self, graph: LabelGraphTower, rnas: Surroundings, hidden: Tensor | None
    ) -> list[Tensor]:
        """Tokens of relations and partners, each (n_members, n, dim)."""
        config = self.config
        read = graph(rnas, hidden)
        n = len(read)
        # (n_sources, n_members, n, heads of a member x n_labels)
        by_member = read.view(n, -1, config.n_members, config.graph_heads * self.n_labels)
        by_source = by_member.permute(1, 2, 0, 3)
        tokens = []
        for number, (name, layers) in enumerate(zip(self.nearest, self.read_nearest, strict=True)):
            first, second = cast(nn.ModuleList, layers)
            similarities = rnas.nearest[name][1]
            total = (similarities.sum(dim=1) + 1e-3).log() / 3
            facts = torch.stack([total, similarities.amax(dim=1)], dim=1)
            facts = facts.expand(config.n_members, -1, -1)
            labels = torch.cat([by_source[number], facts], dim=2)
            state = functional.gelu(first(self._drop(labels, config.graph_dropout)))
            tokens.append(second(self._drop(state, config.dropout)))
        for number, layer in enumerate(self.read_profiles, len(self.nearest)):
            tokens.append(layer(self._drop(by_source[number], config.graph_dropout)))
        return tokens

    def _sequence_token(self, tower: Tower, letters: Tensor) -> Tensor:
        """Token of the sequence tower: (n_members, n, dim)."""
        is_letter = letters > 0
        # an RNA without letters has one of padding, so that no tower pools over nothing
        is_empty = ~is_letter.any(dim=1)
        is_letter[:, 0] |= is_empty
        nucleotide = torch.where(letters > N_LETTERS, letters - N_LETTERS, letters)
        one_hot = functional.one_hot(nucleotide, N_LETTERS + 1)[..., 1:]
        is_mature = (letters > N_LETTERS).unsqueeze(2)
        channels = torch.cat([one_hot, is_mature], dim=2).float()
        embedding = tower.encode(channels, is_letter)
        return self.read_letters(self._drop(embedding, self.config.dropout))

    def _drop(self, values: Tensor, rate: float) -> Tensor:
        return functional.dropout(values, rate, self.training)
