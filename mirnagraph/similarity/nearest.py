"""Nearest sequences by Smith-Waterman score, exact, in blocks: never an n x n array."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from mirnagraph.config import require
from mirnagraph.parallel import Progress, map_parallel, report
from mirnagraph.reading.arguments import checked
from mirnagraph.runs.cluster import jobs_on
from mirnagraph.similarity.best import (
    BestLists,
    Keep,
    Neighbours,
    insert_pairs,
    join_nearest,
    merge,
)
from mirnagraph.similarity.block_store import open_store
from mirnagraph.similarity.scorer import (
    DEFAULT_SCORES,
    AlignmentScores,
    known_sequences,
    pyopal_rows,
)

STEP = "alignments (million cells)"
"""Step of `nearest_sequences` in a progress bar."""

BLOCK = 2048
"""Different sequences of a side of a block."""


@dataclass(frozen=True, eq=False)
class Texts:
    """Different sequences of which all pairs, or some, are aligned.

    Attributes:
        texts: different sequences, by length.
        first_rows: the first row of each: int64, shape (n_texts,). Equal scores are ordered by it.
        self_scores: of each with itself: int64, shape (n_texts,).
        scores: of the alignments.
        keep: which pairs are kept.
    """

    texts: tuple[str, ...]
    first_rows: np.ndarray
    self_scores: np.ndarray
    scores: AlignmentScores
    keep: Keep

    def similarities(self, text: int, others: np.ndarray | slice, raw: np.ndarray) -> np.ndarray:
        """Similarity of a text to others from its raw scores, as it is compared."""
        similar = np.sqrt(self.self_scores[text] * self.self_scores[others] * 1.0)
        np.divide(raw, similar, out=similar, where=similar > 0)
        np.minimum(similar, 1.0, out=similar)
        return self.keep.rounded(similar)


Block = tuple[int, int, int, int]
"""First and last text of the rows of a block, then of its columns; ends excluded."""

Pairs = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Numbers of two texts and their similarity; each pair once."""


@checked
def nearest_sequences(
    sequences: Sequence[str | None],
    top_k: int = 20,
    *,
    min_score: float = 0.0,
    scores: AlignmentScores = DEFAULT_SCORES,
    workers: int = 1,
    scheduler: str | None = None,
    store: str | Path | None = None,
    progress: Progress | None = None,
) -> sparse.csr_array:
    """Join each sequence with the `top_k` most similar ones, by all pairs of alignments.

    The result is that of `mirnagraph.networks.sparsify.top_k` on
    `mirnagraph.similarity.smith_waterman.smith_waterman`, edge for edge, in memory that grows with
    n times `top_k`. Equal sequences are aligned once.

    Args:
        sequences: n sequences of ACGTUN, any length; None where unknown.
        top_k: neighbours of each sequence, 1 or more; of equally similar ones that of the earlier
            row comes first.
        min_score: similarity that an edge must exceed, in [0, 1).
        scores: match, mismatch and gap scores.
        workers: processes; the result does not depend on it.
        scheduler: address of a Dask scheduler whose workers align in place of these processes.
        store: folder of finished blocks, made where it is not there: a killed call resumes after
            the last one. None keeps them in memory.
        progress: called after each block, with millions of cells.

    Returns:
        Symmetric CSR array of shape (n, n): similarity in (0, 1], float64, sorted indices, empty
        diagonal.

    Raises:
        InputError: as `smith_waterman`, or a store of other sequences or settings.
        ConfigError: a scheduler that does not answer.
    """
    require(top_k >= 1, "top_k", top_k, "1 or more")
    require(0 <= min_score < 1, "min_score", min_score, "at least 0, below 1")
    kept = sequence_neighbours(
        sequences,
        Keep(top_k),
        scores,
        workers=workers,
        scheduler=scheduler,
        store=store,
        progress=progress,
    )
    return join_nearest(kept.nearest, top_k, least=min_score)


@checked
def sequence_neighbours(
    sequences: Sequence[str | None],
    keep: Keep,
    scores: AlignmentScores = DEFAULT_SCORES,
    *,
    workers: int = 1,
    scheduler: str | None = None,
    store: str | Path | None = None,
    progress: Progress | None = None,
) -> Neighbours:
    """Align all pairs of sequences and keep the nearest of each, and all pairs above a cut-off.

    Args:
        sequences: n sequences of ACGTUN, any length; None where unknown.
        keep: which pairs.
        scores: match, mismatch and gap scores.
        workers: see `nearest_sequences`, as what follows.
        scheduler: likewise.
        store: likewise.
        progress: likewise.
    """
    work, rows_of = different_texts(sequences, scores, keep)
    blocks = _blocks(len(work.texts))
    cells = _million_cells(work, blocks)
    total = math.ceil(sum(cells.values()))
    lists = BestLists(len(work.texts), keep.nearest)
    pairs: list[Pairs] = []
    waiting = []
    done = 0.0
    with open_store(store, fingerprint(work, BLOCK)) as opened:
        for block in blocks:
            arrays = None if opened is None else opened.read(_name(block))
            if arrays is None:
                waiting.append(block)
            else:
                _add(block, arrays, work, lists, pairs)
                done += cells[block]
        report(progress, STEP, math.floor(done), total)
        with jobs_on(scheduler):
            for block, arrays in map_parallel(_align_block, work, waiting, workers):
                if opened is not None:
                    opened.write(_name(block), arrays)
                _add(block, arrays, work, lists, pairs)
                done += cells[block]
                report(progress, STEP, min(math.ceil(done), total), total)
    return neighbours_of_rows(work, rows_of, lists, pairs, len(sequences))


def different_texts(
    sequences: Sequence[str | None], scores: AlignmentScores, keep: Keep
) -> tuple[Texts, list[np.ndarray]]:
    """Find the different sequences, by length, and the rows of each.

    Raises:
        InputError: see `smith_waterman`.
    """
    rows, known = known_sequences(sequences, scores)
    rows_of_text: dict[str, list[int]] = {}
    for row, text in zip(rows, known, strict=True):
        rows_of_text.setdefault(text, []).append(row)
    texts = tuple(sorted(rows_of_text, key=lambda text: (len(text), text)))
    rows_of = [np.array(rows_of_text[text], dtype=np.int64) for text in texts]
    first = np.array([of_text[0] for of_text in rows_of], dtype=np.int64)
    own = [scores.match * (len(text) - text.count("N")) for text in texts]
    return Texts(texts, first, np.array(own, dtype=np.int64), scores, keep), rows_of


def _blocks(n_texts: int) -> list[Block]:
    """Blocks that hold every pair of texts once."""
    starts = range(0, n_texts, BLOCK)
    ends = {start: min(start + BLOCK, n_texts) for start in starts}
    return [(a, ends[a], b, ends[b]) for a in starts for b in starts if b >= a]


def _name(block: Block) -> str:
    return f"{block[0]}_{block[2]}"


def _million_cells(work: Texts, blocks: Sequence[Block]) -> dict[Block, float]:
    """Cells of the alignments of each block, in millions."""
    ends = np.cumsum([0, *(len(text) for text in work.texts)])
    cells = {}
    for block in blocks:
        low, high, left, right = block
        n_cells = float(ends[high] - ends[low]) * float(ends[right] - ends[left]) / 1e6
        cells[block] = n_cells / 2 if low == left else n_cells
    return cells


def _align_block(work: Texts, block: Block) -> tuple[Block, dict[str, np.ndarray]]:
    """Align the texts of a block; keep the best of each row and of each column.

    Returns:
        The block; ``scores`` (float64) and ``places`` (int64: number of the text, -1 for none) of
        its rows, then of its columns: shape (n, k). With a cut-off also ``first``, ``second`` and
        ``similar`` of the pairs above it.
    """
    low, high, left, right = block
    is_diagonal = low == left
    row_scorer = pyopal_rows(list(work.texts[left:right]), work.scores)
    lists = BestLists(high - low + right - left, work.keep.nearest)
    ranks = work.first_rows
    pairs: list[Pairs] = []
    for row in range(low, high):
        start = row + 1 - left if is_diagonal else 0
        if start >= right - left:
            continue
        raw = row_scorer(work.texts[row], start)
        others = np.arange(left + start, right)
        similar = work.similarities(row, slice(left + start, right), raw)
        own = (row - low, high - low - left)
        insert_pairs(similar, row, others, own, ranks, lists.scores, lists.places)
        pairs += pairs_above(similar, row, others, work.keep)
    arrays = {"scores": lists.scores, "places": lists.places}
    if work.keep.above is not None:
        arrays |= dict(zip(("first", "second", "similar"), joined_pairs(pairs), strict=True))
    return block, arrays


def pairs_above(similar: np.ndarray, text: int, others: np.ndarray, keep: Keep) -> list[Pairs]:
    """The pairs of a text that are above the cut-off; none without one."""
    if keep.cutoff is None:
        return []
    is_above = similar > keep.cutoff
    found = others[is_above]
    return [(np.full(len(found), text, dtype=np.int64), found, similar[is_above])]


def joined_pairs(pairs: Sequence[Pairs]) -> Pairs:
    """Pairs of several lists in one."""
    none = (np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0))
    first, second, similar = zip(none, *pairs, strict=True)
    return np.concatenate(first), np.concatenate(second), np.concatenate(similar)


def _add(
    block: Block,
    arrays: dict[str, np.ndarray],
    work: Texts,
    lists: BestLists,
    pairs: list[Pairs],
) -> None:
    """Add what a block found."""
    low, high, left, right = block
    n = high - low
    for texts, part in ((slice(low, high), slice(None, n)), (slice(left, right), slice(n, None))):
        merge(
            arrays["scores"][part],
            arrays["places"][part],
            work.first_rows,
            lists.scores[texts],
            lists.places[texts],
        )
    if work.keep.above is not None:
        pairs.append((arrays["first"], arrays["second"], arrays["similar"]))


def neighbours_of_rows(
    work: Texts,
    rows_of: list[np.ndarray],
    lists: BestLists,
    pairs: Sequence[Pairs],
    n: int,
) -> Neighbours:
    """Neighbours of rows from those of the different texts.

    Args:
        work: the texts.
        rows_of: rows of each text.
        lists: the best texts of each.
        pairs: texts above the cut-off, each pair once.
        n: number of rows.
    """
    nearest = _nearest_of_rows(work, rows_of, lists, n)
    if work.keep.above is None:
        return Neighbours(nearest)
    n_texts = len(work.texts)
    first, second, similar = joined_pairs(pairs)
    equal = np.flatnonzero(work.self_scores > 0)
    heads = np.concatenate([first, second, equal])
    tails = np.concatenate([second, first, equal])
    values = np.concatenate([similar, similar, np.ones(len(equal))])
    of_texts = sparse.csr_array((values, (heads, tails)), shape=(n_texts, n_texts))
    columns = np.repeat(np.arange(n_texts), [len(rows) for rows in rows_of])
    rows = np.concatenate([np.zeros(0, dtype=np.int64), *rows_of])
    is_of = sparse.csr_array((np.ones(len(rows)), (rows, columns)), shape=(n, n_texts))
    # every sum of this product has one term
    of_rows = sparse.coo_array(is_of @ of_texts @ is_of.T)
    i, j = of_rows.coords
    is_edge = i != j
    above = sparse.csr_array((of_rows.data[is_edge], (i[is_edge], j[is_edge])), shape=(n, n))
    above.sort_indices()
    return Neighbours(nearest, above)


def _nearest_of_rows(
    work: Texts, rows_of: list[np.ndarray], lists: BestLists, n: int
) -> sparse.csr_array:
    """The nearest rows of each row, as `Neighbours.nearest`."""
    k = work.keep.nearest
    heads = [np.zeros(0, dtype=np.int64)]
    tails = [np.zeros(0, dtype=np.int64)]
    weights = [np.zeros(0)]
    for text, rows in enumerate(rows_of):
        places = lists.places[text]
        n_places = int((places >= 0).sum())
        near = [rows_of[place] for place in places[:n_places]]
        similar = [np.full(len(each), lists.scores[text, i]) for i, each in enumerate(near)]
        if len(rows) > 1 and work.self_scores[text] > 0:
            near.append(rows)
            similar.append(np.ones(len(rows)))
        if not near:
            continue
        others = np.concatenate(near)
        values = np.concatenate(similar)
        order = np.lexsort((others, -values))
        others = others[order][: k + 1]
        values = values[order][: k + 1]
        for row in rows.tolist():
            is_other = others != row
            chosen = others[is_other][:k]
            heads.append(np.full(len(chosen), row))
            tails.append(chosen)
            weights.append(values[is_other][:k])
    places_of = (np.concatenate(heads), np.concatenate(tails))
    result = sparse.csr_array((np.concatenate(weights), places_of), shape=(n, n))
    result.sort_indices()
    return result


def fingerprint(work: Texts, *settings: Any) -> str:
    """Compute the sha256, as hex, of all that blocks of alignments depend on.

    Args:
        work: the texts.
        settings: further ones.
    """
    digest = hashlib.sha256()
    digest.update(repr((work.scores, work.keep, *settings)).encode())
    digest.update(work.first_rows.tobytes())
    for text in work.texts:
        digest.update(text.encode() + b"\n")
    return digest.hexdigest()
