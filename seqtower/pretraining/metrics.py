"""Held-out metrics of a pre-trained encoder, next to those of a first-order model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from seqtower.data.kmers import LETTERS, letter_codes
from seqtower.pretraining.tracks import COUNTS, Tracks, relative

N_CONTEXTS = 25
"""Contexts of two neighbouring nucleotides, each A, C, G, U or none (N, or before the RNA)."""

METRIC_COLUMNS = ["track", "measure", "held_out", "first_order"]


class Predicted(NamedTuple):
    """Prediction for a piece of a held-out RNA.

    Attributes:
        predicted: shape (nucleotides, outputs).
        observed: the signals, shape (nucleotides, outputs); or where nucleotides were masked, bool,
            shape (nucleotides,).
        row: row number of the RNA.
        start: first nucleotide of the piece, 0-based.
        end: nucleotide after its last.
    """

    predicted: np.ndarray
    observed: np.ndarray
    row: int
    start: int
    end: int


class FirstOrder:
    """Baseline of pre-training: predicts from one or two nucleotides alone.

    A signal is predicted by its training mean at the nucleotide and the one before it, a masked
    nucleotide by the training frequencies after the nucleotide before it.

    Attributes:
        mean: of every output over the training RNAs, shape (outputs,).
    """

    def __init__(self, sequences: Sequence[str], train: np.ndarray, tracks: Tracks | None) -> None:
        """Fit on training RNAs.

        Args:
            sequences: nucleotides of all RNAs.
            train: row numbers of the training RNAs.
            tracks: signals; None for masked nucleotides.
        """
        self.sequences = sequences
        self.tracks = tracks
        n_outputs = len(LETTERS) if tracks is None else len(tracks.names)
        sums = np.zeros((N_CONTEXTS, n_outputs))
        counts = np.zeros(N_CONTEXTS)
        for row in train.tolist():
            context = self._context(row)
            values = self._values(row)
            counts += np.bincount(context, minlength=N_CONTEXTS)
            for column in range(n_outputs):
                weights = values[:, column]
                sums[:, column] += np.bincount(context, weights=weights, minlength=N_CONTEXTS)
        self.mean = sums.sum(axis=0) / max(counts.sum(), 1)
        if tracks is None:  # N is no output and is not counted
            self.mean = self.mean / max(self.mean.sum(), 1e-12)
            counts = sums.sum(axis=1)
        self.table = (sums + self.mean) / (counts + 1)[:, None]

    def __call__(self, row: int, start: int, end: int) -> np.ndarray:
        """Predict a piece of an RNA: shape (nucleotides, outputs)."""
        return self.table[self._context(row)[start:end]]

    def codes(self, row: int, start: int, end: int) -> np.ndarray:
        """Return 0 to 3 per nucleotide of a piece, -1 for N."""
        return letter_codes(self.sequences[row])[start:end]

    def _context(self, row: int) -> np.ndarray:
        codes = letter_codes(self.sequences[row]).astype(np.int64) + 1
        before = np.concatenate([[0], codes[:-1]])
        return before if self.tracks is None else 5 * before + codes

    def _values(self, row: int) -> np.ndarray:
        if self.tracks is None:
            codes = letter_codes(self.sequences[row])
            return (codes[:, None] == np.arange(len(LETTERS))).astype(np.float64)
        values = self.tracks.of(row).astype(np.float64)
        return relative(values) if self.tracks.kind == COUNTS else values


def track_metrics(
    pieces: Iterable[Predicted], baseline: FirstOrder, names: Sequence[str]
) -> pd.DataFrame:
    """Correlate predicted and observed signals over all nucleotides of held-out RNAs.

    Counts are compared relative to their mean along each RNA.

    Returns:
        One row per track: ``track``, ``measure`` (``correlation``, Pearson), ``held_out`` of the
        encoder and ``first_order`` of the baseline; NaN for a track that is constant.
    """
    of_encoder = RunningCorrelation(len(names))
    of_baseline = RunningCorrelation(len(names))
    for piece in pieces:
        of_encoder.add(piece.predicted, piece.observed)
        of_baseline.add(baseline(piece.row, piece.start, piece.end), piece.observed)
    return pd.DataFrame(
        {
            "track": list(names),
            "measure": "correlation",
            "held_out": of_encoder.pearson(),
            "first_order": of_baseline.pearson(),
        },
        columns=METRIC_COLUMNS,
    )


def masking_metrics(pieces: Iterable[Predicted], baseline: FirstOrder) -> pd.DataFrame:
    """Score the prediction of masked nucleotides of held-out RNAs.

    Returns:
        Rows ``accuracy`` and ``cross-entropy`` (nats): ``held_out`` of the encoder and
        ``first_order`` of the baseline, which sees the nucleotide before even where the encoder
        does not.
    """
    n_right = np.zeros(2)
    nats = np.zeros(2)
    n = 0
    for piece in pieces:
        masked = piece.observed
        true = baseline.codes(piece.row, piece.start, piece.end)[masked]
        by_baseline = baseline(piece.row, piece.start, piece.end)
        n += len(true)
        for model, predicted in enumerate((piece.predicted, by_baseline)):
            probabilities = predicted[masked]
            n_right[model] += (probabilities.argmax(axis=1) == true).sum()
            of_true = probabilities[np.arange(len(true)), true]
            nats[model] -= np.log(np.maximum(of_true, 1e-12)).sum()
    rows = []
    for measure, total in (("accuracy", n_right), ("cross-entropy", nats)):
        means = total / n if n else np.full(2, np.nan)
        rows.append(("masked nucleotides", measure, *means))
    return pd.DataFrame(rows, columns=METRIC_COLUMNS)


class RunningCorrelation:
    """Pearson correlation per column from running sums, without keeping the values."""

    def __init__(self, n_columns: int) -> None:
        self.n = 0
        self.sums = np.zeros((5, n_columns))

    def add(self, x: np.ndarray, y: np.ndarray) -> None:
        """Add values of shape (rows, columns)."""
        x = x.astype(np.float64)
        y = y.astype(np.float64)
        self.n += len(x)
        self.sums += np.stack([values.sum(axis=0) for values in (x, y, x * x, y * y, x * y)])

    def pearson(self) -> np.ndarray:
        """Return the correlations, shape (columns,); NaN for a constant column."""
        x, y, xx, yy, xy = self.sums / max(self.n, 1)
        scale = np.sqrt(np.maximum(xx - x * x, 0) * np.maximum(yy - y * y, 0))
        covariance = xy - x * y
        return np.where(scale > 1e-15, covariance / np.maximum(scale, 1e-15), np.nan)
