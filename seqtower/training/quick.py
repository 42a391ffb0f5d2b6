"""Brief training of a small tower, without Lightning, checkpoints or an inner part; and what any tower makes of sequences.

For some hundred short RNAs a trainer takes longer to start than the tower takes to learn.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from mirnagraph.seeds import torch_scope
from seqtower.config import SeqConfig
from seqtower.data.batches import Plan, collate, split_long
from seqtower.nn.losses import make_loss, starting_logits
from seqtower.towers.base import Tower, make_tower
from seqtower.training.optim import make_optimizer, rates


def train_quick(
    encoded: Sequence[np.ndarray], labels: np.ndarray, kind: str, config: SeqConfig, seed: int
) -> Tower:
    """Train on the CPU for all epochs of the settings; nothing is held out and nothing stops early.

    Args:
        encoded: the RNAs to learn from, each float32 of shape (positions, channels), positions above 0.
        labels: of the same RNAs, NaN where unknown: shape (n, n_labels).
        kind: of the labels (see `mirnagraph.evaluation.metrics.KINDS`).

    Returns:
        The tower after the last epoch, in evaluation mode.
    """
    settings = config.training
    pieces, owner = split_long(encoded, settings.batch_tokens)
    loss_of = make_loss(
        settings.loss, kind, labels, weighted=settings.class_weights, gamma=settings.focal_gamma
    )
    target = torch.from_numpy(labels[owner]).float()
    with torch_scope(seed, "weights"):
        channels = encoded[0].shape[1]
        tower = make_tower(config.tower.name, config.tower.settings, channels, labels.shape[1])
    if not settings.class_weights:  # with them, every compartment is as likely as not
        tower.start_at(torch.from_numpy(starting_logits(kind, labels)).float())
    batches = Plan(
        np.arange(len(pieces)),
        np.array([len(one) for one in pieces]),
        settings.batch_tokens,
        settings.batch_rnas,
        seed,
    )
    optimizer = make_optimizer(tower.parameters(), settings)
    rate = rates(settings, len(batches))
    step = 0
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
