"""Training one attention model on the training rows of a fold, stopped on an inner part of them."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor, nn

from fusion.config import AttentionConfig, TrainConfig
from fusion.models.attention import TokenFusion
from fusion.tokens.table import TokenTable
from mirnagraph.seeds import child_seed, torch_generator, torch_scope


@dataclass(frozen=True, eq=False)
class TrainedAttention:
    """Trained members and what happened on the way.

    Attributes:
        members: models in evaluation mode.
        history: per member, one ``(epoch, training loss, inner loss)`` per epoch.
    """

    members: Sequence[TokenFusion]
    history: Sequence[Sequence[tuple[int, float, float]]] = field(default_factory=list)

    def probabilities(
        self,
        tokens: TokenTable,
        rows: np.ndarray,
        prior: np.ndarray | None = None,
        members: Sequence[int] | None = None,
    ) -> np.ndarray:
        """What each member, or each of those named, says: float64, shape (n_members, len(rows), n_labels).

        Args:
            prior: logits of the trees for all RNAs, shape (n_rnas, n_labels).
        """
        values, present = as_tensors(tokens, rows)
        before = _prior(prior, rows)
        chosen = self.members if members is None else [self.members[member] for member in members]
        with torch.no_grad():
            return np.stack(
                [torch.sigmoid(model(values, present, before).double()).numpy() for model in chosen]
            )

    def attention(self, tokens: TokenTable, rows: np.ndarray) -> np.ndarray:
        """Attention weights averaged over members and heads: shape (len(rows), n_queries, n_tokens + 1)."""
        values, present = as_tensors(tokens, rows)
        with torch.no_grad():
            return np.mean(
                [member.encode(values, present)[2].numpy() for member in self.members], axis=0
            )


def _prior(prior: np.ndarray | None, rows: np.ndarray) -> Tensor | None:
    return (
        None
        if prior is None
        else torch.from_numpy(np.ascontiguousarray(prior[rows], dtype=np.float32))
    )


def as_tensors(tokens: TokenTable, rows: np.ndarray) -> tuple[list[Tensor], Tensor]:
    """Chosen rows of every token as float32 tensors, and which tokens are present: bool, shape (n, T)."""
    values = [
        torch.from_numpy(np.ascontiguousarray(token.values[rows], dtype=np.float32))
        for token in tokens
    ]
    return values, torch.from_numpy(np.stack([token.present[rows] for token in tokens], axis=1))


@dataclass(frozen=True, eq=False)
class MemberSplit:
    """What one member learns from.

    Attributes:
        learn: rows to learn from.
        held: training rows that it does not learn from, possibly none; it stops on them where the settings say so.
        student: learns from mixed targets, with the settings of a student.
    """

    train_rows: np.ndarray
    validation_rows: np.ndarray
    student: bool = False


def member_settings(
    attention: AttentionConfig, training: TrainConfig, student: bool
) -> AttentionConfig:
    """Settings of a member's model.

    A student does not start from the trees' logits and must learn to pass on what their token says, which dropout on attention and
    LayerNorm after the blocks keep it from; a member that corrects the trees overfits without them.
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
        logits: shape (n, n_labels). target: in [0, 1], same shape; NaN where unknown, which gives no gradient.
    """
    known = ~torch.isnan(target)
    if bool(known.all()):
        return nn.functional.binary_cross_entropy_with_logits(logits, target)
    each = nn.functional.binary_cross_entropy_with_logits(
        logits, target.nan_to_num(0.0), reduction="none"
    )
    return (each * known).sum() / known.sum().clamp(min=1)


def fit_attention(
    tokens: TokenTable,
    labels: np.ndarray,
    splits: Sequence[MemberSplit],
    attention: AttentionConfig,
    training: TrainConfig,
    seed: int,
    prior: np.ndarray | None = None,
) -> TrainedAttention:
    """Train one model per lesson.

    Args:
        tokens: all RNAs; only the rows of the lessons are read.
        labels: shape (n_rnas, n_labels), 0/1 on the training rows, or NaN where unknown, from which nothing is learned; other rows are never read.
        seed: of this fold; member `m` draws from its own child.
        prior: logits of the trees, shape (n_rnas, n_labels), out-of-bag on training rows; for `AttentionConfig.residual` and students.
    """
    members = []
    history = []
    for number, split in enumerate(splits):
        model, losses = _fit_one(
            tokens, labels, split, attention, training, child_seed(seed, "member", number), prior
        )
        members.append(model)
        history.append(losses)
    return TrainedAttention(members, history)


def _fit_one(
    tokens: TokenTable,
    labels: np.ndarray,
    split: MemberSplit,
    attention: AttentionConfig,
    training: TrainConfig,
    seed: int,
    prior: np.ndarray | None,
) -> tuple[TokenFusion, list[tuple[int, float, float]]]:
    train_rows = split.train_rows
    stop = split.validation_rows if training.inner_fraction > 0 else split.validation_rows[:0]
    attention = member_settings(attention, training, split.student)
    values, present = as_tensors(tokens, train_rows)
    stop_values, stop_present = as_tensors(tokens, stop)
    before = _prior(prior, train_rows)
    stop_before = _prior(prior, stop)
    target = torch.from_numpy(labels[train_rows].astype(np.float32))
    if split.student and before is not None:
        target = (1 - training.distillation) * target + training.distillation * torch.sigmoid(
            before
        )
    stop_target = torch.from_numpy(labels[stop].astype(np.float32))
    with torch_scope(seed, "weights and dropout"):
        model = TokenFusion({t.name: t.values.shape[1] for t in tokens}, labels.shape[1], attention)
        model.set_scaling(values, present)
        if not attention.residual:
            model.start_from(target.nanmean(dim=0).nan_to_num(0.5))
        optimizer = torch.optim.AdamW(
            model.parameters(),
            lr=training.learning_rate,
            weight_decay=training.weight_decay,
            fused=True,
        )
        steps = training.epochs * -(-len(train_rows) // training.batch_size)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, training.learning_rate, total_steps=steps, pct_start=0.15
        )
        order = torch_generator(seed, "batches")
        loss_of = masked_loss
        best = float("inf")
        best_state = copy.deepcopy(model.state_dict())
        history = []
        waited = 0
        for epoch in range(training.epochs):
            model.train()
            total = 0.0
            for batch in torch.randperm(len(train_rows), generator=order).split(
                training.batch_size
            ):
                optimizer.zero_grad()
                loss = loss_of(
                    model(
                        [v[batch] for v in values],
                        present[batch],
                        None if before is None else before[batch],
                    ),
                    target[batch],
                )
                loss.backward()
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                schedule.step()
                total += float(loss.detach()) * len(batch)
            if len(stop) == 0:
                history.append((epoch, total / len(train_rows), float("nan")))
                continue
            model.eval()
            with torch.no_grad():
                inner = float(loss_of(model(stop_values, stop_present, stop_before), stop_target))
            history.append((epoch, total / len(train_rows), inner))
            waited += 1
            if inner < best - 1e-5:
                best = inner
                best_state = copy.deepcopy(model.state_dict())
                waited = 0
            if waited >= training.patience:
                break
        if len(stop):
            model.load_state_dict(best_state)
    return model.eval(), history
