"""Training of towers with Lightning: loss per batch, early stopping, checkpoints, devices."""

from __future__ import annotations

import contextlib
import json
import logging
import warnings
from abc import abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
from lightning.pytorch.strategies import DDPStrategy
from torch.utils.data import DataLoader

from mirnagraph.parallel import Progress, report
from mirnagraph.reading.documents import read_json
from mirnagraph.seeds import seed_torch, torch_scope
from mirnagraph.writing.files import remove_file, write_text
from seqtower.config import SeqConfig, SeqTrainConfig
from seqtower.data.batches import Batch, Plan, count_devices, place
from seqtower.nn.losses import Loss
from seqtower.towers.base import Tower
from seqtower.training.checkpoints import SafeCheckpointIO
from seqtower.training.optim import SHARE, initial_tower, make_optimizer, rate_groups, rates
from seqtower.training.pieces import EncodedPieces, PieceData

TRAIN = "train"
VALIDATION = "inner"
MONITOR = "inner_loss"
"""Validation loss; names of subsets and loss are part of seeds and of checkpoints."""

HISTORY = "past"
STOPPED = "has_stopped"
"""Entries of a checkpoint."""

PAST = "past.json"
"""History written by the first of several processes of a training."""

EPOCHS = "epochs"

LOGGERS = ("lightning.pytorch", "lightning.fabric", "lightning")


@dataclass(frozen=True, eq=False)
class TrainedTower:
    """A trained tower.

    Attributes:
        tower: with the weights of the lowest validation loss, in evaluation mode.
        history: ``(epoch, training loss, validation loss)`` of all epochs.
        best_epoch: epoch of the weights.
    """

    tower: Tower
    history: tuple[tuple[int, float, float], ...]
    best_epoch: int


class StepModule(lightning.LightningModule):
    """A module with a loss per batch, an optimizer and the mean losses of each epoch.

    Attributes:
        past: ``(epoch, training loss, validation loss)`` of all epochs, those before an
            interruption too.
    """

    def __init__(self, config: SeqTrainConfig, seed: int, train: Plan) -> None:
        super().__init__()
        self.config = config
        self.seed = seed
        self.train_plan = train
        self.past: list[tuple[int, float, float]] = []
        self._reset_sums()
        self._shares: list[float] = []

    def _reset_sums(self) -> None:
        """Set sum of losses and number of RNAs of both subsets to 0."""
        self._sums = {TRAIN: [0.0, 0], VALIDATION: [0.0, 0]}

    def setup(self, stage: str) -> None:
        """Fix the learning rates, which follow the first epoch, before a checkpoint is read."""
        self.rate = rates(self.config, len(self.train_plan))

    @abstractmethod
    def loss_of(self, batch: Any, subset: str) -> torch.Tensor:
        """Return the mean loss of a batch of `TRAIN` or `VALIDATION`: a scalar."""

    def on_train_epoch_start(self) -> None:
        """Begin new sums and read the weights of this process's batches."""
        self._reset_sums()
        self._shares = self.train_plan.shares()

    def on_train_batch_start(self, _batch: Batch, number: int) -> None:
        """Seed dropout and set the learning rate.

        Both depend on epoch and step alone, so that a resumed training is equal to an uninterrupted
        one.
        """
        process = [place()[0]] if place()[0] else []
        seed_torch(self.device, self.seed, "step", self.current_epoch, number, *process)
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = self.rate(self.global_step) * group.get(SHARE, 1.0)

    def _step(self, batch: Batch, subset: str, counts: bool = True) -> torch.Tensor:
        loss = self.loss_of(batch, subset)
        if counts:
            self._sums[subset][0] += float(loss.detach()) * len(batch.rows)
            self._sums[subset][1] += len(batch.rows)
        return loss

    def training_step(self, batch: Batch, number: int) -> torch.Tensor:
        """Return the loss, weighted by the batch's share of the step."""
        share = self._shares[number]
        return self._step(batch, TRAIN, share > 0) * share

    def validation_step(self, batch: Batch, _number: int) -> None:
        """Add the loss to the sums."""
        self._step(batch, VALIDATION)

    def on_validation_epoch_end(self) -> None:
        """Log the mean losses of the epoch."""
        if place()[1] > 1:  # training batches are divided among processes, validation ones are not
            sums = torch.tensor(self._sums[TRAIN], dtype=torch.float64, device=self.device)
            self._sums[TRAIN] = self.trainer.strategy.reduce(sums, reduce_op="sum").tolist()
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

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, _number: int) -> Batch:
        """Move a batch to the device of the training."""
        return batch.to(device)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Make the optimizer of the settings."""
        return make_optimizer(self.parameters(), self.config)


class _TowerModule(StepModule):
    """A tower and its loss over compartments."""

    def __init__(
        self,
        tower: Tower,
        loss: Loss,
        labels: np.ndarray,
        config: SeqTrainConfig,
        seed: int,
        train: Plan,
        pretrained: Collection[str] = (),
    ) -> None:
        super().__init__(config, seed, train)
        self.tower = tower
        self.loss = loss
        self.pretrained = frozenset(pretrained)
        self.labels = torch.from_numpy(labels).float()

    def loss_of(self, batch: Batch, subset: str) -> torch.Tensor:
        true = self.labels[batch.rows].to(batch.inputs.device)
        members = self.tower.member_logits(batch.inputs, batch.mask, batch.types, batch.numbers)
        return torch.stack([self.loss(logits, true) for logits in members]).mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Make the optimizer, with a rate of its own for pre-trained weights."""
        groups = rate_groups(self.tower, self.pretrained, self.config.body_rate)
        return make_optimizer(groups, self.config)


class _EpochProgress(Callback):
    """Reports the number of finished epochs."""

    def __init__(self, progress: Progress | None, epochs: int) -> None:
        self.progress = progress
        self.epochs = epochs

    def on_train_epoch_end(self, trainer: Any, _module: Any) -> None:
        report(self.progress, EPOCHS, trainer.current_epoch + 1, self.epochs)

    def on_train_end(self, _trainer: Any, _module: Any) -> None:
        report(self.progress, EPOCHS, self.epochs, self.epochs)


def train_tower(  # noqa: PLR0913 (what a training needs, in one call)
    encoded: Sequence[np.ndarray],
    labels: np.ndarray,
    kind: str,
    train_rows: np.ndarray,
    validation_rows: np.ndarray,
    config: SeqConfig,
    seed: int,
    *,
    folder: Path,
    types: np.ndarray | None = None,
    n_types: int = 0,
    start: Mapping[str, torch.Tensor] | None = None,
    numbers: np.ndarray | None = None,
    whole: Sequence[int] = (),
) -> TrainedTower:
    """Train until the validation loss no longer falls; the weights are those of its minimum.

    Args:
        encoded: every RNA, each float32 of shape (positions, channels).
        labels: shape (n, n_labels), NaN where unknown; only the rows below are read.
        kind: of the labels, see `mirnagraph.evaluation.metrics.KINDS`.
        train_rows: rows to train on.
        validation_rows: rows for early stopping.
        config: settings. An RNA of more positions than ``training.batch_tokens`` is trained on in
            windows, each with the labels of the RNA.
        seed: of weights, batches and dropout.
        folder: checkpoints after every epoch; a killed training resumes from the last.
        types: position of each RNA's type in the vocabulary, shape (n,), below `n_types`; None for
            a tower that is not conditioned on the type.
        n_types: RNA types in the vocabulary.
        start: weights by name that replace random ones, see `seqtower.pretraining.checkpoint`.
        numbers: of whole RNAs, float32, shape (n, sum of `whole`); None for a tower without.
        whole: columns of each block of `numbers`.
    """
    settings = config.training
    tower, loss = initial_tower(
        config, encoded[0].shape[1], labels[train_rows], kind, seed, n_types, whole
    )
    tower.load_state_dict(dict(start or {}), strict=False)
    data = EncodedPieces(encoded, settings.batch_tokens, types, numbers)
    readable = np.concatenate([train_rows, validation_rows])
    masked_labels = np.full(labels.shape, np.nan)  # a test label that is read makes the loss NaN
    masked_labels[readable] = labels[readable]
    train_plan = data.plan(train_rows, settings, seed)
    of_pieces = masked_labels[data.owner]
    module = _TowerModule(tower, loss, of_pieces, settings, seed, train_plan, start or ())
    best = fit_module(
        module,
        data,
        data.plan(validation_rows, settings),
        folder=folder,
        devices=count_devices(settings.devices),
    )
    module.load_state_dict(best["state_dict"])
    return TrainedTower(tower.eval().cpu(), tuple(module.past), int(best["epoch"]))


def fit_module(
    module: StepModule,
    data: PieceData,
    validation_plan: Plan,
    *,
    folder: Path,
    progress: Progress | None = None,
    devices: int = 1,
) -> dict[str, Any]:
    """Train a module until its validation loss no longer falls.

    Args:
        module: trained in place, up to the last epoch.
        data: pieces of RNAs.
        validation_plan: batches for early stopping.
        folder: checkpoints after every epoch; a killed training resumes from the last.
        progress: called after each epoch, with one process.
        devices: processes that train together; module and data are then sent to other processes.

    Returns:
        The checkpoint of the lowest validation loss: ``state_dict``, ``epoch`` and others.
    """
    settings = module.config
    epoch_progress = _EpochProgress(progress, settings.epochs)
    checkpoints = ModelCheckpoint(
        folder,
        filename="best",
        monitor=MONITOR,
        save_last=True,
        save_on_train_epoch_end=True,  # after the decision to stop, which is kept too
        enable_version_counter=False,
    )
    stopping = PatientStopping(settings.patience, settings.least_steps)
    last = folder / "last.ckpt"
    remove_file(folder / PAST)
    with _quietly(), torch_scope(module.seed, "training"):
        trainer = lightning.Trainer(
            max_epochs=settings.epochs,
            accelerator="auto",
            devices=devices,
            strategy="auto" if devices == 1 else Together(),
            precision=_precision(settings.precision),
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            gradient_clip_val=settings.clip or None,
            callbacks=[checkpoints, stopping, epoch_progress],
            plugins=[SafeCheckpointIO(folder)],
            reload_dataloaders_every_n_epochs=1,
            use_distributed_sampler=False,
        )
        trainer.fit(
            module,
            _loader(data, module.train_plan),
            _loader(data, validation_plan),
            ckpt_path=str(last) if last.exists() else None,
            weights_only=True,
        )
    if devices > 1:
        past = folder / PAST
        epochs = read_json(past) if past.exists() else []
        module.past = [tuple(epoch) for epoch in epochs]
    return SafeCheckpointIO().load_checkpoint(folder / "best.ckpt")


def _loader(data: PieceData, plan: Plan) -> DataLoader[Any]:
    return DataLoader(data, batch_size=None, sampler=plan)  # type: ignore[arg-type]


def _precision(setting: str) -> Literal["bf16-mixed", "32-true"]:
    if setting == "auto":
        has_bf16 = torch.cuda.is_available() and torch.cuda.is_bf16_supported()
        setting = "mixed" if has_bf16 else "full"
    return "bf16-mixed" if setting == "mixed" else "32-true"


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Silence Lightning's advice on loaders and hardware, which our callers cannot follow."""
    loggers = [logging.getLogger(name) for name in LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"lightning\..*")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


class PatientStopping(EarlyStopping):
    """Early stopping on the validation loss, but not before a number of steps.

    A loss that is not finite stops the training at any step. A training that was interrupted after
    its last epoch stays stopped.
    """

    def __init__(self, patience: int, least_steps: int) -> None:
        super().__init__(
            MONITOR, patience=patience, check_finite=True, check_on_train_epoch_end=True
        )
        self.least_steps = least_steps
        self.has_stopped = False

    def state_dict(self) -> dict[str, Any]:
        """State of Lightning's class, and whether the training has stopped."""
        return {**super().state_dict(), STOPPED: self.has_stopped}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Read `state_dict`; checkpoints of earlier versions do not say whether it has stopped."""
        self.has_stopped = bool(state_dict.get(STOPPED, False))
        super().load_state_dict(state_dict)

    def on_train_start(self, trainer: Any, _module: Any) -> None:
        """Train no further epoch after a stop."""
        if self.has_stopped:
            trainer.should_stop = True

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Decide as Lightning does, and revoke a stop that comes too early."""
        super().on_train_epoch_end(trainer, pl_module)
        is_finite = bool(trainer.callback_metrics[MONITOR].isfinite())
        if trainer.global_step < self.least_steps and is_finite:
            trainer.should_stop = False
        self.has_stopped = bool(trainer.should_stop)


class Together(DDPStrategy):
    """Data-parallel training in fresh processes, one per device, with averaged gradients."""

    def __init__(self) -> None:
        super().__init__(start_method="spawn")

    def setup_environment(self) -> None:
        """Silence Lightning and limit threads in the fresh process, which inherits neither."""
        warnings.filterwarnings("ignore", module=r"lightning\..*")
        for name in LOGGERS:
            logging.getLogger(name).setLevel(logging.ERROR)
        torch.set_num_threads(1)
        super().setup_environment()
