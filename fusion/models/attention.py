"""Attention over modality tokens: projections, transformer blocks, a read-out per compartment."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from fusion.model_config import AttentionConfig
from mirnagraph.config import require

NEVER_DROPPED = "trees"
"""Token that token dropout leaves."""

LIMIT = 4.0
"""Standardised inputs are clipped to this many standard deviations."""


def attend(
    attention: nn.MultiheadAttention, query: Tensor, tokens: Tensor, absent: Tensor
) -> tuple[Tensor, Tensor]:
    """Attend from queries to tokens.

    The mask is given for pairs, not for keys: torch loads sympy (half a second) to check one for
    keys.

    Args:
        attention: the module.
        query: shape (B, Q, dim).
        tokens: shape (B, T, dim).
        absent: bool, shape (B, T); True masks a token.

    Returns:
        Values (B, Q, dim) and weights (B, heads, Q, T), 0 at absent tokens.
    """
    mask = torch.zeros_like(absent, dtype=query.dtype).masked_fill_(absent, float("-inf"))
    per_head = mask.repeat_interleave(attention.num_heads, dim=0).unsqueeze(1)
    pair_mask = per_head.expand(-1, query.shape[1], -1)
    values, weights = attention(
        query, tokens, tokens, attn_mask=pair_mask, average_attn_weights=False
    )
    return values, weights


class AttentionBlock(nn.Module):
    """Multi-head attention, then feed-forward, each with residual, dropout and LayerNorm.

    LayerNorm follows each step (GTMALoc Eq. 12-17), or precedes it with `norm_first`.
    """

    def __init__(self, config: AttentionConfig, dropout: float, norm_first: bool = False) -> None:
        super().__init__()
        self.norm_first = norm_first
        hidden = max(1, int(config.dim * config.hidden_factor))
        self.attention = nn.MultiheadAttention(
            config.dim, config.n_heads, dropout=dropout, batch_first=True
        )
        self.feed_forward = nn.Sequential(
            nn.Linear(config.dim, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, config.dim),
        )
        self.norm_attention = nn.LayerNorm(config.dim)
        self.norm_feed_forward = nn.LayerNorm(config.dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, query: Tensor, tokens: Tensor, absent: Tensor) -> tuple[Tensor, Tensor]:
        """Update `query` from `tokens`.

        Args:
            query: shape (B, Q, dim); with `norm_first` the tokens themselves.
            tokens: shape (B, T, dim).
            absent: bool, shape (B, T); True masks a token. Each row has at least one present token.

        Returns:
            The updated query (B, Q, dim) and the weights (B, heads, Q, T): 0 at absent tokens,
            summing to 1 over the rest.
        """
        if self.norm_first:
            normed = self.norm_attention(tokens)
            values, weights = attend(self.attention, normed, normed, absent)
            query = query + self.dropout(values)
            return query + self.dropout(self.feed_forward(self.norm_feed_forward(query))), weights
        values, weights = attend(self.attention, query, tokens, absent)
        query = self.norm_attention(query + self.dropout(values))
        return self.norm_feed_forward(query + self.dropout(self.feed_forward(query))), weights


class QueryReader(nn.Module):
    """One learned query per compartment over the tokens, then a feed-forward with a residual.

    Only the feed-forward has dropout: one token, the trees' logits, may carry most of a prediction,
    and dropping its weights at random taught the reader to ignore it.
    """

    def __init__(self, config: AttentionConfig, n_labels: int) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.randn(n_labels, config.dim) * 0.1)
        self.attention = nn.MultiheadAttention(config.dim, config.n_heads, batch_first=True)
        self.norm = nn.LayerNorm(config.dim)
        self.feed_forward = nn.Sequential(
            nn.Linear(config.dim, config.dim), nn.GELU(), nn.Dropout(config.dropout)
        )

    def forward(self, tokens: Tensor, absent: Tensor) -> tuple[Tensor, Tensor]:
        """Read the tokens by every query; arguments as in `AttentionBlock`.

        Returns:
            Values (B, n_labels, dim) and weights (B, heads, n_labels, T).
        """
        query = self.queries.expand(len(tokens), -1, -1)
        values, weights = attend(self.attention, query, tokens, absent)
        read = self.norm(query + values)
        return read + self.feed_forward(read), weights


class TokenFusion(nn.Module):
    """Logits of compartments from tokens, one token per modality of an RNA.

    Every token is standardised (with statistics of the training rows, see `set_scaling`), projected
    to `dim` and marked by a learned vector. Absent tokens are masked; an RNA without any token is
    read from one learned "no token" vector, so that every prediction is finite.

    Args:
        token_dims: name -> width of each token, in token order.
        n_labels: number of compartments.
    """

    def __init__(
        self, token_dims: Mapping[str, int], n_labels: int, config: AttentionConfig
    ) -> None:
        super().__init__()
        require(len(token_dims) > 0, "tokens", list(token_dims), "at least one token")
        self.names = tuple(token_dims)
        self.config = config
        self.project = nn.ModuleList(nn.Linear(width, config.dim) for width in token_dims.values())
        self.widths = list(token_dims.values())
        self.register_buffer("shift", torch.zeros(sum(self.widths)))
        self.register_buffer("scale", torch.ones(sum(self.widths)))
        self.kind = nn.Parameter(torch.randn(len(self.names), config.dim) * 0.02)
        self.nothing = nn.Parameter(torch.randn(config.dim) * 0.02)
        self.norm_in = nn.LayerNorm(config.dim)
        block_dropout = config.dropout if config.block_dropout < 0 else config.block_dropout
        self.blocks = nn.ModuleList(
            AttentionBlock(config, block_dropout, config.norm_first) for _ in range(config.n_layers)
        )
        if "queries" in config.readout:
            label_scale = 0.05
            if config.readout == "queries":
                label_scale = config.dim**-0.5
                self.queries = nn.Parameter(torch.randn(n_labels, config.dim) * 0.02)
                self.read = AttentionBlock(config, config.dropout)
            else:
                self.light_read = QueryReader(config, n_labels)
            self.label_weight = nn.Parameter(torch.randn(n_labels, config.dim) * label_scale)
            self.label_bias = nn.Parameter(torch.zeros(n_labels))
        else:
            width = config.dim * (len(self.names) if config.readout == "concat" else 1)
            self.head = nn.Sequential(nn.Dropout(config.dropout), nn.Linear(width, n_labels))
        if config.residual:
            self.prior_scale = nn.Parameter(torch.ones(n_labels))

    def set_scaling(self, tokens: list[Tensor], present: Tensor) -> None:
        """Set mean and SD of each token from the given (training) rows that have it."""
        shifts = self.get_buffer("shift").split(self.widths)
        scales = self.get_buffer("scale").split(self.widths)
        for number, (shift, scale) in enumerate(zip(shifts, scales, strict=True)):
            values = tokens[number][present[:, number]]
            if len(values) > 1:
                sd = values.std(dim=0)
                shift.copy_(values.mean(dim=0))
                scale.copy_(torch.where(sd > 1e-6, sd, torch.ones_like(sd)))

    def start_from(self, share: Tensor) -> None:
        """Initialise the biases of a read-out by queries with base rates, shape (n_labels,)."""
        if "queries" in self.config.readout:
            with torch.no_grad():
                self.label_bias.copy_(torch.logit(share.clamp(0.01, 0.99)))

    def _embed(self, tokens: list[Tensor], present: Tensor) -> tuple[Tensor, Tensor]:
        """Projected tokens (B, T + 1, dim), the last one "no token", and which are absent."""
        # all tokens at once: one call over thirty narrow tables costs a tenth of thirty calls
        table = torch.cat(tokens, dim=1)
        standardised = (table - self.get_buffer("shift")) / self.get_buffer("scale")
        scaled = standardised.clamp(-LIMIT, LIMIT)
        scaled = nn.functional.dropout(scaled, self.config.input_dropout, self.training)
        pieces = scaled.split(self.widths, dim=1)
        projected = [project(values) for project, values in zip(self.project, pieces, strict=True)]
        embedded = self.norm_in(torch.stack(projected, dim=1) + self.kind) * present.unsqueeze(-1)
        if self.training and self.config.token_dropout > 0:
            is_read = torch.rand(present.shape) >= self.config.token_dropout
            is_exempt = torch.tensor([name == NEVER_DROPPED for name in self.names])
            present = present & (is_read | is_exempt)
        no_token = self.nothing.expand(len(present), 1, -1)
        absent = torch.cat([~present, present.any(dim=1, keepdim=True)], dim=1)
        return torch.cat([embedded, no_token], dim=1), absent

    def forward(self, tokens: list[Tensor], present: Tensor, prior: Tensor | None = None) -> Tensor:
        """Logits, shape (B, n_labels); see `encode` for the arguments."""
        return self.encode(tokens, present, prior)[0]

    def encode(
        self, tokens: list[Tensor], present: Tensor, prior: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Logits, fused representation and attention.

        Args:
            tokens: one tensor (B, width) per token, in the order of `names`; rows of absent tokens
                may hold anything finite.
            present: bool, shape (B, T).
            prior: logits of the trees, shape (B, n_labels); read where the settings say `residual`.

        Returns:
            logits (B, n_labels); representation (B, dim), the mean over the queries or tokens;
            weights (B, n_queries, T + 1) of the last attention, averaged over heads. n_queries is
            n_labels for a read-out by queries, else T + 1. The last column is "no token", which has
            weight 0 unless every other token is absent.
        """
        hidden, absent = self._embed(tokens, present)
        weights = torch.zeros(len(hidden), 1, hidden.shape[1], hidden.shape[1])
        for block in self.blocks:
            hidden, weights = block(hidden, hidden, absent)
        if "queries" in self.config.readout:
            if self.config.readout == "queries":
                query = self.queries.expand(len(hidden), -1, -1)
                read, weights = self.read(query, hidden, absent)
            else:
                read, weights = self.light_read(hidden, absent)
            logits = (read * self.label_weight).sum(-1) + self.label_bias
            representation = read.mean(dim=1)
        else:
            is_present = (~absent).unsqueeze(-1).to(hidden.dtype)
            masked = hidden * is_present
            representation = masked.sum(dim=1) / is_present.sum(dim=1)
            is_concat = self.config.readout == "concat"
            logits = self.head(masked[:, :-1].flatten(1) if is_concat else representation)
        if self.config.residual and prior is not None:
            logits = logits + self.prior_scale * prior
        return logits, representation, weights.mean(dim=1)
