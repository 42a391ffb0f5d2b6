"""Training of towers with Lightning: loss per batch, early stopping, checkpoints, devices."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
import warnings
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
from mirnagraph.seeds import torch_scope
from mirnagraph.writing.files import remove_file
from seqtower.config import SeqConfig, SeqTrainConfig
from seqtower.data.batches import Batch
from seqtower.encoders.base import Encoded
from seqtower.nn.losses import Loss, loss_weights
from seqtower.towers.base import Tower
from seqtower.training import processes
from seqtower.training.checkpoints import SafeCheckpointIO
from seqtower.training.optim import initial_tower, make_optimizer, rate_groups
from seqtower.training.pieces import EncodedPieces, PartData, PieceData
from seqtower.training.plans import OwnSteps, Plan, count_parts
from seqtower.training.steps import MONITOR, PAST, StepModule

STOPPED = "has_stopped"
"""Entry of a checkpoint."""

EPOCHS = "epochs"

logger = logging.getLogger(__name__)

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


class EarlierSignals(Callback):
    """Keeps what SIGTERM did before the training.

    Lightning's own handler waits for the other processes, of which one may be gone, and then ends
    with a traceback.
    """

    def on_fit_start(self, _trainer: Any, _module: Any) -> None:
        """Read the handler, before Lightning replaces it."""
        self.handler = signal.getsignal(signal.SIGTERM)

    def on_train_start(self, _trainer: Any, _module: Any) -> None:
        """Set the handler again."""
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self.handler)


def train_tower(  # noqa: PLR0913 (what a training needs, in one call)
    encoded: Encoded,
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
    validation_plan = data.plan(validation_rows, settings)
    of_pieces = masked_labels[data.owner]
    for rows in (train_plan, validation_plan):
        rows.weights = loss_weights(kind, of_pieces[rows.rows])
    module = _TowerModule(tower, loss, of_pieces, settings, seed, train_plan, start or ())
    devices = processes.count_devices(settings.devices)
    best = fit_module(module, data, validation_plan, folder=folder, devices=devices)
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
        devices: processes that divide the batches: those that torchrun started, or fresh ones, to
            which module and data are then sent.

    Returns:
        The checkpoint of the lowest validation loss: ``state_dict``, ``epoch`` and others.

    Raises:
        ConfigError: ``batch_parts`` that the processes cannot share equally.
        InputError: another process of the training ended.
    """
    module.validation_plan = validation_plan
    for rows in (module.train_plan, validation_plan):
        rows.n_processes = devices
        rows.n_parts = count_parts(module.config.batch_parts, devices)
    last = folder / "last.ckpt"
    fit = Fit(
        module,
        data,
        folder,
        last if last.exists() else None,
        devices,
        "cpu" if devices > 1 and not torch.cuda.is_available() else "auto",
        _precision(module.config.precision),
    )
    remove_file(folder / PAST)
    if devices > 1:
        waiting = module.train_plan.waiting()
        largest = module.train_plan.waits().max(initial=0)
        text = "%d processes wait for %.0f %% of an epoch, and for %.0f %% of a step at most"
        logger.info(text, devices, 100 * waiting, 100 * largest)
    if devices > 1 and processes.n_joined():
        with processes.sent(fit):
            fit.run(progress)
    else:
        with processes.explain_loss():
            fit.run(progress)
    if devices > 1:
        past = folder / PAST
        epochs = read_json(past) if past.exists() else []
        module.past = [tuple(epoch) for epoch in epochs]
    return SafeCheckpointIO().load_checkpoint(folder / "best.ckpt")


@dataclass(frozen=True, eq=False)
class Fit:
    """A training as each of its processes runs it.

    Attributes:
        module: with the plans of its batches.
        data: pieces of RNAs.
        folder: of the checkpoints, which the first process writes.
        last: checkpoint to resume from, which the first process reads; None for none.
        devices: processes.
        accelerator: of Lightning.
        precision: of Lightning.
    """

    module: StepModule
    data: PieceData
    folder: Path
    last: Path | None
    devices: int
    accelerator: str
    precision: Literal["bf16-mixed", "32-true"]

    def run(self, progress: Progress | None = None) -> None:
        """Train the module, as one of several processes where there are."""
        module = self.module
        settings = module.config
        checkpoints = ModelCheckpoint(
            self.folder,
            filename="best",
            monitor=MONITOR,
            save_last=True,
            save_on_train_epoch_end=True,  # after the decision to stop, which is kept too
            enable_version_counter=False,
        )
        stopping = PatientStopping(settings.patience, settings.least_steps)
        shown = _EpochProgress(progress, settings.epochs)
        n_joined = processes.n_joined()
        n_nodes = processes.n_machines()
        is_joined = self.devices > 1 and n_joined > 0
        strategy: Any = "auto"
        if self.devices > 1:
            strategy = DDPStrategy() if is_joined else Together()
        reader = SharedCheckpointIO if is_joined else SafeCheckpointIO
        with _quietly(), torch_scope(module.seed, "training"):
            trainer = lightning.Trainer(
                max_epochs=settings.epochs,
                accelerator=self.accelerator,
                devices=self.devices // n_nodes if is_joined else self.devices,
                num_nodes=n_nodes if is_joined else 1,
                strategy=strategy,
                precision=self.precision,
                logger=False,
                enable_progress_bar=False,
                enable_model_summary=False,
                num_sanity_val_steps=0,
                gradient_clip_val=settings.clip or None,
                callbacks=[checkpoints, stopping, shown, EarlierSignals()],
                plugins=[reader(self.folder)],
                reload_dataloaders_every_n_epochs=1,
                use_distributed_sampler=False,
            )
            trainer.fit(
                module,
                _loader(self.data, module.train_plan),
                _loader(self.data, module.validation_plan),
                ckpt_path=None if self.last is None else str(self.last),
                weights_only=True,
            )


class SharedCheckpointIO(SafeCheckpointIO):
    """Checkpoints that the first process reads for all, whose machines need not see its folder."""

    def load_checkpoint(
        self, path: Any, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read a checkpoint, or raise its error, in every process."""
        return processes.read_once(lambda: super(SharedCheckpointIO, self).load_checkpoint(path))


def _loader(data: PieceData, plan: Plan) -> DataLoader[Any]:
    return DataLoader(PartData(data), batch_size=None, sampler=OwnSteps(plan))


def _precision(setting: str) -> Literal["bf16-mixed", "32-true"]:
    if setting == "auto":
        has_bf16 = torch.cuda.is_available() and torch.cuda.is_bf16_supported()
        setting = "mixed" if has_bf16 else "full"
    return "bf16-mixed" if setting == "mixed" else "32-true"


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Silence Lightning's advice on loaders and hardware, which our callers cannot follow."""
    loggers = [logging.getLogger(name) for name in LOGGERS]
    levels = [silenced.level for silenced in loggers]
    for silenced in loggers:
        silenced.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"lightning\..*")
            yield
    finally:
        for silenced, level in zip(loggers, levels, strict=True):
            silenced.setLevel(level)


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

    def teardown(self) -> None:
        """Leave the other processes; gloo's threads abort a process that ends without it."""
        super().teardown()
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
