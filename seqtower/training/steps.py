"""One step of a training: loss, learning rate and the mean losses of each epoch."""

from __future__ import annotations

import json
from abc import abstractmethod
from pathlib import Path
from typing import Any

import lightning
import torch

from mirnagraph.seeds import seed_torch
from mirnagraph.writing.files import write_text
from seqtower.config import SeqTrainConfig
from seqtower.data.batches import Batch
from seqtower.training.optim import SHARE, make_optimizer, rates
from seqtower.training.plans import OwnStep, Plan, place

TRAIN = "train"
VALIDATION = "inner"
MONITOR = "inner_loss"
"""Validation loss; names of subsets and loss are part of seeds and of checkpoints."""

HISTORY = "past"
"""Entry of a checkpoint."""

PAST = "past.json"
"""History written by the first of several processes of a training."""


class StepModule(lightning.LightningModule):
    """A module with a loss per batch, an optimizer and the mean losses of each epoch.

    Attributes:
        past: ``(epoch, training loss, validation loss)`` of all epochs, those before an
            interruption too.
        train_plan: batches to train on.
        validation_plan: batches for early stopping; set before the training.
    """

    train_plan: Plan
    validation_plan: Plan

    def __init__(self, config: SeqTrainConfig, seed: int, train: Plan) -> None:
        super().__init__()
        self.config = config
        self.seed = seed
        self.train_plan = train
        self.past: list[tuple[int, float, float]] = []
        self._reset_sums()
        self._own_steps: dict[str, list[OwnStep]] = {}

    def _reset_sums(self) -> None:
        """Set sum of losses and number of RNAs of both subsets to 0."""
        self._sums = {TRAIN: [0.0, 0.0], VALIDATION: [0.0, 0.0]}

    def setup(self, stage: str) -> None:
        """Fix the learning rates, which follow the first epoch, before a checkpoint is read."""
        self.rate = rates(self.config, len(self.train_plan))

    @abstractmethod
    def loss_of(self, batch: Any, subset: str) -> torch.Tensor:
        """Return the mean loss of a batch of `TRAIN` or `VALIDATION`: a scalar."""

    def on_train_epoch_start(self) -> None:
        """Begin new sums and read the shares of this process in each batch."""
        self._reset_sums()
        plans = {TRAIN: self.train_plan, VALIDATION: self.validation_plan}
        self._own_steps = {subset: plan.own_steps() for subset, plan in plans.items()}

    def on_train_batch_start(self, _parts: list[Batch], number: int) -> None:
        """Seed dropout and set the learning rate.

        Both depend on epoch and step alone, so that a resumed training is equal to an uninterrupted
        one.
        """
        process = [place()[0]] if place()[0] else []
        seed_torch(self.device, self.seed, "step", self.current_epoch, number, *process)
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = self.rate(self.global_step) * group.get(SHARE, 1.0)

    def _step(self, parts: list[Batch], subset: str, number: int) -> torch.Tensor:
        """Return the share of this process in the loss of a batch; add it to the sums."""
        step = self._own_steps[subset][number]
        losses = []
        for part, share in zip(parts, step.shares, strict=True):
            losses.append(self.loss_of(part, subset) * share)
        loss = torch.stack(losses).sum() if len(losses) > 1 else losses[0]
        self._sums[subset][0] += float(loss.detach()) * step.n_rnas
        self._sums[subset][1] += sum(step.shares) * step.n_rnas
        return loss

    def training_step(self, parts: list[Batch], number: int) -> torch.Tensor:
        """Return the loss; processes average their gradients, so each part counts by their number.

        The sum of the parts is the loss of one process that reads the whole batch.
        """
        return self._step(parts, TRAIN, number) * self.train_plan.n_processes

    def validation_step(self, parts: list[Batch], number: int) -> None:
        """Add the loss to the sums."""
        self._step(parts, VALIDATION, number)

    def on_validation_epoch_end(self) -> None:
        """Log the mean losses of the epoch."""
        for subset, plan in ((TRAIN, self.train_plan), (VALIDATION, self.validation_plan)):
            if plan.n_processes > 1:
                sums = torch.tensor(self._sums[subset], dtype=torch.float64, device=self.device)
                self._sums[subset] = self.trainer.strategy.reduce(sums, reduce_op="sum").tolist()
        train_loss, validation_loss = (total / max(n, 1) for total, n in self._sums.values())
        self.log(MONITOR, validation_loss)
        if not self.trainer.sanity_checking:
            self.past.append((self.current_epoch, train_loss, validation_loss))

    def on_train_epoch_end(self) -> None:
        """Plan the batches of the next epoch."""
        self.train_plan.epoch = self.current_epoch + 1

    def on_train_end(self) -> None:
        """Write the history where several processes train."""
        process, n_processes = place()
        if n_processes > 1 and process == 0:  # the calling process cannot read this module
            folder = Path(str(getattr(self.trainer.checkpoint_callback, "dirpath", ".")))
            write_text(folder / PAST, json.dumps(self.past))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the losses of the epochs so far."""
        checkpoint[HISTORY] = [list(epoch) for epoch in self.past]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Resume with the batches of the epoch after that of the checkpoint."""
        self.train_plan.epoch = int(checkpoint["epoch"]) + 1
        self.past = [tuple(epoch) for epoch in checkpoint.get(HISTORY, [])]

    def transfer_batch_to_device(
        self, parts: list[Batch], device: torch.device, _number: int
    ) -> list[Batch]:
        """Move the parts of a batch to the device of the training."""
        return [part.to(device) for part in parts]

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Make the optimizer of the settings."""
        return make_optimizer(self.parameters(), self.config)
