"""Predictions and embeddings of a tower.

For some hundred short RNAs a trainer takes longer to start than the tower takes to learn.
"""

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
    """What a tower in evaluation mode, told no types of RNAs, makes of encoded RNAs.

    Of an RNA of more positions than ``batch_tokens`` it is the mean over its windows, weighed by their lengths.

    Returns:
        Embeddings, float64, shape (n, output_dim), and logits, float64, shape (n, n_labels); NaN for an RNA without a position.
    """
    pieces, owner = split_long(encoded, config.batch_tokens)
    lengths = np.array([len(one) for one in pieces], dtype=np.int64)
    n_labels = [layer for layer in tower.head.modules() if isinstance(layer, torch.nn.Linear)][
        -1
    ].out_features
    total = np.zeros((len(encoded), tower.output_dim + n_labels))
    there = np.flatnonzero(lengths > 0)
    with torch.inference_mode():
        for part in (
            plan(lengths[there], config.batch_tokens, config.batch_rnas) if len(there) else []
        ):
            rows = there[part]
            batch = collate([pieces[row] for row in rows], rows)
            embedding = tower.encode(batch.inputs, batch.mask)
            both = torch.cat([embedding, tower.head(embedding)], dim=1).double().numpy()
            np.add.at(total, owner[rows], both * lengths[rows, None])
    weight = (
        np.bincount(owner, weights=lengths, minlength=len(encoded)).astype(np.float64)
        if len(owner)
        else np.zeros(len(encoded))
    )
    mean = total / np.where(weight > 0, weight, np.nan)[:, None]
    return mean[:, : tower.output_dim], mean[:, tower.output_dim :]


def predict(
    tower: Tower,
    encoded: Sequence[np.ndarray],
    kind: str,
    config: SeqTrainConfig,
    types: np.ndarray | None = None,
) -> np.ndarray:
    """Probabilities (or fractions) of encoded RNAs: float64, shape (n, n_labels).

    Of an RNA of more positions than ``batch_tokens`` it is the mean over its windows, weighed by their lengths.

    Args:
        types: number of the type of each RNA, shape (n,), for a tower that is told types.
    """
    if not len(encoded):
        return np.zeros((0, 0))
    pieces, owner = split_long(encoded, config.batch_tokens)
    lengths = np.array([len(one) for one in pieces], dtype=np.int64)
    total: np.ndarray | None = None
    with torch.inference_mode():
        for rows in plan(lengths, config.batch_tokens, config.batch_rnas):
            batch = collate(
                [pieces[row] for row in rows],
                rows,
                types=None if types is None else types[owner[rows]],
            )
            said = (
                probabilities(tower(batch.inputs, batch.mask, batch.types), kind).double().numpy()
            )
            total = np.zeros((len(encoded), said.shape[1])) if total is None else total
            np.add.at(total, owner[rows], said * lengths[rows, None])
    assert total is not None
    return np.asarray(total / np.bincount(owner, weights=lengths, minlength=len(encoded))[:, None])


def read_in_windows(sequences: Sequence[str], config: SeqConfig) -> int:
    """How many RNAs are longer than a batch, and read in windows for it."""
    return (
        sum(len(one) > config.training.batch_tokens for one in sequences)
        if config.lengths.keep == "full"
        else 0
    )


def remarks(sequences: Sequence[str], config: SeqConfig) -> list[str]:
    """What a reader of the answers should know of the sequences: that some were read in windows, or hold nothing that can be read."""
    long = read_in_windows(sequences, config)
    budget = config.training.batch_tokens
    empty = sum(set(one) <= {"N"} for one in sequences)
    found = (
        [f"{long} of {len(sequences)} RNAs are longer than {budget} nt and were read in windows"]
        if long
        else []
    )
    return found + (
        [
            f"{empty} of {len(sequences)} RNAs have no letter but N: their answers say nothing of them"
        ]
        if empty
        else []
    )
