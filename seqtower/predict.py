"""Predictions and embeddings of encoded RNAs by a fitted tower."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from seqtower.config import SeqConfig, SeqTrainConfig
from seqtower.data.batches import Batch
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
    encoded: Sequence[np.ndarray],
    kind: str,
    config: SeqTrainConfig,
    types: np.ndarray | None = None,
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
    """

    def read(batch: Batch) -> torch.Tensor:
        return probabilities(tower(batch.inputs, batch.mask, batch.types), kind)

    data = EncodedPieces(encoded, config.batch_tokens, types)
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


def read_in_windows(sequences: Sequence[str], config: SeqConfig) -> int:
    """Count the RNAs that are longer than a batch and are read in windows."""
    if config.lengths.keep != "full":
        return 0
    return sum(len(sequence) > config.training.batch_tokens for sequence in sequences)


def remarks(sequences: Sequence[str], config: SeqConfig) -> list[str]:
    """List what a reader of predictions should know: RNAs read in windows, RNAs of N alone."""
    n_rnas = len(sequences)
    n_long = read_in_windows(sequences, config)
    n_empty = sum(set(sequence) <= {"N"} for sequence in sequences)
    lines = []
    if n_long:
        budget = config.training.batch_tokens
        lines.append(f"{n_long} of {n_rnas} RNAs are longer than {budget} nt and read in windows")
    if n_empty:
        lines.append(
            f"{n_empty} of {n_rnas} RNAs have no nucleotide but N and uninformative predictions"
        )
    return lines
