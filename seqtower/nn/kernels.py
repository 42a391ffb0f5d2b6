"""LSTM and fused convolution with pooling for a CPU in full precision, compiled by numba.

Both compute what torch's layers compute, within rounding, for RNAs of different lengths, and leave
out what an RNA does not need: products at padding, and the gradient at positions that are not the
maximum of their pooling window.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

NOWHERE = -1  # place of the maximum of a window without a value above 0

_compiled: Any = njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})


def can_fuse(values: Tensor) -> bool:
    """Return whether the kernels take these values: float32 on a CPU, outside of autocast."""
    if values.device.type != "cpu" or values.dtype != torch.float32:
        return False
    return not torch.is_autocast_enabled("cpu")


@_compiled
def _add_rows(factors, starts, count, numbers, sums):  # type: ignore[no-untyped-def]
    """Add multiples of the stretches of `numbers` that begin at `starts`, four at a time."""
    size = len(sums)
    n_fours = count - count % 4
    for i in range(0, n_fours, 4):
        a = factors[i]
        b = factors[i + 1]
        c = factors[i + 2]
        d = factors[i + 3]
        of_a = numbers[starts[i] : starts[i] + size]
        of_b = numbers[starts[i + 1] : starts[i + 1] + size]
        of_c = numbers[starts[i + 2] : starts[i + 2] + size]
        of_d = numbers[starts[i + 3] : starts[i + 3] + size]
        for j in range(size):
            sums[j] += (a * of_a[j] + b * of_b[j]) + (c * of_c[j] + d * of_d[j])
    for i in range(n_fours, count):
        a = factors[i]
        of_a = numbers[starts[i] : starts[i] + size]
        for j in range(size):
            sums[j] += a * of_a[j]


def convolve(
    values: Tensor, weight: Tensor, bias: Tensor | None, around: tuple[int, int], dilation: int = 1
) -> Tensor:
    """Convolve along positions, as a picture of height 1 whose channels come last.

    On a CPU this takes half of the time of torch's convolution in one dimension, or less.

    Args:
        values: shape (n, width, channels).
        weight: of a `torch.nn.Conv1d`, shape (filters, channels, kernel).
        bias: shape (filters,); None for none.
        around: zeros before the first position and after the last.
        dilation: positions from one that a filter reads to the next.
    """
    padded = nn.functional.pad(values, (0, 0, *around)).unsqueeze(1)
    pictures = padded.permute(0, 3, 1, 2)
    sums = nn.functional.conv2d(pictures, weight.unsqueeze(2), bias, dilation=(1, dilation))
    return sums[:, :, 0].transpose(1, 2)


class _ConvolveAndPool(torch.autograd.Function):
    """See `convolve_and_pool`."""

    @staticmethod
    def forward(
        ctx: Any,
        values: Tensor,
        weight: Tensor,
        bias: Tensor,
        lengths: Tensor,
        before: int,
        window: int,
    ) -> Tensor:
        """Compute the maxima and remember where they are."""
        n, width, _ = values.shape
        n_filters, _, kernel = weight.shape
        sums = convolve(values, weight, bias, (before, kernel - 1 - before)).contiguous()
        pooled = values.new_zeros(n, -(-width // window), n_filters)
        place = torch.full(pooled.shape, NOWHERE, dtype=torch.int32)
        _pool(sums.numpy(), lengths.numpy(), window, pooled.numpy(), place.numpy())
        ctx.save_for_backward(values, weight, lengths, place)
        ctx.before = before
        ctx.window = window
        return pooled

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Compute the gradients of values, weight and bias."""
        values, weight, lengths, place = ctx.saved_tensors
        n_filters, channels, kernel = weight.shape
        filters = weight.transpose(1, 2).reshape(n_filters, kernel * channels).contiguous()
        needs_values = ctx.needs_input_grad[0]
        slopes = torch.where(place == NOWHERE, 0.0, grad).contiguous()
        known = [slopes, place, values.contiguous(), filters, lengths]
        arrays = [tensor.numpy() for tensor in known]
        gradients = _pass_back(*arrays, ctx.before, ctx.window, needs_values)
        d_filters, d_values = map(torch.from_numpy, gradients)
        d_weight = d_filters.view(n_filters, kernel, channels).transpose(1, 2)
        d_bias = slopes.sum(dim=(0, 1))
        return d_values if needs_values else None, d_weight, d_bias, None, None, None


def convolve_and_pool(
    values: Tensor, lengths: Tensor, conv: nn.Conv1d, before: int, window: int
) -> Tensor:
    """Convolve, rectify, and take the maximum of windows that do not overlap.

    Args:
        values: float32, shape (n, width, channels), 0 at padding.
        lengths: positions of each RNA, int64, shape (n,).
        conv: convolution with dilation 1.
        before: zeros before the first position.
        window: positions of a window; an incomplete last window counts.

    Returns:
        Shape (n, ceil(width / window), filters), 0 at padding.
    """
    return _ConvolveAndPool.apply(values, conv.weight, conv.bias, lengths, before, window)


@_compiled
def _pool(sums, lengths, window, pooled, place):  # type: ignore[no-untyped-def]
    """Fill the maxima above 0 of all windows, and which position of its window each is."""
    n, _, n_filters = sums.shape
    for row in range(n):
        for position in range(lengths[row]):
            step = position // window
            within = np.int32(position % window)
            best = pooled[row, step]
            best_place = place[row, step]
            for f in range(n_filters):
                value = sums[row, position, f]
                is_higher = value > best[f] or value != value  # NaN is passed on
                best[f] = value if is_higher else best[f]
                best_place[f] = within if is_higher else best_place[f]


@_compiled
def _pass_back(  # type: ignore[no-untyped-def]
    slopes, place, values, filters, lengths, before, window, needs_values
):
    """Gradients of filters and, where they are needed, of values; 0 where they are not."""
    n, width, channels = values.shape
    d_filters = np.zeros_like(filters)
    d_values = np.zeros_like(values)
    _, n_steps, n_filters = slopes.shape
    reach = filters.shape[1]
    flat_filters = filters.reshape(-1)
    padded = np.zeros(width * channels + reach, np.float32)
    d_padded = np.empty(width * channels + reach, np.float32)
    factors = np.empty(max(n_steps, n_filters) + 1, np.float32)
    starts = np.empty(max(n_steps, n_filters) + 1, np.int64)
    first = before * channels
    for row in range(n):
        n_windows = -(-lengths[row] // window)
        size = lengths[row] * channels
        padded[first : first + size] = values[row].reshape(-1)[:size]
        padded[first + size :] = 0
        for f in range(n_filters):
            count = 0
            for step in range(n_windows):
                factors[count] = slopes[row, step, f]
                starts[count] = (step * window + place[row, step, f]) * channels
                count += slopes[row, step, f] != 0
            _add_rows(factors, starts, count, padded, d_filters[f])
        if not needs_values:
            continue
        d_padded[:] = 0
        for step in range(n_windows):
            for within in range(window):
                count = 0
                for f in range(n_filters):
                    factors[count] = slopes[row, step, f]
                    starts[count] = f * reach
                    count += place[row, step, f] == within
                start = (step * window + within) * channels
                _add_rows(factors, starts, count, flat_filters, d_padded[start : start + reach])
        d_values[row].reshape(-1)[:size] = d_padded[first : first + size]
    return d_filters, d_values


class _Recurrence(torch.autograd.Function):
    """See `recur`; hidden states and cells have a row of zeros behind the last position."""

    @staticmethod
    def forward(ctx: Any, sums: Tensor, weight: Tensor, lengths: Tensor, backward: bool) -> Tensor:
        """Run along each RNA."""
        n_units = weight.shape[1]
        gates = sums.detach().clone()
        hidden = sums.new_zeros(len(sums) + 1, n_units)
        cells = sums.new_zeros(len(sums) + 1, n_units)
        tensors = [gates, weight.t().contiguous(), lengths, hidden, cells]
        _run_along(*[tensor.numpy() for tensor in tensors], backward)
        ctx.save_for_backward(weight, lengths, gates, hidden, cells)
        ctx.runs_backward = backward
        return hidden[:-1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Compute the gradients of the sums and of the recurrent weights."""
        weight, lengths, gates, hidden, cells = ctx.saved_tensors
        known = [grad.contiguous(), gates, weight.contiguous(), lengths, hidden, cells]
        arrays = [tensor.numpy() for tensor in known]
        d_sums, past = map(torch.from_numpy, _run_against(*arrays, ctx.runs_backward))
        return d_sums, d_sums.t() @ past, None, None


def recur(sums: Tensor, weight: Tensor, lengths: Tensor, backward: bool) -> Tensor:
    """Compute hidden states of an LSTM in one direction: shape (positions, units).

    Args:
        sums: what inputs and biases add to the gates at each position, RNA after RNA without
            padding: float32, shape (positions, 4 * units).
        weight: recurrent weights, `weight_hh_l0` of a `torch.nn.LSTM`.
        lengths: positions of each RNA, int64, shape (n,).
        backward: run from the last position of each RNA to its first.
    """
    return _Recurrence.apply(sums, weight, lengths, backward)


_TANH_LIMIT = np.float32(7.90531110763549805)

_ABOVE = np.array([
    -2.76076847742355e-16, 2.00018790482477e-13, -8.60467152213735e-11, 5.12229709037114e-08,
    1.48572235717979e-05, 6.37261928875436e-04, 4.89352455891786e-03,
], np.float32)  # fmt: skip

_BELOW = np.array([
    1.19825839466702e-06, 1.18534705686654e-04, 2.26843463243900e-03, 4.89352518554385e-03,
], np.float32)  # fmt: skip

_ONE = np.float32(1)


@njit(inline="always")
def _tanh(x):  # type: ignore[no-untyped-def]
    """Hyperbolic tangent as a quotient of polynomials (Eigen's), which a loop can do in vectors."""
    if x > _TANH_LIMIT:
        x = _TANH_LIMIT
    if x < -_TANH_LIMIT:
        x = -_TANH_LIMIT
    square = x * x
    above = _ABOVE[0]
    for i in range(1, len(_ABOVE)):
        above = above * square + _ABOVE[i]
    below = _BELOW[0]
    for i in range(1, len(_BELOW)):
        below = below * square + _BELOW[i]
    return x * above / below


@njit(inline="always")
def _sigmoid(x):  # type: ignore[no-untyped-def]
    """Logistic function."""
    half = np.float32(0.5)
    return half + half * _tanh(half * x)


@_compiled
def _run_along(gates, weight, lengths, hidden, cells, backward):  # type: ignore[no-untyped-def]
    """Fill hidden states and cells; the gates, given as sums over the inputs, become their values.

    Gates are in torch's order: input, forget, cell, output.
    """
    n_units, n_gates = weight.shape
    flat_weight = weight.reshape(-1)
    rows = np.arange(n_units) * n_gates
    last_hidden = np.empty(n_units, np.float32)
    last_cell = np.empty(n_units, np.float32)
    end = 0
    for length in lengths:
        start = end
        end = start + length
        last_hidden[:] = 0
        last_cell[:] = 0
        for step in range(length):
            position = end - 1 - step if backward else start + step
            gate = gates[position]
            _add_rows(last_hidden, rows, n_units, flat_weight, gate)
            for j in range(2 * n_units):
                gate[j] = _sigmoid(gate[j])
            for j in range(2 * n_units, 3 * n_units):
                gate[j] = _tanh(gate[j])
            for j in range(3 * n_units, n_gates):
                gate[j] = _sigmoid(gate[j])
            for j in range(n_units):
                remembered = gate[n_units + j] * last_cell[j]
                last_cell[j] = remembered + gate[j] * gate[2 * n_units + j]
                last_hidden[j] = gate[3 * n_units + j] * _tanh(last_cell[j])
            cells[position] = last_cell
            hidden[position] = last_hidden


@_compiled
def _run_against(  # type: ignore[no-untyped-def]
    grad, gates, weight, lengths, hidden, cells, backward
):
    """Gradients of what goes into the gates, and the hidden state before each position."""
    n_gates, n_units = weight.shape
    d_sums = np.empty_like(gates)
    past = np.empty((len(gates), n_units), np.float32)
    flat_weight = weight.reshape(-1)
    rows = np.arange(n_gates) * n_units
    d_hidden = np.empty(n_units, np.float32)
    d_cell = np.empty(n_units, np.float32)
    end = 0
    for length in lengths:
        start = end
        end = start + length
        d_hidden[:] = 0
        d_cell[:] = 0
        for step in range(length - 1, -1, -1):
            position = end - 1 - step if backward else start + step
            before = position + 1 if backward else position - 1
            if step == 0:
                before = len(gates)
            past[position] = hidden[before]
            past_cell = cells[before]
            gate = gates[position]
            d_gate = d_sums[position]
            cell = cells[position]
            for j in range(n_units):
                shown = _tanh(cell[j])
                let_in = gate[j]
                keep = gate[n_units + j]
                new = gate[2 * n_units + j]
                out = gate[3 * n_units + j]
                d_state = grad[position, j] + d_hidden[j]
                d_here = d_cell[j] + d_state * out * (_ONE - shown * shown)
                d_gate[j] = d_here * new * let_in * (_ONE - let_in)
                d_gate[n_units + j] = d_here * past_cell[j] * keep * (_ONE - keep)
                d_gate[2 * n_units + j] = d_here * let_in * (_ONE - new * new)
                d_gate[3 * n_units + j] = d_state * shown * out * (_ONE - out)
                d_cell[j] = d_here * keep
            d_hidden[:] = 0
            _add_rows(d_gate, rows, n_gates, flat_weight, d_hidden)
    return d_sums, past
