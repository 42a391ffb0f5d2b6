"""Training of the fusion of two towers, and its predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from fusion.model_config import FusionConfig, KernelSettings
from fusion.models.kernel_features import KernelFeatures, fit_kernel_features
from fusion.models.towers import Inputs, TwoTowerFusion
from fusion.models.training import History, masked_loss, probabilities_of
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
        features: kernel components that the model reads; None without.
        history: ``(epoch, training loss, NaN)`` per epoch, once for all members.
    """

    model: TwoTowerFusion
    features: KernelFeatures | None = None
    history: Sequence[History] = field(default_factory=list)

    def probabilities(
        self, tokens: TokenTable, rows: np.ndarray, _prior: np.ndarray | None = None
    ) -> np.ndarray:
        """Probabilities of each member: float64, shape (n_members, len(rows), n_labels).

        Raises:
            ConfigError: see `probabilities_of`.
        """
        with torch.no_grad():
            logits, _ = self.model(self.inputs(tokens, rows))
        return probabilities_of(logits, "fusion")

    def attention(self, tokens: TokenTable, rows: np.ndarray) -> np.ndarray:
        """Attention averaged over members and heads: shape (len(rows), n_queries, n_sources)."""
        with torch.no_grad():
            _, weights = self.model(self.inputs(tokens, rows))
        return np.asarray(weights.mean(dim=(0, 2)).numpy())

    def inputs(self, tokens: TokenTable, rows: np.ndarray) -> Inputs:
        """Inputs of some rows of a table with all tokens of the settings."""
        return model_inputs(self.model, self.features, tokens, rows)


def model_inputs(
    model: TwoTowerFusion, features: KernelFeatures | None, tokens: TokenTable, rows: np.ndarray
) -> Inputs:
    """Inputs of some rows of a table with all tokens that model and features read."""
    with torch.no_grad():
        return model.inputs(*token_tensors(model, features, tokens, rows))


def token_tensors(
    model: TwoTowerFusion, features: KernelFeatures | None, tokens: TokenTable, rows: np.ndarray
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Values and presence of every token that a model reads, see `TwoTowerFusion.inputs`."""
    described = {} if features is None else features.tokens(tokens, rows)
    for token in tokens.select([name for name in model.names if name not in described]):
        described[token.name] = (token.values[rows], token.present[rows])
    values = {}
    present = {}
    for name, (of_rows, has_token) in described.items():
        values[name] = torch.from_numpy(np.ascontiguousarray(of_rows))
        present[name] = torch.from_numpy(has_token)
    return values, present


def fit_fusion(
    tokens: TokenTable,
    names: Sequence[str],
    labels: np.ndarray,
    train: np.ndarray,
    groups: np.ndarray,
    config: FusionConfig,
    kernels: KernelSettings,
    seed: int,
) -> TrainedFusion:
    """Train all members together.

    Args:
        tokens: of all RNAs, with all tokens that are named.
        names: tokens that the model reads beside those of the kernels.
        labels: shape (n_rnas, n_labels), 0/1 on training rows, NaN where unknown; other rows are
            never read.
        train: training rows.
        groups: family of every RNA, shape (n_rnas,).
        config: settings.
        kernels: blocks and products whose components are read too, unless `config` says no.
        seed: of this fold.
    """
    features = None
    widths: dict[str, int] = {}
    if config.kernel_dim and kernels.blocks:
        features = fit_kernel_features(tokens, train, kernels, config.kernel_dim)
        widths |= features.widths
    read = tokens.select(names)
    widths |= read.sources
    visible = np.full(labels.shape, np.nan)
    visible[train] = labels[train]
    smoothed = visible[train] * (1 - config.label_smoothing) + config.label_smoothing / 2
    target = torch.from_numpy(smoothed.astype(np.float32))
    rows = torch.from_numpy(train)
    family = torch.from_numpy(groups)
    with torch_scope(seed, "weights and dropout"):
        model = TwoTowerFusion(widths, labels.shape[1], config, len(labels))
        model.fit_inputs(read, train, visible)
        inputs = model_inputs(model, features, tokens, train)
        averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(config.averaging))
        n_batches = max(min(config.n_batches, len(train)), -(-len(train) // MAX_BATCH))
        optimizer, schedule = _optimizer(model, config, config.epochs * n_batches)
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
    trained = cast(TwoTowerFusion, averaged.module.eval())
    return TrainedFusion(trained, features, [history])


def _optimizer(
    model: TwoTowerFusion, config: FusionConfig, n_steps: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    rate = config.learning_rate
    optimizer = torch.optim.AdamW(
        model.parameters(), rate, weight_decay=config.weight_decay, fused=True
    )
    warm_up = max(WARM_UP, 2 / max(n_steps, 3))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, n_steps, pct_start=warm_up)
    return optimizer, schedule


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
