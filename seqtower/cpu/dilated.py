"""A convolution along RNAs of different lengths, dilated or not, for the CPU: each tap a product of rows with a small matrix, nothing for padding."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import njit
from torch import nn
from torch.autograd.function import once_differentiable

from seqtower.cpu.products import COLUMNS, add_crossed, multiply


class _Convolve(torch.autograd.Function):
    """See `convolve`."""

    @staticmethod
    def forward(ctx: Any, values: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, lengths: torch.Tensor, dilation: int, before: int) -> torch.Tensor:
        """Sums over taps."""
        found = values.new_empty(*values.shape[:2], len(weight))
        taps = weight.permute(2, 1, 0).contiguous()
        _convolve(values.view(-1).numpy(), taps.numpy(), bias.numpy(), lengths.numpy(), values.shape[1], dilation, before, found.view(-1).numpy())
        ctx.save_for_backward(values, weight, lengths)
        ctx.dilation, ctx.before = dilation, before
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Gradients of values, weight and bias."""
        values, weight, lengths = ctx.saved_tensors
        taps = weight.permute(2, 0, 1).contiguous()
        d_taps, d_bias = torch.zeros_like(taps), weight.new_zeros(len(weight))
        d_values = torch.zeros_like(values) if ctx.needs_input_grad[0] else values.new_empty(0)
        _credit(
            grad.contiguous().view(-1).numpy(), values.view(-1).numpy(), taps.numpy(), lengths.numpy(), values.shape[1], ctx.dilation, ctx.before,
            d_values.view(-1).numpy(), d_taps.numpy(), d_bias.numpy(),
        )  # fmt: skip
        return d_values if ctx.needs_input_grad[0] else None, d_taps.permute(1, 2, 0), d_bias, None, None, None


def can_convolve(conv: nn.Conv1d) -> bool:
    """Whether channels and filters are as many as the products take."""
    return conv.in_channels % COLUMNS == 0 and conv.out_channels % COLUMNS == 0


def convolve(values: torch.Tensor, lengths: torch.Tensor, conv: nn.Conv1d, before: int) -> torch.Tensor:
    """The convolution with zeros around each RNA: shape (n, width, filters), 0 at padding.

    Args:
        values: float32, shape (n, width, channels); what stands at padding is not read.
        lengths: positions per RNA, shape (n,).
        conv: see `can_convolve`.
        before: zeros before the first position.
    """
    found: torch.Tensor = _Convolve.apply(  # type: ignore[no-untyped-call]
        values.contiguous(), conv.weight, conv.bias, lengths, conv.dilation[0], before
    )
    return found


@njit(cache=True, nogil=True)
def _convolve(values, taps, bias, lengths, width, dilation, before, found):  # type: ignore[no-untyped-def]
    """Fill `found`."""
    kernel, channels, filters = taps.shape
    for row in range(len(lengths)):
        length, own = lengths[row], values[row * width * channels : (row + 1) * width * channels]
        out = found[row * width * filters : (row + 1) * width * filters]
        for position in range(length):
            out[position * filters : (position + 1) * filters] = bias
        out[length * filters :] = 0
        for k in range(kernel):
            shift = k * dilation - before
            start, end = max(0, -shift), min(length, length - shift)
            if start < end:
                multiply(own[(start + shift) * channels : (end + shift) * channels], channels, taps[k], bias, out[start * filters : end * filters], True)


@njit(cache=True, nogil=True)
def _credit(grad, values, taps, lengths, width, dilation, before, d_values, d_taps, d_bias):  # type: ignore[no-untyped-def]
    """Add up the gradients: of the values where there is room for them, of the taps, (kernel, filters, channels), and of the biases."""
    kernel, filters, channels = taps.shape
    nothing = np.zeros(channels, np.float32)
    for row in range(len(lengths)):
        length, own = lengths[row], values[row * width * channels : (row + 1) * width * channels]
        given = grad[row * width * filters : (row + 1) * width * filters]
        for position in range(length):
            for f in range(filters):
                d_bias[f] += given[position * filters + f]
        for k in range(kernel):
            shift = k * dilation - before
            start, end = max(0, -shift), min(length, length - shift)
            if start < end:
                part = given[start * filters : end * filters]
                add_crossed(part, own[(start + shift) * channels : (end + shift) * channels], d_taps[k])
                if len(d_values):
                    first = (row * width + start + shift) * channels
                    multiply(part, filters, taps[k], nothing, d_values[first : first + (end - start) * channels], True)
