"""Lightning's training of one model in several processes, as this package runs it."""

from __future__ import annotations

import logging
import warnings

import torch
from lightning.pytorch.strategies import DDPStrategy

LOGGERS = ("lightning.pytorch", "lightning.fabric", "lightning")


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
