"""Training with Lightning."""

from __future__ import annotations

import contextlib
import json
import logging
import warnings
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
from lightning.pytorch.strategies import DDPStrategy
from torch.utils.data import DataLoader, Dataset

from mirnagraph.parallel import Progress, report
from mirnagraph.seeds import seed_torch, torch_scope
from seqtower.config import SeqConfig, SeqTrainConfig
from seqtower.data.batches import Batch, Plan, collate, count_devices, place, split_long
from seqtower.nn.losses import Loss, make_loss, starting_logits
from seqtower.towers.base import Tower, make_tower
from seqtower.training.checkpoints import SafeCheckpointIO
from seqtower.training.optim import make_optimizer, rates

PAST = "past.json"

LOGGERS = ("lightning.pytorch", "lightning.fabric", "lightning")


@dataclass(frozen=True, eq=False)
class TrainedTower:
    """A tower in evaluation mode and what happened on the way.

    Attributes:
        history: one ``(epoch, training loss, inner loss)`` per epoch, as far as it was trained in this process.
        best_epoch: whose weights these are.
    """

    tower: Tower
    history: tuple[tuple[int, float, float], ...]
    best_epoch: int


class _Encoded(Dataset[Batch]):
    """Encoded RNAs of which a list of rows is one item, padded as a batch."""

    def __init__(self, encoded: Sequence[np.ndarray], types: np.ndarray | None) -> None:
        self.encoded = encoded
        self.types = types

    def __getitem__(self, rows: np.ndarray) -> Batch:
        return collate(
            [self.encoded[row] for row in rows],
            rows,
            types=None if self.types is None else self.types[rows],
        )


class StepModule(lightning.LightningModule):
    """What Lightning trains: layers with a loss per batch, an optimizer, and what each epoch came to."""

    def __init__(self, config: SeqTrainConfig, seed: int, train: Plan) -> None:
        super().__init__()
        self.config = config
        self.seed = seed
        self.train_plan = train
        self.past: list[tuple[int, float, float]] = []
        self._sums = {"train": [0.0, 0], "inner": [0.0, 0]}
        self._shares: list[float] = []

    def setup(self, stage: str) -> None:
        """Before a checkpoint is read, so that the rate follows the first epoch."""
        self.rate = rates(self.config, len(self.train_plan))

    @abstractmethod
    def loss_of(self, batch: Any, part: str) -> torch.Tensor:
        """Mean loss of a batch of ``"train"`` or ``"inner"``: a scalar."""

    def on_train_epoch_start(self) -> None:
        self._sums = {"train": [0.0, 0], "inner": [0.0, 0]}
        self._shares = self.train_plan.shares()

    def on_train_batch_start(self, _batch: Batch, number: int) -> None:
        # dropout's draws depend on epoch and step alone, so that a resumed run goes on as if it had never stopped
        seed_torch(
            self.device, self.seed, "step", self.current_epoch, number, *filter(None, [place()[0]])
        )
        for group in self.trainer.optimizers[
            0
        ].param_groups:  # the rate too is a function of the step alone
            group["lr"] = self.rate(self.global_step)

    def _step(self, batch: Batch, part: str, counts: bool = True) -> torch.Tensor:
        loss = self.loss_of(batch, part)
        self._sums[part][0] += float(loss.detach()) * len(batch.rows) * counts
        self._sums[part][1] += len(batch.rows) * counts
        return loss

    def training_step(self, batch: Batch, number: int) -> torch.Tensor:
        share = self._shares[number]
        return self._step(batch, "train", share > 0) * share

    def validation_step(self, batch: Batch, _number: int) -> None:
        self._step(batch, "inner")

    def on_validation_epoch_end(self) -> None:
        if place()[1] > 1:  # the inner part is read by all, the other is shared out
            sums = torch.tensor(self._sums["train"], dtype=torch.float64, device=self.device)
            self._sums["train"] = self.trainer.strategy.reduce(sums, reduce_op="sum").tolist()
        train, inner = (total / max(n, 1) for total, n in self._sums.values())
        self.log("inner_loss", inner)
        if not self.trainer.sanity_checking:
            self.past.append((self.current_epoch, train, inner))

    def on_train_epoch_end(self) -> None:
        self.train_plan.epoch = self.current_epoch + 1

    def on_train_end(self) -> None:
        own, together = place()
        if together > 1 and own == 0:  # a process of its own leaves nothing else behind
            (
                Path(str(getattr(self.trainer.checkpoint_callback, "dirpath", "."))) / PAST
            ).write_text(json.dumps(self.past), encoding="utf-8")

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.train_plan.epoch = int(checkpoint["epoch"]) + 1

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, _number: int) -> Batch:
        return batch.to(device)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return make_optimizer(self.parameters(), self.config)


class _Module(StepModule):
    """A tower and its loss over compartments."""

    def __init__(
        self,
        tower: Tower,
        loss: Loss,
        labels: np.ndarray,
        config: SeqTrainConfig,
        seed: int,
        train: Plan,
    ) -> None:
        super().__init__(config, seed, train)
        self.tower = tower
        self.loss = loss
        self.labels = torch.from_numpy(labels).float()

    def loss_of(self, batch: Batch, part: str) -> torch.Tensor:
        return self.loss(
            self.tower(batch.inputs, batch.mask, batch.types),
            self.labels[batch.rows].to(batch.inputs.device),
        )


class _Bar(Callback):
    """Tells whoever watches how many epochs are done."""

    def __init__(self, progress: Progress | None, step: str, epochs: int) -> None:
        self.progress = progress
        self.step = step
        self.epochs = epochs

    def on_train_epoch_end(self, trainer: Any, _module: Any) -> None:
        report(self.progress, self.step, trainer.current_epoch + 1, self.epochs)

    def on_train_end(self, _trainer: Any, _module: Any) -> None:
        report(self.progress, self.step, self.epochs, self.epochs)


def train_tower(
    encoded: Sequence[np.ndarray],
    labels: np.ndarray,
    kind: str,
    fit: np.ndarray,
    stop: np.ndarray,
    config: SeqConfig,
    seed: int,
    *,
    folder: Path,
    types: np.ndarray | None = None,
    n_types: int = 0,
    start: Mapping[str, torch.Tensor] | None = None,
    progress: Progress | None = None,
    step: str = "epochs",
) -> TrainedTower:
    """Train until the loss of the inner part no longer falls; the weights are those of its lowest loss.

    Args:
        encoded: every RNA, each float32 of shape (positions, channels).
        labels: shape (n, n_labels), NaN where unknown; only rows of `fit` and `stop` are read.
        kind: of the labels (see `mirnagraph.evaluation.metrics.KINDS`).
        config: an RNA of more positions than ``training.batch_tokens`` is learned from in windows, each with the labels of the whole.
        fit: rows to learn from. stop: rows that say when to stop.
        folder: where checkpoints go after every epoch; a training that was killed goes on from the last.
        types: number of the type of each RNA, shape (n,), below `n_types`; None for a tower that is told none.
        start: weights by name that replace some of the random ones before training (see `seqtower.pretraining.checkpoint`).
    """
    settings = config.training
    pieces, owner = split_long(encoded, settings.batch_tokens)
    loss = make_loss(
        settings.loss,
        kind,
        labels[fit],
        weighted=settings.class_weights,
        gamma=settings.focal_gamma,
    )
    with torch_scope(seed, "weights"):
        tower = make_tower(
            config.tower.name,
            config.tower.settings,
            encoded[0].shape[1],
            labels.shape[1],
            n_types,
            type_width=config.type_width,
        )
    if not settings.class_weights:  # with them, every compartment is as likely as not
        tower.start_at(torch.from_numpy(starting_logits(kind, labels[fit])).float())
    tower.load_state_dict(dict(start or {}), strict=False)
    lengths = np.array([len(one) for one in pieces], dtype=np.int64)
    train_plan, stop_plan = (
        Plan(
            np.flatnonzero(np.isin(owner, part)),
            lengths,
            settings.batch_tokens,
            settings.batch_rnas,
            draws,
        )
        for part, draws in ((fit, seed), (stop, None))
    )
    hidden = np.full(
        labels.shape, np.nan
    )  # a test label that was read would make the loss no number
    known = np.concatenate([fit, stop])
    hidden[known] = labels[known]
    module = _Module(tower, loss, hidden[owner], settings, seed, train_plan)
    data = _Encoded(pieces, None if types is None else types[owner])
    best = fit_module(
        module,
        data,
        stop_plan,
        folder=folder,
        progress=progress,
        step=step,
        devices=count_devices(settings.devices),
    )
    weights = {
        name.removeprefix("tower."): value
        for name, value in best["state_dict"].items()
        if name.startswith("tower.")
    }
    tower.load_state_dict(weights)
    return TrainedTower(tower.eval().cpu(), tuple(module.past), int(best["epoch"]))


def fit_module(
    module: StepModule,
    data: Dataset[Any],
    stop_plan: Plan,
    *,
    folder: Path,
    progress: Progress | None,
    step: str,
    devices: int = 1,
) -> dict[str, Any]:
    """Train until the loss of the inner part no longer falls: the checkpoint of its lowest loss (``state_dict``, ``epoch``).

    Args:
        data: rows of a batch -> batch.
        stop_plan: batches of the inner part.
        folder: where checkpoints go after every epoch; a training that was killed goes on from the last.
        devices: processes that train together. Of more than one, `progress` hears nothing before the end, and module and data must be such
            as can be sent to other processes.
    """
    settings = module.config
    bar = _Bar(progress if devices == 1 else None, step, settings.epochs)
    keeper = ModelCheckpoint(
        folder, filename="best", monitor="inner_loss", save_last=True, enable_version_counter=False
    )
    stopper = PatientStopping(settings.patience, settings.least_steps)
    with _quietly(), torch_scope(module.seed, "training"):
        trainer = lightning.Trainer(
            max_epochs=settings.epochs, accelerator="auto", devices=devices, strategy="auto" if devices == 1 else Together(),
            precision=_precision(settings.precision), logger=False, enable_progress_bar=False, enable_model_summary=False,
            num_sanity_val_steps=0, gradient_clip_val=settings.clip or None, callbacks=[keeper, stopper, bar],
            plugins=[SafeCheckpointIO()], reload_dataloaders_every_n_epochs=1, use_distributed_sampler=False,
        )  # fmt: skip
        last = folder / "last.ckpt"
        (folder / PAST).unlink(missing_ok=True)
        learn, hold = (
            DataLoader(data, batch_size=None, sampler=part)
            for part in (module.train_plan, stop_plan)
        )  # type: ignore[arg-type]
        trainer.fit(
            module, learn, hold, ckpt_path=str(last) if last.exists() else None, weights_only=True
        )
    if devices > 1:
        module.past = (
            [tuple(epoch) for epoch in json.loads((folder / PAST).read_text(encoding="utf-8"))]
            if (folder / PAST).exists()
            else []
        )
        report(progress, step, settings.epochs, settings.epochs)
    return SafeCheckpointIO().load_checkpoint(folder / "best.ckpt")


def _precision(setting: str) -> Literal["bf16-mixed", "32-true"]:
    if setting == "auto":
        setting = (
            "mixed" if torch.cuda.is_available() and torch.cuda.is_bf16_supported() else "full"
        )
    return "bf16-mixed" if setting == "mixed" else "32-true"


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Lightning's advice on loaders and hardware is for those who call it, not for those who call us."""
    loggers = [logging.getLogger(name) for name in LOGGERS]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"lightning\..*")
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


class PatientStopping(EarlyStopping):
    """Lightning's early stopping on the loss of the inner part, which stops nothing before so many steps were taken (but for a loss that is no number)."""

    def __init__(self, patience: int, least_steps: int) -> None:
        super().__init__("inner_loss", patience=patience, check_finite=True)
        self.least_steps = least_steps

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Count as ever, and take back a stop that comes too early."""
        super().on_train_epoch_end(trainer, pl_module)
        if trainer.global_step < self.least_steps and bool(
            trainer.callback_metrics["inner_loss"].isfinite()
        ):
            trainer.should_stop = False


class Together(DDPStrategy):
    """One model in fresh processes of which each has a device, and whose gradients are averaged."""

    def __init__(self) -> None:
        super().__init__(start_method="spawn")

    def setup_environment(self) -> None:
        """What is set in this process does not reach a fresh one: silence, and one thread."""
        warnings.filterwarnings("ignore", module=r"lightning\..*")
        for name in LOGGERS:
            logging.getLogger(name).setLevel(logging.ERROR)
        torch.set_num_threads(1)
        super().setup_environment()
