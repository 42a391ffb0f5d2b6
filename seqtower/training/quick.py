"""Short training of a small tower without Lightning, checkpoints or early stopping.

On a few hundred short RNAs, starting Lightning takes longer than the training.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from mirnagraph.seeds import torch_scope
from seqtower.config import SeqConfig
from seqtower.towers.base import Tower
from seqtower.training.optim import initial_tower, make_optimizer, rates
from seqtower.training.pieces import EncodedPieces


def train_quick(
    encoded: Sequence[np.ndarray], labels: np.ndarray, kind: str, config: SeqConfig, seed: int
) -> Tower:
    """Train on the CPU for all epochs of the settings, without a validation split.

    Args:
        encoded: training RNAs, each float32 of shape (positions, channels), at least one position.
        labels: of the same RNAs, NaN where unknown, shape (n, n_labels).
        kind: of the labels, see `mirnagraph.evaluation.metrics.KINDS`.
        config: settings of tower and training.
        seed: of weights, batches and dropout.

    Returns:
        The tower after the last epoch, in evaluation mode.
    """
    settings = config.training
    tower, loss_of = initial_tower(config, encoded[0].shape[1], labels, kind, seed)
    data = EncodedPieces(encoded, settings.batch_tokens)
    targets = torch.from_numpy(labels[data.owner]).float()
    batches = data.plan(data.owner, settings, seed)
    optimizer = make_optimizer(tower.parameters(), settings)
    rate = rates(settings, len(batches))
    step = 0
    tower.train()
    with torch_scope(seed, "dropout"):
        for epoch in range(settings.epochs):
            batches.epoch = epoch
            for rows in batches:
                batch = data[rows]
                for group in optimizer.param_groups:
                    group["lr"] = rate(step)
                optimizer.zero_grad()
                loss = loss_of(tower(batch.inputs, batch.mask), targets[torch.from_numpy(rows)])
                loss.backward()
                if settings.clip:
                    torch.nn.utils.clip_grad_norm_(tower.parameters(), settings.clip)
                optimizer.step()
                step += 1
    return tower.eval()
