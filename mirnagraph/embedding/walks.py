"""Random walks on a sparse network, first-order or node2vec (second-order), in numba.

The bias of the second-order step is drawn by rejection, so nothing is precomputed per edge pair:
memory is that of the network, and a step costs a few draws at any degree. Every walk has a
counter-based generator seeded from (seed, walk number), so the result does not depend on the number
of threads or the size of the blocks.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from scipy import sparse

from mirnagraph.errors import InputError
from mirnagraph.seeds import child_seed, generator

# After this many rejected proposals the step is drawn from the exact distribution. This leaves the
# distribution of walks unchanged and bounds the time of a step under extreme p and q.
MAX_PROPOSALS = 32


class WalkGraph(NamedTuple):
    """A checked network in the form that the walker reads.

    Attributes:
        indptr: int64, shape (n_nodes + 1,).
        indices: int32, shape (n_edges,), sorted inside each row.
        weights: float64, shape (n_edges,), above 0; empty where all weights of each row are equal.
        accept: float64, alias table: probability of keeping the drawn slot; empty where `weights`
            is.
        alias: int32, alias table: slot of the alternative neighbour, from the start of the row;
            empty where `weights` is.
    """

    indptr: np.ndarray
    indices: np.ndarray
    weights: np.ndarray
    accept: np.ndarray
    alias: np.ndarray

    @property
    def n_nodes(self) -> int:
        """Number of nodes, isolated ones included."""
        return len(self.indptr) - 1

    @property
    def is_weighted(self) -> bool:
        """Whether the weights of some row differ."""
        return len(self.weights) > 0


def walk_graph(adjacency: Any) -> WalkGraph:
    """Check a network and prepare it for walking.

    Args:
        adjacency: scipy sparse, shape (n_nodes, n_nodes); entry (i, j) is the weight of the step
            from i to j. Stored zeros are no edges, duplicate entries are added up. An asymmetric
            matrix is a directed network: a walk ends at a node without outgoing edges.

    Raises:
        InputError: not square, or a weight is negative, NaN or infinite.
    """
    if not sparse.issparse(adjacency):
        raise InputError(
            "a network must be a scipy sparse matrix",
            found=type(adjacency).__name__,
            expected="csr_array",
        )
    matrix = sparse.csr_array(adjacency, dtype=np.float64, copy=True)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise InputError(
            "the matrix of a network must be square",
            found=f"shape {matrix.shape}",
            expected="(n_nodes, n_nodes)",
        )
    is_bad = ~(np.isfinite(matrix.data) & (matrix.data >= 0))
    if is_bad.any():
        entry = int(np.flatnonzero(is_bad)[0])
        row = int(np.searchsorted(matrix.indptr, entry, side="right")) - 1
        place = f"{matrix.data[entry]} in row {row}, column {int(matrix.indices[entry])}"
        raise InputError(
            "a weight of the network is no finite number of 0 or more",
            found=place,
            expected="0 or greater",
        )
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    matrix.sort_indices()
    indptr = matrix.indptr.astype(np.int64)
    indices = matrix.indices.astype(np.int32)
    n_edges = np.diff(indptr)
    first = matrix.data[indptr[:-1][n_edges > 0]]
    if np.array_equal(np.repeat(first, n_edges[n_edges > 0]), matrix.data):
        empty = np.empty(0, np.float64)
        return WalkGraph(indptr, indices, empty, empty, np.empty(0, np.int32))
    accept, alias = _alias_tables(indptr, matrix.data)
    return WalkGraph(indptr, indices, matrix.data, accept, alias)


def walk_rounds(
    graph: WalkGraph,
    *,
    n_walks: int,
    walk_length: int,
    p: float,
    q: float,
    seed: int,
) -> Iterator[np.ndarray]:
    """Yield walks in rounds of one walk from every node, so that memory holds one round.

    Args:
        graph: see `walk_graph`.
        n_walks: number of rounds.
        walk_length: nodes per walk, the start included; 1 or more.
        p: return parameter, above 0: weight 1/p of the previous node (Grover and Leskovec 2016,
            section 3.2).
        q: in-out parameter, above 0: weight 1/q of a node without an edge from the previous one.
        seed: of all walks.

    Yields:
        One round: int32, shape (n_nodes, walk_length), the starts in random order. A walk that ends
        early (isolated node, or no outgoing edge in a directed network) is filled up with -1.
    """
    stream = np.uint64(child_seed(seed, "walks"))
    kernel: Any = _walk
    for number in range(n_walks):
        order = generator(seed, "walk order", number).permutation(graph.n_nodes)
        walks = np.empty((graph.n_nodes, walk_length), np.int32)
        first = np.uint64(number * graph.n_nodes)
        kernel(*graph, order.astype(np.int32), walks, first, stream, float(p), float(q))
        yield walks


@njit(cache=True)
def _alias_tables(indptr: Any, weights: Any) -> Any:
    """Alias tables of Walker's method by Vose, one per row."""
    accept = np.ones(len(weights), np.float64)
    alias = np.zeros(len(weights), np.int32)
    for node in range(len(indptr) - 1):
        lo = indptr[node]
        hi = indptr[node + 1]
        degree = hi - lo
        if degree == 0:
            continue
        scaled = weights[lo:hi] / weights[lo:hi].max()
        scaled = scaled * (degree / scaled.sum())
        small = np.empty(degree, np.int32)
        large = np.empty(degree, np.int32)
        n_small = 0
        n_large = 0
        for slot in range(degree):
            alias[lo + slot] = slot
            if scaled[slot] < 1.0:
                small[n_small] = slot
                n_small += 1
            else:
                large[n_large] = slot
                n_large += 1
        while n_small > 0 and n_large > 0:
            less = small[n_small - 1]
            more = large[n_large - 1]
            n_small -= 1
            accept[lo + less] = scaled[less]
            alias[lo + less] = more
            scaled[more] -= 1.0 - scaled[less]
            if scaled[more] < 1.0:
                n_large -= 1
                small[n_small] = more
                n_small += 1
    return accept, alias


@njit(cache=True, nogil=True, inline="always")
def _mix(state: Any) -> Any:
    """Output of splitmix64 (Steele, Lea and Flood 2014) at a state."""
    z = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@njit(cache=True, nogil=True, inline="always")
def _unit(bits: Any) -> Any:
    return np.float64(bits >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@njit(cache=True, nogil=True, inline="always")
def _below(bits: Any, n: Any) -> Any:
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
def _exact_step(
    indptr: Any, indices: Any, weights: Any, before: Any, here: Any, p: Any, q: Any, unit: Any
) -> Any:
    """One draw from the exact second-order distribution by cumulative search; costs the degree."""
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
    return indices[lo + min(slot, hi - lo - 1)]


@njit(cache=True, nogil=True)
def _walk(  # noqa: C901, PLR0913  one compiled kernel
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
    """Fill `walks`, one row per start; row r is walk number first + r."""
    weighted = len(weights) > 0
    first_order = p == 1.0 and q == 1.0
    most = max(1.0 / p, 1.0, 1.0 / q)
    step = np.uint64(0x9E3779B97F4A7C15)
    for row in range(len(starts)):
        walks[row, :] = -1
        state = _mix(stream + _mix((first + np.uint64(row) + np.uint64(1)) * step))
        before = np.int64(-1)
        here = np.int64(starts[row])
        walks[row, 0] = here
        for position in range(1, walks.shape[1]):
            lo = indptr[here]
            degree = indptr[here + 1] - lo
            if degree == 0:
                break
            n_proposals = 0
            while True:
                state += step
                slot = _below(_mix(state), degree)
                if weighted:
                    state += step
                    if _unit(_mix(state)) >= accept[lo + slot]:
                        slot = np.int64(alias[lo + slot])
                target = np.int64(indices[lo + slot])
                if first_order or before < 0:
                    break
                state += step
                height = _unit(_mix(state)) * most
                if target == before:
                    is_accepted = height < 1.0 / p
                elif height < min(1.0, 1.0 / q):
                    is_accepted = True
                elif height >= max(1.0, 1.0 / q):
                    is_accepted = False
                else:
                    is_accepted = _has_edge(indptr, indices, before, target) == (q > 1.0)
                if is_accepted:
                    break
                n_proposals += 1
                if n_proposals == MAX_PROPOSALS:
                    state += step
                    unit = _unit(_mix(state))
                    target = np.int64(
                        _exact_step(indptr, indices, weights, before, here, p, q, unit)
                    )
                    break
            before = here
            here = target
            walks[row, position] = here
