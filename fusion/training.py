"""Training one attention model on the training rows of a fold, stopped on an inner part of them."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor, nn

from fusion.attention import AttentionConfig, TokenFusion
from fusion.tokens import TokenTable
from mirnagraph.config import require
from mirnagraph.seeds import child_seed, torch_generator, torch_scope


@dataclass(frozen=True)
class TrainConfig:
    """How `TokenFusion` is trained.

    Attributes:
        epochs: most passes over the training rows.
        batch_size: RNAs per step.
        learning_rate: highest of AdamW; rises over the first 15 % of the steps and falls to about 0 along a cosine.
        weight_decay: of AdamW (the paper's L2 regularization).
        patience: epochs without a lower inner loss before training stops.
        inner_fraction: part of the training rows held out for stopping, in [0, 0.5]. With 0 every member learns for all
            `epochs`, and nothing is stopped early.
        n_members: models whose probabilities are averaged; where the mix has inner parts, models per part.
        n_students: further models, as many per part, that learn from labels mixed with what the trees say of rows they did not
            learn from (knowledge distillation, Hinton et al. 2015, doi:10.48550/arXiv.1503.02531), and do not start from the
            trees' logits. They need trees.
        student_layers: transformer blocks of a student.
        distillation: share of the trees' probability in a student's target, in [0, 1].
    """

    epochs: int = 120
    batch_size: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    patience: int = 15
    inner_fraction: float = 0.1
    n_members: int = 1
    n_students: int = 0
    student_layers: int = 1
    distillation: float = 0.6

    def __post_init__(self) -> None:
        require(self.epochs >= 1, "epochs", self.epochs, "1 or more")
        require(self.batch_size >= 1, "batch_size", self.batch_size, "1 or more")
        require(self.learning_rate > 0, "learning_rate", self.learning_rate, "above 0")
        require(self.weight_decay >= 0, "weight_decay", self.weight_decay, "0 or more")
        require(self.patience >= 1, "patience", self.patience, "1 or more")
        require(0 <= self.inner_fraction <= 0.5, "inner_fraction", self.inner_fraction, "in [0, 0.5]")
        require(self.n_members >= 0 and self.n_students >= 0, "n_members, n_students", (self.n_members, self.n_students), "0 or more")
        require(self.n_members + self.n_students >= 1, "n_members + n_students", 0, "1 or more")
        require(self.student_layers >= 0, "student_layers", self.student_layers, "0 or more")
        require(0 <= self.distillation <= 1, "distillation", self.distillation, "in [0, 1]")


@dataclass(frozen=True, eq=False)
class TrainedAttention:
    """Trained members and what happened on the way.

    Attributes:
        members: models in evaluation mode.
        history: per member, one ``(epoch, training loss, inner loss)`` per epoch.
    """

    members: Sequence[TokenFusion]
    history: Sequence[Sequence[tuple[int, float, float]]] = field(default_factory=list)

    def probabilities(self, tokens: TokenTable, rows: np.ndarray, prior: np.ndarray | None = None, members: Sequence[int] | None = None) -> np.ndarray:
        """What each member, or each of those named, says: float64, shape (n_members, len(rows), n_labels).

        Args:
            prior: logits of the trees for all RNAs, shape (n_rnas, n_labels).
        """
        values, present = as_tensors(tokens, rows)
        before = _prior(prior, rows)
        chosen = self.members if members is None else [self.members[member] for member in members]
        with torch.no_grad():
            return np.stack([torch.sigmoid(model(values, present, before).double()).numpy() for model in chosen])

    def attention(self, tokens: TokenTable, rows: np.ndarray) -> np.ndarray:
        """Attention weights averaged over members and heads: shape (len(rows), n_queries, n_tokens + 1)."""
        values, present = as_tensors(tokens, rows)
        with torch.no_grad():
            return np.mean([member.encode(values, present)[2].numpy() for member in self.members], axis=0)


def _prior(prior: np.ndarray | None, rows: np.ndarray) -> Tensor | None:
    return None if prior is None else torch.from_numpy(np.ascontiguousarray(prior[rows], dtype=np.float32))


def as_tensors(tokens: TokenTable, rows: np.ndarray) -> tuple[list[Tensor], Tensor]:
    """Chosen rows of every token as float32 tensors, and which tokens are present: bool, shape (n, T)."""
    values = [torch.from_numpy(np.ascontiguousarray(token.values[rows], dtype=np.float32)) for token in tokens]
    return values, torch.from_numpy(np.stack([token.present[rows] for token in tokens], axis=1))


@dataclass(frozen=True, eq=False)
class Lesson:
    """What one member learns from.

    Attributes:
        learn: rows to learn from.
        held: training rows that it does not learn from, possibly none; it stops on them where the settings say so.
        student: learns from mixed targets, with the settings of a student.
    """

    learn: np.ndarray
    held: np.ndarray
    student: bool = False


def member_settings(attention: AttentionConfig, training: TrainConfig, student: bool) -> AttentionConfig:
    """Settings of a member's model.

    A student does not start from the trees' logits and must learn to pass on what their token says, which dropout on attention and
    LayerNorm after the blocks keep it from; a member that corrects the trees overfits without them.
    """
    if not student:
        return attention
    readout = "light_queries" if attention.readout == "queries" else attention.readout
    return replace(attention, n_layers=training.student_layers, residual=False, readout=readout, norm_first=True, block_dropout=0.0)


def masked_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Mean binary cross-entropy over the labels that are known; 0 where none is.

    Args:
        logits: shape (n, n_labels). target: in [0, 1], same shape; NaN where unknown, which gives no gradient.
    """
    known = ~torch.isnan(target)
    if bool(known.all()):
        return nn.functional.binary_cross_entropy_with_logits(logits, target)
    each = nn.functional.binary_cross_entropy_with_logits(logits, target.nan_to_num(0.0), reduction="none")
    return (each * known).sum() / known.sum().clamp(min=1)


def fit_attention(
    tokens: TokenTable,
    labels: np.ndarray,
    lessons: Sequence[Lesson],
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
    members, history = [], []
    for number, lesson in enumerate(lessons):
        model, losses = _fit_one(tokens, labels, lesson, attention, training, child_seed(seed, "member", number), prior)
        members.append(model)
        history.append(losses)
    return TrainedAttention(members, history)


def _fit_one(
    tokens: TokenTable,
    labels: np.ndarray,
    lesson: Lesson,
    attention: AttentionConfig,
    training: TrainConfig,
    seed: int,
    prior: np.ndarray | None,
) -> tuple[TokenFusion, list[tuple[int, float, float]]]:
    learn, stop = lesson.learn, lesson.held if training.inner_fraction > 0 else lesson.held[:0]
    attention = member_settings(attention, training, lesson.student)
    values, present = as_tensors(tokens, learn)
    stop_values, stop_present = as_tensors(tokens, stop)
    before, stop_before = _prior(prior, learn), _prior(prior, stop)
    target = torch.from_numpy(labels[learn].astype(np.float32))
    if lesson.student and before is not None:
        target = (1 - training.distillation) * target + training.distillation * torch.sigmoid(before)
    stop_target = torch.from_numpy(labels[stop].astype(np.float32))
    with torch_scope(seed, "weights and dropout"):
        model = TokenFusion({t.name: t.values.shape[1] for t in tokens}, labels.shape[1], attention)
        model.set_scaling(values, present)
        if not attention.residual:
            model.start_from(target.nanmean(dim=0).nan_to_num(0.5))
        optimizer = torch.optim.AdamW(model.parameters(), lr=training.learning_rate, weight_decay=training.weight_decay, fused=True)
        steps = training.epochs * -(-len(learn) // training.batch_size)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, training.learning_rate, total_steps=steps, pct_start=0.15)
        order, loss_of = torch_generator(seed, "batches"), masked_loss
        best, best_state, history = float("inf"), copy.deepcopy(model.state_dict()), []
        waited = 0
        for epoch in range(training.epochs):
            model.train()
            total = 0.0
            for batch in torch.randperm(len(learn), generator=order).split(training.batch_size):
                optimizer.zero_grad()
                loss = loss_of(model([v[batch] for v in values], present[batch], None if before is None else before[batch]), target[batch])
                loss.backward()
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                schedule.step()
                total += float(loss.detach()) * len(batch)
            if len(stop) == 0:
                history.append((epoch, total / len(learn), float("nan")))
                continue
            model.eval()
            with torch.no_grad():
                inner = float(loss_of(model(stop_values, stop_present, stop_before), stop_target))
            history.append((epoch, total / len(learn), inner))
            waited += 1
            if inner < best - 1e-5:
                best, best_state, waited = inner, copy.deepcopy(model.state_dict()), 0
            if waited >= training.patience:
                break
        if len(stop):
            model.load_state_dict(best_state)
    return model.eval(), history
