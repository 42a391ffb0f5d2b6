"""RNAs of different lengths one after the other, as kernels for the CPU take them: padding costs nothing."""

from __future__ import annotations

from numba import njit

from seqtower.cpu.lanes import LANES, load, store


@njit(cache=True, nogil=True)
def line_up(values, starts, lengths, rows):  # type: ignore[no-untyped-def]
    """Fill `rows`, shape (rows, channels or more), with the RNAs of (n, width, channels) from `starts` on, which rise, and with zeros elsewhere."""
    _, width, channels = values.shape
    across, end = rows.shape[1], 0
    given, flat = values.reshape(-1), rows.reshape(-1)
    for row in range(len(values)):
        start, length = starts[row], lengths[row]
        rows[end:start] = 0
        end = start + length
        if channels == across:
            _copy(given, row * width * channels, flat, start * across, length * channels)
        else:
            rows[start:end, :channels] = values[row, :length]
            rows[start:end, channels:] = 0
    rows[end:] = 0


@njit(cache=True, nogil=True)
def stand_apart(rows, starts, lengths, values, column):  # type: ignore[no-untyped-def]
    """Fill channels of (n, width, channels) from `column` on with what stands in the first channels of rows, and with zeros at padding."""
    _, width, across = values.shape
    channels = min(rows.shape[1], across - column)
    given, flat = rows.reshape(-1), values.reshape(-1)
    for row in range(len(values)):
        start, length = starts[row], lengths[row]
        if channels % LANES == 0:
            here, there = start * rows.shape[1], row * width * across + column
            for _ in range(length):
                for i in range(0, channels, LANES):
                    store(flat, there + i, load(given, here + i))
                here, there = here + rows.shape[1], there + across
        else:
            values[row, :length, column : column + channels] = rows[start : start + length, :channels]
        values[row, length:, column : column + channels] = 0


@njit(cache=True, nogil=True)
def _copy(given, first, taken, start, count):  # type: ignore[no-untyped-def]
    """Copy some numbers of one array of one dimension to another."""
    done = count - count % LANES
    for i in range(0, done, LANES):
        store(taken, start + i, load(given, first + i))
    for i in range(done, count):
        taken[start + i] = given[first + i]
