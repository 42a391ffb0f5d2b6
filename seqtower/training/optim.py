"""Initial tower, loss, optimizer and learning-rate schedule of a training."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

import numpy as np
import torch

from mirnagraph.seeds import torch_scope
from seqtower.config import SeqConfig, SeqTrainConfig
from seqtower.nn.losses import Loss, make_loss, starting_logits
from seqtower.towers.base import Tower

LOWEST = 0.02
"""Final learning rate of the cosine schedule as a share of its highest."""

SHARE = "share_of_rate"
"""Entry of a group of weights: its share of the learning rate."""


def initial_tower(
    config: SeqConfig,
    channels: int,
    labels: np.ndarray,
    kind: str,
    seed: int,
    n_types: int = 0,
    whole: Sequence[int] = (),
) -> tuple[Tower, Loss]:
    """Make a tower with random weights, and its loss.

    The tower starts at the base rates of the labels, or at equal rates with class weights.

    Args:
        config: settings of tower and training.
        channels: values per position of an encoded RNA.
        labels: of the training RNAs, NaN where unknown, shape (n_train, n_labels).
        kind: of the labels, see `mirnagraph.evaluation.metrics.KINDS`.
        seed: of the weights.
        n_types: RNA types that the tower is conditioned on; 0 for none.
        whole: columns of each block of numbers of whole RNAs; empty for none.
    """
    settings = config.training
    loss = make_loss(
        settings.loss, kind, labels, weighted=settings.class_weights, gamma=settings.focal_gamma
    )
    with torch_scope(seed, "weights"):
        tower = config.make_tower(channels, labels.shape[1], n_types, whole)
    if not settings.class_weights:
        tower.start_at(torch.from_numpy(starting_logits(kind, labels)).float())
    return tower, loss


def rate_groups(
    module: torch.nn.Module, pretrained: Collection[str], body_rate: float
) -> list[dict[str, Any]]:
    """Group weights by their share of the learning rate, the entry `SHARE` of a group.

    Args:
        module: whose weights are trained.
        pretrained: names of the weights that come from a pre-training.
        body_rate: their share; all others have the share 1.
    """
    named = list(module.named_parameters())
    if not pretrained or body_rate == 1:
        return [{"params": [weight for _, weight in named], SHARE: 1.0}]
    body = [weight for name, weight in named if name in pretrained]
    rest = [weight for name, weight in named if name not in pretrained]
    return [{"params": rest, SHARE: 1.0}, {"params": body, SHARE: body_rate}]


def rates(config: SeqTrainConfig, steps_per_epoch: int) -> Callable[[int], float]:
    """Return the learning rate as a function of the step, from 0.

    It depends on nothing else, so that a resumed training has the same rates. ``"cosine"`` is a
    linear warm-up and half a cosine (Loshchilov and Hutter 2017, without restarts), then `LOWEST`
    of the highest rate.

    Args:
        config: schedule, highest rate, warm-up and length of the decay.
        steps_per_epoch: batches of the first epoch.
    """
    if config.schedule == "constant":
        return lambda _step: config.learning_rate
    end = max(config.decay_steps, config.decay_epochs * steps_per_epoch, config.warm_up + 1)

    def rate(step: int) -> float:
        if step < config.warm_up:
            return config.learning_rate * (step + 1) / (config.warm_up + 1)
        done = min((step - config.warm_up) / (end - config.warm_up), 1.0)
        return config.learning_rate * (LOWEST + (1 - LOWEST) * 0.5 * (1 + math.cos(math.pi * done)))

    return rate


def make_optimizer(
    parameters: Iterable[torch.nn.Parameter] | list[dict[str, Any]], config: SeqTrainConfig
) -> torch.optim.Optimizer:
    """Make the optimizer of the settings for weights, or for groups of them (see `rate_groups`)."""
    kinds = {"adam": torch.optim.Adam, "nadam": torch.optim.NAdam, "adamw": torch.optim.AdamW}
    return kinds[config.optimizer](
        parameters, lr=config.learning_rate, weight_decay=config.weight_decay
    )
