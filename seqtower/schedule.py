"""When and how fast a tower learns: the learning rate of each step, and the step from which patience counts."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from lightning.pytorch.callbacks import EarlyStopping

from seqtower.settings import SeqTrainConfig

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


class PatientStopping(EarlyStopping):
    """Lightning's early stopping on the loss of the inner part, which stops nothing before so many steps were taken (but for a loss that is no number)."""

    def __init__(self, patience: int, least_steps: int) -> None:
        super().__init__("inner_loss", patience=patience, check_finite=True)
        self.least_steps = least_steps

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Count as ever, and take back a stop that comes too early."""
        super().on_train_epoch_end(trainer, pl_module)
        if trainer.global_step < self.least_steps and bool(trainer.callback_metrics["inner_loss"].isfinite()):
            trainer.should_stop = False
