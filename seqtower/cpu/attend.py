"""Additive attention with one head, for the CPU: what happens at a position in one pass over it, and nothing at padding."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import njit
from torch import nn
from torch.autograd.function import once_differentiable

from seqtower.cpu.lanes import LANES, add_rows, load, spread, store, sum_of, tanh
from seqtower.cpu.products import COLUMNS, add_crossed, multiply


class _Attend(torch.autograd.Function):
    """See `attend`."""

    @staticmethod
    def forward(
        ctx: Any, values: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, context: torch.Tensor, lengths: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Weighted means and weights."""
        n, width, channels = values.shape
        filled, wide_context = _filled(weight, context)
        hidden, shift = values.new_empty(n * width, len(filled)), values.new_zeros(len(filled))
        shift[: len(bias)] = bias
        multiply(values.view(-1).numpy(), channels, filled.t().contiguous().numpy(), shift.numpy(), hidden.view(-1).numpy(), False)
        weights, means = values.new_zeros(n, width), values.new_zeros(n, channels)
        _weigh(values.view(-1).numpy(), hidden.view(-1).numpy(), wide_context.numpy(), lengths.numpy(), weights.numpy(), means.numpy())
        ctx.save_for_backward(values, weight, context, lengths, hidden, weights)
        return means, weights

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_means: torch.Tensor, d_weights: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Gradients of values and of all weights."""
        values, weight, context, lengths, hidden, weights = ctx.saved_tensors
        filled, wide_context = _filled(weight, context)
        d_weight, nothing = torch.zeros_like(filled), np.zeros(values.shape[2], np.float32)
        d_values, d_hidden, d_context = torch.empty_like(values), torch.empty_like(hidden), torch.zeros_like(wide_context)
        _credit(
            values.view(-1).numpy(), hidden.view(-1).numpy(), wide_context.numpy(), lengths.numpy(), weights.numpy(), d_means.contiguous().numpy(),
            d_weights.contiguous().numpy(), d_values.view(-1).numpy(), d_hidden.view(-1).numpy(), d_context.numpy(),
        )  # fmt: skip
        multiply(d_hidden.view(-1).numpy(), len(filled), filled.numpy(), nothing, d_values.view(-1).numpy(), True)
        add_crossed(d_hidden.view(-1).numpy(), values.view(-1).numpy(), d_weight.numpy())
        units = len(weight)
        return d_values, d_weight[:units], d_hidden.sum(dim=0)[:units], d_context[:units], None


def _filled(weight: torch.Tensor, context: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights of the hidden layer, (units, channels), and of the scores, with so many units more as the products take: always 0, they change no score."""
    more = -len(weight) % COLUMNS
    return (nn.functional.pad(weight, (0, 0, 0, more)), nn.functional.pad(context, (0, more))) if more else (weight, context)


def attend(values: torch.Tensor, lengths: torch.Tensor, project: nn.Linear, context: nn.Linear) -> tuple[torch.Tensor, torch.Tensor]:
    """Weighted means, shape (n, channels), and the weights, shape (n, width): 0 at padding, 1 in sum.

    Args:
        values: float32, shape (n, width, channels), channels a multiple of `COLUMNS`; numbers, also at padding.
        lengths: positions per RNA, 1 or more: shape (n,).
        project: from channels to the layer whose hyperbolic tangent is scored.
        context: from that layer to the score.
    """
    found: tuple[torch.Tensor, torch.Tensor] = _Attend.apply(  # type: ignore[no-untyped-call]
        values.contiguous(), project.weight, project.bias, context.weight[0], lengths
    )
    return found


@njit(cache=True, nogil=True)
def _weigh(values, hidden, context, lengths, weights, means):  # type: ignore[no-untyped-def]
    """Fill weights and means; the hidden layer, given as sums, becomes their hyperbolic tangents."""
    width, units, channels = weights.shape[1], len(context), means.shape[1]
    for row in range(len(weights)):
        own, length = weights[row], lengths[row]
        for position in range(length):
            start, score = (row * width + position) * units, spread(np.float32(0))
            for j in range(0, units, LANES):
                shown = tanh(load(hidden, start + j))
                store(hidden, start + j, shown)
                score = score + shown * load(context, j)
            own[position] = sum_of(score)
        highest, total = np.float32(-np.inf), np.float32(0)
        for position in range(length):
            highest = max(highest, own[position])
        for position in range(length):
            own[position] = np.exp(own[position] - highest)
            total += own[position]
        for position in range(length):
            own[position] /= total
        add_rows(means[row], own, (row * width + np.arange(length)) * channels, length, values)


@njit(cache=True, nogil=True)
def _credit(values, hidden, context, lengths, weights, d_means, d_weights, d_values, d_hidden, d_context):  # type: ignore[no-untyped-def]
    """Fill the gradients of the values as means, of the sums that go into the hidden layer, and of the scores' weights."""
    width, units, channels = weights.shape[1], len(context), d_means.shape[1]
    one = spread(np.float32(1))
    for row in range(len(weights)):
        own, d_own, length, wanted = weights[row], d_weights[row].copy(), lengths[row], d_means[row]
        mean = np.float32(0)
        for position in range(length):
            start, product, weight = (row * width + position) * channels, spread(np.float32(0)), spread(own[position])
            for j in range(0, channels, LANES):
                product = product + load(values, start + j) * load(wanted, j)
                store(d_values, start + j, weight * load(wanted, j))
            d_own[position] += sum_of(product)
            mean += own[position] * d_own[position]
        for position in range(length):
            start, d_score = (row * width + position) * units, spread(own[position] * (d_own[position] - mean))
            for j in range(0, units, LANES):
                shown = load(hidden, start + j)
                store(d_hidden, start + j, d_score * load(context, j) * (one - shown * shown))
                store(d_context, j, load(d_context, j) + d_score * shown)
        first, last = row * width + length, (row + 1) * width
        d_values[first * channels : last * channels] = 0
        d_hidden[first * units : last * units] = 0
