"""A network as the walker reads it: checked, with alias tables, stored and mapped into memory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numba import njit
from scipy import sparse

from mirnagraph.errors import InputError
from mirnagraph.io import sha256_of, write_folder, write_text
from mirnagraph.reading.documents import read_json
from mirnagraph.writing.contents import WALK_GRAPH

FORMAT = 1

CONTENTS = "graph.json"
"""File of a stored network that lists the others."""

SMALLEST = 4096
"""Bytes up to which a file is read whole; an empty array cannot be mapped."""


class WalkGraph(NamedTuple):
    """A checked network in the form that the walker reads.

    Attributes:
        indptr: shape (n_nodes + 1,); int32 where that holds the number of edges, of which a cache
            keeps twice as many, else int64.
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
    if adjacency.dtype.kind not in "biuf":
        raise InputError(
            "weights of a network must be numbers",
            found=str(adjacency.dtype),
            expected="real numbers",
        )
    matrix = sparse.csr_array(adjacency, dtype=np.float64, copy=True)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise InputError(
            "the matrix of a network must be square",
            found=f"shape {matrix.shape}",
            expected="(n_nodes, n_nodes)",
        )
    _check_weights(matrix)
    matrix.sum_duplicates()
    _check_weights(matrix)  # a sum may be larger than any number
    matrix.eliminate_zeros()
    matrix.sort_indices()
    indptr = row_pointers(matrix.indptr)
    indices = matrix.indices.astype(np.int32)
    n_edges = np.diff(indptr)
    first = matrix.data[indptr[:-1][n_edges > 0]]
    if np.array_equal(np.repeat(first, n_edges[n_edges > 0]), matrix.data):
        empty = np.empty(0, np.float64)
        return WalkGraph(indptr, indices, empty, empty, np.empty(0, np.int32))
    accept, alias = _alias_tables(indptr, matrix.data)
    return WalkGraph(indptr, indices, matrix.data, accept, alias)


def _check_weights(matrix: sparse.csr_array) -> None:
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


def row_pointers(indptr: np.ndarray) -> np.ndarray:
    """Row pointers of a CSR matrix in the type of `WalkGraph.indptr`."""
    return indptr.astype(np.int32 if indptr[-1] <= np.iinfo(np.int32).max else np.int64)


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
    with write_folder(folder, overwrite=overwrite, content=WALK_GRAPH) as part:
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
