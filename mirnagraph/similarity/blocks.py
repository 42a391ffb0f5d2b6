"""Similarities computed in blocks of rows, of which only near pairs are kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import sparse

from mirnagraph.parallel import Progress, report
from mirnagraph.runs.cluster import jobs_on
from mirnagraph.similarity.best import Keep, Neighbours, best_of_rows
from mirnagraph.similarity.block_store import Arrays, BlockStore, Rows, stored_blocks

NUMBERS = 2**21
"""Numbers of a block, at most, where it has more than one row: 16 MB of float64."""

MOST_ROWS = 256


class SimilarityRows(Protocol):
    """A similarity of n rows that is computed some rows at a time.

    A number is the same whatever block it is in, and from j to i as from i to j.
    """

    @property
    def n_rows(self) -> int:
        """Number of rows."""

    def similarity(self, start: int, stop: int) -> np.ndarray:
        """Rows `start` to `stop`, in [0, 1], shape (stop - start, n)."""


class SeveralRows(Protocol):
    """Several similarities of the same rows that are computed together."""

    @property
    def n_rows(self) -> int:
        """Number of rows."""

    def rows(self, start: int, stop: int) -> dict[str, np.ndarray]:
        """Rows `start` to `stop` of each, as `SimilarityRows.similarity`."""


@dataclass(frozen=True, eq=False)
class NamedRows:
    """One similarity under a name.

    Attributes:
        name: of the similarity.
        one: its rows.
    """

    name: str
    one: SimilarityRows

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return self.one.n_rows

    def rows(self, start: int, stop: int) -> dict[str, np.ndarray]:
        """Rows `start` to `stop`, by name."""
        return {self.name: self.one.similarity(start, stop)}


def rows_at_once(n: int) -> int:
    """Rows of a block of a similarity of n rows."""
    return int(np.clip(NUMBERS // max(n, 1), 1, MOST_ROWS))


def row_neighbours(
    similarities: SeveralRows,
    keep: Mapping[str, Keep],
    *,
    step: str = "similarity (rows)",
    workers: int = 1,
    scheduler: str | None = None,
    store: BlockStore | None = None,
    progress: Progress | None = None,
) -> dict[str, Neighbours]:
    """Compute similarities in blocks of rows and keep near pairs, in memory linear in these.

    Args:
        similarities: computed together; a block of rows takes some times 16 MB.
        keep: name of a similarity -> which pairs of it are kept; others are not.
        step: for `progress`.
        workers: processes; the result does not depend on it.
        scheduler: address of a Dask scheduler whose workers compute in place of these processes.
        store: of finished blocks, opened for these similarities; None keeps them in memory.
        progress: called after each block, with rows.

    Returns:
        By name as `keep`; numbers are float32 where `Keep.single` says so, otherwise as computed.
    """
    n = similarities.n_rows
    size = rows_at_once(n)
    jobs = [(start, min(start + size, n)) for start in range(0, n, size)]
    blocks: dict[int, dict[str, _Block]] = {}
    done = 0
    report(progress, step, 0, n)
    shared = (similarities, dict(keep))
    with jobs_on(scheduler):
        for (start, stop), arrays in stored_blocks(_block, shared, jobs, store, "rows", workers):
            blocks[start] = {name: _Block.of(arrays, name, (stop - start, n)) for name in keep}
            done += stop - start
            report(progress, step, done, n)
    ordered = [blocks[start] for start, _ in jobs]
    return {name: _joined([block[name] for block in ordered], keep[name], n) for name in keep}


@dataclass(frozen=True, eq=False)
class _Block:
    """What is kept of a block.

    Attributes:
        columns: the nearest rows, -1 for none: int32, shape (n_rows, k).
        values: their similarity, same shape.
        above: pairs above the cut-off, shape (n_rows, n); None without one.
    """

    columns: np.ndarray
    values: np.ndarray
    above: sparse.csr_array | None

    @classmethod
    def of(cls, arrays: Arrays, name: str, shape: tuple[int, int]) -> _Block:
        """The block of a similarity from `to_arrays`."""
        above = None
        if f"{name}.data" in arrays:
            parts = (arrays[f"{name}.data"], arrays[f"{name}.indices"], arrays[f"{name}.indptr"])
            above = sparse.csr_array(parts, shape=shape)
        return cls(arrays[f"{name}.columns"], arrays[f"{name}.values"], above)

    def to_arrays(self, name: str) -> Arrays:
        """Its arrays under names that start with that of the similarity."""
        arrays = {"columns": self.columns, "values": self.values}
        if self.above is not None:
            arrays |= {part: getattr(self.above, part) for part in ("data", "indices", "indptr")}
        return {f"{name}.{part}": array for part, array in arrays.items()}


def _block(shared: tuple[SeveralRows, dict[str, Keep]], job: Rows) -> tuple[Rows, Arrays]:
    similarities, keep = shared
    start, stop = job
    arrays = similarities.rows(start, stop)
    found: Arrays = {}
    for name, rule in keep.items():
        array = arrays[name].astype(np.float32) if rule.single else arrays[name]
        columns, values = best_of_rows(array, start, rule.nearest)
        above = None
        if rule.cutoff is not None:
            is_above = array > array.dtype.type(rule.cutoff)
            is_above[np.arange(stop - start), np.arange(start, stop)] = False
            rows, others = np.nonzero(is_above)
            entries = (array[rows, others], (rows, others))
            above = sparse.csr_array(entries, shape=array.shape)
        found |= _Block(columns, values, above).to_arrays(name)
    return job, found


def _joined(blocks: list[_Block], keep: Keep, n: int) -> Neighbours:
    """Neighbours of all rows from those of the blocks in order."""
    columns = np.concatenate([np.zeros((0, keep.nearest), np.int32), *(b.columns for b in blocks)])
    values = np.concatenate([b.values for b in blocks]) if blocks else np.zeros(columns.shape)
    is_there = columns >= 0
    pointers = np.concatenate([[0], np.cumsum(is_there.sum(axis=1))])
    entries = (values[is_there], columns[is_there], pointers)
    nearest = sparse.csr_array(entries, shape=(n, n))
    nearest.sort_indices()
    above = None
    if keep.above is not None:
        empty = sparse.csr_array((0, n))
        parts = [block.above for block in blocks if block.above is not None]
        above = sparse.csr_array(sparse.vstack([empty, *parts]), dtype=np.float64)
        above.sort_indices()
    return Neighbours(nearest, above)
