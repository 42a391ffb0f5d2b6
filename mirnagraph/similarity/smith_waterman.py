"""Smith-Waterman similarity of sequences, by pyopal or parasail; one alignment with its text."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from mirnagraph.config import require
from mirnagraph.nodes import Network, NodeIndex
from mirnagraph.parallel import Progress
from mirnagraph.reading.arguments import checked
from mirnagraph.reading.nucleotides import to_rna
from mirnagraph.similarity.best import Keep, join_nearest
from mirnagraph.similarity.candidates import NO_INDEX, KmerIndex, indexed_neighbours
from mirnagraph.similarity.nearest import sequence_neighbours
from mirnagraph.similarity.scorer import (
    DEFAULT_SCORES,
    ENGINES,
    AlignmentScores,
    known_sequences,
    parasail_matrix,
    parasail_rows,
    prepare_sequences,
    pyopal_rows,
)

ENOUGH = 0.99
"""Share of the ten nearest sequences that an index should find."""

logger = logging.getLogger(__name__)


@checked
def smith_waterman(
    sequences: Sequence[str | None],
    scores: AlignmentScores = DEFAULT_SCORES,
    *,
    engine: str = "pyopal",
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Compute the normalised Smith-Waterman similarity of every pair (GTMALoc Eq. 1).

    ``s(i, j) / sqrt(s(i, i) * s(j, j))`` with s the best local alignment score. T and U are equal,
    case does not matter.

    Args:
        sequences: n sequences of ACGTUN, any length; None where unknown.
        scores: match, mismatch and gap scores.
        engine: ``"pyopal"`` (inter-sequence SIMD, fast) or ``"parasail"`` (reference); both give
            equal scores.
        workers: threads; the result does not depend on it.
        progress: called with (rows done, total rows).

    Returns:
        float64 array of shape (n, n), symmetric, in [0, 1], diagonal 1. A sequence that is unknown
        or all N is 0 to every other one. Row i is of the i-th element, whatever its label.

    Raises:
        InputError: an empty sequence, an invalid nucleotide, or a sequence so long that its score
            exceeds 32 bits.
        ConfigError: an unknown engine.

    References:
        Smith and Waterman 1981, doi:10.1016/0022-2836(81)90087-5; GTMALoc,
        doi:10.3389/fgene.2025.1623008.

    >>> smith_waterman(["ACGU", "acgt", "ACG", None]).round(3).tolist()[0]
    [1.0, 1.0, 0.866, 0.0]
    """
    sequences = list(sequences)
    known, texts = known_sequences(sequences, scores)
    raw = _score(texts, texts, scores, engine, workers, progress, triangle=True)
    result = np.eye(len(sequences))
    if known:
        self_scores = np.diag(raw)
        result[np.ix_(known, known)] = _normalise(raw, self_scores, self_scores)
        np.fill_diagonal(result, 1.0)
    return result


@checked
def smith_waterman_network(  # noqa: PLR0913 (what a long computation needs, in one call)
    sequences: Sequence[str | None],
    top_k: int = 20,
    min_score: float = 0.0,
    *,
    ids: Sequence[str] | None = None,
    index: KmerIndex = NO_INDEX,
    scores: AlignmentScores = DEFAULT_SCORES,
    workers: int = 1,
    scheduler: str | None = None,
    store: str | Path | None = None,
    progress: Progress | None = None,
) -> Network:
    """Join each sequence with the `top_k` most similar ones, without an array of all pairs.

    Equal, edge for edge, to `mirnagraph.networks.sparsify.top_k` on `smith_waterman`, in memory
    that grows with n times `top_k`.

    Args:
        sequences: n sequences of ACGTUN, any length; None where unknown.
        top_k: neighbours of each sequence, 1 or more; of equally similar ones that of the earlier
            row comes first.
        min_score: similarity that an edge must exceed, in [0, 1).
        ids: name of each sequence; row numbers where there are none.
        index: k-mer index that proposes the pairs to align, above a number of sequences; then
            neighbours may be missed, and the share found in a sample is logged, as a warning
            below `ENOUGH`.
        scores: match, mismatch and gap scores.
        workers: processes; the result does not depend on it.
        scheduler: address of a Dask scheduler, ``tcp://HOST:PORT``, whose workers align in place of
            these processes.
        store: folder of finished blocks, made where it is not there: a killed call resumes after
            the last one.
        progress: called as ``progress(step, done, total)``.

    Returns:
        Network ``"sequence"`` with the similarity as weight.

    Raises:
        InputError: as `smith_waterman`, ids that are not one per sequence, a store of other
            sequences or settings, or a full disk; finished blocks stay.
        ConfigError: a number out of range, or a scheduler that does not answer.

    >>> smith_waterman_network(["ACGU", "ACG", None], 1).matrix.toarray().round(3).tolist()[0]
    [0.0, 0.866, 0.0]
    """
    require(top_k >= 1, "top_k", top_k, "1 or more")
    require(0 <= min_score < 1, "min_score", min_score, "at least 0, below 1")
    names = NodeIndex.of(map(str, range(len(sequences))) if ids is None else ids, "miRNA")
    how: dict[str, Any] = {"workers": workers, "scheduler": scheduler, "progress": progress}
    how["store"] = store
    if index.is_used(sequences):
        kept, recall = indexed_neighbours(sequences, Keep(top_k), index, scores, **how)
        logger.log(logging.INFO if recall.share >= ENOUGH else logging.WARNING, "%s", recall)
    else:
        kept = sequence_neighbours(sequences, Keep(top_k), scores, **how)
    matrix = join_nearest(kept.nearest, top_k, least=min_score)
    return Network("sequence", names, None, matrix)


@checked
def smith_waterman_between(
    queries: Sequence[str | None],
    targets: Sequence[str | None],
    scores: AlignmentScores = DEFAULT_SCORES,
    *,
    engine: str = "pyopal",
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Compute `smith_waterman` between two lists of sequences.

    Returns:
        float64 array of shape (n_queries, n_targets) in [0, 1]; 0 where either sequence is unknown
        or all N.
    """
    rows, left = known_sequences(queries, scores)
    columns, right = known_sequences(targets, scores)
    raw = _score(left, right, scores, engine, workers, progress, triangle=False)
    result = np.zeros((len(queries), len(targets)))
    if rows and columns:
        result[np.ix_(rows, columns)] = _normalise(
            raw, _self_scores(left, scores), _self_scores(right, scores)
        )
    return result


@checked
def alignment_scores(
    queries: Sequence[str],
    targets: Sequence[str],
    scores: AlignmentScores = DEFAULT_SCORES,
    *,
    engine: str = "pyopal",
    workers: int = 1,
) -> np.ndarray:
    """Compute raw best local alignment scores; every sequence must be known.

    Returns:
        int32, shape (n_queries, n_targets).
    """
    left = prepare_sequences(list(queries), range(len(queries)), scores)
    right = prepare_sequences(list(targets), range(len(targets)), scores)
    return _score(left, right, scores, engine, workers, None, triangle=False)


@checked
def mature_similarity(
    matures: Sequence[Sequence[str]],
    scores: AlignmentScores = DEFAULT_SCORES,
    *,
    engine: str = "pyopal",
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Compute the similarity of miRNAs by their mature sequences: the best pair, one of each.

    Args:
        matures: for each of n miRNAs its mature sequences; none where unknown.
        scores: match, mismatch and gap scores.
        engine: see `smith_waterman`.
        workers: threads; the result does not depend on it.
        progress: called with (rows done, total rows).

    Returns:
        As `smith_waterman`: float64 of shape (n, n); a miRNA without matures is 0 to every other
        one.
    """
    texts, groups = _different_matures(matures)
    filled = [i for i, group in enumerate(groups) if group]
    result = np.eye(len(groups))
    if filled:
        pairs = smith_waterman(texts, scores, engine=engine, workers=workers, progress=progress)
        order, starts = _in_order([groups[i] for i in filled])
        best = np.maximum.reduceat(pairs[order], starts, axis=0)
        result[np.ix_(filled, filled)] = np.maximum.reduceat(best[:, order], starts, axis=1)
        np.fill_diagonal(result, 1.0)
    return result


def _different_matures(matures: Sequence[Sequence[str]]) -> tuple[list[str], list[list[int]]]:
    """Different mature sequences, and the numbers of those of each miRNA."""
    texts = sorted({to_rna(text) for text in chain.from_iterable(matures)})
    number_of = {text: number for number, text in enumerate(texts)}
    return texts, [sorted({number_of[to_rna(text)] for text in group}) for group in matures]


@dataclass(frozen=True, eq=False)
class AlignedRows:
    """Rows of `mature_similarity`, any at a time; of `smith_waterman` with one sequence each.

    Attributes:
        texts: different sequences.
        groups: numbers of the sequences of each RNA.
        scores: match, mismatch and gap scores.
        engine: see `smith_waterman`.
    """

    texts: tuple[str, ...]
    groups: tuple[tuple[int, ...], ...]
    scores: AlignmentScores
    engine: str

    @classmethod
    def of(
        cls, sequences: Sequence[Sequence[str]], scores: AlignmentScores, engine: str
    ) -> AlignedRows:
        """Prepare blocks of rows; arguments as of `mature_similarity`."""
        texts, groups = _different_matures(sequences)
        return cls(tuple(texts), tuple(map(tuple, groups)), scores, engine)

    @property
    def n_rows(self) -> int:
        """Number of RNAs."""
        return len(self.groups)

    def similarity(self, start: int, stop: int) -> np.ndarray:
        """Rows `start` to `stop`: float64, shape (stop - start, n)."""
        result = np.zeros((stop - start, len(self.groups)))
        filled = [i for i, group in enumerate(self.groups) if group]
        rows = [i for i in filled if start <= i < stop]
        if rows:
            numbers = sorted({number for i in rows for number in self.groups[i]})
            queries = [self.texts[number] for number in numbers]
            pairs = smith_waterman_between(queries, self.texts, self.scores, engine=self.engine)
            pairs[np.arange(len(numbers)), numbers] = 1.0
            columns, starts = _in_order([self.groups[i] for i in filled])
            best = np.maximum.reduceat(pairs[:, columns], starts, axis=1)
            order, starts = _in_order([self.groups[i] for i in rows])
            own = np.maximum.reduceat(best[np.searchsorted(numbers, order)], starts, axis=0)
            result[np.ix_([i - start for i in rows], filled)] = own
        result[np.arange(stop - start), np.arange(start, stop)] = 1.0
        return result


def _in_order(groups: Sequence[Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Members of all groups, and where each group starts."""
    starts = np.cumsum([0, *(len(group) for group in groups[:-1])])
    return np.concatenate([np.array(group, dtype=np.int64) for group in groups]), starts


def _self_scores(texts: Sequence[str], scores: AlignmentScores) -> np.ndarray:
    """s(i, i): every nucleotide but N matches itself, which is the highest score."""
    return scores.match * np.array([len(text) - text.count("N") for text in texts], dtype=np.int64)


def _normalise(raw: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    scale = np.sqrt(np.multiply.outer(rows, columns, dtype=np.float64))
    result = np.divide(raw, scale, out=np.zeros(raw.shape), where=scale > 0)
    return np.minimum(result, 1.0, out=result)


def _score(
    queries: list[str],
    targets: list[str],
    scores: AlignmentScores,
    engine: str,
    workers: int,
    progress: Callable[[int, int], None] | None,
    *,
    triangle: bool,
) -> np.ndarray:
    """Raw scores; with `triangle` both lists are equal and only j >= i is computed."""
    require(engine in ENGINES, "engine", engine, " or ".join(ENGINES))
    require(workers >= 1, "workers", workers, "1 or more")
    result = np.zeros((len(queries), len(targets)), dtype=np.int32)
    if not queries or not targets:
        return result
    make_scorer = pyopal_rows if engine == "pyopal" else parasail_rows
    row_scorer = make_scorer(targets, scores)

    def fill(row: int) -> None:
        start = row if triangle else 0
        result[row, start:] = row_scorer(queries[row], start)

    with ThreadPoolExecutor(workers) as pool:
        for done, _ in enumerate(pool.map(fill, range(len(queries))), 1):
            if progress is not None:
                progress(done, len(queries))
    if triangle:
        upper = np.triu(result, 1)
        result += upper.T
    return result


@dataclass(frozen=True)
class Alignment:
    """The best local alignment of two sequences.

    Attributes:
        score: its Smith-Waterman score, 0 where no nucleotide matches.
        query: aligned part of the first sequence, ``-`` for gaps.
        comparison: ``|`` under equal nucleotides, ``.`` under others, blank under gaps and N.
        target: aligned part of the second sequence.
        query_start: its place in the first sequence, 0-based.
        query_end: its end there, half-open.
        target_start: its place in the second sequence, 0-based.
        target_end: its end there, half-open.
    """

    score: int
    query: str
    comparison: str
    target: str
    query_start: int
    query_end: int
    target_start: int
    target_end: int

    @property
    def identity(self) -> float:
        """Share of alignment columns with equal nucleotides, in [0, 1]; 0 for an empty one."""
        return self.comparison.count("|") / len(self.comparison) if self.comparison else 0.0

    def __str__(self) -> str:
        width = len(str(max(self.query_end, self.target_end)))
        return (
            f"{self.query_start + 1:>{width}} {self.query} {self.query_end}\n"
            f"{'':>{width}} {self.comparison}\n"
            f"{self.target_start + 1:>{width}} {self.target} {self.target_end}"
        )


@checked
def align(query: str, target: str, scores: AlignmentScores = DEFAULT_SCORES) -> Alignment:
    """Compute the best local alignment of two RNA sequences, by parasail's traceback.

    Where several alignments have the best score, one of them is returned, always the same.

    Raises:
        InputError: an empty sequence or an invalid nucleotide.

    >>> print(align("CCACGUACGAUGCC", "ACGUACUGAUG", AlignmentScores(gap_open=5)))
     3 ACGUAC-GAUG 12
       |||||| ||||
     1 ACGUACUGAUG 11
    """
    import parasail

    first, second = prepare_sequences([query, target], [0, 1], scores)
    matrix = parasail_matrix(scores)
    result = parasail.sw_trace_scan_32(first, second, scores.gap_open, scores.gap_extend, matrix)
    if result.score <= 0:
        return Alignment(0, "", "", "", 0, 0, 0, 0)
    top = result.traceback.query
    bottom = result.traceback.ref
    # the start is counted back from the aligned nucleotides: that of the cigar may differ
    query_end = result.end_query + 1
    target_end = result.end_ref + 1
    return Alignment(
        score=int(result.score),
        query=top,
        comparison="".join(_mark(*pair) for pair in zip(top, bottom, strict=True)),
        target=bottom,
        query_start=query_end - len(top.replace("-", "")),
        query_end=query_end,
        target_start=target_end - len(bottom.replace("-", "")),
        target_end=target_end,
    )


def _mark(first: str, second: str) -> str:
    """Sign under one column of an alignment."""
    if {first, second} & {"-", "N"}:
        return " "
    return "|" if first == second else "."
