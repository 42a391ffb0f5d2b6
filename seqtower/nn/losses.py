"""Losses for labels that may be unknown: means over known labels."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import nn

from mirnagraph.errors import ConfigError
from mirnagraph.evaluation.metrics import CLASS, FRACTIONS, MULTI_LABEL

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""``loss(logits, labels)``: both of shape (n, n_labels), labels NaN where unknown; a mean over
known labels."""


def probabilities(logits: torch.Tensor, kind: str) -> torch.Tensor:
    """Sigmoid for 0/1 compartments, softmax for classes and fractions: shape (n, n_labels)."""
    return torch.sigmoid(logits) if kind == MULTI_LABEL else torch.softmax(logits, dim=-1)


def positive_weights(labels: np.ndarray) -> np.ndarray:
    """Ratio of negatives to positives per compartment, in [0.05, 20]: shape (n_labels,)."""
    n_positive = np.nansum(labels, axis=0)
    n_known = (~np.isnan(labels)).sum(axis=0)
    ratio = (n_known - n_positive) / np.maximum(n_positive, 1)
    return np.clip(ratio, 0.05, 20.0)


def class_weights(labels: np.ndarray) -> np.ndarray:
    """Weight per class, inverse to its share, 1 on average over the RNAs: shape (n_labels,)."""
    share = np.nanmean(labels, axis=0)
    return 1 / np.maximum(share * len(share), 1e-6)


def starting_logits(kind: str, labels: np.ndarray) -> np.ndarray:
    """Base-rate logits: log odds of 0/1 compartments, else logs of mean shares.

    With them as the bias of the last layer, training does not spend its first steps on how frequent
    compartments are (Lin et al. 2017, section 3.3).

    Args:
        kind: of the labels, see `mirnagraph.evaluation.metrics.KINDS`.
        labels: of the training RNAs, NaN where unknown: shape (n_train, n_labels).

    Returns:
        Shape (n_labels,).
    """
    n_known = (~np.isnan(labels)).sum(axis=0)
    # Half an RNA more on each side, so that no logit is infinite.
    share = (np.nansum(labels, axis=0) + 0.5) / (n_known + 1)
    odds = share / (1 - share) if kind == MULTI_LABEL else share
    return np.log(odds)


def loss_weights(kind: str, labels: np.ndarray) -> np.ndarray:
    """How much each RNA counts in a loss, the mean over known labels: float64, shape (n,).

    Args:
        kind: of the labels, see `mirnagraph.evaluation.metrics.KINDS`.
        labels: NaN where unknown, shape (n, n_labels).
    """
    is_known = ~np.isnan(labels)
    counts = is_known.sum(axis=1) if kind == MULTI_LABEL else is_known.all(axis=1)
    return counts.astype(np.float64)


def make_loss(
    name: str, kind: str, labels: np.ndarray, *, weighted: bool, gamma: float = 2.0
) -> Loss:
    """Make the loss of a run.

    Args:
        name: ``"bce"``, ``"kl"``, ``"focal"`` or ``"auto"`` (see `seqtower.config.SeqTrainConfig`).
        kind: of the labels, see `mirnagraph.evaluation.metrics.KINDS`.
        labels: of the training RNAs, which decide the weights: shape (n_train, n_labels).
        weighted: whether rare positives or classes have a higher weight.
        gamma: exponent of the focal loss.

    Raises:
        ConfigError: a loss that does not fit the kind of labels.
    """
    if name == "kl" and kind == MULTI_LABEL:
        raise ConfigError(
            "the loss 'kl' needs fractions or classes, and the labels are 0/1 per compartment; "
            "use bce or focal"
        )
    if name in ("bce", "focal") and kind == FRACTIONS:
        raise ConfigError(
            f"the loss {name!r} needs labels of 0 and 1, and these are fractions; use kl"
        )
    weights = np.ones(labels.shape[1])
    if weighted and kind == MULTI_LABEL:
        weights = positive_weights(labels)
    elif weighted and kind == CLASS:
        weights = class_weights(labels)
    loss = _binary if kind == MULTI_LABEL else _categorical
    exponent = gamma if name == "focal" else 0.0
    return partial(loss, weights=torch.from_numpy(weights).float(), gamma=exponent)


def _binary(
    logits: torch.Tensor, true: torch.Tensor, weights: torch.Tensor, gamma: float
) -> torch.Tensor:
    """Binary cross-entropy with weighted positives, focal where gamma > 0 (Lin et al. 2017)."""
    is_known = ~torch.isnan(true)
    target = torch.where(is_known, true, torch.zeros_like(true))
    losses = nn.functional.binary_cross_entropy_with_logits(
        logits, target, pos_weight=weights.to(logits.device), reduction="none"
    )
    if gamma:
        of_label = torch.where(target > 0.5, torch.sigmoid(logits), torch.sigmoid(-logits))
        losses = losses * (1 - of_label) ** gamma
    return (losses * is_known).sum() / is_known.sum().clamp_min(1)


def _categorical(
    logits: torch.Tensor, true: torch.Tensor, weights: torch.Tensor, gamma: float
) -> torch.Tensor:
    """Kullback-Leibler divergence from the observed distribution (RNATracker, section 2.6).

    For one class per RNA it is the cross-entropy.
    """
    is_known = ~torch.isnan(true).any(dim=1)
    target = torch.where(is_known.unsqueeze(1), true, torch.zeros_like(true))
    log = torch.log_softmax(logits, dim=-1)
    losses = torch.xlogy(target, target) - target * log
    if gamma:
        losses = losses * (1 - log.exp()) ** gamma
    per_rna = (losses * weights.to(logits.device)).sum(dim=1)
    return (per_rna * is_known).sum() / is_known.sum().clamp_min(1)
