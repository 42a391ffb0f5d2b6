"""Nearest known names of a name that is not known."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import SequenceMatcher

from mirnagraph.names.spelling import normalise
from mirnagraph.reading.arguments import checked

LEAST_SIMILARITY = 0.8


@checked
def suggest(name: str, known: Iterable[str], n: int = 3) -> list[str]:
    """Suggest the nearest known names, best first, by matching stretches of the normalised name.

    Similarity is twice the number of matching characters over the number of both names' characters
    (difflib); names of equal similarity keep their order.

    Args:
        name: as a user typed it.
        known: names to choose from.
        n: most names to return.

    Returns:
        At most n names of a similarity of 0.8 or more.

    >>> suggest("hsa-mir-12b", ["hsa-mir-125b", "hsa-let-7a"])
    ['hsa-mir-125b']
    """
    matcher = SequenceMatcher(b=normalise(name), autojunk=False)
    nearest: list[tuple[float, str]] = []
    for candidate in known:
        matcher.set_seq1(candidate)
        # Upper bounds first, which are quicker.
        if min(matcher.real_quick_ratio(), matcher.quick_ratio()) >= LEAST_SIMILARITY:
            nearest.append((matcher.ratio(), candidate))
    nearest.sort(key=lambda pair: -pair[0])
    return [candidate for ratio, candidate in nearest[:n] if ratio >= LEAST_SIMILARITY]
