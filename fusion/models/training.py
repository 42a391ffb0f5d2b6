"""Training of attention members, with early stopping on validation rows."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor, nn

from fusion.model_config import AttentionConfig, TrainConfig
from fusion.models.attention import TokenFusion
from fusion.tokens.table import TokenTable
from mirnagraph.errors import ConfigError
from mirnagraph.seeds import child_seed, torch_generator, torch_scope

MIN_IMPROVEMENT = 1e-5
"""Fall of the validation loss that counts as an improvement."""

History = list[tuple[int, float, float]]
"""``(epoch, training loss, validation loss)`` per epoch; NaN without validation rows."""


def mean_history(histories: Sequence[History]) -> list[list[float | None]]:
    """Losses per epoch, averaged over the members that were trained in it.

    Returns:
        ``[epoch, training loss, validation loss]`` per epoch, as plain values; None where no member
        has one.

    >>> mean_history([[(0, 1.0, 2.0), (1, 0.5, 1.0)], [(0, 3.0, float("nan"))]])
    [[0, 2.0, 2.0], [1, 0.5, 1.0]]
    """
    rows: dict[int, list[tuple[float, float]]] = {}
    for history in histories:
        for epoch, train_loss, validation_loss in history:
            rows.setdefault(epoch, []).append((train_loss, validation_loss))
    table: list[list[float | None]] = []
    for epoch, losses in sorted(rows.items()):
        table.append([epoch, *map(_mean_of_known, np.array(losses).T)])
    return table


def _mean_of_known(values: np.ndarray) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None


@dataclass(frozen=True, eq=False)
class TrainedAttention:
    """Trained members of the attention part.

    Attributes:
        members: models in evaluation mode.
        history: losses per epoch, per member.
    """

    members: Sequence[TokenFusion]
    history: Sequence[History] = field(default_factory=list)

    def probabilities(
        self, tokens: TokenTable, rows: np.ndarray, prior: np.ndarray | None = None
    ) -> np.ndarray:
        """Probabilities of each member: float64, shape (n_members, len(rows), n_labels).

        Args:
            tokens: of all RNAs.
            rows: of the RNAs to predict.
            prior: logits of the trees for all RNAs, shape (n_rnas, n_labels).

        Raises:
            ConfigError: see `probabilities_of`.
        """
        inputs = member_inputs(tokens, rows, prior)
        with torch.no_grad():
            logits = torch.stack([model(*inputs) for model in self.members])
        return probabilities_of(logits, "training")

    def attention(self, tokens: TokenTable, rows: np.ndarray) -> np.ndarray:
        """Weights averaged over members and heads: shape (len(rows), n_queries, n_tokens + 1)."""
        values, present = as_tensors(tokens, rows)
        with torch.no_grad():
            per_member = [member.encode(values, present)[2].numpy() for member in self.members]
        return np.mean(per_member, axis=0)


def probabilities_of(logits: Tensor, table: str) -> np.ndarray:
    """Probabilities of logits, float64 of the same shape.

    Raises:
        ConfigError: not finite, since the training with the settings of `table` diverged.
    """
    if not logits.isfinite().all():
        hint = f"lower {table}.learning_rate or {table}.weight_decay"
        raise ConfigError(f"the training diverged: its predictions are not finite; {hint}")
    return np.asarray(torch.sigmoid(logits.double()).numpy())


MemberInputs = tuple[list[Tensor], Tensor, Tensor | None]
"""Token values, which tokens are present, and the trees' logits, of some rows."""


def member_inputs(tokens: TokenTable, rows: np.ndarray, prior: np.ndarray | None) -> MemberInputs:
    """Inputs of `TokenFusion` for some rows; `prior` has a row per RNA of the tokens."""
    values, present = as_tensors(tokens, rows)
    return values, present, None if prior is None else _float_tensor(prior[rows])


def as_tensors(tokens: TokenTable, rows: np.ndarray) -> tuple[list[Tensor], Tensor]:
    """Rows of every token as float32 tensors, and which tokens are present: bool, shape (n, T)."""
    values = [_float_tensor(token.values[rows]) for token in tokens]
    present = np.stack([token.present[rows] for token in tokens], axis=1)
    return values, torch.from_numpy(present)


def _float_tensor(values: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))


@dataclass(frozen=True, eq=False)
class MemberSplit:
    """Rows and kind of one member.

    Attributes:
        train_rows: rows to train on.
        validation_rows: further training rows, possibly none, on which training stops where the
            settings say so.
        student: trained on a mixture of labels and the trees' probabilities, with the settings of a
            student.
    """

    train_rows: np.ndarray
    validation_rows: np.ndarray
    student: bool = False


def member_settings(
    attention: AttentionConfig, training: TrainConfig, student: bool
) -> AttentionConfig:
    """Settings of a member's model.

    A student does not start from the trees' logits and has to learn to pass their token on, which
    dropout on attention and LayerNorm after the blocks prevent; a member that corrects the trees
    overfits without them.
    """
    if not student:
        return attention
    readout = "light_queries" if attention.readout == "queries" else attention.readout
    return replace(
        attention,
        n_layers=training.student_layers,
        residual=False,
        readout=readout,
        norm_first=True,
        block_dropout=0.0,
    )


def masked_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Mean binary cross-entropy over the labels that are known; 0 where none is.

    Args:
        logits: shape (n, n_labels).
        target: in [0, 1], same shape; NaN where unknown, which gives no gradient.
    """
    cross_entropy = nn.functional.binary_cross_entropy_with_logits
    is_known = ~torch.isnan(target)
    if bool(is_known.all()):
        return cross_entropy(logits, target)
    each = cross_entropy(logits, target.nan_to_num(0.0), reduction="none")
    return (each * is_known).sum() / is_known.sum().clamp(min=1)


def fit_attention(
    tokens: TokenTable,
    labels: np.ndarray,
    splits: Sequence[MemberSplit],
    attention: AttentionConfig,
    training: TrainConfig,
    seed: int,
    prior: np.ndarray | None = None,
) -> TrainedAttention:
    """Train one member per split.

    Args:
        tokens: all RNAs; only the rows of the splits are read.
        labels: shape (n_rnas, n_labels), 0/1 on the training rows, NaN where unknown; other rows
            are never read.
        splits: rows and kind of each member.
        attention: settings of the model.
        training: settings of the training.
        seed: of this fold; member `m` draws from its own child.
        prior: logits of the trees, shape (n_rnas, n_labels), out-of-bag on training rows; for
            `AttentionConfig.residual` and students.
    """
    fitted = []
    for number, split in enumerate(splits):
        member_seed = child_seed(seed, "member", number)
        fitted.append(_fit_member(tokens, labels, split, attention, training, member_seed, prior))
    return TrainedAttention([model for model, _ in fitted], [losses for _, losses in fitted])


def _fit_member(
    tokens: TokenTable,
    labels: np.ndarray,
    split: MemberSplit,
    attention: AttentionConfig,
    training: TrainConfig,
    seed: int,
    prior: np.ndarray | None,
) -> tuple[TokenFusion, History]:
    train_rows = split.train_rows
    validation_rows = split.validation_rows
    if training.inner_fraction == 0:
        validation_rows = validation_rows[:0]
    settings = member_settings(attention, training, split.student)
    train_inputs = member_inputs(tokens, train_rows, prior)
    validation_inputs = member_inputs(tokens, validation_rows, prior)
    values, present, train_prior = train_inputs
    target = torch.from_numpy(labels[train_rows].astype(np.float32))
    if split.student and train_prior is not None:
        share = training.distillation
        target = (1 - share) * target + share * torch.sigmoid(train_prior)
    validation_target = torch.from_numpy(labels[validation_rows].astype(np.float32))
    with torch_scope(seed, "weights and dropout"):
        model = TokenFusion({t.name: t.values.shape[1] for t in tokens}, labels.shape[1], settings)
        model.set_scaling(values, present)
        if not settings.residual:
            model.start_from(target.nanmean(dim=0).nan_to_num(0.5))
        optimizer, schedule = _optimizer(model, training, len(train_rows))
        order = torch_generator(seed, "batches")
        best = float("inf")
        best_state = copy.deepcopy(model.state_dict())
        history: History = []
        n_waited = 0
        for epoch in range(training.epochs):
            batches = torch.randperm(len(train_rows), generator=order).split(training.batch_size)
            train_loss = _train_epoch(model, train_inputs, target, batches, optimizer, schedule)
            if len(validation_rows) == 0:
                history.append((epoch, train_loss, float("nan")))
                continue
            model.eval()
            with torch.no_grad():
                validation_loss = float(masked_loss(model(*validation_inputs), validation_target))
            history.append((epoch, train_loss, validation_loss))
            n_waited += 1
            if validation_loss < best - MIN_IMPROVEMENT:
                best = validation_loss
                best_state = copy.deepcopy(model.state_dict())
                n_waited = 0
            if n_waited >= training.patience:
                break
        if len(validation_rows):
            model.load_state_dict(best_state)
    return model.eval(), history


def _optimizer(
    model: TokenFusion, training: TrainConfig, n_train: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    rate = training.learning_rate
    optimizer = torch.optim.AdamW(
        model.parameters(), rate, weight_decay=training.weight_decay, fused=True
    )
    n_steps = training.epochs * -(-n_train // training.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, n_steps, pct_start=0.15)
    return optimizer, schedule


def _train_epoch(
    model: TokenFusion,
    inputs: MemberInputs,
    target: Tensor,
    batches: Sequence[Tensor],
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
) -> float:
    """Train on every batch once; returns the mean loss per row."""
    values, present, prior = inputs
    model.train()
    total = 0.0
    for batch in batches:
        optimizer.zero_grad()
        batch_values = [token[batch] for token in values]
        batch_prior = None if prior is None else prior[batch]
        loss = masked_loss(model(batch_values, present[batch], batch_prior), target[batch])
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        total += float(loss.detach()) * len(batch)
    return total / len(target)
