"""Layers over masked positions: convolution, pooling, recurrence and attention."""

from __future__ import annotations

import torch
from torch import nn


def mask_padding(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Set padding to 0: `values` of shape (n, width, channels), `mask` of shape (n, width)."""
    return values * mask.unsqueeze(-1).to(values.dtype)


class MaskedConv(nn.Module):
    """Convolution along positions, the same for an RNA alone and in any batch.

    Padding is set to 0 before and after. Input and output have shape (n, width, channels).
    """

    def __init__(self, channels: int, filters: int, kernel: int, dilation: int = 1) -> None:
        super().__init__()
        self.before = dilation * (kernel - 1) // 2
        self.after = dilation * (kernel - 1) - self.before
        self.conv = nn.Conv1d(channels, filters, kernel, dilation=dilation)

    def forward(self, values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Compute the convolution, 0 at padding.

        It is that of a picture of height 1 whose channels come last: on a CPU this takes half of
        the time of torch's convolution in one dimension, or less.
        """
        around = (0, 0, self.before, self.after)
        padded = nn.functional.pad(mask_padding(values, mask), around).unsqueeze(1)
        weight = self.conv.weight.unsqueeze(2)
        dilation = (1, self.conv.dilation[0])
        pictures = padded.permute(0, 3, 1, 2)
        sums = nn.functional.conv2d(pictures, weight, self.conv.bias, dilation=dilation)
        return mask_padding(sums[:, :, 0].transpose(1, 2), mask)


def pool(
    values: torch.Tensor, mask: torch.Tensor, window: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Take the maximum over windows that do not overlap, padding excluded.

    Args:
        values: shape (n, width, channels).
        mask: True at positions of an RNA, shape (n, width).
        window: positions of a window; an incomplete last window counts.

    Returns:
        Values of shape (n, ceil(width / window), channels) and their mask.
    """
    low = torch.finfo(values.dtype).min
    filled = values.masked_fill(~mask.unsqueeze(-1), low).transpose(1, 2)
    pooled = nn.functional.max_pool1d(filled, window, ceil_mode=True).transpose(1, 2)
    pooled_mask = mask[:, ::window]  # an RNA starts at the first position
    return pooled.masked_fill(~pooled_mask.unsqueeze(-1), 0.0), pooled_mask


class MaskedLSTM(nn.Module):
    """LSTM over each RNA without its padding, in one or both directions.

    Input has shape (n, width, channels), output (n, width, directions * units). Padding follows the
    RNA, so a pass from the 5' end does not meet it; for the other direction each RNA is reversed
    within its own length. Packed sequences would compute the same, but the time of their gradient
    grows with the square of the length.
    """

    def __init__(
        self, channels: int, units: int, *, bidirectional: bool = True, layers: int = 1
    ) -> None:
        super().__init__()
        self.bidirectional = bidirectional
        n_directions = 2 if bidirectional else 1
        widths = [channels] + [units * n_directions] * (layers - 1)
        self.forwards = nn.ModuleList([nn.LSTM(width, units, batch_first=True) for width in widths])
        self.backwards = nn.ModuleList(
            [nn.LSTM(width, units, batch_first=True) for width in widths] if bidirectional else []
        )

    def forward(self, values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Compute hidden states, 0 at padding."""
        place = torch.arange(values.shape[1], device=values.device)
        reversed_place = mask.sum(dim=1, keepdim=True) - 1 - place
        order = torch.where(reversed_place >= 0, reversed_place, place)  # padding stays
        for number, layer in enumerate(self.forwards):
            states = layer(values)[0]
            if self.bidirectional:
                backward = self.backwards[number](_reordered(values, order))[0]
                states = torch.cat([states, _reordered(backward, order)], dim=-1)
            values = mask_padding(states, mask)
        return values


def _reordered(values: torch.Tensor, order: torch.Tensor) -> torch.Tensor:
    """Positions of values (n, width, channels) in the order (n, width)."""
    return values.gather(1, order.unsqueeze(-1).expand(-1, -1, values.shape[2]))


class AdditiveAttention(nn.Module):
    """Attention by one trainable context vector per head.

    Source: Bahdanau et al.; RNATracker, section 2.5; Yang et al. 2016.

    score = v tanh(W h + b); weights are the softmax of the scores over the positions of an RNA.
    """

    def __init__(self, channels: int, units: int, heads: int = 1) -> None:
        super().__init__()
        self.project = nn.Linear(channels, units)
        self.context = nn.Linear(units, heads, bias=False)

    def forward(
        self, values: torch.Tensor, mask: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute weighted means and weights.

        Returns:
            Means, shape (n, heads, channels), and weights, shape (n, heads, width), 0 at padding,
            with a sum of 1.
        """
        scores = self.context(torch.tanh(self.project(values))).transpose(1, 2)
        weights = torch.softmax(scores.masked_fill(~mask.unsqueeze(1), float("-inf")), dim=-1)
        return weights @ values, weights
