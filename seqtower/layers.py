"""Layers that never see padding: convolution, pooling, recurrence and attention over masked positions."""

from __future__ import annotations

import torch
from torch import nn

from seqtower.cpu.attend import attend
from seqtower.cpu.convolution import LARGEST_WINDOW, can_fuse, convolve_and_pool
from seqtower.cpu.dilated import can_convolve, convolve
from seqtower.cpu.dropout import dropped_of, factors
from seqtower.cpu.lookup import look_up_and_pool, words_of
from seqtower.cpu.products import COLUMNS
from seqtower.cpu.recurrence import recur


def silence(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Set padding to 0: `values` of shape (n, width, channels), `mask` of shape (n, width)."""
    return values * mask.unsqueeze(-1).to(values.dtype)


class MaskedConv(nn.Module):
    """Convolution along positions; padding is 0 before and after, so an RNA gives the same values alone and in any batch.

    Takes and gives (n, width, channels); the width stays.
    """

    def __init__(self, channels: int, filters: int, kernel: int, dilation: int = 1) -> None:
        super().__init__()
        self.before = dilation * (kernel - 1) // 2
        self.after = dilation * (kernel - 1) - self.before
        self.conv = nn.Conv1d(channels, filters, kernel, dilation=dilation)

    def forward(self, values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Values after the convolution, 0 at padding."""
        if can_fuse(values) and can_convolve(self.conv):
            return convolve(values, mask.sum(dim=1), self.conv, self.before)
        wide = nn.functional.pad(silence(values, mask).transpose(1, 2), (self.before, self.after))
        return silence(self.conv(wide).transpose(1, 2), mask)

    def rectified_and_pooled(self, values: torch.Tensor, mask: torch.Tensor, window: int, dropout: Dropout) -> tuple[torch.Tensor, torch.Tensor]:
        """What `pool` makes of the rectified convolution, after dropout, and its mask."""
        if self.conv.dilation[0] > 1 or not can_fuse(values) or window > LARGEST_WINDOW:
            found, kept = pool(torch.relu(self(values, mask)), mask, window)
            return dropout(found), kept
        lengths, dropped = mask.sum(dim=1), dropout.dropped
        kept = torch.arange(-(-mask.shape[1] // window)) * window < lengths.unsqueeze(1)
        words = words_of(values, lengths, self.before, self.conv.kernel_size[0])
        if words is None:
            return convolve_and_pool(values, lengths, self.conv, self.before, window, dropped), kept
        return look_up_and_pool(words, lengths, self.conv, window, dropped), kept


class Dropout(nn.Module):
    """Dropout whose draws on a CPU are a small part of the work of torch's, which draws a double for each value; a rate is a whole number of 1/65536.

    What is dropped depends on torch's generator alone.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    @property
    def dropped(self) -> int:
        """Of 65,536 values, how many are dropped: none in evaluation mode."""
        return dropped_of(self.rate) if self.training else 0

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Values of which some are 0 and the others larger by as much; in evaluation mode as they are."""
        if not self.training or values.device.type != "cpu":
            return nn.functional.dropout(values, self.rate, self.training)
        return values * torch.from_numpy(factors(values.numel(), self.dropped)).to(values.dtype).view(values.shape)


def pool(values: torch.Tensor, mask: torch.Tensor, window: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Maximum over windows that do not overlap; an incomplete last window counts, padding never does.

    Returns:
        Values of shape (n, ceil(width / window), channels) and their mask.
    """
    n, width, channels = values.shape
    short = -width % window
    low = torch.finfo(values.dtype).min
    filled = values.masked_fill(~mask.unsqueeze(-1), low)
    filled = nn.functional.pad(filled, (0, 0, 0, short), value=low)
    wide = nn.functional.pad(mask, (0, short))
    kept = wide.view(n, -1, window).any(dim=2)
    best = filled.view(n, -1, window, channels).amax(dim=2)
    return best.masked_fill(~kept.unsqueeze(-1), 0.0), kept


class MaskedLSTM(nn.Module):
    """LSTM that ends where each RNA ends; in both directions it starts there too. Takes (n, width, channels), gives (n, width, directions * units).

    Padding stands behind the RNA, so a pass from the 5' end never meets it; for the other direction each RNA is turned round within
    its own length. Packed sequences would say the same, but their gradient takes time that grows with the square of the length.
    """

    def __init__(self, channels: int, units: int, *, bidirectional: bool = True, layers: int = 1) -> None:
        super().__init__()
        self.bidirectional = bidirectional
        widths = [channels] + [units * (2 if bidirectional else 1)] * (layers - 1)
        self.forwards = nn.ModuleList([nn.LSTM(width, units, batch_first=True) for width in widths])
        self.backwards = nn.ModuleList([nn.LSTM(width, units, batch_first=True) for width in widths] if bidirectional else [])

    def forward(self, values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Hidden states, 0 at padding."""
        if can_fuse(values):
            return self._along_each(values, mask.sum(dim=1))
        place = torch.arange(values.shape[1], device=values.device)
        turned = mask.sum(dim=1, keepdim=True) - 1 - place
        turned = torch.where(turned >= 0, turned, place)  # padding stays where it is
        for number, layer in enumerate(self.forwards):
            found = layer(values)[0]
            if self.bidirectional:
                back = self.backwards[number](_rearranged(values, turned))[0]
                found = torch.cat([found, _rearranged(back, turned)], dim=-1)
            values = silence(found, mask)
        return values

    def _along_each(self, values: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """The same on the CPU, RNA by RNA."""
        for number, layer in enumerate(self.forwards):
            ways = [layer, self.backwards[number]] if self.bidirectional else [layer]
            values = recur(values, lengths, ways, (False, True)[: len(ways)])
        return values


def _rearranged(values: torch.Tensor, order: torch.Tensor) -> torch.Tensor:
    """Positions of (n, width, channels) in another order, (n, width)."""
    return values.gather(1, order.unsqueeze(-1).expand(-1, -1, values.shape[2]))


class AdditiveAttention(nn.Module):
    """Attention by one trainable context vector per head (Bahdanau; RNATracker section 2.5, Yang et al. 2016).

    score = v tanh(W h + b); weights are the softmax of the scores over the positions of an RNA.
    """

    def __init__(self, channels: int, units: int, heads: int = 1) -> None:
        super().__init__()
        self.project = nn.Linear(channels, units)
        self.context = nn.Linear(units, heads, bias=False)

    def forward(self, values: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Weighted means, shape (n, heads, channels), and the weights, shape (n, heads, width): 0 at padding, 1 in sum."""
        if can_fuse(values) and self.context.out_features == 1 and values.shape[2] % COLUMNS == 0:
            means, weights = attend(values, mask.sum(dim=1), self.project, self.context)
            return means.unsqueeze(1), weights.unsqueeze(1)
        scores = self.context(torch.tanh(self.project(values))).transpose(1, 2)
        weights = torch.softmax(scores.masked_fill(~mask.unsqueeze(1), float("-inf")), dim=-1)
        return weights @ values, weights
