"""Predictions and embeddings of encoded RNAs by a fitted tower, and the part that it reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch

from mirnagraph.evaluation.metrics import CLASS, FRACTIONS
from seqtower.config import SeqConfig, SeqTrainConfig
from seqtower.data.batches import Batch, windows
from seqtower.data.sequences import LengthPolicy
from seqtower.encoders.base import Encoded, FittedEncoding
from seqtower.encoders.tis import TisConfig
from seqtower.nn.losses import probabilities
from seqtower.towers.base import Tower
from seqtower.training.pieces import EncodedPieces


def read_sequences(
    tower: Tower, encoded: Sequence[np.ndarray], config: SeqTrainConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Embed RNAs and predict their logits.

    An RNA of more positions than ``batch_tokens`` gets the mean over its windows, weighted by their
    lengths.

    Args:
        tower: in evaluation mode, not conditioned on RNA types.
        encoded: each of shape (positions, channels).
        config: ``batch_tokens`` and ``batch_rnas``.

    Returns:
        Embeddings, float64, shape (n, output_dim), and logits, float64, shape (n, n_labels); NaN
        for an RNA without a position.
    """

    def read(batch: Batch) -> torch.Tensor:
        embedding = tower.encode(batch.inputs, batch.mask)
        return torch.cat([embedding, tower.head(embedding)], dim=1)

    width = tower.output_dim
    n_columns = width + tower.last_layer().out_features
    mean = _mean_over_windows(read, n_columns, EncodedPieces(encoded, config.batch_tokens), config)
    return mean[:, :width], mean[:, width:]


def predict(
    tower: Tower,
    encoded: Encoded,
    kind: str,
    config: SeqTrainConfig,
    types: np.ndarray | None = None,
    numbers: np.ndarray | None = None,
) -> np.ndarray:
    """Predict probabilities or fractions of RNAs: float64, shape (n, n_labels).

    An RNA of more positions than ``batch_tokens`` gets the mean over its windows, weighted by their
    lengths; NaN for an RNA without a position.

    Args:
        tower: in evaluation mode.
        encoded: each of shape (positions, channels).
        kind: of the labels, see `mirnagraph.evaluation.metrics.KINDS`.
        config: ``batch_tokens`` and ``batch_rnas``.
        types: position of each RNA's type in the vocabulary, shape (n,), for a tower conditioned on
            the type.
        numbers: of whole RNAs, shape (n, width), for a tower that reads them.
    """

    def read(batch: Batch) -> torch.Tensor:
        logits = tower(batch.inputs, batch.mask, batch.types, batch.numbers)
        return probabilities(logits, kind)

    data = EncodedPieces(encoded, config.batch_tokens, types, numbers)
    return _mean_over_windows(read, tower.last_layer().out_features, data, config)


def _mean_over_windows(
    read: Callable[[Batch], torch.Tensor],
    n_columns: int,
    data: EncodedPieces,
    config: SeqTrainConfig,
) -> np.ndarray:
    """Mean of what is read from the windows of each RNA: float64, shape (n, n_columns)."""
    total = np.zeros((data.n_rnas, n_columns))
    with torch.inference_mode():
        for numbers in data.plan(data.owner[data.lengths > 0], config):
            values = read(data[numbers]).double().numpy()
            np.add.at(total, data.owner[numbers], values * data.lengths[numbers, None])
    weight = np.bincount(data.owner, weights=data.lengths, minlength=data.n_rnas)
    return total / np.where(weight > 0, weight, np.nan)[:, None]


def longest_at_once(encoder_settings: Any, batch_tokens: int) -> int:
    """Nucleotides of the longest RNA that a tower and its encoder read without windows.

    Args:
        encoder_settings: of the encoder.
        batch_tokens: most positions of a batch.
    """
    if isinstance(encoder_settings, TisConfig):
        return min(encoder_settings.window, encoder_settings.patch * batch_tokens)
    return batch_tokens


def read_in_windows(sequences: Sequence[str], config: SeqConfig) -> int:
    """Count the RNAs that are too long to be read at once (see `longest_at_once`)."""
    if config.lengths.keep != "full":
        return 0
    longest = longest_at_once(config.encoder.settings, config.training.batch_tokens)
    return sum(len(sequence) > longest for sequence in sequences)


def readings(
    sequences: Sequence[str], encoding: FittedEncoding, config: SeqTrainConfig
) -> pd.DataFrame:
    """Count what a tower reads of each RNA.

    Args:
        sequences: RNA, not cut.
        encoding: of the tower; its length policy has a fixed length.
        config: ``batch_tokens``, the positions of a window.

    Returns:
        One row per RNA with the columns ``length`` (nucleotides), ``read`` (nucleotides that the
        length policy keeps) and ``windows`` (number of windows they are read in).
    """
    lengths = np.array([len(sequence) for sequence in sequences], dtype=np.int64)
    read = [len(encoding.lengths.positions(length)) for length in lengths.tolist()]
    encoder = encoding.encoder
    limit = config.batch_tokens
    n_windows = []
    for length, n_read in zip(lengths.tolist(), read, strict=True):
        n_positions = max((n_read - encoder.k) // encoder.stride + 1, 1)
        n_of_tower = len(list(windows(n_positions, limit, limit // 10)))
        n_windows.append(max(n_of_tower, encoder.n_windows(length)))
    return pd.DataFrame({"length": lengths, "read": read, "windows": n_windows})


def kept_part(lengths: LengthPolicy) -> str:
    """Part of a long RNA that a length policy keeps, in words; empty where it keeps all."""
    if lengths.keep == "full":
        return ""
    if lengths.measure:
        ends = {"3-prime": "3' end", "5-prime": "5' end", "both-ends": "two ends"}[lengths.keep]
        return f"the {ends}, together as long as the {lengths.measure} of the training RNAs"
    if lengths.keep == "both-ends":
        first = lengths.length // 2
        return f"the first {first} and the last {lengths.length - first} nt"
    end = "last" if lengths.keep == "3-prime" else "first"
    return f"the {end} {lengths.length} nt"


@dataclass(frozen=True)
class ReadingCounts:
    """Numbers of RNAs by how a tower read them; counts of parts are added.

    Attributes:
        n_rnas: number of RNAs.
        n_cut: RNAs of which the length policy keeps a part.
        n_long: RNAs read in windows.
        n_empty: RNAs of N alone.
        n_nucleotides: of all RNAs.
        n_read: nucleotides that the length policy keeps.
    """

    n_rnas: int = 0
    n_cut: int = 0
    n_long: int = 0
    n_empty: int = 0
    n_nucleotides: int = 0
    n_read: int = 0

    def __add__(self, other: ReadingCounts) -> ReadingCounts:
        totals = zip(astuple(self), astuple(other), strict=True)
        return ReadingCounts(*(ours + theirs for ours, theirs in totals))


def reading_counts(table: pd.DataFrame, sequences: Sequence[str]) -> ReadingCounts:
    """Count the RNAs of a table of `readings`."""
    return ReadingCounts(
        n_rnas=len(table),
        n_cut=int((table["read"] < table["length"]).sum()),
        n_long=int((table["windows"] > 1).sum()),
        n_empty=sum(is_empty(sequence) for sequence in sequences),
        n_nucleotides=int(table["length"].sum()),
        n_read=int(table["read"].sum()),
    )


def is_empty(sequence: str) -> bool:
    """Whether a sequence has no nucleotide but N."""
    return set(sequence) <= {"N"}


def reading_warnings(
    table: pd.DataFrame, sequences: Sequence[str], encoding: FittedEncoding
) -> list[str]:
    """Say of each RNA how it was read, where that is not whole and at once.

    Args:
        table: of `readings`.
        sequences: RNA, not cut.
        encoding: of the tower.
    """
    part = kept_part(encoding.lengths)
    warnings = []
    columns = (table[name].tolist() for name in ("length", "read", "windows"))
    for length, n_read, n_windows, sequence in zip(*columns, sequences, strict=True):
        reasons = []
        if n_read < length:
            reasons.append(f"cut: the tower read {part}")
        if n_windows > 1:
            reasons.append(f"read in {n_windows} windows")
        if is_empty(sequence):
            reasons.append("no nucleotide but N")
        warnings.append("; ".join(reasons))
    return warnings


def remarks(
    sequences: Sequence[str],
    encoding: FittedEncoding,
    config: SeqTrainConfig,
    *,
    has_trees: bool = False,
) -> list[str]:
    """List what a reader of predictions should know: RNAs cut, in windows, or of N alone.

    Args:
        sequences: RNA, not cut.
        encoding: of the tower.
        config: of the tower's training.
        has_trees: trees on descriptors, which read whole RNAs, have a part in the predictions.
    """
    counts = reading_counts(readings(sequences, encoding, config), sequences)
    return remarks_of(counts, encoding, config, has_trees=has_trees)


def remarks_of(
    counts: ReadingCounts,
    encoding: FittedEncoding,
    config: SeqTrainConfig,
    *,
    has_trees: bool = False,
) -> list[str]:
    """List what `remarks` does, of RNAs that were counted."""
    n_rnas = counts.n_rnas
    lines = []
    if counts.n_cut:
        share = counts.n_read / counts.n_nucleotides
        part = kept_part(encoding.lengths)
        line = (
            f"{counts.n_cut} of {n_rnas} RNAs were cut: the tower read {part} of each ({share:.0%} "
            "of all nucleotides)"
        )
        lines.append(f"{line}; the trees on descriptors read whole RNAs" if has_trees else line)
    if counts.n_long:
        settings = getattr(encoding.encoder, "settings", None)
        longest = longest_at_once(settings, config.batch_tokens)
        lines.append(
            f"{counts.n_long} of {n_rnas} RNAs are longer than {longest} nt and read in windows"
        )
    if counts.n_empty:
        lines.append(
            f"{counts.n_empty} of {n_rnas} RNAs have no nucleotide but N and uninformative "
            "predictions"
        )
    return lines


def calls(probabilities: np.ndarray, kind: str, thresholds: np.ndarray) -> np.ndarray:
    """Call compartments: bool, shape (n, n_labels).

    Classes that exclude each other are called by the largest probability, the first of equal ones;
    compartments that do not, by their thresholds; fractions are never called, and neither is an
    RNA whose probabilities are NaN.

    Args:
        probabilities: shape (n, n_labels).
        kind: of the labels, see `mirnagraph.evaluation.metrics.KINDS`.
        thresholds: shape (n_labels,).
    """
    called = np.zeros(probabilities.shape, dtype=bool)
    if kind == FRACTIONS:
        return called
    if kind != CLASS:
        return np.asarray(probabilities >= thresholds)
    is_known = np.flatnonzero(np.isfinite(probabilities).all(axis=1))
    called[is_known, probabilities[is_known].argmax(axis=1)] = True
    return called
