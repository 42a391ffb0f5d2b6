"""An LSTM over RNAs of different lengths, for the CPU: each RNA from its own end to its own other end, nothing for padding.

What all positions share (the products with the inputs, and the gradients of all weights) is one matrix product each; only what depends on the
position before runs along the RNA.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import njit, types
from numba.extending import intrinsic
from torch.autograd.function import once_differentiable


class _Recurrence(torch.autograd.Function):
    """See `recur`."""

    @staticmethod
    def forward(
        ctx: Any, values: torch.Tensor, w_in: torch.Tensor, w_past: torch.Tensor, bias: torch.Tensor, lengths: torch.Tensor, back: bool
    ) -> torch.Tensor:
        """Hidden states."""
        n, width, channels = values.shape
        units = w_past.shape[1]
        gates = torch.addmm(bias, values.reshape(-1, channels), w_in.t()).view(n, width, 4 * units)
        hidden, cells = values.new_empty(n, width, units), values.new_empty(n, width, units)
        _along(gates.numpy(), w_past.t().contiguous().numpy(), lengths.numpy(), back, hidden.numpy(), cells.numpy())
        ctx.save_for_backward(values, w_in, w_past, lengths, gates, cells, hidden)
        ctx.back = back
        return hidden

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Gradients of values, weights and bias."""
        values, w_in, w_past, lengths, gates, cells, hidden = ctx.saved_tensors
        units = hidden.shape[2]
        d_gates = torch.empty_like(gates)
        _against(grad.contiguous().numpy(), gates.numpy(), cells.numpy(), w_past.t().contiguous().numpy(), lengths.numpy(), ctx.back, d_gates.numpy())
        flat = d_gates.view(-1, 4 * units)
        d_values = (flat @ w_in).view_as(values) if ctx.needs_input_grad[0] else None
        past = torch.nn.functional.pad(hidden[:, 1:], (0, 0, 0, 1)) if ctx.back else torch.nn.functional.pad(hidden[:, :-1], (0, 0, 1, 0))
        d_in, d_past = (flat.t() @ torch.cat([values, past], dim=-1).view(len(flat), -1)).split([values.shape[2], units], dim=1)
        return d_values, d_in, d_past, flat.sum(dim=0), None, None


def recur(values: torch.Tensor, lengths: torch.Tensor, layer: torch.nn.Module, back: bool) -> torch.Tensor:
    """Hidden states of a torch LSTM of one layer and one direction: shape (n, width, units), 0 at padding.

    Args:
        values: float32, shape (n, width, channels).
        lengths: positions per RNA, shape (n,).
        back: run from each RNA's last position to its first.
    """
    w_in, w_past, b_in, b_past = (getattr(layer, name) for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"))
    found: torch.Tensor = _Recurrence.apply(values, w_in, w_past, b_in + b_past, lengths, back)  # type: ignore[no-untyped-call]
    return found


@intrinsic
def _power_of_two(typing, whole):  # type: ignore[no-untyped-def]
    """2 to the power of a whole number, by its bits; float32 in and out."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        bits, number = context.get_value_type(types.int32), context.get_value_type(types.float32)
        exponent = builder.add(builder.fptosi(arguments[0], bits), bits(127))
        return builder.bitcast(builder.shl(exponent, bits(23)), number)

    return types.float32(types.float32), generate


@njit(cache=True, nogil=True, inline="always", error_model="numpy")
def _exp(x):  # type: ignore[no-untyped-def]
    """e to the x to within 2 units in the last place, in steps that a compiler does for eight numbers at once, as it does not for the library's."""
    one, limit = np.float32(1), np.float32(87)
    x = limit if x > limit else (-limit if x < -limit else x)  # what is no number stays none
    whole = np.floor(x * np.float32(1.4426950408889634) + np.float32(0.5))
    rest = (x - whole * np.float32(0.693359375)) + whole * np.float32(2.12194440e-4)  # ln 2 in two parts, of which the first has few digits
    series = one
    for power in (7, 6, 5, 4, 3, 2, 1):
        series = one + series * rest * np.float32(1 / power)
    return series * _power_of_two(whole)  # type: ignore[call-arg]


@njit(cache=True, nogil=True, fastmath={"contract"}, error_model="numpy")
def _along(gates, w_past, lengths, back, hidden, cells):  # type: ignore[no-untyped-def]
    """Fill hidden states and cells; the gates, given as sums over the inputs, become what they let through."""
    one, two = np.float32(1), np.float32(2)
    units = hidden.shape[2]
    for row in range(len(gates)):
        length = lengths[row]
        hidden[row, length:] = 0
        h, c = np.zeros(units, np.float32), np.zeros(units, np.float32)
        for step in range(length):
            at = length - 1 - step if back else step
            gate = gates[row, at]
            _add_product(gate, h, w_past)
            _sigmoid(gate[: 2 * units])
            new = gate[2 * units : 3 * units]
            for j in range(units):
                new[j] = one - two / (one + _exp(two * new[j]))
            _sigmoid(gate[3 * units :])
            for j in range(units):
                c[j] = gate[units + j] * c[j] + gate[j] * gate[2 * units + j]
                h[j] = gate[3 * units + j] * (one - two / (one + _exp(two * c[j])))
            for j in range(units):
                cells[row, at, j], hidden[row, at, j] = c[j], h[j]


@njit(cache=True, nogil=True, fastmath={"contract"}, error_model="numpy")
def _add_product(total, past, weights):  # type: ignore[no-untyped-def]
    """Add a vector times a matrix: four rows at a time, which reads and writes the total less often."""
    fours = len(past) - len(past) % 4
    for k in range(0, fours, 4):
        a, b, c, d = past[k], past[k + 1], past[k + 2], past[k + 3]
        w_a, w_b, w_c, w_d = weights[k], weights[k + 1], weights[k + 2], weights[k + 3]
        for j in range(len(total)):
            total[j] += a * w_a[j] + b * w_b[j] + c * w_c[j] + d * w_d[j]
    for k in range(fours, len(past)):
        a, w_a = past[k], weights[k]
        for j in range(len(total)):
            total[j] += a * w_a[j]


@njit(cache=True, nogil=True, fastmath={"contract"}, error_model="numpy")
def _sigmoid(values):  # type: ignore[no-untyped-def]
    one = np.float32(1)
    for j in range(len(values)):
        values[j] = one / (one + _exp(-values[j]))


@njit(cache=True, nogil=True, fastmath={"contract", "reassoc"}, error_model="numpy")
def _against(grad, gates, cells, w_past, lengths, back, d_gates):  # type: ignore[no-untyped-def]
    """Fill the gradients of what goes into the gates."""
    one, two, units = np.float32(1), np.float32(2), grad.shape[2]
    for row in range(len(grad)):
        length = lengths[row]
        d_gates[row, length:] = 0
        d_h, d_c, before = np.zeros(units, np.float32), np.zeros(units, np.float32), np.zeros(units, np.float32)
        for step in range(length - 1, -1, -1):
            at = length - 1 - step if back else step
            gate, d_gate, c = gates[row, at], d_gates[row, at], cells[row, at]
            before[:] = 0
            if step:
                before[:] = cells[row, at + 1 if back else at - 1]
            for j in range(units):
                let_in, kept, new, out = gate[j], gate[units + j], gate[2 * units + j], gate[3 * units + j]
                shown = one - two / (one + _exp(two * c[j]))
                d = grad[row, at, j] + d_h[j]
                d_cell = d_c[j] + d * out * (one - shown * shown)
                d_gate[j] = d_cell * new * let_in * (one - let_in)
                d_gate[units + j] = d_cell * before[j] * kept * (one - kept)
                d_gate[2 * units + j] = d_cell * let_in * (one - new * new)
                d_gate[3 * units + j] = d * shown * out * (one - out)
                d_c[j] = d_cell * kept
            for j in range(units):
                total, own = np.float32(0), w_past[j]
                for k in range(4 * units):
                    total += d_gate[k] * own[k]
                d_h[j] = total
