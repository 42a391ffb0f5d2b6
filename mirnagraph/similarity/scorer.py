"""Scores of alignments, checks of their sequences, and the SIMD libraries that count them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mirnagraph.config import require
from mirnagraph.errors import InputError
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


def pyopal_rows(targets: list[str], scores: AlignmentScores) -> Callable[[str, int], np.ndarray]:
    """Make a function of a query and a start: raw scores to the targets from there on, int32."""
    aligner, database = _pyopal(targets, scores)

    def row(query: str, start: int) -> np.ndarray:
        # "simple" recomputes what overflowed 8 bits in 16, then in 32: exact at any score
        hits = aligner.align(query, database, overflow="simple", start=start)
        return np.fromiter((hit.score for hit in hits), dtype=np.int32, count=len(hits))

    return row


def pyopal_some(
    targets: list[str], scores: AlignmentScores
) -> Callable[[str, np.ndarray], np.ndarray]:
    """Make a function of a query and numbers of targets: raw scores to these, int32."""
    aligner, database = _pyopal(targets, scores)

    def row(query: str, numbers: np.ndarray) -> np.ndarray:
        hits = aligner.align(query, database.extract(numbers.tolist()), overflow="simple")
        return np.fromiter((hit.score for hit in hits), dtype=np.int32, count=len(hits))

    return row


def _pyopal(targets: list[str], scores: AlignmentScores) -> tuple[Any, Any]:
    """Aligner and targets of pyopal."""
    import pyopal
    from scoring_matrices import ScoringMatrix

    aligner = pyopal.Aligner(
        ScoringMatrix(scores.matrix(), alphabet=NUCLEOTIDES),
        gap_open=scores.gap_open,
        gap_extend=scores.gap_extend,
    )
    return aligner, pyopal.Database(targets, alphabet=pyopal.Alphabet(NUCLEOTIDES))


def parasail_matrix(scores: AlignmentScores) -> Any:
    """Make parasail's substitution matrix over ACGUN; N scores 0 against everything."""
    import parasail

    matrix = parasail.matrix_create(NUCLEOTIDES, scores.match, scores.mismatch)
    n = NUCLEOTIDES.index("N")
    for i in range(len(NUCLEOTIDES)):
        matrix[n, i] = 0
        matrix[i, n] = 0
    return matrix


def parasail_rows(targets: list[str], scores: AlignmentScores) -> Callable[[str, int], np.ndarray]:
    """As `pyopal_rows`, by parasail."""
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
