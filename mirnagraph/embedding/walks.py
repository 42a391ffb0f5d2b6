"""Random walks on a sparse network, in memory or memory-mapped, first-order or node2vec, in numba.

The bias of the second-order step is drawn by rejection, so nothing is precomputed per edge pair:
memory is that of the network, and a step costs a few draws at any degree. Every walk has a
counter-based generator seeded from (seed, walk number), so the result does not depend on the size
of the pieces, or on which process makes them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np
from numba import njit
from scipy import sparse

from mirnagraph.errors import InputError
from mirnagraph.io import sha256_of, write_folder, write_text
from mirnagraph.parallel import map_parallel
from mirnagraph.reading.documents import read_json
from mirnagraph.seeds import child_seed, generator

# After this many rejected proposals the step is drawn from the exact distribution. This leaves the
# distribution of walks unchanged and bounds the time of a step under extreme p and q.
MAX_PROPOSALS = 32

# Walks that advance together; their states fit the cache of a core.
GROUP = 64

PIECE = 1 << 20
"""Numbers of a piece of walks: the memory of walks, whatever the size of the network."""

FORMAT = 1

CONTENTS = "graph.json"
"""File of a stored network that lists the others."""

SMALLEST = 4096
"""Bytes up to which a file is read whole; an empty array cannot be mapped."""

ResultT = TypeVar("ResultT")


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
            matrix is a directed network: a walk ends at a node without outgoing edges. A WalkGraph
            is returned as it is, and a path is opened (`open_walk_graph`).

    Raises:
        InputError: not square, or a weight is negative, NaN or infinite; see `open_walk_graph`.
    """
    if isinstance(adjacency, WalkGraph):
        return adjacency
    if isinstance(adjacency, str | Path):
        return open_walk_graph(adjacency)
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


def store_walk_graph(graph: WalkGraph, folder: str | Path, *, overwrite: bool = False) -> None:
    """Write a network as a folder of ``.npy`` files, which `open_walk_graph` maps into memory.

    Args:
        graph: see `walk_graph`.
        folder: to write; must be empty unless `overwrite`.
        overwrite: replace what mirnagraph wrote there.

    Raises:
        InputError: see `mirnagraph.writing.folders.write_folder`.
    """
    arrays = {}
    with write_folder(folder, overwrite=overwrite) as part:
        for name, values in graph._asdict().items():
            file = part / f"{name}.npy"
            np.save(file, values, allow_pickle=False)
            arrays[name] = {"bytes": file.stat().st_size, "sha256": sha256_of(file)}
        contents = {"format_version": FORMAT, "arrays": arrays}
        write_text(part / CONTENTS, json.dumps(contents, indent=1) + "\n")


def open_walk_graph(folder: str | Path) -> WalkGraph:
    """Open a network of `store_walk_graph` by memory map: pages are read when a walk needs them.

    Every file is read once to compare its checksum, since the walker would follow an altered
    neighbour out of the array.

    Raises:
        InputError: a file is missing, cut or altered, or of another version of the format.
    """
    folder = Path(folder)
    again = "store the network again with store_walk_graph"
    contents = read_json(folder / CONTENTS)
    try:
        version = contents["format_version"]
        listed = {name: contents["arrays"][name] for name in WalkGraph._fields}
        expected = {name: (entry["bytes"], entry["sha256"]) for name, entry in listed.items()}
    except (AttributeError, KeyError, TypeError):
        raise InputError(
            "not the list of a stored network", file=folder / CONTENTS, hint=again
        ) from None
    if version != FORMAT:
        raise InputError(
            "the network was stored in another format",
            file=folder / CONTENTS,
            found=version,
            expected=FORMAT,
            hint=again,
        )
    arrays = {}
    for name, (n_bytes, checksum) in expected.items():
        file = folder / f"{name}.npy"
        if not file.is_file():
            raise InputError("a file of the stored network is missing", file=file, hint=again)
        size = file.stat().st_size
        if size != n_bytes:
            raise InputError(
                "a file of the stored network was cut or grew",
                file=file,
                found=f"{size} bytes",
                expected=f"{n_bytes}",
                hint=again,
            )
        if sha256_of(file) != checksum:
            raise InputError("a file of the stored network was altered", file=file, hint=again)
        # "c": arrays that numba takes for those in memory; nothing is ever written back
        mode: Literal["c"] | None = "c" if n_bytes > SMALLEST else None
        arrays[name] = np.asarray(np.load(file, mmap_mode=mode, allow_pickle=False))
    return WalkGraph(**arrays)


def walk_rounds(
    graph: WalkGraph,
    *,
    n_walks: int,
    walk_length: int,
    p: float,
    q: float,
    seed: int,
    rounds: Iterable[int] | None = None,
    piece: int = PIECE,
) -> Iterator[np.ndarray]:
    """Yield walks in pieces, round after round of one walk from every node.

    Memory holds one piece, and the order of one round.

    Args:
        graph: see `walk_graph`.
        n_walks: number of rounds.
        walk_length: nodes per walk, the start included; 1 or more.
        p: return parameter, above 0: weight 1/p of the previous node (Grover and Leskovec 2016,
            section 3.2).
        q: in-out parameter, above 0: weight 1/q of a node without an edge from the previous one.
        seed: of all walks.
        rounds: numbers of the rounds to walk, in [0, n_walks); None for all.
        piece: largest number of nodes in a piece; a piece holds one walk or more. The walks do not
            depend on it.

    Yields:
        A piece of one round: int32, shape (n, walk_length), the starts in random order. A walk that
        ends early (isolated node, or no outgoing edge in a directed network) is filled up with -1.
    """
    stream = np.uint64(child_seed(seed, "walks"))
    kernel: Any = _walk
    n_rows = max(1, piece // walk_length)
    for number in range(n_walks) if rounds is None else rounds:
        order = generator(seed, "walk order", number).permutation(graph.n_nodes).astype(np.int32)
        for start in range(0, graph.n_nodes, n_rows):
            starts = order[start : start + n_rows]
            walks = np.empty((len(starts), walk_length), np.int32)
            first = np.uint64(number * graph.n_nodes + start)
            kernel(*graph, starts, walks, first, stream, float(p), float(q))
            yield walks


def map_rounds(
    function: Callable[[Iterator[np.ndarray]], ResultT],
    graph: WalkGraph | Path,
    settings: Mapping[str, Any],
    workers: int = 1,
) -> Iterator[ResultT]:
    """Call a function on the walks of each round, in worker processes or on a cluster.

    Walks stay where they are made; only what the function returns comes back.

    Args:
        function: of a module's top level, called with the pieces of one round.
        graph: or the folder of a stored one, which every worker then opens by itself.
        settings: arguments of `walk_rounds` by name, with ``n_walks``.
        workers: processes; see `mirnagraph.parallel.map_parallel`.

    Yields:
        Results in the order in which rounds finish.
    """
    shared = (function, graph, dict(settings))
    yield from map_parallel(_map_round, shared, range(settings["n_walks"]), workers)


def _map_round(shared: tuple[Any, WalkGraph | Path, dict[str, Any]], number: int) -> Any:
    function, graph, settings = shared
    return function(walk_rounds(walk_graph(graph), **settings, rounds=[number]))


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
def _second_order_step(
    indptr: Any,
    indices: Any,
    weights: Any,
    tables: Any,
    before: Any,
    here: Any,
    state: Any,
    biases: Any,
) -> Any:
    """One step by rejection; the node and the state of the generator."""
    accept, alias = tables
    p, q = biases
    weighted = len(weights) > 0
    first_order = before < 0 or (p == 1.0 and q == 1.0)
    most = max(1.0 / p, 1.0, 1.0 / q)
    step = np.uint64(0x9E3779B97F4A7C15)
    lo = indptr[here]
    degree = indptr[here + 1] - lo
    for _ in range(MAX_PROPOSALS):
        state += step
        slot = index_below(mix_bits(state), degree)
        if weighted:
            state += step
            if unit_of(mix_bits(state)) >= accept[lo + slot]:
                slot = np.int64(alias[lo + slot])
        target = np.int64(indices[lo + slot])
        if first_order:
            return target, state
        state += step
        height = unit_of(mix_bits(state)) * most
        if target == before:
            is_accepted = height < 1.0 / p
        elif height < min(1.0, 1.0 / q):
            is_accepted = True
        elif height >= max(1.0, 1.0 / q):
            is_accepted = False
        else:
            is_accepted = _has_edge(indptr, indices, before, target) == (q > 1.0)
        if is_accepted:
            return target, state
    state += step
    unit = unit_of(mix_bits(state))
    target = np.int64(_exact_step(indptr, indices, weights, before, here, p, q, unit))
    return target, state


@njit(cache=True, nogil=True)
def _walk(  # noqa: PLR0913  one compiled kernel
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

    Walks advance in groups, one step each in turn: while the processor waits for the memory of one,
    it goes on with the others.
    """
    is_plain = p == 1.0 and q == 1.0 and len(weights) == 0
    step = np.uint64(0x9E3779B97F4A7C15)
    states = np.empty(GROUP, np.uint64)
    befores = np.empty(GROUP, np.int64)
    heres = np.empty(GROUP, np.int64)
    lows = np.empty(GROUP, np.int64)
    degrees = np.empty(GROUP, np.int64)
    for begin in range(0, len(starts), GROUP):
        n = min(GROUP, len(starts) - begin)
        for row in range(n):
            walks[begin + row, :] = -1
            number = first + np.uint64(begin + row) + np.uint64(1)
            states[row] = mix_bits(stream + mix_bits(number * step))
            befores[row] = -1
            heres[row] = starts[begin + row]
            walks[begin + row, 0] = heres[row]
        for position in range(1, walks.shape[1]):
            for row in range(n):
                # A walk that has ended stays at its last node, which has no edges.
                lows[row] = indptr[heres[row]]
                degrees[row] = indptr[heres[row] + 1] - lows[row]
            if is_plain:
                for row in range(n):
                    if degrees[row] > 0:
                        states[row] += step
                        slot = index_below(mix_bits(states[row]), degrees[row])
                        heres[row] = indices[lows[row] + slot]
                        walks[begin + row, position] = heres[row]
                continue
            for row in range(n):
                if degrees[row] > 0:
                    here, states[row] = _second_order_step(
                        indptr,
                        indices,
                        weights,
                        (accept, alias),
                        befores[row],
                        heres[row],
                        states[row],
                        (p, q),
                    )
                    befores[row] = heres[row]
                    heres[row] = here
                    walks[begin + row, position] = here
