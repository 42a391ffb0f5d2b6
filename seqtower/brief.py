"""Brief training of a small tower, without Lightning, checkpoints or an inner part; and what any tower makes of sequences.

For some hundred short RNAs a trainer takes longer to start than the tower takes to learn.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from mirnagraph.seeds import torch_scope
from seqtower.batches import Plan, collate, plan, split_long
from seqtower.losses import make_loss, starting_logits
from seqtower.schedule import make_optimizer, rates
from seqtower.settings import SeqConfig, SeqTrainConfig
from seqtower.towers.base import Tower
from seqtower.towers.make import make_tower


def train_briefly(encoded: Sequence[np.ndarray], labels: np.ndarray, kind: str, config: SeqConfig, seed: int) -> Tower:
    """Train on the CPU for all epochs of the settings; nothing is held out and nothing stops early.

    Args:
        encoded: the RNAs to learn from, each float32 of shape (positions, channels), positions above 0.
        labels: of the same RNAs, NaN where unknown: shape (n, n_labels).
        kind: of the labels (see `seqtower.sequences.KINDS`).

    Returns:
        The tower after the last epoch, in evaluation mode.
    """
    settings = config.training
    pieces, owner = split_long(encoded, settings.batch_tokens)
    loss_of = make_loss(settings.loss, kind, labels, weighted=settings.class_weights, gamma=settings.focal_gamma)
    target = torch.from_numpy(labels[owner]).float()
    with torch_scope(seed, "weights"):
        tower = make_tower(config, encoded[0].shape[1], labels.shape[1])
    if not settings.class_weights:  # with them, every compartment is as likely as not
        tower.start_at(torch.from_numpy(starting_logits(kind, labels)).float())
    batches = Plan(np.arange(len(pieces)), np.array([len(one) for one in pieces]), settings.batch_tokens, settings.batch_rnas, seed)
    optimizer, rate, step = make_optimizer(tower.parameters(), settings), rates(settings, len(batches)), 0
    tower.train()
    with torch_scope(seed, "dropout"):
        for epoch in range(settings.epochs):
            batches.epoch = epoch
            for rows in batches:
                batch = collate([pieces[row] for row in rows], rows)
                for group in optimizer.param_groups:
                    group["lr"] = rate(step)
                optimizer.zero_grad()
                loss_of(tower(batch.inputs, batch.mask), target[torch.from_numpy(rows)]).backward()
                if settings.clip:
                    torch.nn.utils.clip_grad_norm_(tower.parameters(), settings.clip)
                optimizer.step()
                step += 1
    return tower.eval()


def read_sequences(tower: Tower, encoded: Sequence[np.ndarray], config: SeqTrainConfig) -> tuple[np.ndarray, np.ndarray]:
    """What a tower in evaluation mode, told no types of RNAs, makes of encoded RNAs.

    Of an RNA of more positions than ``batch_tokens`` it is the mean over its windows, weighed by their lengths.

    Returns:
        Embeddings, float64, shape (n, output_dim), and logits, float64, shape (n, n_labels); NaN for an RNA without a position.
    """
    pieces, owner = split_long(encoded, config.batch_tokens)
    lengths = np.array([len(one) for one in pieces], dtype=np.int64)
    n_labels = [layer for layer in tower.head.modules() if isinstance(layer, torch.nn.Linear)][-1].out_features
    total = np.zeros((len(encoded), tower.output_dim + n_labels))
    there = np.flatnonzero(lengths > 0)
    with torch.inference_mode():
        for part in plan(lengths[there], config.batch_tokens, config.batch_rnas) if len(there) else []:
            rows = there[part]
            batch = collate([pieces[row] for row in rows], rows)
            embedding = tower.encode(batch.inputs, batch.mask)
            both = torch.cat([embedding, tower.head(embedding)], dim=1).double().numpy()
            np.add.at(total, owner[rows], both * lengths[rows, None])
    weight = np.bincount(owner, weights=lengths, minlength=len(encoded)).astype(np.float64) if len(owner) else np.zeros(len(encoded))
    mean = total / np.where(weight > 0, weight, np.nan)[:, None]
    return mean[:, : tower.output_dim], mean[:, tower.output_dim :]
