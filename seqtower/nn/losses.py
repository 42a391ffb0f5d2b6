"""Losses over compartments that may be unknown for an RNA: each averages over what is known, and nothing else counts."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import nn

from mirnagraph.errors import ConfigError
from mirnagraph.evaluation.metrics import CLASS, FRACTIONS, MULTI_LABEL

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""``loss(logits, labels)``: both of shape (n, n_labels), labels NaN where unknown; a mean over what is known."""


def probabilities(logits: torch.Tensor, kind: str) -> torch.Tensor:
    """Sigmoid for 0/1 compartments, softmax for classes and fractions: shape (n, n_labels)."""
    return torch.sigmoid(logits) if kind == MULTI_LABEL else torch.softmax(logits, dim=-1)


def positive_weights(labels: np.ndarray) -> np.ndarray:
    """Per compartment, training RNAs without it to one with it, at most 20: shape (n_labels,)."""
    with_it = np.nansum(labels, axis=0)
    known = (~np.isnan(labels)).sum(axis=0)
    return np.asarray(np.clip((known - with_it) / np.maximum(with_it, 1), 0.05, 20.0))


def class_weights(labels: np.ndarray) -> np.ndarray:
    """Weight per class, inverse to its share and 1 on average over the training RNAs: shape (n_labels,)."""
    share = np.nanmean(labels, axis=0)
    return np.asarray(1 / np.maximum(share * len(share), 1e-6))


def starting_logits(kind: str, labels: np.ndarray) -> np.ndarray:
    """What a tower says best of an RNA it knows nothing of: log odds of 0/1 compartments, else logs of mean shares; shape (n_labels,).

    Started there, the last layer need not spend its first steps on how frequent compartments are (Lin et al. 2017, section 3.3).

    Args:
        labels: of the training RNAs, NaN where unknown: shape (n_train, n_labels).
    """
    known = (~np.isnan(labels)).sum(axis=0)
    share = (np.nansum(labels, axis=0) + 0.5) / (
        known + 1
    )  # half an RNA more on each side, so that no logit is infinite
    return np.asarray(np.log(share / (1 - share)) if kind == MULTI_LABEL else np.log(share))


def make_loss(
    name: str, kind: str, labels: np.ndarray, *, weighted: bool, gamma: float = 2.0
) -> Loss:
    """The loss of a run.

    Args:
        name: see `seqtower.config.SeqTrainConfig`.
        kind: of the labels, see `mirnagraph.evaluation.metrics.KINDS`.
        labels: of the training RNAs, from which weights are taken: shape (n_train, n_labels).

    Raises:
        ConfigError: a loss that does not fit the kind of labels.
    """
    if name == "kl" and kind == MULTI_LABEL:
        raise ConfigError(
            "the loss 'kl' needs fractions or classes, and the labels are 0/1 per compartment; use bce or focal"
        )
    if name == "bce" and kind == FRACTIONS:
        raise ConfigError("the loss 'bce' needs labels of 0 and 1, and these are fractions; use kl")
    if name == "focal" and kind == FRACTIONS:
        raise ConfigError(
            "the loss 'focal' needs labels of 0 and 1, and these are fractions; use kl"
        )
    if kind == MULTI_LABEL:
        weights = torch.from_numpy(
            positive_weights(labels) if weighted else np.ones(labels.shape[1])
        ).float()
        return partial(_binary, weights=weights, gamma=gamma if name == "focal" else 0.0)
    weights = torch.from_numpy(
        class_weights(labels) if weighted and kind == CLASS else np.ones(labels.shape[1])
    ).float()
    return partial(_categorical, weights=weights, gamma=gamma if name == "focal" else 0.0)


def _binary(
    logits: torch.Tensor, true: torch.Tensor, weights: torch.Tensor, gamma: float
) -> torch.Tensor:
    """Binary cross-entropy with weighted positives, (1 - p_t) ** gamma times it where focal (Lin et al. 2017)."""
    known = ~torch.isnan(true)
    target = torch.where(known, true, torch.zeros_like(true))
    each = nn.functional.binary_cross_entropy_with_logits(
        logits, target, pos_weight=weights.to(logits.device), reduction="none"
    )
    if gamma:
        right = torch.where(target > 0.5, torch.sigmoid(logits), torch.sigmoid(-logits))
        each = each * (1 - right) ** gamma
    return (each * known).sum() / known.sum().clamp_min(1)


def _categorical(
    logits: torch.Tensor, true: torch.Tensor, weights: torch.Tensor, gamma: float
) -> torch.Tensor:
    """Kullback-Leibler divergence from the observed distribution (RNATracker, section 2.6); for one class per RNA the cross-entropy."""
    known = ~torch.isnan(true).any(dim=1)
    target = torch.where(known.unsqueeze(1), true, torch.zeros_like(true))
    log = torch.log_softmax(logits, dim=-1)
    each = torch.xlogy(target, target) - target * log
    if gamma:
        each = each * (1 - log.exp()) ** gamma
    per_rna = (each * weights.to(logits.device)).sum(dim=1)
    return (per_rna * known).sum() / known.sum().clamp_min(1)
