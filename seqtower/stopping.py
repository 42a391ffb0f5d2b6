"""When training stops: Lightning's patience, which counts for nothing before enough steps were taken."""

from __future__ import annotations

from typing import Any

from lightning.pytorch.callbacks import EarlyStopping


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
