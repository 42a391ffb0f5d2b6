"""Steps of random walks, first-order or node2vec, compiled by numba.

The bias of the second-order step is drawn by rejection, so nothing is precomputed per edge pair:
memory is that of the network, and a step costs a few draws at any degree.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from mirnagraph.walks.prefetch import prefetch

# After this many rejected proposals the step is drawn from the exact distribution. This leaves the
# distribution of walks unchanged and bounds the time of a step under extreme p and q.
MAX_PROPOSALS = 32

# Of the state of a generator from one draw to the next: the odd number of splitmix64.
STEP = np.uint64(0x9E3779B97F4A7C15)

# Walks that advance together; their states fit the cache of a core.
GROUP = 128


@njit(cache=True, nogil=True, inline="always")
def mix_bits(state: Any) -> Any:
    """Output of splitmix64 (Steele, Lea and Flood 2014) at a state."""
    z = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@njit(cache=True, nogil=True, inline="always")
def unit_of(bits: Any) -> Any:
    """A number in [0, 1) from the upper 53 bits."""
    return np.float64(bits >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@njit(cache=True, nogil=True, inline="always")
def index_below(bits: Any, n: Any) -> Any:
    """A number in [0, n) from the upper 32 bits; never n itself."""
    return np.int64(((bits >> np.uint64(32)) * np.uint64(n)) >> np.uint64(32))


@njit(cache=True, nogil=True)
def _has_edge(indptr: Any, indices: Any, source: Any, target: Any) -> Any:
    lo = indptr[source]
    end = indptr[source + 1]
    hi = end
    while lo < hi:
        middle = (lo + hi) // 2
        if indices[middle] < target:
            lo = middle + 1
        else:
            hi = middle
    # The position may be one past the row, which belongs to the next row or to none.
    return lo < end and indices[lo] == target


@njit(cache=True, nogil=True)
def _exact_edge(
    indptr: Any, indices: Any, weights: Any, before: Any, here: Any, p: Any, q: Any, unit: Any
) -> Any:
    """An edge drawn from the exact second-order distribution by cumulative search."""
    lo = indptr[here]
    hi = indptr[here + 1]
    cumulative = np.empty(hi - lo, np.float64)
    total = 0.0
    for edge in range(lo, hi):
        weight = weights[edge] if len(weights) > 0 else 1.0
        if indices[edge] == before:
            weight /= p
        elif not _has_edge(indptr, indices, before, indices[edge]):
            weight /= q
        total += weight
        cumulative[edge - lo] = total
    slot = np.searchsorted(cumulative, unit * total, side="right")
    return lo + min(slot, hi - lo - 1)


@njit(cache=True, nogil=True)
def _propose(
    indptr: Any,
    indices: Any,
    accept: Any,
    alias: Any,
    heres: Any,
    states: Any,
    edges: Any,
    rows: Any,
) -> Any:
    """Draw an edge of each of `rows` by its weight, and ask for the memory of its end."""
    for row in rows:
        low = indptr[heres[row]]
        states[row] += STEP
        edges[row] = low + index_below(mix_bits(states[row]), indptr[heres[row] + 1] - low)
        if len(accept) == 0:
            prefetch(indices, edges[row])
        else:
            prefetch(accept, edges[row])
            prefetch(alias, edges[row])
    if len(accept) == 0:
        return
    for row in rows:
        states[row] += STEP
        if unit_of(mix_bits(states[row])) >= accept[edges[row]]:
            edges[row] = indptr[heres[row]] + alias[edges[row]]
        prefetch(indices, edges[row])


@njit(cache=True, nogil=True)
def _reject(
    indptr: Any, indices: Any, befores: Any, states: Any, edges: Any, rows: Any, p: Any, q: Any
) -> Any:
    """Move the `rows` whose proposal the second-order bias rejects to the front; their number."""
    most = max(1.0 / p, 1.0, 1.0 / q)
    n_rejected = 0
    for row in rows:
        target = np.int64(indices[edges[row]])
        states[row] += STEP
        height = unit_of(mix_bits(states[row])) * most
        if target == befores[row]:
            is_accepted = height < 1.0 / p
        elif height < min(1.0, 1.0 / q):
            is_accepted = True
        elif height >= max(1.0, 1.0 / q):
            is_accepted = False
        else:
            is_accepted = _has_edge(indptr, indices, befores[row], target) == (q > 1.0)
        if not is_accepted:
            rows[n_rejected] = row
            n_rejected += 1
    return n_rejected


@njit(cache=True, nogil=True)
def _draw_equal(indptr: Any, indices: Any, heres: Any, states: Any, edges: Any, n_rows: Any) -> Any:
    """Draw an edge of the first rows, all edges of a node being equal; -1 where it has none."""
    for row in range(n_rows):
        low = indptr[heres[row]]
        degree = indptr[heres[row] + 1] - low
        if degree == 0:
            edges[row] = -1
            continue
        states[row] += STEP
        edges[row] = low + index_below(mix_bits(states[row]), degree)
        prefetch(indices, edges[row])


@njit(cache=True, nogil=True)
def _draw_biased(  # noqa: PLR0913
    indptr: Any,
    indices: Any,
    weights: Any,
    accept: Any,
    alias: Any,
    befores: Any,
    heres: Any,
    states: Any,
    edges: Any,
    waiting: Any,
    n_rows: Any,
    is_first_order: Any,
    p: Any,
    q: Any,
) -> Any:
    """Draw an edge of the first rows by weight and second-order bias; -1 where there is none."""
    n_waiting = 0
    for row in range(n_rows):
        edges[row] = -1
        if indptr[heres[row]] < indptr[heres[row] + 1]:
            waiting[n_waiting] = row
            n_waiting += 1
    for _ in range(MAX_PROPOSALS):
        rows = waiting[:n_waiting]
        _propose(indptr, indices, accept, alias, heres, states, edges, rows)
        n_waiting = 0
        if not is_first_order:
            n_waiting = _reject(indptr, indices, befores, states, edges, rows, p, q)
        if n_waiting == 0:
            break
    for row in waiting[:n_waiting]:
        states[row] += STEP
        unit = unit_of(mix_bits(states[row]))
        edges[row] = _exact_edge(indptr, indices, weights, befores[row], heres[row], p, q, unit)


@njit(cache=True, nogil=True)
def walk(  # noqa: PLR0913  one compiled kernel
    indptr: Any,
    indices: Any,
    weights: Any,
    accept: Any,
    alias: Any,
    starts: Any,
    walks: Any,
    first: Any,
    stream: Any,
    p: Any,
    q: Any,
) -> Any:
    """Fill `walks`, one row per start; row r is walk number first + r.

    Walks advance in groups, one step each in turn. Each part of a step asks for the memory that the
    next part reads, for all walks of the group: they wait for memory together.
    """
    states = np.empty(GROUP, np.uint64)
    befores = np.empty(GROUP, np.int64)
    heres = np.empty(GROUP, np.int64)
    edges = np.empty(GROUP, np.int64)
    waiting = np.empty(GROUP, np.int64)
    for begin in range(0, len(starts), GROUP):
        n = min(GROUP, len(starts) - begin)
        for row in range(n):
            walks[begin + row, :] = -1
            number = first + np.uint64(begin + row) + np.uint64(1)
            states[row] = mix_bits(stream + mix_bits(number * STEP))
            heres[row] = starts[begin + row]
            walks[begin + row, 0] = heres[row]
            prefetch(indptr, heres[row])
        for position in range(1, walks.shape[1]):
            is_first_order = position == 1 or (p == 1.0 and q == 1.0)
            if is_first_order and len(weights) == 0:
                _draw_equal(indptr, indices, heres, states, edges, n)
            else:
                _draw_biased(
                    indptr,
                    indices,
                    weights,
                    accept,
                    alias,
                    befores,
                    heres,
                    states,
                    edges,
                    waiting,
                    n,
                    is_first_order,
                    p,
                    q,
                )
            for row in range(n):
                # A walk that has ended stays at its last node, which has no edges.
                if edges[row] >= 0:
                    befores[row] = heres[row]
                    heres[row] = indices[edges[row]]
                    prefetch(indptr, heres[row])
                    prefetch(indptr, heres[row] + 1)
                    walks[begin + row, position] = heres[row]
