"""Training of a tower with a check of its health, and a second training where it failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from mirnagraph.seeds import child_seed
from seqtower.config import SeqConfig
from seqtower.encoders.base import Encoded, encoded_rows
from seqtower.predict import predict
from seqtower.training.health import RETRY_SHARE, Health, after_retry, assess, scored_rows
from seqtower.training.lightning import TrainedTower, train_tower
from seqtower.training.optim import initial_tower


@dataclass(frozen=True, eq=False)
class CheckedTower:
    """A trained tower and its health.

    Attributes:
        trained: the tower and its training history.
        health: verdict on the training.
        validation: predictions of the validation rows, shape (n_validation, n_labels).
    """

    trained: TrainedTower
    health: Health
    validation: np.ndarray


def train_checked(  # noqa: PLR0913 (what a training needs, in one call)
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
) -> CheckedTower:
    """Train a tower; once more where it failed, with a lower learning rate and other weights.

    The learning rate of the second training is `RETRY_SHARE` of the first, and its checkpoints are
    in the folder ``retry``. Where both diverge, an untrained tower that predicts base rates takes
    their place: weights that are not finite predict nothing and cannot be saved.

    Args and errors are those of `seqtower.training.lightning.train_tower`.
    """

    def train(config: SeqConfig, seed: int, folder: Path) -> CheckedTower:
        trained = train_tower(
            encoded,
            labels,
            kind,
            train_rows,
            validation_rows,
            config,
            seed,
            folder=folder,
            types=types,
            n_types=n_types,
            start=start,
            numbers=numbers,
            whole=whole,
        )
        of_train = predict_rows(trained, scored)
        of_validation = predict_rows(trained, validation_rows)
        best, most = trained.best_epoch, config.training.epochs
        health = assess(labels[scored], of_train, of_validation, kind, best, most)
        return CheckedTower(trained, health, of_validation)

    def predict_rows(trained: TrainedTower, rows: np.ndarray) -> np.ndarray:
        of_rows = encoded_rows(encoded, rows)
        row_types = None if types is None else types[rows]
        whole_rows = None if numbers is None else numbers[rows]
        return predict(trained.tower, of_rows, kind, config.training, row_types, whole_rows)

    scored = scored_rows(train_rows)
    first = train(config, seed, folder)
    if not first.health.has_failed:
        return first
    settings = config.training
    slower = replace(settings, learning_rate=settings.learning_rate * RETRY_SHARE)
    second = train(replace(config, training=slower), child_seed(seed, "retry"), folder / "retry")
    health, takes_second = after_retry(first.health, second.health)
    trained = second.trained if takes_second else first.trained
    if not health.has_diverged:
        return replace(second if takes_second else first, health=health)
    true, width = labels[train_rows], encoded[0].shape[1]
    tower, _ = initial_tower(config, width, true, kind, seed, n_types, whole)
    torch.nn.init.zeros_(tower.last_layer().weight)
    trained = replace(trained, tower=tower.eval())
    health = replace(health, reason=f"{health.reason}; base rates take its place")
    return CheckedTower(trained, health, predict_rows(trained, validation_rows))
