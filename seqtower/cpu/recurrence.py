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

from seqtower.cpu.lanes import LANES, load, sigmoid, spread, spread_from, store, tanh
from seqtower.cpu.products import COLUMNS, add_crossed, multiply
from seqtower.cpu.rows import line_up, stand_apart


class _Recurrence(torch.autograd.Function):
    """See `recur`."""

    @staticmethod
    def forward(
        ctx: Any, values: torch.Tensor, w_in: torch.Tensor, w_past: torch.Tensor, bias: torch.Tensor, lengths: torch.Tensor, backs: tuple[bool, ...]
    ) -> torch.Tensor:
        """Hidden states."""
        n, width, channels = values.shape
        ways, wide, units = w_past.shape
        starts, order = torch.cumsum(lengths + 1, 0) - lengths, torch.argsort(lengths)
        rows = values.new_empty(int(starts[-1] + lengths[-1]) + 2, w_in.shape[2])  # the last takes what no one asks for
        line_up(values.contiguous().numpy(), starts.numpy(), lengths.numpy(), rows.numpy())
        gates = values.new_empty(ways, len(rows), wide)
        hidden, cells = values.new_empty(ways, len(rows), units), values.new_empty(ways, len(rows), units)
        between = torch.cat([starts - 1, torch.tensor([len(rows) - 2, len(rows) - 1])])
        hidden[:, between], cells[:, between] = 0, 0
        found = values.new_empty(n, width, ways * units)
        for way, back in enumerate(backs):
            multiply(rows.view(-1).numpy(), w_in[way].t().contiguous().numpy(), bias[way].numpy(), gates[way].view(-1).numpy(), False)
            _along(
                gates[way].view(-1).numpy(), w_past[way].t().contiguous().numpy(), starts.numpy(), lengths.numpy(), order.numpy(), back,
                hidden[way].view(-1).numpy(), cells[way].view(-1).numpy(),
            )  # fmt: skip
            stand_apart(hidden[way].numpy(), starts.numpy(), lengths.numpy(), found.numpy(), way * units)
        ctx.save_for_backward(rows, w_in, w_past, lengths, starts, order, between, gates, cells, hidden)
        ctx.backs, ctx.width, ctx.channels = backs, width, channels
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Gradients of values, weights and bias."""
        rows, w_in, w_past, lengths, starts, order, between, gates, cells, hidden = ctx.saved_tensors
        d_in, d_past, d_bias, d_rows = torch.zeros_like(w_in), torch.zeros_like(w_past), w_in.new_empty(w_in.shape[:2]), torch.empty_like(rows)
        units = hidden.shape[2]
        grad, own = grad.contiguous(), torch.empty_like(gates[0])
        own[between] = 0
        for way, back in enumerate(ctx.backs):
            _against(
                grad.view(-1).numpy(), grad.shape[1], grad.shape[2], way * units, gates[way].view(-1).numpy(), cells[way].view(-1).numpy(),
                w_past[way].contiguous().numpy(), starts.numpy(), lengths.numpy(), order.numpy(), back, own.view(-1).numpy(),
            )  # fmt: skip
            now, past = (own[:-1], hidden[way, 1:]) if back else (own[1:], hidden[way, :-1])
            add_crossed(now.view(-1).numpy(), past.view(-1).numpy(), d_past[way].numpy())
            add_crossed(own.view(-1).numpy(), rows.view(-1).numpy(), d_in[way].numpy())
            torch.sum(own, dim=0, out=d_bias[way])
            if ctx.needs_input_grad[0]:
                multiply(own.view(-1).numpy(), w_in[way].numpy(), np.zeros(rows.shape[1], np.float32), d_rows.view(-1).numpy(), way > 0)
        d_values = None
        if ctx.needs_input_grad[0]:
            d_values = rows.new_empty(len(lengths), ctx.width, ctx.channels)
            stand_apart(d_rows[:, : ctx.channels].numpy(), starts.numpy(), lengths.numpy(), d_values.numpy(), 0)
        return d_values, d_in, d_past, d_bias, None, None


def recur(values: torch.Tensor, lengths: torch.Tensor, layers: Sequence[nn.Module], backs: tuple[bool, ...]) -> torch.Tensor:
    """Hidden states of torch LSTMs of one layer and one direction each, side by side: shape (n, width, layers * units), 0 at padding.

    Args:
        values: float32, shape (n, width, channels); what stands at padding is not read.
        lengths: positions per RNA, shape (n,).
        backs: of each layer, whether it runs from each RNA's last position to its first.
    """
    w_in, w_past, b_in, b_past = (
        torch.stack([getattr(layer, name) for layer in layers]) for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    )
    ways, units = len(layers), w_past.shape[2]
    more = -units % COLUMNS  # units that stay 0, as do the channels added
    w_in = nn.functional.pad(w_in.view(ways, 4, units, -1), (0, -values.shape[2] % COLUMNS, 0, more)).flatten(1, 2)
    w_past = nn.functional.pad(w_past.view(ways, 4, units, units), (0, more, 0, more)).flatten(1, 2)
    bias = nn.functional.pad((b_in + b_past).view(ways, 4, units), (0, more)).flatten(1)
    found: torch.Tensor = _Recurrence.apply(values, w_in, w_past, bias, lengths, backs)  # type: ignore[no-untyped-call]
    return found.view(*values.shape[:2], ways, -1)[..., :units].flatten(2) if more else found


@njit(cache=True, nogil=True, inline="always")
def _row(starts, lengths, which, step, back, spare):  # type: ignore[no-untyped-def]
    """The row of an RNA's step and that of the step before it; past its last step the spare row."""
    if which < 0 or step >= lengths[which]:
        return spare, spare
    here = starts[which] + (lengths[which] - 1 - step if back else step)
    return here, here + (1 if back else -1)


@njit(cache=True, nogil=True)
def _along(gates, w_past, starts, lengths, order, back, hidden, cells):  # type: ignore[no-untyped-def]
    """Fill hidden states and cells, two RNAs at once; the gates, given as sums over the inputs, become what they let through."""
    units, wide = w_past.shape
    weights, spare = w_past.reshape(-1), len(hidden) // units - 1
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
    """Fill the gradients of what goes into the gates, two RNAs at once; a row of no RNA keeps its 0."""
    wide, units = w_past.shape
    weights, spare = w_past.reshape(-1), len(gates) // wide - 1
    d_hidden, d_cells, nothing = np.zeros(2 * units, np.float32), np.zeros(2 * units, np.float32), spread(np.float32(0))
    for pair in range(len(order) - 1, -1, -2):
        one, other = order[pair], order[pair - 1] if pair else -1
        d_hidden[:] = 0
        d_cells[:] = 0
        for step in range(lengths[one] - 1, -1, -1):
            (here, past), (here_too, past_too) = _row(starts, lengths, one, step, back, spare), _row(starts, lengths, other, step, back, spare)
            own, own_too = (one * width + here - starts[one]) * across + column, 0
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
