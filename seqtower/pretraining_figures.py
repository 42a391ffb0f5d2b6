"""Figures of a pre-trained encoder on held-out RNAs, beside the simplest model: a nucleotide and the one before it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from seqtower.encoders.one_hot import LETTERS, letter_codes
from seqtower.tracks import COUNTS, Tracks, relative

Said = Sequence[tuple[np.ndarray, np.ndarray, int, int, int]]
"""Per piece of an RNA: what was predicted, shape (nucleotides, outputs); what is true or which places are hidden; row, start and end of the piece."""


class FirstOrder:
    """What two neighbouring letters say: of a signal its mean over learned RNAs where they stand, of a hidden letter how often it follows the one before.

    Attributes:
        mean: of every output over the RNAs learned from, letters uncounted: shape (outputs,).
    """

    def __init__(self, sequences: Sequence[str], fit: np.ndarray, tracks: Tracks | None) -> None:
        self.sequences, self.tracks = sequences, tracks
        width = len(LETTERS) if tracks is None else len(tracks.names)
        sums, counts = np.zeros((25, width)), np.zeros(25)
        for row in fit.tolist():
            place, values = self._context(row), self._values(row)
            counts += np.bincount(place, minlength=25)
            for column in range(width):
                sums[:, column] += np.bincount(place, weights=values[:, column], minlength=25)
        self.mean = sums.sum(axis=0) / max(counts.sum(), 1)
        prior = self.mean / max(self.mean.sum(), 1e-12) if tracks is None else self.mean
        self.table = (sums + prior) / (counts + 1)[:, None]
        if tracks is None:  # an unknown letter counts nowhere
            self.mean = prior
            self.table = (sums + prior) / (sums.sum(axis=1, keepdims=True) + 1)

    def __call__(self, row: int, start: int, end: int) -> np.ndarray:
        """Prediction for a stretch of an RNA: shape (nucleotides, outputs)."""
        return np.asarray(self.table[self._context(row)[start:end]])

    def letters(self, row: int, start: int, end: int) -> np.ndarray:
        """0 to 3 per letter, -1 for N."""
        return letter_codes(self.sequences[row])[start:end]

    def _context(self, row: int) -> np.ndarray:
        codes = letter_codes(self.sequences[row]).astype(np.int64) + 1
        before = np.concatenate([[0], codes[:-1]])
        return before if self.tracks is None else 5 * before + codes

    def _values(self, row: int) -> np.ndarray:
        if self.tracks is None:
            codes = letter_codes(self.sequences[row])
            return np.asarray((codes[:, None] == np.arange(len(LETTERS))).astype(np.float64))
        values = self.tracks.of(row).astype(np.float64)
        return relative(values) if self.tracks.kind == COUNTS else values


def track_figures(said: Said, simple: FirstOrder, names: Sequence[str]) -> pd.DataFrame:
    """Pearson correlation over all nucleotides of held-out RNAs (of counts over their mean along each RNA).

    Returns:
        One row per track: ``track``, ``measure`` (``correlation``), ``held_out`` of the encoder and ``first_order`` of two letters; NaN where a track does
        not vary on them.
    """
    sums = [_Sums(len(names)), _Sums(len(names))]
    for predicted, true, row, start, end in said:
        sums[0].add(predicted, true)
        sums[1].add(simple(row, start, end), true)
    columns = {"track": list(names), "measure": "correlation", "held_out": sums[0].pearson(), "first_order": sums[1].pearson()}
    return pd.DataFrame(columns)


def letter_figures(said: Said, simple: FirstOrder) -> pd.DataFrame:
    """Share of hidden letters named right, and their cross-entropy (nats), on held-out RNAs.

    Returns:
        Rows ``accuracy`` and ``cross-entropy`` of the track ``hidden letters``: ``held_out`` of the encoder, ``first_order`` of the letter before, which
        that model sees even where it is hidden from the encoder.
    """
    right, nats, n = np.zeros(2), np.zeros(2), 0
    for predicted, hidden, row, start, end in said:
        true = simple.letters(row, start, end)[hidden]
        n += len(true)
        for number, shares in enumerate((predicted[hidden], simple(row, start, end)[hidden])):
            right[number] += (shares.argmax(axis=1) == true).sum()
            nats[number] -= np.log(np.maximum(shares[np.arange(len(true)), true], 1e-12)).sum()
    rows = [("hidden letters", name, *(total / n if n else np.full(2, np.nan))) for name, total in (("accuracy", right), ("cross-entropy", nats))]
    return pd.DataFrame(rows, columns=["track", "measure", "held_out", "first_order"])


class _Sums:
    """Sums from which correlations come, so that no RNA has to be kept."""

    def __init__(self, width: int) -> None:
        self.n, self.sums = 0, np.zeros((5, width))

    def add(self, x: np.ndarray, y: np.ndarray) -> None:
        x, y = x.astype(np.float64), y.astype(np.float64)
        self.n += len(x)
        self.sums += np.stack([x.sum(axis=0), y.sum(axis=0), (x * x).sum(axis=0), (y * y).sum(axis=0), (x * y).sum(axis=0)])

    def pearson(self) -> np.ndarray:
        x, y, xx, yy, xy = self.sums / max(self.n, 1)
        spread = np.sqrt(np.maximum(xx - x * x, 0) * np.maximum(yy - y * y, 0))
        return np.asarray(np.where(spread > 1e-15, (xy - x * y) / np.maximum(spread, 1e-15), np.nan))
