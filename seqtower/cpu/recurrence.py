"""An LSTM over RNAs of different lengths, for the CPU: each RNA from its own end to its own other end, nothing for padding.

What all positions share (the products with the inputs, and the gradients of all weights) is one matrix product each; only what depends on the
position before runs along the RNA. RNAs stand one after the other with a row of zeros before and after each, so that the states before are
the states themselves, one row on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numba import njit
from torch import nn
from torch.autograd.function import once_differentiable

from seqtower.cpu.lanes import LANES, fetch, load, sigmoid, spread, spread_from, store, tanh
from seqtower.cpu.products import COLUMNS, add_crossed, multiply
from seqtower.cpu.rows import line_up, stand_apart

AHEAD = 6
"""Steps before which a row is asked for, as it comes from far: against the grain no one foresees it."""
LINE = 16
"""Numbers that come together."""
_NAMES = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")


class _Recurrence(torch.autograd.Function):
    """See `recur`."""

    @staticmethod
    def forward(ctx: Any, values: torch.Tensor, lengths: torch.Tensor, backs: tuple[bool, ...], *weights: torch.Tensor) -> torch.Tensor:
        """Hidden states; `weights` are `_NAMES` of each layer, one after the other."""
        n, width, channels = values.shape
        units = weights[1].shape[1]
        more, wider = -units % COLUMNS, -channels % COLUMNS  # units and channels that stay 0
        filled = [_filled(weights[place : place + 4], more, wider) for place in range(0, len(weights), 4)]
        wide = units + more
        apart = lengths.numpy()
        starts, order = np.cumsum(apart + 1) - apart, np.argsort(apart, kind="stable")
        rows = values.new_empty(int(starts[-1] + apart[-1]) + 2, channels + wider)  # the last takes what no one asks for
        line_up(values.contiguous().numpy(), starts, apart, rows.numpy())
        gates = values.new_empty(len(backs), len(rows), 4 * wide)
        hidden, cells = values.new_empty(len(backs), len(rows), wide), values.new_empty(len(backs), len(rows), wide)
        found = values.new_empty(n, width, len(backs) * wide)
        for way, (back, (w_in, w_past, bias)) in enumerate(zip(backs, filled, strict=True)):
            multiply(rows.view(-1).numpy(), channels + wider, w_in.t().contiguous().numpy(), bias.numpy(), gates[way].view(-1).numpy(), False)
            _along(
                gates[way].view(-1).numpy(), w_past.t().contiguous().numpy(), starts, apart, order, back, hidden[way].view(-1).numpy(),
                cells[way].view(-1).numpy(),
            )  # fmt: skip
            stand_apart(hidden[way].numpy(), starts, apart, found.numpy(), way * wide)
        ctx.save_for_backward(rows, lengths, gates, cells, hidden, *weights)
        ctx.backs, ctx.width, ctx.channels, ctx.runs = backs, width, channels, (starts, order)
        return found.view(n, width, len(backs), wide)[..., :units].flatten(2) if more else found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Gradients of values and of all weights."""
        rows, lengths, gates, cells, hidden, *weights = ctx.saved_tensors
        starts, order = ctx.runs
        apart, units, wide, wider = lengths.numpy(), weights[1].shape[1], hidden.shape[2], rows.shape[1] - ctx.channels
        d_rows, own, found = torch.empty_like(rows), torch.empty_like(gates[0]), []
        if wide > units:
            grad = nn.functional.pad(grad.view(*grad.shape[:2], -1, units), (0, wide - units)).flatten(2)
        grad = grad.contiguous()
        for way, back in enumerate(ctx.backs):
            w_in, w_past, _ = _filled(weights[4 * way : 4 * way + 4], wide - units, wider)
            _against(
                grad.view(-1).numpy(), grad.shape[1], grad.shape[2], way * wide, gates[way].view(-1).numpy(), cells[way].view(-1).numpy(),
                w_past.numpy(), starts, apart, order, back, own.view(-1).numpy(),
            )  # fmt: skip
            now, past = (own[:-1], hidden[way, 1:]) if back else (own[1:], hidden[way, :-1])
            d_past, d_in, d_bias = torch.zeros_like(w_past), torch.zeros_like(w_in), own.sum(dim=0)
            add_crossed(now.view(-1).numpy(), past.view(-1).numpy(), d_past.numpy())
            add_crossed(own.view(-1).numpy(), rows.view(-1).numpy(), d_in.numpy())
            if ctx.needs_input_grad[0]:
                multiply(own.view(-1).numpy(), 4 * wide, w_in.numpy(), np.zeros(rows.shape[1], np.float32), d_rows.view(-1).numpy(), way > 0)
            if wide == units and not wider:
                found += [d_in, d_past, d_bias, d_bias]
                continue
            d_bias = d_bias.view(4, wide)[:, :units].flatten()
            found += [
                d_in.view(4, wide, -1)[:, :units, : ctx.channels].flatten(0, 1),
                d_past.view(4, wide, -1)[:, :units, :units].flatten(0, 1),
                d_bias,
                d_bias,
            ]
        d_values = None
        if ctx.needs_input_grad[0]:
            d_values = rows.new_empty(len(lengths), ctx.width, ctx.channels)
            stand_apart(d_rows.numpy(), starts, apart, d_values.numpy(), 0)
        return d_values, None, None, *found


def _filled(weights: Sequence[torch.Tensor], more: int, wider: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Weights of a layer, (4 * units, channels) and (4 * units, units), and the sum of its biases, with so many units and channels more that stay 0."""
    w_in, w_past, b_in, b_past = (one.detach() for one in weights)
    if not more and not wider:
        return w_in.contiguous(), w_past.contiguous(), b_in + b_past
    units, pad = w_past.shape[1], nn.functional.pad
    w_in, w_past = pad(w_in.view(4, units, -1), (0, wider, 0, more)), pad(w_past.view(4, units, units), (0, more, 0, more))
    return w_in.flatten(0, 1), w_past.flatten(0, 1), pad((b_in + b_past).view(4, units), (0, more)).flatten()


def recur(values: torch.Tensor, lengths: torch.Tensor, layers: Sequence[nn.Module], backs: tuple[bool, ...]) -> torch.Tensor:
    """Hidden states of torch LSTMs of one layer and one direction each, side by side: shape (n, width, layers * units), 0 at padding.

    Args:
        values: float32, shape (n, width, channels); what stands at padding is not read.
        lengths: positions per RNA, shape (n,).
        backs: of each layer, whether it runs from each RNA's last position to its first.
    """
    weights = [getattr(layer, name) for layer in layers for name in _NAMES]
    found: torch.Tensor = _Recurrence.apply(values, lengths, backs, *weights)  # type: ignore[no-untyped-call]
    return found


@njit(cache=True, nogil=True, inline="always")
def _row(starts, lengths, which, step, back, spare):  # type: ignore[no-untyped-def]
    """The row of an RNA's step and that of the step before it; past its last step the spare row."""
    if which < 0 or step >= lengths[which]:
        return spare, spare
    here = starts[which] + (lengths[which] - 1 - step if back else step)
    return here, here + (1 if back else -1)


@njit(cache=True, nogil=True)
def _clear(rows, starts, channels):  # type: ignore[no-untyped-def]
    """Set to 0 what stands before each RNA and behind the last, and what no one asks for."""
    for start in starts:
        rows[(start - 1) * channels : start * channels] = 0
    rows[len(rows) - 2 * channels :] = 0


@njit(cache=True, nogil=True)
def _along(gates, w_past, starts, lengths, order, back, hidden, cells):  # type: ignore[no-untyped-def]
    """Fill hidden states and cells, two RNAs at once; the gates, given as sums over the inputs, become what they let through."""
    units, wide = w_past.shape
    weights, spare = w_past.reshape(-1), len(hidden) // units - 1
    _clear(hidden, starts, units)
    _clear(cells, starts, units)
    for pair in range(len(order) - 1, -1, -2):
        one, other = order[pair], order[pair - 1] if pair else -1
        for step in range(lengths[one]):
            (here, past), (here_too, past_too) = _row(starts, lengths, one, step, back, spare), _row(starts, lengths, other, step, back, spare)
            for j in range(0, units, LANES):
                at, at_too = here * wide + j, here_too * wide + j
                a, b, c, d = load(gates, at), load(gates, at + units), load(gates, at + 2 * units), load(gates, at + 3 * units)
                e, f, g, h = load(gates, at_too), load(gates, at_too + units), load(gates, at_too + 2 * units), load(gates, at_too + 3 * units)
                for k in range(units):
                    h_one, h_too, w = spread_from(hidden, past * units + k), spread_from(hidden, past_too * units + k), k * wide + j
                    w_in, w_keep, w_new, w_out = load(weights, w), load(weights, w + units), load(weights, w + 2 * units), load(weights, w + 3 * units)
                    a, e = a + h_one * w_in, e + h_too * w_in
                    b, f = b + h_one * w_keep, f + h_too * w_keep
                    c, g = c + h_one * w_new, g + h_too * w_new
                    d, h = d + h_one * w_out, h + h_too * w_out
                _open(a, b, c, d, gates, at, cells, hidden, here * units + j, past * units + j, units)
                _open(e, f, g, h, gates, at_too, cells, hidden, here_too * units + j, past_too * units + j, units)


@njit(cache=True, nogil=True)
def _open(let_in, keep, new, out, gates, at, cells, hidden, here, past, units):  # type: ignore[no-untyped-def]
    """`LANES` units of one step, from the sums that go into their gates."""
    let_in, keep, new, out = sigmoid(let_in), sigmoid(keep), tanh(new), sigmoid(out)
    cell = keep * load(cells, past) + let_in * new
    store(gates, at, let_in)
    store(gates, at + units, keep)
    store(gates, at + 2 * units, new)
    store(gates, at + 3 * units, out)
    store(cells, here, cell)
    store(hidden, here, out * tanh(cell))


@njit(cache=True, nogil=True)
def _against(grad, width, across, column, gates, cells, w_past, starts, lengths, order, back, d_gates):  # type: ignore[no-untyped-def]
    """Fill the gradients of what goes into the gates, two RNAs at once; that of a row of no RNA is 0."""
    wide, units = w_past.shape
    weights, spare = w_past.reshape(-1), len(gates) // wide - 1
    d_hidden, d_cells, nothing = np.zeros(2 * units, np.float32), np.zeros(2 * units, np.float32), spread(np.float32(0))
    _clear(d_gates, starts, wide)
    for pair in range(len(order) - 1, -1, -2):
        one, other = order[pair], order[pair - 1] if pair else -1
        d_hidden[:] = 0
        d_cells[:] = 0
        for step in range(lengths[one] - 1, -1, -1):
            (here, past), (here_too, past_too) = _row(starts, lengths, one, step, back, spare), _row(starts, lengths, other, step, back, spare)
            own, own_too = (one * width + here - starts[one]) * across + column, 0
            ahead = (past - here) * AHEAD
            for row in (here + ahead, here_too + ahead):
                for j in range(0, wide, LINE):
                    fetch(gates, row * wide + j)
                    fetch(d_gates, row * wide + j)
                for j in range(0, units, LINE):
                    fetch(cells, row * units + j)
            for j in range(0, units, LANES):
                _shut(grad, own + j, d_hidden, d_cells, j, gates, d_gates, here * wide + j, cells, here * units + j, past * units + j, units)
            if here_too != spare:
                own_too = (other * width + here_too - starts[other]) * across + column
                for j in range(0, units, LANES):
                    at, now, before = here_too * wide + j, here_too * units + j, past_too * units + j
                    _shut(grad, own_too + j, d_hidden, d_cells, units + j, gates, d_gates, at, cells, now, before, units)
            for j in range(0, units, COLUMNS):
                a = b = c = d = e = f = g = h = nothing
                for k in range(0, wide, 2):
                    at, at_too, w = here * wide + k, here_too * wide + k, k * units + j
                    d_one, d_too, w_low, w_high = spread_from(d_gates, at), spread_from(d_gates, at_too), load(weights, w), load(weights, w + LANES)
                    a, b, c, d = a + d_one * w_low, b + d_one * w_high, c + d_too * w_low, d + d_too * w_high
                    d_one, d_too, w = spread_from(d_gates, at + 1), spread_from(d_gates, at_too + 1), w + units
                    w_low, w_high = load(weights, w), load(weights, w + LANES)
                    e, f, g, h = e + d_one * w_low, f + d_one * w_high, g + d_too * w_low, h + d_too * w_high
                store(d_hidden, j, a + e)
                store(d_hidden, j + LANES, b + f)
                store(d_hidden, units + j, c + g)
                store(d_hidden, units + j + LANES, d + h)


@njit(cache=True, nogil=True)
def _shut(grad, own, d_hidden, d_cells, unit, gates, d_gates, at, cells, here, past, units):  # type: ignore[no-untyped-def]
    """Gradients of the sums that go into the gates of `LANES` units at one step."""
    one = spread(np.float32(1))
    let_in, keep, new, out = load(gates, at), load(gates, at + units), load(gates, at + 2 * units), load(gates, at + 3 * units)
    shown, d = tanh(load(cells, here)), load(grad, own) + load(d_hidden, unit)
    d_cell = load(d_cells, unit) + d * out * (one - shown * shown)
    store(d_gates, at, d_cell * new * let_in * (one - let_in))
    store(d_gates, at + units, d_cell * load(cells, past) * keep * (one - keep))
    store(d_gates, at + 2 * units, d_cell * let_in * (one - new * new))
    store(d_gates, at + 3 * units, d * shown * out * (one - out))
    store(d_cells, unit, d_cell * keep)
