"""RNAs of different lengths one after the other, as kernels for the CPU take them: padding costs nothing."""

from __future__ import annotations

from numba import njit


@njit(cache=True, nogil=True)
def line_up(values, starts, lengths, rows):  # type: ignore[no-untyped-def]
    """Fill `rows`, shape (rows, channels or more), with the RNAs of (n, width, channels) from `starts` on, and with zeros elsewhere."""
    rows[:] = 0
    for row in range(len(values)):
        rows[starts[row] : starts[row] + lengths[row], : values.shape[2]] = values[row, : lengths[row]]


@njit(cache=True, nogil=True)
def stand_apart(rows, starts, lengths, values, column):  # type: ignore[no-untyped-def]
    """Fill channels of (n, width, channels) from `column` on with what stands in rows, and with zeros at padding."""
    end = column + rows.shape[1]
    for row in range(len(values)):
        length = lengths[row]
        values[row, :length, column:end] = rows[starts[row] : starts[row] + length]
        values[row, length:, column:end] = 0
