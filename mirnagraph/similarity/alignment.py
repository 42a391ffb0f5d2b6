"""One local alignment to show to people: where two RNAs agree, letter by letter."""

from __future__ import annotations

from dataclasses import dataclass

from mirnagraph.similarity.smith_waterman import DEFAULT_SCORES, AlignmentScores, parasail_matrix, prepare_sequences


@dataclass(frozen=True)
class Alignment:
    """The best local alignment of two sequences.

    Attributes:
        score: its Smith-Waterman score, 0 where no letter matches.
        query: aligned part of the first sequence, ``-`` for gaps.
        comparison: ``|`` under equal letters, ``.`` under others, blank under gaps and N.
        target: aligned part of the second sequence.
        query_start, query_end: its place in the first sequence, 0-based, half-open.
        target_start, target_end: its place in the second one.
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
        """Share of alignment columns with equal letters, in [0, 1]; 0 for an empty alignment."""
        return self.comparison.count("|") / len(self.comparison) if self.comparison else 0.0

    def __str__(self) -> str:
        width = len(str(max(self.query_end, self.target_end)))
        return (
            f"{self.query_start + 1:>{width}} {self.query} {self.query_end}\n"
            f"{'':>{width}} {self.comparison}\n"
            f"{self.target_start + 1:>{width}} {self.target} {self.target_end}"
        )


def align(query: str, target: str, scores: AlignmentScores = DEFAULT_SCORES) -> Alignment:
    """The best local alignment of two RNA sequences, by parasail's traceback.

    Where several alignments have the best score, one of them is returned, always the same.

    Raises:
        InputError: an empty sequence or a letter outside ACGTUN.

    >>> print(align("CCACGUACGAUGCC", "ACGUACUGAUG", AlignmentScores(gap_open=5)))
     3 ACGUAC-GAUG 12
       |||||| ||||
     1 ACGUACUGAUG 11
    """
    import parasail

    first, second = prepare_sequences([query, target], [0, 1], scores)
    found = parasail.sw_trace_scan_32(first, second, scores.gap_open, scores.gap_extend, parasail_matrix(scores))
    if found.score <= 0:
        return Alignment(0, "", "", "", 0, 0, 0, 0)
    top, bottom = found.traceback.query, found.traceback.ref
    middle = "".join(" " if "-" in (a, b) or "N" in (a, b) else "|" if a == b else "." for a, b in zip(top, bottom, strict=True))
    # the length of the aligned letters, not the start of the cigar, is what the shown text says
    query_end, target_end = found.end_query + 1, found.end_ref + 1
    query_start, target_start = query_end - len(top.replace("-", "")), target_end - len(bottom.replace("-", ""))
    return Alignment(int(found.score), top, middle, bottom, query_start, query_end, target_start, target_end)
