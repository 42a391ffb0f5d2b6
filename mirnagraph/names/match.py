"""Answer to a name or a sequence: the RNA it means, the kind of match, candidates, a reason."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mirnagraph.names.mirbase import MATCH_KINDS
from mirnagraph.reading.arguments import checked

UNKNOWN = "unknown"
AMBIGUOUS = "ambiguous"
WITHDRAWN = "withdrawn"
ID = "id"
ARM = "arm"
SEQUENCE = "sequence"
MATURE_SEQUENCE = "mature_sequence"
NEW = "new"

QUERY_KINDS = {
    ID: "the id of a reference RNA, in any spelling",
    ARM: "a mature form (-5p, -3p or *) of the id of a reference RNA",
    **MATCH_KINDS,
    SEQUENCE: "the sequence of a reference RNA",
    MATURE_SEQUENCE: "a mature sequence of a reference RNA",
    NEW: "a sequence of no reference RNA",
    AMBIGUOUS: "a name of several RNAs, or one cut short: no answer",
    WITHDRAWN: "a name of an entry that miRBase has withdrawn: no answer",
    UNKNOWN: "no RNA of that name: no answer",
}
"""Kinds of match of a query; those of `MATCH_KINDS` need the names of miRBase."""

MAX_LISTED = 5
"""Candidates in a sentence; the rest are counted."""


@dataclass(frozen=True)
class Match:
    """What a query means.

    Attributes:
        query: as it was asked.
        rna_id: id of the reference RNA, or of a hairpin of miRBase that is none, or of a new
            sequence; None where the query has no answer.
        accession: of the entry that the query names, a mature or a hairpin, ``;``-separated where
            there are several; empty where none is known.
        kind: a key of `QUERY_KINDS`.
        candidates: the other RNAs that the query could mean, in natural order.
        note: one sentence, without a full stop: why there is no answer, or what to know of it.
        row: of the reference RNA; None where it is none.
        sequence: of a hairpin that is no reference RNA.
        is_doubtful: whether the note belongs among the warnings of a prediction.
    """

    query: str
    rna_id: str | None = None
    accession: str = ""
    kind: str = UNKNOWN
    candidates: tuple[str, ...] = ()
    note: str = ""
    row: int | None = None
    sequence: str = ""
    is_doubtful: bool = False

    @property
    def warning(self) -> str:
        """The note, where it is a reason to doubt the answer or to have none."""
        return self.note if self.is_doubtful or self.rna_id is None else ""


def listed(names: Iterable[str], limit: int = MAX_LISTED) -> str:
    """Join names for a sentence; those beyond the limit are counted.

    >>> listed(["a", "b", "c", "d"], 2)
    'a, b and 2 more'
    """
    several = list(names)
    text = ", ".join(several[:limit])
    n_more = len(several) - limit
    return f"{text} and {n_more} more" if n_more > 0 else text


@checked
def unanswered(matches: Iterable[Match]) -> str:
    """One text of every query without an answer and its reason; empty where all have one."""
    notes = dict.fromkeys(match.note for match in matches if match.rna_id is None)
    return "; ".join(notes)
