"""Nearest sequences by Smith-Waterman score, exact, in blocks: never an n x n array."""

from __future__ import annotations

import hashlib
import json
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numba import njit
from safetensors import SafetensorError
from safetensors.numpy import load, save
from scipy import sparse

from mirnagraph.config import require
from mirnagraph.errors import InputError
from mirnagraph.io import write_file, write_text
from mirnagraph.parallel import Progress, map_parallel, report
from mirnagraph.reading.documents import read_json
from mirnagraph.reading.text import read_bytes
from mirnagraph.similarity.smith_waterman import (
    DEFAULT_SCORES,
    AlignmentScores,
    known_sequences,
    pyopal_rows,
)
from mirnagraph.writing.files import make_folder

STEP = "alignments (million cells)"
"""Step of `nearest_sequences` in a progress bar."""

BLOCK = 2048
"""Different sequences of a side of a block."""

MANIFEST = "blocks.json"

ARRAYS = ("scores", "places")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class _Work:
    """What every block reads.

    Attributes:
        texts: different sequences, by length.
        first_rows: the first row of each: int64, shape (n_texts,). Equal scores are ordered by it.
        self_scores: of each with itself: int64, shape (n_texts,).
        scores: of the alignments.
        top_k: neighbours kept per text.
    """

    texts: tuple[str, ...]
    first_rows: np.ndarray
    self_scores: np.ndarray
    scores: AlignmentScores
    top_k: int


Block = tuple[int, int, int, int]
"""First and last text of the rows of a block, then of its columns; ends excluded."""


def nearest_sequences(
    sequences: Sequence[str | None],
    top_k: int = 20,
    *,
    min_score: float = 0.0,
    scores: AlignmentScores = DEFAULT_SCORES,
    workers: int = 1,
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
        store: folder of finished blocks, made where it is not there: a killed call goes on behind
            the last one. None keeps them in memory.
        progress: called after each block, with millions of cells.

    Returns:
        Symmetric CSR array of shape (n, n): similarity in (0, 1], float64, sorted indices, empty
        diagonal.

    Raises:
        InputError: as `smith_waterman`, or a store of other sequences or settings.
    """
    require(top_k >= 1, "top_k", top_k, "1 or more")
    require(0 <= min_score < 1, "min_score", min_score, "at least 0, below 1")
    rows, known = known_sequences(sequences, scores)
    work, rows_of = _distinct(rows, known, scores, top_k)
    blocks = _blocks(len(work.texts))
    cells = _million_cells(work, blocks)
    total = math.ceil(sum(cells.values()))
    kept = _Kept(len(work.texts), top_k)
    folder = None if store is None else _opened(Path(store), work)
    waiting = []
    done = 0.0
    for block in blocks:
        arrays = None if folder is None else _read_block(folder, block)
        if arrays is None:
            waiting.append(block)
        else:
            kept.add(block, arrays, work.first_rows)
            done += cells[block]
    report(progress, STEP, math.floor(done), total)
    for block, arrays in map_parallel(_align_block, work, waiting, workers):
        if folder is not None:
            _write_block(folder, block, arrays)
        kept.add(block, arrays, work.first_rows)
        done += cells[block]
        report(progress, STEP, min(math.ceil(done), total), total)
    return _matrix(kept, rows_of, work, len(sequences), min_score)


def _distinct(
    rows: Sequence[int], known: Sequence[str], scores: AlignmentScores, top_k: int
) -> tuple[_Work, list[np.ndarray]]:
    """Different sequences by length, and the rows of each."""
    rows_of_text: dict[str, list[int]] = {}
    for row, text in zip(rows, known, strict=True):
        rows_of_text.setdefault(text, []).append(row)
    texts = tuple(sorted(rows_of_text, key=lambda text: (len(text), text)))
    rows_of = [np.array(rows_of_text[text], dtype=np.int64) for text in texts]
    first = np.array([of_text[0] for of_text in rows_of], dtype=np.int64)
    own = [scores.match * (len(text) - text.count("N")) for text in texts]
    return _Work(texts, first, np.array(own, dtype=np.int64), scores, top_k), rows_of


def _blocks(n_texts: int) -> list[Block]:
    """Blocks that hold every pair of texts once."""
    starts = range(0, n_texts, BLOCK)
    ends = {start: min(start + BLOCK, n_texts) for start in starts}
    return [(a, ends[a], b, ends[b]) for a in starts for b in starts if b >= a]


def _million_cells(work: _Work, blocks: Sequence[Block]) -> dict[Block, float]:
    """Cells of the alignments of each block, in millions."""
    ends = np.cumsum([0, *(len(text) for text in work.texts)])
    cells = {}
    for block in blocks:
        low, high, left, right = block
        n_cells = float(ends[high] - ends[low]) * float(ends[right] - ends[left]) / 1e6
        cells[block] = n_cells / 2 if low == left else n_cells
    return cells


def _align_block(work: _Work, block: Block) -> tuple[Block, dict[str, np.ndarray]]:
    """Align the texts of a block; keep the best of each row and of each column.

    Returns:
        The block; ``scores`` (float64) and ``places`` (int64: number of the text, -1 for none) of
        its rows, then of its columns: shape (n, top_k).
    """
    low, high, left, right = block
    is_diagonal = low == left
    row_scorer = pyopal_rows(list(work.texts[left:right]), work.scores)
    scores = np.zeros((high - low + right - left, work.top_k))
    places = np.full(scores.shape, -1, dtype=np.int64)
    ranks = work.first_rows
    for row in range(low, high):
        start = row + 1 - left if is_diagonal else 0
        if start >= right - left:
            continue
        raw = row_scorer(work.texts[row], start)
        similar = np.sqrt(work.self_scores[row] * work.self_scores[left + start : right] * 1.0)
        np.divide(raw, similar, out=similar, where=similar > 0)
        np.minimum(similar, 1.0, out=similar)
        own, others = row - low, high - low + start
        _keep_row(similar, (row, left + start), (own, others), ranks, scores, places)
    return block, {"scores": scores, "places": places}


@njit(cache=True)
def _insert(
    score: float, place: int, ranks: np.ndarray, scores: np.ndarray, places: np.ndarray
) -> None:
    """Put a text into a list of best ones, highest score first, then earliest row."""
    k = len(scores)
    last = places[k - 1]
    if last >= 0 and (
        score < scores[k - 1] or (score == scores[k - 1] and ranks[place] > ranks[last])
    ):
        return
    at = k - 1
    while at > 0 and (
        places[at - 1] < 0
        or score > scores[at - 1]
        or (score == scores[at - 1] and ranks[place] < ranks[places[at - 1]])
    ):
        scores[at] = scores[at - 1]
        places[at] = places[at - 1]
        at -= 1
    scores[at] = score
    places[at] = place


@njit(cache=True)
def _keep_row(
    similar: np.ndarray,
    texts: tuple[int, int],
    lists: tuple[int, int],
    ranks: np.ndarray,
    scores: np.ndarray,
    places: np.ndarray,
) -> None:
    """Insert the similarities of one text into its list and into those of the others.

    `texts` and `lists` are those of the one, and the first of the others.
    """
    text, first_text = texts
    own, first_list = lists
    for number in range(len(similar)):
        if similar[number] > 0:
            other = first_text + number
            _insert(similar[number], other, ranks, scores[own], places[own])
            other_list = first_list + number
            _insert(similar[number], text, ranks, scores[other_list], places[other_list])


@njit(cache=True)
def _merge(
    scores: np.ndarray,
    places: np.ndarray,
    ranks: np.ndarray,
    into_scores: np.ndarray,
    into_places: np.ndarray,
) -> None:
    """Insert lists of best texts into others."""
    for row in range(len(scores)):
        for number in range(scores.shape[1]):
            if places[row, number] >= 0:
                _insert(
                    scores[row, number],
                    places[row, number],
                    ranks,
                    into_scores[row],
                    into_places[row],
                )


class _Kept:
    """The best texts of each text so far, whatever the order of the blocks.

    Attributes:
        scores: float64, shape (n_texts, top_k), highest first.
        places: number of the text, -1 for none: int64, same shape.
    """

    def __init__(self, n_texts: int, top_k: int) -> None:
        self.scores = np.zeros((n_texts, top_k))
        self.places = np.full((n_texts, top_k), -1, dtype=np.int64)

    def add(self, block: Block, arrays: dict[str, np.ndarray], ranks: np.ndarray) -> None:
        """Add what a block found."""
        low, high, left, right = block
        n = high - low
        for texts, part in (
            (slice(low, high), slice(None, n)),
            (slice(left, right), slice(n, None)),
        ):
            _merge(
                arrays["scores"][part],
                arrays["places"][part],
                ranks,
                self.scores[texts],
                self.places[texts],
            )


def _matrix(
    kept: _Kept, rows_of: list[np.ndarray], work: _Work, n: int, min_score: float
) -> sparse.csr_array:
    """Edges of rows from those of texts: each row with its `top_k` first rows, both ways."""
    heads = []
    tails = []
    weights = []
    for text, rows in enumerate(rows_of):
        places = kept.places[text]
        n_places = int((places >= 0).sum())
        near = [rows_of[place] for place in places[:n_places]]
        similar = [np.full(len(each), kept.scores[text, i]) for i, each in enumerate(near)]
        if len(rows) > 1 and work.self_scores[text] > 0:
            near.append(rows)
            similar.append(np.ones(len(rows)))
        if not near:
            continue
        others = np.concatenate(near)
        values = np.concatenate(similar)
        order = np.lexsort((others, -values))
        others = others[order][: work.top_k + 1]
        values = values[order][: work.top_k + 1]
        for row in rows.tolist():
            is_other = others != row
            chosen = others[is_other][: work.top_k]
            heads.append(np.full(len(chosen), row))
            tails.append(chosen)
            weights.append(values[is_other][: work.top_k])
    if not heads:
        return sparse.csr_array((n, n), dtype=np.float64)
    row, column, weight = np.concatenate(heads), np.concatenate(tails), np.concatenate(weights)
    is_edge = weight > min_score
    found = sparse.csr_array((weight[is_edge], (row[is_edge], column[is_edge])), shape=(n, n))
    result = sparse.csr_array(found.maximum(found.T))
    result.sort_indices()
    return result


def _fingerprint(work: _Work) -> str:
    digest = hashlib.sha256()
    digest.update(repr((work.scores, work.top_k, BLOCK)).encode())
    digest.update(work.first_rows.tobytes())
    for text in work.texts:
        digest.update(text.encode() + b"\n")
    return digest.hexdigest()


def _opened(folder: Path, work: _Work) -> Path:
    """Return the store, made or checked.

    Raises:
        InputError: it holds blocks of other sequences or settings, or other files.
    """
    manifest = folder / MANIFEST
    fingerprint = _fingerprint(work)
    if manifest.exists():
        try:
            found = read_json(manifest).get("fingerprint")
        except (InputError, AttributeError):
            found = "no JSON with a fingerprint"
        if found != fingerprint:
            raise InputError(
                "the block store is of other sequences or settings; name another folder",
                file=manifest,
                found=found,
                expected=fingerprint,
            )
        return folder
    if folder.exists() and any(folder.iterdir()):
        raise InputError(
            "the folder of the block store holds other files; name an empty one", file=folder
        )
    make_folder(folder)
    write_text(manifest, json.dumps({"fingerprint": fingerprint}) + "\n")
    return folder


def _block_file(folder: Path, block: Block) -> Path:
    return folder / f"block_{block[0]}_{block[2]}.safetensors"


def _write_block(folder: Path, block: Block, arrays: dict[str, np.ndarray]) -> None:
    with write_file(_block_file(folder, block)) as temporary:
        temporary.write_bytes(save(arrays))


def _read_block(folder: Path, block: Block) -> dict[str, np.ndarray] | None:
    """Arrays of a finished block; None where it is to be aligned, anew if the file is damaged."""
    path = _block_file(folder, block)
    if not path.exists():
        return None
    try:
        arrays = load(read_bytes(path))
        if set(arrays) == set(ARRAYS):
            return arrays
    except (SafetensorError, OSError, InputError):
        pass
    logger.warning("%s is damaged; its block is aligned again", path)
    return None
