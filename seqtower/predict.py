"""Predictions and embeddings of encoded RNAs by a fitted tower."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from seqtower.config import SeqConfig, SeqTrainConfig
from seqtower.data.batches import collate, plan, split_long
from seqtower.nn.losses import probabilities
from seqtower.towers.base import Tower


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
    pieces, owner = split_long(encoded, config.batch_tokens)
    lengths = np.array([len(piece) for piece in pieces], dtype=np.int64)
    linear = [layer for layer in tower.head.modules() if isinstance(layer, torch.nn.Linear)]
    total = np.zeros((len(encoded), tower.output_dim + linear[-1].out_features))
    filled = np.flatnonzero(lengths > 0)
    batches = []
    if len(filled):
        batches = plan(lengths[filled], config.batch_tokens, config.batch_rnas)
    with torch.inference_mode():
        for numbers in batches:
            rows = filled[numbers]
            batch = collate([pieces[row] for row in rows], rows)
            embedding = tower.encode(batch.inputs, batch.mask)
            both = torch.cat([embedding, tower.head(embedding)], dim=1).double().numpy()
            np.add.at(total, owner[rows], both * lengths[rows, None])
    weight = np.zeros(len(encoded))
    np.add.at(weight, owner, lengths)
    mean = total / np.where(weight > 0, weight, np.nan)[:, None]
    return mean[:, : tower.output_dim], mean[:, tower.output_dim :]


def predict(
    tower: Tower,
    encoded: Sequence[np.ndarray],
    kind: str,
    config: SeqTrainConfig,
    types: np.ndarray | None = None,
) -> np.ndarray:
    """Predict probabilities or fractions of RNAs: float64, shape (n, n_labels).

    An RNA of more positions than ``batch_tokens`` gets the mean over its windows, weighted by their
    lengths.

    Args:
        tower: in evaluation mode.
        encoded: each of shape (positions, channels).
        kind: of the labels, see `mirnagraph.evaluation.metrics.KINDS`.
        config: ``batch_tokens`` and ``batch_rnas``.
        types: position of each RNA's type in the vocabulary, shape (n,), for a tower conditioned on
            the type.
    """
    if not len(encoded):
        return np.zeros((0, 0))
    pieces, owner = split_long(encoded, config.batch_tokens)
    lengths = np.array([len(piece) for piece in pieces], dtype=np.int64)
    total: np.ndarray | None = None
    with torch.inference_mode():
        for rows in plan(lengths, config.batch_tokens, config.batch_rnas):
            batch_types = None if types is None else types[owner[rows]]
            batch = collate([pieces[row] for row in rows], rows, types=batch_types)
            logits = tower(batch.inputs, batch.mask, batch.types)
            predicted = probabilities(logits, kind).double().numpy()
            if total is None:
                total = np.zeros((len(encoded), predicted.shape[1]))
            np.add.at(total, owner[rows], predicted * lengths[rows, None])
    assert total is not None
    return np.asarray(total / np.bincount(owner, weights=lengths, minlength=len(encoded))[:, None])


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
