"""Training of the fusion of two towers, and its predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from fusion.model_config import FusionConfig
from fusion.models.towers import Inputs, TwoTowerFusion
from fusion.models.training import History, masked_loss
from fusion.tokens.table import TokenTable
from mirnagraph.seeds import torch_generator, torch_scope

MAX_BATCH = 256
"""Most RNAs of a step."""

WARM_UP = 0.2
"""Share of the steps in which the learning rate rises; two steps at least."""


@dataclass(frozen=True, eq=False)
class TrainedFusion:
    """A trained `TwoTowerFusion` in evaluation mode.

    Attributes:
        model: all members.
        history: ``(epoch, training loss, NaN)`` per epoch, once for all members.
    """

    model: TwoTowerFusion
    history: Sequence[History] = field(default_factory=list)

    def probabilities(
        self, tokens: TokenTable, rows: np.ndarray, _prior: np.ndarray | None = None
    ) -> np.ndarray:
        """Probabilities of each member: float64, shape (n_members, len(rows), n_labels)."""
        with torch.no_grad():
            logits, _ = self.model(model_inputs(self.model, tokens, rows))
        return np.asarray(torch.sigmoid(logits.double()).numpy())

    def attention(self, tokens: TokenTable, rows: np.ndarray) -> np.ndarray:
        """Attention averaged over members and heads: shape (len(rows), n_queries, n_sources)."""
        with torch.no_grad():
            _, weights = self.model(model_inputs(self.model, tokens, rows))
        return np.asarray(weights.mean(dim=(0, 2)).numpy())


def model_inputs(model: TwoTowerFusion, tokens: TokenTable, rows: np.ndarray) -> Inputs:
    """Inputs of some rows of a token table."""
    values = {}
    present = {}
    for name in model.names:
        token = tokens[name]
        values[name] = torch.from_numpy(np.ascontiguousarray(token.values[rows]))
        present[name] = torch.from_numpy(token.present[rows])
    with torch.no_grad():
        return model.inputs(values, present)


def fit_fusion(
    tokens: TokenTable,
    labels: np.ndarray,
    train: np.ndarray,
    groups: np.ndarray,
    config: FusionConfig,
    seed: int,
) -> TrainedFusion:
    """Train all members together.

    Args:
        tokens: of all RNAs, those that the model reads.
        labels: shape (n_rnas, n_labels), 0/1 on training rows, NaN where unknown; other rows are
            never read.
        train: training rows.
        groups: family of every RNA, shape (n_rnas,).
        config: settings.
        seed: of this fold.
    """
    visible = np.full(labels.shape, np.nan)
    visible[train] = labels[train]
    smoothed = visible[train] * (1 - config.label_smoothing) + config.label_smoothing / 2
    target = torch.from_numpy(smoothed.astype(np.float32))
    rows = torch.from_numpy(train)
    family = torch.from_numpy(groups)
    with torch_scope(seed, "weights and dropout"):
        widths = {token.name: token.width for token in tokens}
        model = TwoTowerFusion(widths, labels.shape[1], config, len(labels))
        model.fit_inputs(tokens, train, visible)
        inputs = model_inputs(model, tokens, train)
        averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(config.averaging))
        n_batches = max(min(config.n_batches, len(train)), -(-len(train) // MAX_BATCH))
        n_steps = config.epochs * n_batches
        optimizer = torch.optim.AdamW(
            model.parameters(), config.learning_rate, weight_decay=config.weight_decay, fused=True
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, config.learning_rate, n_steps, pct_start=max(WARM_UP, 2 / max(n_steps, 3))
        )
        order = torch_generator(seed, "batches")
        history: History = []
        model.train()
        for epoch in range(config.epochs):
            total = 0.0
            for batch in torch.randperm(len(train), generator=order).tensor_split(n_batches):
                batch_inputs = _hide_families(
                    inputs.rows(batch), rows[batch], family, config.family_dropout
                )
                logits, _ = model(batch_inputs, rows[batch])
                # each member has its own loss; their sum does not mix their gradients
                loss = masked_loss(logits, target[batch].expand_as(logits)) * config.n_members
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(model.parameters(), 5.0)
                optimizer.step()
                schedule.step()
                averaged.update_parameters(model)
                total += float(loss.detach()) / config.n_members * len(batch)
            history.append((epoch, total / len(train), float("nan")))
    trained: TwoTowerFusion = averaged.module.eval()
    return TrainedFusion(trained, [history])


def _hide_families(inputs: Inputs, rows: Tensor, family: Tensor, rate: float) -> Inputs:
    """Hide similar RNAs of the same family from a share of the RNAs.

    A model that always sees relatives learns little about RNAs without any.

    Args:
        inputs: of the RNAs.
        rows: their row numbers.
        family: of every reference RNA.
        rate: share of the RNAs, in [0, 1].
    """
    if rate == 0:
        return inputs
    is_without = (torch.rand(len(rows)) < rate).unsqueeze(1)
    own = family[rows].unsqueeze(1)
    is_hidden = {
        name: is_without & (family[near] == own) for name, (near, _) in inputs.rnas.nearest.items()
    }
    return inputs.without_nearest(is_hidden)
