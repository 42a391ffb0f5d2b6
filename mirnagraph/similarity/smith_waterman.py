"""Smith-Waterman similarity of sequences, by pyopal or parasail; one alignment with its text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from mirnagraph.config import require
from mirnagraph.errors import InputError
from mirnagraph.reading.arguments import checked
from mirnagraph.reading.nucleotides import check_nucleotides, to_rna

NUCLEOTIDES = "ACGUN"

ENGINES = ("pyopal", "parasail")

INT32_MAX = 2**31 - 1


@dataclass(frozen=True)
class AlignmentScores:
    """Scores of a local alignment; whole numbers, since both engines count in integers.

    A gap of n nucleotides costs ``gap_open + (n - 1) * gap_extend``, as in both engines and EMBOSS
    ``water``, but not in BLAST (its 5/2 is 7/2 here). N scores 0 against every nucleotide, itself
    included. The defaults are the EDNAFULL matrix and the opening cost of EMBOSS ``water``.

    Attributes:
        match: two equal nucleotides, 1 or more.
        mismatch: two different nucleotides, 0 or less.
        gap_open: cost of the first nucleotide of a gap, at least `gap_extend`.
        gap_extend: cost of each further nucleotide, 0 or more.
    """

    match: int = 5
    mismatch: int = -4
    gap_open: int = 10
    gap_extend: int = 1

    def __post_init__(self) -> None:
        require(self.match >= 1, "match", self.match, "1 or more")
        require(self.mismatch <= 0, "mismatch", self.mismatch, "0 or less")
        require(self.gap_extend >= 0, "gap_extend", self.gap_extend, "0 or more")
        at_least = f"at least gap_extend ({self.gap_extend})"
        require(self.gap_open >= self.gap_extend, "gap_open", self.gap_open, at_least)
        largest = max(self.match, -self.mismatch, self.gap_open)
        require(largest < 2**24, "match, mismatch or gap_open", largest, "below 2**24")

    def matrix(self) -> list[list[int]]:
        """Score of each pair of nucleotides, in the order ACGUN."""
        scores = np.full((len(NUCLEOTIDES), len(NUCLEOTIDES)), self.mismatch)
        np.fill_diagonal(scores, self.match)
        n = NUCLEOTIDES.index("N")
        scores[n] = 0
        scores[:, n] = 0
        return list(scores.tolist())


DEFAULT_SCORES = AlignmentScores()


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
    texts = sorted({to_rna(text) for text in chain.from_iterable(matures)})
    row_of = {text: row for row, text in enumerate(texts)}
    groups = [sorted({row_of[to_rna(text)] for text in group}) for group in matures]
    filled = [i for i, group in enumerate(groups) if group]
    result = np.eye(len(groups))
    if filled:
        pairs = smith_waterman(texts, scores, engine=engine, workers=workers, progress=progress)
        order = np.concatenate([groups[i] for i in filled])
        starts = np.cumsum([0, *(len(groups[i]) for i in filled[:-1])])
        best = np.maximum.reduceat(pairs[order], starts, axis=0)
        result[np.ix_(filled, filled)] = np.maximum.reduceat(best[:, order], starts, axis=1)
        np.fill_diagonal(result, 1.0)
    return result


def known_sequences(
    sequences: Sequence[str | None], scores: AlignmentScores
) -> tuple[list[int], list[str]]:
    """Return the positions of the known sequences, and these as RNA, checked.

    Args:
        sequences: None or NaN where unknown.
        scores: bound the length.

    Raises:
        InputError: see `smith_waterman`.
    """
    # NaN and its like differ from themselves
    known = {i: str(s) for i, s in enumerate(sequences) if s is not None and s == s}
    rows = list(known)
    return rows, prepare_sequences(list(known.values()), rows, scores)


def prepare_sequences(
    sequences: Sequence[str], rows: Sequence[int], scores: AlignmentScores
) -> list[str]:
    """Check sequences and turn them into upper-case RNA.

    Args:
        sequences: of ACGTUN.
        rows: position of each, for errors.
        scores: bound the length.

    Raises:
        InputError: see `smith_waterman`.
    """
    texts = [to_rna(sequence) for sequence in sequences]
    for row, text in zip(rows, texts, strict=True):
        check_nucleotides(text, rna_id=f"sequence {row}")
        if len(text) * scores.match > INT32_MAX:
            raise InputError(
                f"sequence {row} is too long for these scores",
                found=f"{len(text)} nt",
                expected=f"at most {INT32_MAX // scores.match} nt",
            )
    return texts


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
    make_scorer = pyopal_rows if engine == "pyopal" else _parasail_rows
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


def pyopal_rows(targets: list[str], scores: AlignmentScores) -> Callable[[str, int], np.ndarray]:
    """Make a function of a query and a start: raw scores to the targets from there on, int32."""
    import pyopal
    from scoring_matrices import ScoringMatrix

    aligner = pyopal.Aligner(
        ScoringMatrix(scores.matrix(), alphabet=NUCLEOTIDES),
        gap_open=scores.gap_open,
        gap_extend=scores.gap_extend,
    )
    database = pyopal.Database(targets, alphabet=pyopal.Alphabet(NUCLEOTIDES))

    def row(query: str, start: int) -> np.ndarray:
        # "simple" recomputes what overflowed 8 bits in 16, then in 32: exact at any score
        hits = aligner.align(query, database, overflow="simple", start=start)
        return np.fromiter((hit.score for hit in hits), dtype=np.int32, count=len(hits))

    return row


def parasail_matrix(scores: AlignmentScores) -> Any:
    """Make parasail's substitution matrix over ACGUN; N scores 0 against everything."""
    import parasail

    matrix = parasail.matrix_create(NUCLEOTIDES, scores.match, scores.mismatch)
    n = NUCLEOTIDES.index("N")
    for i in range(len(NUCLEOTIDES)):
        matrix[n, i] = 0
        matrix[i, n] = 0
    return matrix


def _parasail_rows(targets: list[str], scores: AlignmentScores) -> Callable[[str, int], np.ndarray]:
    import parasail

    matrix = parasail_matrix(scores)

    def row(query: str, start: int) -> np.ndarray:
        # 32 bits, since the saturation check of narrow ones misses scores of one pair beyond 8
        # bits; "scan", since "striped" misses an insertion next to a deletion where gaps are
        # cheaper than a mismatch
        profile = parasail.profile_create_32(query, matrix)
        hits = (
            parasail.sw_scan_profile_32(profile, text, scores.gap_open, scores.gap_extend)
            for text in targets[start:]
        )
        return np.fromiter((hit.score for hit in hits), dtype=np.int32, count=len(targets) - start)

    return row


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
