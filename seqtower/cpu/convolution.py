"""Convolution, rectification, pooling and dropout in one, for the CPU: what was not the highest of its window is never written down.

Most of a step over layers of their own goes into passes over (n, width, filters) between them: masks, rectification, maxima, draws, and their
gradients, which are 0 in two of three places. Only the highest position of a window has a gradient, so that the gradient of the convolution
is a sum over these alone. RNAs stand one after the other with zeros between them, so that padding costs nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import njit
from torch.autograd.function import once_differentiable

from seqtower.cpu.dropout import draws, gain
from seqtower.cpu.lanes import LANES, add_rows, load, spread, store, where_higher
from seqtower.cpu.products import COLUMNS, multiply
from seqtower.cpu.rows import line_up

NOWHERE = 255
"""Place within a window that holds nothing above 0, or what was dropped."""
LARGEST_WINDOW = NOWHERE
NEAR = 64
"""Positions whose sums stay in the fastest memory until they are compared."""
BLOCK = 32
"""Windows whose gradients are summed while what they saw is still in the fastest memory."""


def can_fuse(values: torch.Tensor) -> bool:
    """Whether kernels made for the CPU in full precision are for these values."""
    return values.device.type == "cpu" and values.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")


class _ConvolveAndPool(torch.autograd.Function):
    """See `convolve_and_pool`."""

    @staticmethod
    def forward(
        ctx: Any, values: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, lengths: torch.Tensor, window: int, before: int, dropped: int
    ) -> torch.Tensor:
        """Values above 0 that are the highest of their window."""
        n, width, channels = values.shape
        filters, _, kernel = weight.shape
        own = lengths.numpy()
        apart = own + max(before, kernel - 1 - before)
        firsts = np.cumsum(apart) - apart  # rows of the result; what a first position sees begins `before` rows of zeros before it
        wide = values.new_empty(int(firsts[-1]) + before + int(own[-1]) + kernel, channels)
        line_up(values.contiguous().numpy(), firsts + before, own, wide.numpy())
        weights, shift = weight.new_zeros(kernel * channels, filters + -filters % COLUMNS), weight.new_zeros(filters + -filters % COLUMNS)
        weights[:, :filters], shift[:filters] = weight.permute(2, 1, 0).reshape(kernel * channels, filters), bias
        top = values.new_empty(n, -(-width // window), filters)
        place = torch.empty(top.shape, dtype=torch.uint8)
        bits = draws(top.numel() if dropped else 0)
        _convolve_and_pool(
            wide.view(-1).numpy(), channels, weights.numpy(), shift.numpy(), firsts, own, window, bits, dropped, gain(dropped), top.numpy(), place.numpy()
        )
        ctx.save_for_backward(wide, weight, place, lengths)
        ctx.window, ctx.before, ctx.width, ctx.dropped, ctx.firsts = window, before, width, dropped, firsts
        return top

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Gradients of values, weight and bias."""
        wide, weight, place, lengths = ctx.saved_tensors
        filters, channels, kernel = weight.shape
        flat = weight.transpose(1, 2).reshape(filters, -1).contiguous()
        d_values = wide.new_empty(len(lengths), ctx.width if ctx.needs_input_grad[0] else 0, channels)
        d_flat, d_bias = torch.zeros_like(flat), wide.new_zeros(filters)
        room = wide.new_empty(grad.shape[1] * ctx.window * channels + flat.shape[1])
        _spread(
            grad.contiguous().numpy(), place.numpy(), wide.view(-1).numpy(), flat.numpy(), ctx.firsts, lengths.numpy(), ctx.window, kernel, ctx.before,
            gain(ctx.dropped), room.numpy(), d_values.view(len(lengths), -1).numpy(), d_flat.numpy(), d_bias.numpy(),
        )  # fmt: skip
        d_weight = d_flat.view(filters, kernel, channels).transpose(1, 2)
        return d_values if ctx.needs_input_grad[0] else None, d_weight, d_bias, None, None, None, None


def convolve_and_pool(values: torch.Tensor, lengths: torch.Tensor, conv: torch.nn.Conv1d, before: int, window: int, dropped: int = 0) -> torch.Tensor:
    """Maximum over windows that do not overlap of the rectified convolution, then dropout: shape (n, ceil(width / window), filters), 0 at padding.

    Args:
        values: shape (n, width, channels); what stands at padding is not read.
        lengths: positions per RNA, shape (n,).
        before: zeros before the first position.
        dropped: of 65,536 values, how many dropout sets to 0.
    """
    found: torch.Tensor = _ConvolveAndPool.apply(values, conv.weight, conv.bias, lengths, window, before, dropped)  # type: ignore[no-untyped-call]
    return found


@njit(cache=True, nogil=True)
def _convolve_and_pool(wide, channels, weights, bias, firsts, lengths, window, bits, dropped, scale, top, place):  # type: ignore[no-untyped-def]
    """Fill the highest values of all RNAs, some windows of one after the other."""
    _, steps, filters = top.shape
    size, across = steps * filters, weights.shape[1]
    some = -(-NEAR // window)
    sums, places = np.empty((1, some * window, across), np.float32), np.arange(some * window)
    flat = sums.reshape(-1)
    for row in range(len(lengths)):
        length = lengths[row]
        top_of, place_of, bits_of = top[row], place[row], bits[row * size : (row + 1) * size]
        for step in range(0, steps, some):
            end, begin = min(step + some, steps), step * window
            count = max(0, min(length - begin, some * window))
            if count:
                multiply(wide[(firsts[row] + begin) * channels :], channels, weights, bias, flat[: count * across], False)
            own = bits_of[step * filters : end * filters]
            highest(places, sums, 0, count, window, own, dropped, scale, top_of[step:end], place_of[step:end])


@njit(cache=True, nogil=True)
def highest(places, tables, apart, length, window, bits, dropped, scale, top, place):  # type: ignore[no-untyped-def]
    """The highest values above 0 of each window of an RNA, and where in it they stand: the first of equals; then dropout.

    The values of a position are the sum over tables of a row each: `places` says for the first table which, and for the next what it says
    `apart` positions further on.
    """
    _, filters = top.shape
    count, rows, wide = tables.shape  # `wide` is a multiple of `LANES`
    starts = np.empty(window * count, np.intp)
    flat, best, at = tables.reshape(-1), np.empty(wide, np.float32), np.empty(wide, np.float32)
    nothing, nowhere = spread(np.float32(0)), spread(np.float32(NOWHERE))
    factor, limit = np.float32(scale), np.uint16(dropped)
    used = -(-length // window)
    top[used:], place[used:] = 0, NOWHERE
    for step in range(used):
        width = min(window, length - step * window)
        seen = places[step * window :]
        for within in range(width):
            for t in range(count):
                starts[within * count + t] = (t * rows + seen[within + t * apart]) * wide
        for i in range(0, wide, LANES):
            so_far, stands = nothing, nowhere
            for within in range(width):
                k = within * count
                value = load(flat, starts[k] + i)
                if count == 3:  # filters of ten letters: a loop takes half as long again
                    value = value + load(flat, starts[k + 1] + i) + load(flat, starts[k + 2] + i)
                else:
                    for other in range(k + 1, k + count):
                        value = value + load(flat, starts[other] + i)
                stands = where_higher(value, so_far, spread(np.float32(within)), stands)
                so_far = where_higher(value, so_far, value, so_far)
            store(best, i, so_far)
            store(at, i, stands)
        if dropped:
            drop = bits[step * filters : (step + 1) * filters]
            for f in range(filters):
                stays = drop[f] >= limit
                top[step, f] = best[f] * factor if stays else np.float32(0)
                place[step, f] = np.uint8(at[f]) if stays else np.uint8(NOWHERE)
        else:
            for f in range(filters):
                top[step, f] = best[f]
                place[step, f] = np.uint8(at[f])


@njit(cache=True, nogil=True)
def _spread(grad, place, wide, flat, starts, lengths, window, kernel, before, scale, below, d_values, d_flat, d_bias):  # type: ignore[no-untyped-def]
    """Gradients of what stood below each highest value: of the convolution's inputs where `d_values` is not empty, its filters, biases; `below` is room."""
    n, _, filters = grad.shape
    reach = flat.shape[1]
    channels = reach // kernel
    gains, places, counts = np.empty((filters, BLOCK + 1), np.float32), np.empty((filters, BLOCK + 1), np.int64), np.empty(filters, np.uint64)
    own_gains, own_places = np.empty(filters + 1, np.float32), np.empty(filters + 1, np.int64)
    rows = flat.reshape(-1)
    factor = np.float32(scale)
    for row in range(n):
        used = -(-lengths[row] // window)
        first = starts[row] * channels
        for begin in range(0, used, BLOCK):
            counts[:] = 0
            for step in range(begin, min(begin + BLOCK, used)):
                own, stands = grad[row, step], place[row, step]
                for f in range(filters):
                    at, count = stands[f], counts[f]
                    gains[f, count], places[f, count] = own[f] * factor, first + (step * window + at) * channels
                    counts[f] = count + np.uint64(at != NOWHERE)
                for f in range(filters):
                    d_bias[f] += own[f] * factor if stands[f] != NOWHERE else np.float32(0)
            for f in range(filters):
                add_rows(d_flat[f], gains[f], places[f], counts[f], wide)
        if d_values.shape[1]:
            below[: used * window * channels + reach] = 0
            for step in range(used):
                for within in range(window):
                    count = 0
                    for f in range(filters):
                        at = place[row, step, f]
                        own_gains[count], own_places[count] = grad[row, step, f] * factor, f * reach
                        count += at == within
                    start = (step * window + within) * channels
                    add_rows(below[start : start + reach], own_gains, own_places, count, rows)
            size = lengths[row] * channels
            d_values[row, :size] = below[before * channels : before * channels + size]
            d_values[row, size:] = 0
