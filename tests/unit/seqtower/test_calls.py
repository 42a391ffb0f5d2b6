"""Calls of a sequence tower by the kind of its labels, and how each RNA was read."""

from __future__ import annotations

import numpy as np
import pytest

from seqtower.predict import ReadingCounts, calls

P = np.array([[0.2, 0.5, 0.3], [0.45, 0.1, 0.45], [np.nan] * 3])
THRESHOLDS = np.array([0.1, 0.6, 0.3])


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("multi-label", [[True, False, True], [True, False, True], [False] * 3]),
        ("class", [[False, True, False], [True, False, False], [False] * 3]),
        ("fractions", [[False] * 3] * 3),
    ],
)
def test_calls(kind: str, expected: list[list[bool]]) -> None:
    assert calls(P, kind, THRESHOLDS).tolist() == expected


def test_counts_of_parts_add_up() -> None:
    total = ReadingCounts(2, 1, 0, 1, 30, 20) + ReadingCounts(3, 0, 2, 0, 50, 50)
    assert total == ReadingCounts(5, 1, 2, 1, 80, 70)
