"""How a tower learns: its optimizer, and the learning rate of each step."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch

from seqtower.config import SeqTrainConfig

LOWEST = 0.02
"""Lowest rate of the schedule as a share of its highest: enough to go on polishing, too little to leave what was found."""


def rates(config: SeqTrainConfig, steps_per_epoch: int) -> Callable[[int], float]:
    """The learning rate as a function of the step, from 0, and of nothing else: a resumed training has the same rates.

    ``"cosine"`` is a linear warm-up and half a cosine (Loshchilov and Hutter 2017, without restarts), then `LOWEST` of the highest rate.

    Args:
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
    parameters: Iterable[torch.nn.Parameter], config: SeqTrainConfig
) -> torch.optim.Optimizer:
    """The optimizer that the settings name."""
    kinds = {"adam": torch.optim.Adam, "nadam": torch.optim.NAdam, "adamw": torch.optim.AdamW}
    return kinds[config.optimizer](
        parameters, lr=config.learning_rate, weight_decay=config.weight_decay
    )
