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
from seqtower.cpu.lanes import LANES, load, store

WORD = 4
"""Letters of a word; its number has a digit per letter, 0 for no letter or padding, 1 to 4 for the channels."""


def _shorter() -> tuple[np.ndarray, np.ndarray]:
    """Of each word but the empty one, the word without its last letter, and at which of `WORD` places that stood and which it was: place * 4 + letter."""
    words = np.arange(1, 5**WORD)
    powers = 5 ** np.arange(WORD)  # of the last place, of the one before it, …
    back = np.argmax(words[:, None] // powers % 5 > 0, axis=1)
    letters = words // powers[back] % 5
    return np.append(0, words - letters * powers[back]), np.append(0, (WORD - 1 - back) * 4 + letters - 1)


SHORTER, LAST = _shorter()


class _LookUpAndPool(torch.autograd.Function):
    """See `look_up_and_pool`."""

    @staticmethod
    def forward(ctx: Any, words: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, lengths: torch.Tensor, window: int, dropped: int) -> torch.Tensor:
        """Values above 0 that are the highest of their window."""
        filters, channels, kernel = weight.shape
        n_words = -(-kernel // WORD)
        places = weight.new_zeros(n_words * WORD * channels, filters + -filters % LANES)
        places[: kernel * channels, :filters] = weight.permute(2, 1, 0).reshape(kernel * channels, filters)
        tables = weight.new_zeros(n_words, 5**WORD, places.shape[1])
        tables[0, 0, :filters] = bias
        _spell(places.view(n_words, -1).numpy(), SHORTER, LAST, tables.view(n_words, -1).numpy(), places.shape[1])
        steps = -(-(words.shape[1] - (n_words - 1) * WORD) // window)
        top = weight.new_empty(len(words), steps, filters)
        place = torch.empty(top.shape, dtype=torch.uint8)
        bits = draws(top.numel() if dropped else 0)
        _look_up(words.numpy(), tables.numpy(), lengths.numpy(), window, bits, dropped, gain(dropped), top.numpy(), place.numpy())
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
        d_places = grad.new_zeros(kernel, channels, filters)
        _credit(d_tables.numpy(), SHORTER, LAST, d_places.view(-1, filters).numpy())
        scale = gain(ctx.dropped)
        return None, d_places.mul_(scale).permute(2, 1, 0), d_tables[0, 0] * scale, None, None, None


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
def _look_up(words, tables, lengths, window, bits, dropped, scale, top, place):  # type: ignore[no-untyped-def]
    """Fill the highest values of all RNAs."""
    size = top.shape[1] * top.shape[2]
    for row in range(len(words)):
        highest(words[row], tables, WORD, lengths[row], window, bits[row * size : (row + 1) * size], dropped, scale, top[row], place[row])


@njit(cache=True, nogil=True)
def _spell(places, shorter, last, tables, filters):  # type: ignore[no-untyped-def]
    """Fill tables of which the empty word is given: a word has the sums of the shorter one and those of its last letter, which `places` holds."""
    for t in range(len(tables)):
        table, letters = tables[t], places[t]
        for word in range(1, len(shorter)):
            own, before, letter = word * filters, shorter[word] * filters, last[word] * filters
            for f in range(0, filters, LANES):
                store(table, own + f, load(table, before + f) + load(letters, letter + f))


@njit(cache=True, nogil=True)
def _credit(d_tables, shorter, last, d_places):  # type: ignore[no-untyped-def]
    """Add the gradients of words, longer words first, to those of their last letters and of the shorter words; the empty word is left with all."""
    filters = d_places.shape[1]
    for t in range(len(d_tables)):
        first = t * WORD * 4
        for word in range(len(shorter) - 1, 0, -1):
            d_word, d_before, place = d_tables[t, word], d_tables[t, shorter[word]], first + last[word]
            for f in range(filters):
                d_before[f] += d_word[f]
            if place < len(d_places):
                for f in range(filters):
                    d_places[place, f] += d_word[f]


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
