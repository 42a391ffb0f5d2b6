"""Which models of a mean of logits are better left out of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mirnagraph.config import require
from mirnagraph.evaluation.calibration import apply_temperature, fit_temperature

N_ERRORS = 2.0
"""Standard errors by which the loss has to fall."""

EPSILON = 1e-12


def losses(true: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Mean log loss of each RNA over its known labels, in nats: shape (n,).

    Args:
        true: 0/1, shape (n, n_labels); NaN where unknown.
        probability: in [0, 1], same shape, clipped 1e-12 away from 0 and 1.

    Returns:
        NaN for an RNA without a known label.
    """
    clipped = np.clip(probability, EPSILON, 1 - EPSILON)
    each = -np.where(true == 1, np.log(clipped), np.log1p(-clipped))
    is_known = ~np.isnan(true)
    n_known = is_known.sum(axis=1)
    total = np.where(is_known, each, 0.0).sum(axis=1)
    return np.where(n_known > 0, total / np.maximum(n_known, 1), np.nan)


def left_out(
    true: np.ndarray,
    models: Sequence[str],
    mean: Callable[[Sequence[str]], np.ndarray],
    least_gain: float,
    *,
    least: int = 1,
) -> tuple[str, ...]:
    """Find models without which the mean is better.

    One model after the other is left out, the worst first, as long as that lowers the mean log loss
    by more than `least_gain` and by more than two standard errors of the paired difference over
    RNAs. Both means are calibrated by a temperature first, so that a model is not kept or left out
    for its scale.

    Args:
        true: 0/1 of RNAs that no model was trained on, shape (n, n_labels); NaN where unknown.
        models: names.
        mean: joined probabilities of some of them, shape (n, n_labels).
        least_gain: nats per label, above 0.
        least: number of models that remain at least; 0 where others are always in the mean.

    Returns:
        Names, in the order in which they were left out.
    """
    require(least_gain > 0, "least_gain", least_gain, "above 0")

    def loss_of(names: Sequence[str]) -> np.ndarray:
        probability = mean(names)
        return losses(true, apply_temperature(probability, fit_temperature(true, probability)))

    kept = list(models)
    removed: list[str] = []
    while len(kept) > least:
        whole = loss_of(kept)
        best = (least_gain, "")
        for name in kept:
            differences = whole - loss_of([other for other in kept if other != name])
            differences = differences[~np.isnan(differences)]
            if len(differences) < 2:
                continue
            gain = float(differences.mean())
            error = float(differences.std(ddof=1)) / np.sqrt(len(differences))
            if gain > max(best[0], N_ERRORS * error):
                best = (gain, name)
        if not best[1]:
            break
        kept.remove(best[1])
        removed.append(best[1])
    return tuple(removed)
