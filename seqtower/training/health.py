"""Health of a trained tower: whether its predictions vary and tell the training labels apart."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from mirnagraph.evaluation.metrics import FRACTIONS
from mirnagraph.evaluation.scores import NAN, auc

HEALTHY = "healthy"
FAILED = "failed"

LEAST_SD = 0.005
"""Least SD over the validation RNAs, in one compartment or more, of a tower that is not dead."""

LEAST_AUC = 0.55
"""Least mean AUC on the training RNAs; chance is 0.5."""

LEAST_PEARSON = 0.05
"""Least mean Pearson correlation on the training RNAs of fractions; chance is 0."""

MOST_SCORED = 2000
"""Most training RNAs that the score is computed on, since a prediction of all takes long."""

RETRY_SHARE = 0.2
"""Learning rate of the second training, as a share of that of the first."""

DIVERGED = "its predictions are not finite, training diverged"

HEALTH = "health"
"""Entry of ``model.json`` and of a fold's choices."""

ANSWERED_BY = "answered_by"
"""Entry of ``model.json``: parts with a weight in the prediction."""

BY_TOWER = "tower"
BY_TREES = "trees"
BY_BOTH = "tower and trees"

ONLY_TREES = "Only the trees on descriptors predict: the tower of this model has no weight."


@dataclass(frozen=True)
class Health:
    """Verdict on a training.

    Attributes:
        status: `HEALTHY` or `FAILED`.
        reason: why it failed, the numbers among it. After a second training: why the last of the
            failed trainings failed. Empty for a tower that was healthy at once.
        sd: SD of the predictions over the validation RNAs, the largest of the compartments; NaN
            for fewer than two RNAs or a diverged training.
        score: mean over compartments on the training RNAs, of the AUC, or of the Pearson
            correlation for fractions; NaN for a diverged training.
        best_epoch: epoch of the weights, from 0.
        retried: the tower was trained a second time.
    """

    status: str
    reason: str
    sd: float
    score: float
    best_epoch: int
    retried: bool = False

    @property
    def has_failed(self) -> bool:
        """Whether the tower is unusable."""
        return self.status == FAILED

    @property
    def has_diverged(self) -> bool:
        """Whether the tower's predictions are not finite."""
        return self.has_failed and self.reason == DIVERGED

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, None for NaN, which JSON lacks."""
        values = asdict(self)
        for name in ("sd", "score"):
            if math.isnan(values[name]):
                values[name] = None
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Health:
        """Restore `to_dict`; entries of later versions are ignored."""
        known = {name: values[name] for name in cls.__dataclass_fields__ if name in values}
        for name in ("sd", "score"):
            if known[name] is None:
                known[name] = NAN
        return cls(**known)


def assess(
    true: np.ndarray,
    predicted: np.ndarray,
    validation: np.ndarray,
    kind: str,
    best_epoch: int,
    epochs: int,
) -> Health:
    """Judge a trained tower.

    Args:
        true: labels of the training RNAs (see `scored_rows`), NaN where unknown, shape (n_train,
            n_labels).
        predicted: predictions of the same RNAs.
        validation: predictions of the validation RNAs, shape (n_validation, n_labels).
        kind: of the labels, see `mirnagraph.evaluation.metrics.KINDS`.
        best_epoch: epoch of the lowest validation loss, from 0.
        epochs: most epochs of the settings; the first epoch is no sign of failure where it is the
            only one.
    """
    if not (np.isfinite(predicted).all() and np.isfinite(validation).all()):
        return Health(FAILED, DIVERGED, NAN, NAN, best_epoch)
    sd = largest_sd(validation)
    score = training_score(true, predicted, kind)
    name, least = ("Pearson correlation", LEAST_PEARSON)
    if kind != FRACTIONS:
        name, least = ("AUC", LEAST_AUC)
    reasons = []
    if sd < LEAST_SD:
        reasons.append(
            f"its predictions do not vary (SD {sd:.4f} over the validation RNAs, expected "
            f"{LEAST_SD:g} or more in a compartment)"
        )
    if score < least:
        reasons.append(
            f"its predictions are near chance (mean {name} {score:z.3f} on the training RNAs, "
            f"expected {least:g} or more)"
        )
    if best_epoch == 0 and epochs > 1:
        reasons.append("its validation loss never fell below that of the first epoch")
    status = FAILED if reasons else HEALTHY
    return Health(status, "; ".join(reasons), sd, score, best_epoch)


def scored_rows(train_rows: np.ndarray, most: int = MOST_SCORED) -> np.ndarray:
    """Choose the training rows to score: all, or `most` of them at even distances.

    Args:
        train_rows: row numbers, shape (n_train,).
        most: largest number of rows.
    """
    if len(train_rows) <= most:
        return train_rows
    return train_rows[np.arange(most) * len(train_rows) // most]


def largest_sd(predicted: np.ndarray) -> float:
    """Largest SD (over n) of the columns; NaN for fewer than two rows.

    Args:
        predicted: probabilities or fractions, shape (n, n_labels).
    """
    return float(predicted.std(axis=0).max()) if len(predicted) > 1 else NAN


def training_score(true: np.ndarray, predicted: np.ndarray, kind: str) -> float:
    """Mean AUC over compartments, or mean Pearson correlation for fractions.

    A compartment whose known labels are all equal does not count; one whose predictions are all
    equal counts as chance.

    Args:
        true: labels, NaN where unknown, shape (n, n_labels).
        predicted: shape (n, n_labels).
        kind: of the labels.

    Returns:
        NaN where no compartment counts.
    """
    scores = []
    for labels, values in zip(true.T, predicted.T, strict=True):
        is_known = ~np.isnan(labels)
        known = labels[is_known]
        if len(known) < 2 or np.ptp(known) == 0:
            continue
        if kind == FRACTIONS:
            scores.append(_pearson(known, values[is_known]))
        else:
            scores.append(auc(known, values[is_known]))
    return float(np.mean(scores)) if scores else NAN


def _pearson(true: np.ndarray, predicted: np.ndarray) -> float:
    """Pearson correlation; 0 where the predictions are all equal."""
    return 0.0 if np.ptp(predicted) == 0 else float(np.corrcoef(true, predicted)[0, 1])


def after_retry(first: Health, second: Health) -> tuple[Health, bool]:
    """Verdict on two trainings of one tower, the first of which failed.

    The second tower is taken where it is healthy; of two failed ones that of the higher score.

    Returns:
        The verdict, and whether the second tower is taken.
    """
    if not second.has_failed:
        return replace(second, reason=first.reason, retried=True), True
    takes_second = not _rank(first) > _rank(second)
    return replace(second if takes_second else first, retried=True), takes_second


def _rank(health: Health) -> float:
    """Score for comparison; lowest for a diverged training."""
    return -math.inf if math.isnan(health.score) else health.score


def health_sentence(where: str, health: Health) -> str:
    """Sentence on a tower that failed, or that was trained twice; empty for any other.

    Args:
        where: of the tower, e.g. ``"fold 0"``.
        health: of the tower.
    """
    again = f"trained again with {RETRY_SHARE:g} of the learning rate"
    if health.has_failed:
        tried = f", also when {again}" if health.retried else ""
        return f"FAILED: the tower of {where}{tried}: {health.reason}."
    if health.retried:
        return (
            f"The first training of the tower of {where} FAILED: {health.reason}. It was {again} "
            f"and is healthy (SD {health.sd:.4f}, training score {health.score:.3f})."
        )
    return ""


def answered_by(has_trees: bool, weight: float) -> str:
    """Name the parts of a model with a weight in its predictions.

    Args:
        has_trees: the model has trees on descriptors.
        weight: of the trees, in [0, 1].
    """
    if not has_trees or weight == 0:
        return BY_TOWER
    return BY_TREES if weight == 1 else BY_BOTH


def model_warning(header: Mapping[str, Any]) -> str:
    """Sentence on a saved model whose tower failed, or in which trees alone answer.

    Args:
        header: contents of ``model.json``; models of earlier versions have no entry on health.

    Returns:
        Empty for a model with a healthy tower that has a weight in the predictions.
    """
    parts = header.get(ANSWERED_BY, "")
    health = header.get(HEALTH)
    if health is None or health["status"] != FAILED:
        return ONLY_TREES if parts == BY_TREES else ""
    consequence = "its predictions are not usable"
    if parts == BY_TREES:
        consequence = "only its trees on descriptors predict"
    elif parts == BY_BOTH:
        share = 1 - float(header.get("weight", 0))
        consequence = f"the failed tower has a weight of {share:.2g} in its predictions"
    return f"The tower of this model FAILED in training, {consequence}: {health['reason']}."
