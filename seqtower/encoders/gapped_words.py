"""Gapped words: how often letters stand at given distances from each other, whatever stands between them; for RNAs so short that whole words are rare."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from mirnagraph.config import require
from seqtower.encoders.kmer import closed
from seqtower.encoders.one_hot import letter_codes


def check_words(span: int, letters: int) -> None:
    """Raises ConfigError for gapped words that there cannot be, or so many that no table holds them."""
    require(1 <= letters <= 6 and letters <= span <= 12, "span, letters", (span, letters), "1 to 6 letters of a span of at most 12")


def gapped_width(span: int = 5, letters: int = 3) -> int:
    """Columns of `gapped_words`."""
    return len(list(combinations(range(span), letters))) * 4**letters + 1


def gapped_words(sequences: Sequence[str], span: int = 5, letters: int = 3, *, circular: Sequence[bool] | None = None) -> np.ndarray:
    """Square roots of counts of gapped words, one unit long in all, and the natural logarithm of the number of letters.

    A gapped word is `letters` letters of `span` that follow each other; which of these it reads is one of all the ways to choose so many
    (Ghandi et al. 2014, gkm-SVM). Words with an N among the letters that they read are not counted. An RNA shorter than `span` has none.

    Args:
        circular: per RNA, whether it is a circle, whose words go on from its last letter to its first; None for none.

    Returns:
        float32, shape (n, `gapped_width`): ways in the order of `itertools.combinations`, for each its words in alphabetical order; last the length.

    >>> gapped_words(["AC"], span=2, letters=2)[0, :3].tolist()
    [0.0, 1.0, 0.0]
    """
    check_words(span, letters)
    found = np.zeros((len(sequences), gapped_width(span, letters)), dtype=np.float32)
    powers, size = 4 ** np.arange(letters - 1, -1, -1), 4**letters
    for row, sequence in enumerate(sequences):
        found[row, -1] = np.log(max(len(sequence), 1))
        codes = letter_codes(closed(sequence, span) if circular is not None and circular[row] else sequence).astype(np.int64)
        if len(codes) < span:
            continue
        spans = np.lib.stride_tricks.sliding_window_view(codes, span)
        for way, chosen in enumerate(combinations(range(span), letters)):
            read = spans[:, chosen]
            read = read[((read >= 0) & (read < 4)).all(axis=1)]
            found[row, way * size : (way + 1) * size] = np.sqrt(np.bincount(read @ powers, minlength=size))
        found[row, :-1] /= max(float(np.linalg.norm(found[row, :-1])), 1e-12)
    return found
