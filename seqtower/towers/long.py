"""Tower of long RNAs: positions, letters and numbers of the whole RNA, joined by attention."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from mirnagraph.config import Checked, Count, CountOrZero, Rate, require
from mirnagraph.errors import ConfigError
from seqtower.nn.layers import AdditiveAttention, MaskedConv, pool
from seqtower.nn.packed import PackedAttentionPooling, PackedLinear
from seqtower.towers.base import Tower

N_LETTERS = 4

FIRST_KERNEL = 9
FIRST_STRIDE = 4
LETTER_POOL = 4
KERNEL = 5


@dataclass(frozen=True)
class LongConfig(Checked):
    """Settings.

    Attributes:
        letters: nucleotides of a patch whose one-hot letters are the last channels of each
            position (see `seqtower.encoders.tis.TisConfig`); 0 for positions without letters.
        filters: of the convolutions over positions.
        letter_filters: of the convolutions over letters.
        dim: width of a token.
        heads: of the attention that joins the tokens; divides `dim`.
        queries: learned queries of it.
        hidden: width of a member's hidden layer.
        members: packed members, each with attention and layers of its own over the same
            convolutions.
        dropout: on the tokens' inputs and before the hidden and the last layer.
        conv_dropout: between the convolutions.
        token_dropout: share of the tokens that a training step hides of an RNA, so that each token
            learns to answer without the others; one at least is kept.
    """

    letters: CountOrZero = 64
    filters: Count = 48
    letter_filters: Count = 24
    dim: Count = 32
    heads: Count = 4
    queries: Count = 8
    hidden: Count = 64
    members: Count = 4
    dropout: Rate = 0.3
    conv_dropout: Rate = 0.1
    token_dropout: Rate = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.dim % self.heads == 0, "heads", self.heads, f"a divisor of dim, {self.dim}")


class Long(Tower):
    """Reads positions (n, width, channels) and numbers of the whole RNA (n, sum of widths).

    Tokens: each block of numbers; the positions by two convolutions, of which maximum, mean and an
    attention-weighted mean are read; the letters by two convolutions of their own. Learned queries
    attend over the tokens (Set Transformer's pooling), and a hidden layer reads what they return.
    """

    Config = LongConfig
    reads_whole = True

    def __init__(
        self, config: LongConfig, channels: int, n_labels: int, widths: Sequence[int] = ()
    ) -> None:
        super().__init__()
        self.config = config
        self.widths = tuple(widths)
        n_members, dim = config.members, config.dim
        self.n_states = channels - N_LETTERS * config.letters
        if self.n_states < 0:
            raise ConfigError(
                f"setting 'tower.settings.letters' is {config.letters}, but a position has "
                f"{channels} channels, fewer than its letters would have"
            )
        self.numbers = nn.ModuleList(PackedLinear(n_members, width, dim) for width in self.widths)
        self.dropout = nn.Dropout(config.dropout)
        self.conv_dropout = nn.Dropout(config.conv_dropout)
        n_tokens = len(self.widths)
        if self.n_states:
            self.lift = nn.Linear(self.n_states, config.filters)
            self.conv = MaskedConv(config.filters, config.filters, KERNEL)
            self.attend = AdditiveAttention(config.filters, 32)
            self.read_states = PackedLinear(n_members, 3 * config.filters, dim)
            n_tokens += 1
        if config.letters:
            self.first = nn.Conv1d(N_LETTERS, config.letter_filters, FIRST_KERNEL, FIRST_STRIDE)
            self.second = MaskedConv(config.letter_filters, config.letter_filters, KERNEL)
            self.read_letters = PackedLinear(n_members, 2 * config.letter_filters, dim)
            n_tokens += 1
        self.pool = PackedAttentionPooling(n_members, n_tokens, dim, config.heads, config.queries)
        self.hidden = PackedLinear(n_members, config.queries * dim, config.hidden)
        self.output_dim = n_members * config.hidden
        # the mean of the members' last layers is one layer over their hidden values
        self.head = nn.Linear(self.output_dim, n_labels)
        nn.init.normal_(self.last_layer().weight, std=0.3 / math.sqrt(config.hidden) / n_members)

    def read(
        self, inputs: torch.Tensor, mask: torch.Tensor, numbers: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """See `Tower.read`; attention is that over the positions.

        Args:
            inputs: see `Tower.read`.
            mask: see `Tower.read`.
            numbers: of the whole RNAs, shape (n, sum of widths); None for a tower without.
        """
        hidden, weights = self._hidden(inputs, mask, numbers)
        return hidden.transpose(0, 1).flatten(1), weights

    def member_logits(
        self,
        inputs: torch.Tensor,
        mask: torch.Tensor,
        types: torch.Tensor | None = None,
        numbers: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """See `Tower.member_logits`: the mean over members is `forward`."""
        config = self.config
        hidden, _ = self._hidden(inputs, mask, numbers)
        last = self.last_layer()
        weight = last.weight.view(-1, config.members, config.hidden).permute(1, 2, 0)
        logits = config.members * (hidden @ weight) + last.bias
        return self._with_tags(logits, types)

    def _hidden(
        self, inputs: torch.Tensor, mask: torch.Tensor, numbers: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Hidden values, (members, n, hidden), and attention over positions, (n, 1, width)."""
        tokens = self._number_tokens(inputs, numbers)
        weights = mask.to(inputs.dtype) / mask.sum(dim=1, keepdim=True).clamp(min=1)
        weights = weights.unsqueeze(1)
        if self.n_states:
            token, weights = self._state_token(inputs[..., : self.n_states], mask)
            tokens.append(token)
        if self.config.letters:
            tokens.append(self._letter_token(inputs[..., self.n_states :], mask))
        joined = torch.relu(torch.stack(tokens, dim=2))
        pooled, _ = self.pool(joined, self._shown(joined.shape[1], joined.shape[2], joined.device))
        return self.dropout(torch.relu(self.hidden(self.dropout(pooled)))), weights

    def _shown(self, n: int, n_tokens: int, device: torch.device) -> torch.Tensor:
        """Tokens that each RNA shows in this step: bool, (n, n_tokens); all outside training."""
        if not (self.training and self.config.token_dropout):
            return torch.ones((n, n_tokens), dtype=torch.bool, device=device)
        draws = torch.rand((n, n_tokens), device=device)
        is_kept = draws >= self.config.token_dropout
        return is_kept | (draws == draws.amax(dim=1, keepdim=True))

    def _number_tokens(
        self, inputs: torch.Tensor, numbers: torch.Tensor | None
    ) -> list[torch.Tensor]:
        """Tokens of the numbers of whole RNAs, (members, n, dim) each."""
        if (numbers is None) != (not self.widths):
            raise ConfigError("the tower reads numbers of whole RNAs, and was given none")
        if numbers is None:
            return []
        blocks = numbers.to(inputs.dtype).split(self.widths, dim=1)
        return [
            read(self.dropout(block).unsqueeze(0))
            for read, block in zip(self.numbers, blocks, strict=True)
        ]

    def _state_token(
        self, states: torch.Tensor, mask: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Token of the positions, (members, n, dim), and attention over them, (n, 1, width)."""
        is_position = mask.unsqueeze(-1).to(states.dtype)
        values = torch.relu(self.lift(states)) * is_position
        values = values + torch.relu(self.conv(self.conv_dropout(values), mask))
        mean = values.sum(dim=1) / is_position.sum(dim=1).clamp(min=1)
        context, weights = self.attend(values, mask)
        joined = torch.cat([values.amax(dim=1), mean, context.flatten(1)], dim=1)
        return self.read_states(self.dropout(joined).unsqueeze(0)), weights

    def _letter_token(self, letters: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Token of the letters, (members, n, dim), from (n, width, letters of a patch * 4)."""
        n, width, _ = letters.shape
        nucleotides = letters.reshape(n, width * self.config.letters, N_LETTERS).transpose(1, 2)
        padded = functional.pad(nucleotides, (0, FIRST_KERNEL - 1))
        values = torch.relu(self.first(padded)).transpose(1, 2)
        is_letter = mask.repeat_interleave(self.config.letters, dim=1)[:, ::FIRST_STRIDE]
        values, is_step = pool(values[:, : is_letter.shape[1]], is_letter, LETTER_POOL)
        values = torch.relu(self.second(self.conv_dropout(values), is_step))
        n_steps = is_step.sum(dim=1, keepdim=True).clamp(min=1)
        joined = torch.cat([values.amax(dim=1), values.sum(dim=1) / n_steps], dim=1)
        return self.read_letters(self.dropout(joined).unsqueeze(0))
