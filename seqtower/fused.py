"""Convolution, rectification and pooling in one, for the CPU: what was not the highest of its window is never written down.

Three quarters of a step over layers of their own go into passes over (n, width, filters) between them: masks, rectification, maxima, and their
gradients, which are 0 in two of three places. Only the highest position of a window has a gradient, so that the gradient of the convolution
is a sum over these alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import njit
from torch.autograd.function import once_differentiable

NOWHERE = 255
"""Place within a window that holds nothing above 0."""
LARGEST_WINDOW = NOWHERE


def can_fuse(values: torch.Tensor) -> bool:
    """Whether kernels made for the CPU in full precision are for these values."""
    return values.device.type == "cpu" and values.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")


class _ConvolveAndPool(torch.autograd.Function):
    """See `convolve_and_pool`."""

    @staticmethod
    def forward(ctx: Any, values: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, lengths: torch.Tensor, window: int, before: int) -> torch.Tensor:
        """Values above 0 that are the highest of their window."""
        n, width, channels = values.shape
        kernel = weight.shape[2]
        wide = values.new_zeros(n, width + kernel - 1, channels)
        wide[:, before : before + width] = values
        top = values.new_empty(n, -(-width // window), len(weight))
        place = torch.empty(top.shape, dtype=torch.uint8)
        raw = torch.conv2d(wide.transpose(1, 2).unsqueeze(2), weight.unsqueeze(2), bias).squeeze(2).transpose(1, 2).contiguous()
        _highest(raw.numpy(), lengths.numpy(), window, top.numpy(), place.numpy())
        ctx.save_for_backward(wide, weight, place)
        ctx.window, ctx.before, ctx.width = window, before, width
        return top

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Gradients of values, weight and bias."""
        wide, weight, place = ctx.saved_tensors
        n, _, channels = wide.shape
        flat = weight.transpose(1, 2).reshape(len(weight), -1).contiguous()
        d_wide = torch.zeros_like(wide) if ctx.needs_input_grad[0] else wide.new_empty(n, 0)
        d_flat, d_bias = torch.zeros_like(flat), wide.new_zeros(len(weight))
        _spread(
            grad.contiguous().numpy(), place.numpy(), wide.view(n, -1).numpy(), flat.numpy(), ctx.window, channels,
            d_wide.view(n, -1).numpy(), d_flat.numpy(), d_bias.numpy(),
        )  # fmt: skip
        d_weight = d_flat.view(len(weight), weight.shape[2], channels).transpose(1, 2)
        d_values = d_wide[:, ctx.before : ctx.before + ctx.width] if ctx.needs_input_grad[0] else None
        return d_values, d_weight, d_bias, None, None, None


def convolve_and_pool(values: torch.Tensor, lengths: torch.Tensor, conv: torch.nn.Conv1d, before: int, window: int) -> torch.Tensor:
    """Maximum over windows that do not overlap of the rectified convolution: shape (n, ceil(width / window), filters).

    Args:
        values: shape (n, width, channels), 0 at padding.
        lengths: positions per RNA, shape (n,).
        before: zeros before the first position.
    """
    found: torch.Tensor = _ConvolveAndPool.apply(values, conv.weight, conv.bias, lengths, window, before)  # type: ignore[no-untyped-call]
    return found


@njit(cache=True, nogil=True)
def _highest(raw, lengths, window, top, place):  # type: ignore[no-untyped-def]
    """The highest values above 0 of each window, and where in it they stand: the first of equals."""
    n, steps, filters = top.shape
    best, at = np.empty(filters, raw.dtype), np.empty(filters, np.int32)
    for row in range(n):
        for step in range(steps):
            best[:] = 0
            at[:] = NOWHERE
            for position in range(step * window, min(step * window + window, lengths[row])):
                within = np.int32(position - step * window)
                for f in range(filters):
                    value = raw[row, position, f]
                    higher = (value > best[f]) or (value != value)  # what is no number stays none
                    best[f] = value if higher else best[f]
                    at[f] = within if higher else at[f]
            for f in range(filters):
                top[row, step, f] = best[f]
                place[row, step, f] = at[f]


@njit(cache=True, nogil=True, fastmath={"contract"})
def _spread(grad, place, wide, flat, window, channels, d_wide, d_flat, d_bias):  # type: ignore[no-untyped-def]
    """Gradients of what stood below each highest value: of the convolution's inputs where `d_wide` is not empty, of its filters and their biases."""
    n, steps, filters = grad.shape
    reach = flat.shape[1]
    for row in range(n):
        for step in range(steps):
            for f in range(filters):
                g, at = grad[row, step, f], place[row, step, f]
                if at == NOWHERE or g == 0:
                    continue
                d_bias[f] += g
                start = (step * window + at) * channels
                seen, total = wide[row, start : start + reach], d_flat[f]
                for i in range(reach):
                    total[i] += g * seen[i]
                if d_wide.shape[1]:
                    own, below = flat[f], d_wide[row, start : start + reach]
                    for i in range(reach):
                        below[i] += g * own[i]
