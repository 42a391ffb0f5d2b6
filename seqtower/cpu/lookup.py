"""The first convolution over letters, with what `seqtower.cpu.convolution` joins to it, without a multiplication: sums over words of letters are looked up.

A filter says of the letters below it the sum of what each four of its places say of the four letters there: for ten places three tables of all words
of four letters, made from the weights once per step. In the same way gradients are summed per word first.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import njit
from torch.autograd.function import once_differentiable

from seqtower.cpu.convolution import highest
from seqtower.cpu.dropout import draws, gain
from seqtower.cpu.lanes import LANES

WORD = 4
"""Letters of a word; its number has a digit per letter, 0 for no letter or padding, 1 to 4 for the channels."""


def _spelling() -> torch.Tensor:
    """Which word has which letter at which place: shape (words, WORD * 4)."""
    digits = np.arange(5**WORD)[:, None] // 5 ** np.arange(WORD - 1, -1, -1) % 5
    return torch.from_numpy((digits[:, :, None] == np.arange(1, 5)).reshape(len(digits), -1).astype(np.float32))


SPELLING = _spelling()


class _LookUpAndPool(torch.autograd.Function):
    """See `look_up_and_pool`."""

    @staticmethod
    def forward(ctx: Any, words: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, lengths: torch.Tensor, window: int, dropped: int) -> torch.Tensor:
        """Values above 0 that are the highest of their window."""
        filters, channels, kernel = weight.shape
        n_words = -(-kernel // WORD)
        places = torch.nn.functional.pad(weight.permute(2, 1, 0), (0, -filters % LANES, 0, 0, 0, n_words * WORD - kernel))
        tables = SPELLING @ places.reshape(n_words, WORD * channels, -1)
        tables[0, :, :filters] += bias
        steps = -(-(words.shape[1] - (n_words - 1) * WORD) // window)
        top = weight.new_empty(len(words), steps, filters)
        place = torch.empty(top.shape, dtype=torch.uint8)
        bits = draws(top.numel() if dropped else 0)
        highest(words.numpy(), tables.numpy(), WORD, lengths.numpy(), window, bits, dropped, gain(dropped), top.numpy(), place.numpy())
        ctx.save_for_backward(words, place, lengths)
        ctx.window, ctx.dropped, ctx.shape = window, dropped, weight.shape
        return top

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Gradients of weight and bias."""
        words, place, lengths = ctx.saved_tensors
        filters, channels, kernel = ctx.shape
        d_tables = grad.new_zeros(-(-kernel // WORD), 5**WORD, filters)
        _gather(grad.contiguous().numpy(), place.numpy(), words.numpy(), lengths.numpy(), ctx.window, d_tables.numpy())
        d_tables *= gain(ctx.dropped)
        d_places = (SPELLING.t() @ d_tables).view(-1, channels, filters)[:kernel]
        return None, d_places.permute(2, 1, 0), d_tables[0].sum(dim=0), None, None, None


def words_of(values: torch.Tensor, lengths: torch.Tensor, before: int, kernel: int) -> torch.Tensor | None:
    """Numbers of the words that begin at each position and at those after it, shape (n, width + more); None where a position holds more than a letter.

    Args:
        values: shape (n, width, 4), each position one-hot or 0 altogether; what stands at padding is not read.
        lengths: positions per RNA, shape (n,).
        before: zeros before the first position.
    """
    if values.shape[2] != 4 or values.requires_grad:
        return None
    words = torch.empty(len(values), values.shape[1] + WORD * (-(-kernel // WORD) - 1), dtype=torch.int16)
    return words if _read_words(values.detach().contiguous().numpy(), lengths.numpy(), before, words.numpy()) else None


def look_up_and_pool(words: torch.Tensor, lengths: torch.Tensor, conv: torch.nn.Conv1d, window: int, dropped: int = 0) -> torch.Tensor:
    """What `seqtower.cpu.convolution.convolve_and_pool` says of the letters whose words these are (see `words_of`)."""
    found: torch.Tensor = _LookUpAndPool.apply(words, conv.weight, conv.bias, lengths, window, dropped)  # type: ignore[no-untyped-call]
    return found


@njit(cache=True, nogil=True)
def _read_words(values, lengths, before, words):  # type: ignore[no-untyped-def]
    """Fill in the words; whether every position holds one letter or none."""
    full = 5 ** (WORD - 1)
    odd = 0
    for row in range(len(values)):
        word = 0
        for position in range(-before, words.shape[1] + WORD - 1 - before):
            letter = 0
            if 0 <= position < lengths[row]:
                a, c, g, u = values[row, position]
                letter = (a == 1) + 2 * (c == 1) + 3 * (g == 1) + 4 * (u == 1)
                odd += ((a != 0) + (c != 0) + (g != 0) + (u != 0) > 1) or (letter == 0 and a + c + g + u != 0)
            word = word % full * 5 + letter
            if position >= WORD - 1 - before:
                words[row, position - (WORD - 1 - before)] = word
        if odd:
            return False
    return True


@njit(cache=True, nogil=True)
def _gather(grad, place, words, lengths, window, d_tables):  # type: ignore[no-untyped-def]
    """Sum gradients per word and filter, for each place of a word within the filters."""
    n, _, filters = grad.shape
    own = np.empty(filters, np.float32)
    for row in range(n):
        for step in range(-(-lengths[row] // window)):
            for position in range(step * window, min(step * window + window, lengths[row])):
                within = position - step * window
                for f in range(filters):
                    own[f] = grad[row, step, f] if place[row, step, f] == within else np.float32(0)
                for t in range(len(d_tables)):
                    total = d_tables[t, words[row, position + t * WORD]]
                    for f in range(filters):
                        total[f] += own[f]
