"""Products of many rows with small matrices, for the CPU: what a matrix library made for large ones does at half this speed."""

from __future__ import annotations

from numba import njit

from seqtower.cpu.lanes import LANES, load, spread_from, store

COLUMNS = 2 * LANES
"""Columns that are summed at once, for four rows: numbers of columns are multiples of this."""
_NEAR, _FAR = 64, 256  # rows that stay in the fastest memory, and in the next


@njit(cache=True, nogil=True)
def multiply(rows, apart, weights, first, out, added):  # type: ignore[no-untyped-def]
    """Fill `out`, (n, wide), with `first`, (wide,), or where `added` what it held, and the products of rows, (n, channels), with weights, (channels, wide).

    All are float32, contiguous and given as one dimension each, but for `weights`. A row begins `apart` numbers after the one before: `channels`, or
    fewer where rows share some, as the windows of a convolution.
    """
    channels, wide = weights.shape
    flat, n = weights.reshape(-1), len(out) // wide
    for begin in range(0, n, _NEAR):
        end = min(begin + _NEAR, n)
        fours = end - (end - begin) % 4
        for j in range(0, wide, COLUMNS):
            for row in range(begin, fours, 4):
                r, o = row * apart, row * wide + j
                a, b = (load(out, o), load(out, o + LANES)) if added else (load(first, j), load(first, j + LANES))
                c, d = (load(out, o + wide), load(out, o + wide + LANES)) if added else (load(first, j), load(first, j + LANES))
                e, f = (load(out, o + 2 * wide), load(out, o + 2 * wide + LANES)) if added else (load(first, j), load(first, j + LANES))
                g, h = (load(out, o + 3 * wide), load(out, o + 3 * wide + LANES)) if added else (load(first, j), load(first, j + LANES))
                for k in range(channels):
                    low, high = load(flat, k * wide + j), load(flat, k * wide + j + LANES)
                    one, two = spread_from(rows, r + k), spread_from(rows, r + apart + k)
                    a, b, c, d = a + one * low, b + one * high, c + two * low, d + two * high
                    one, two = spread_from(rows, r + 2 * apart + k), spread_from(rows, r + 3 * apart + k)
                    e, f, g, h = e + one * low, f + one * high, g + two * low, h + two * high
                _store_both(out, o, a, b)
                _store_both(out, o + wide, c, d)
                _store_both(out, o + 2 * wide, e, f)
                _store_both(out, o + 3 * wide, g, h)
            for row in range(fours, end):
                o = row * wide + j
                a, b = (load(out, o), load(out, o + LANES)) if added else (load(first, j), load(first, j + LANES))
                for k in range(channels):
                    one = spread_from(rows, row * apart + k)
                    a, b = a + one * load(flat, k * wide + j), b + one * load(flat, k * wide + j + LANES)
                _store_both(out, o, a, b)


@njit(cache=True, nogil=True)
def add_crossed(left, right, out):  # type: ignore[no-untyped-def]
    """Add to `out`, (high, wide), the products of each column of `left`, (n, high), with each of `right`, (n, wide), summed over rows.

    `high` is a multiple of four. All are float32 and contiguous, `left` and `right` given as one dimension each.
    """
    high, wide = out.shape
    flat, n = out.reshape(-1), len(right) // wide
    for begin in range(0, n, _FAR):
        end = min(begin + _FAR, n)
        for i in range(0, high, 4):
            for j in range(0, wide, COLUMNS):
                o = i * wide + j
                a, b, c, d = load(flat, o), load(flat, o + LANES), load(flat, o + wide), load(flat, o + wide + LANES)
                o += 2 * wide
                e, f, g, h = load(flat, o), load(flat, o + LANES), load(flat, o + wide), load(flat, o + wide + LANES)
                for row in range(begin, end):
                    at = row * high + i
                    low, high_half = load(right, row * wide + j), load(right, row * wide + j + LANES)
                    one, two = spread_from(left, at), spread_from(left, at + 1)
                    a, b, c, d = a + one * low, b + one * high_half, c + two * low, d + two * high_half
                    one, two = spread_from(left, at + 2), spread_from(left, at + 3)
                    e, f, g, h = e + one * low, f + one * high_half, g + two * low, h + two * high_half
                o = i * wide + j
                _store_both(flat, o, a, b)
                _store_both(flat, o + wide, c, d)
                _store_both(flat, o + 2 * wide, e, f)
                _store_both(flat, o + 3 * wide, g, h)


@njit(cache=True, nogil=True)
def _store_both(numbers, at, low, high):  # type: ignore[no-untyped-def]
    store(numbers, at, low)
    store(numbers, at + LANES, high)
