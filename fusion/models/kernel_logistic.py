"""Kernel logistic regression by damped Newton's method."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.special import expit

MAX_STEPS = 50
MAX_HALVINGS = 15

TOLERANCE = 1e-7
"""Fall of the objective per row at which Newton's method ends."""

MIN_CURVATURE = 1e-6
"""Least p(1 - p), so that a step stays finite."""


def fit_kernel_logistic(
    kernel: np.ndarray, labels: np.ndarray, penalty: float
) -> tuple[np.ndarray, np.ndarray]:
    """Minimise the logistic loss of f = K a + b plus penalty / 2 a' K a, label by label.

    The intercept b is not penalised. A label with a single value gets the logit of a smoothed
    frequency, and no weights.

    Args:
        kernel: K, positive semidefinite, shape (n, n).
        labels: 0/1, NaN where unknown, shape (n, n_labels).
        penalty: above 0.

    Returns:
        a, float64, shape (n, n_labels), 0 where the label is unknown; b, shape (n_labels,).
    """
    n_labels = labels.shape[1]
    dual = np.zeros(labels.shape)
    intercept = np.zeros(n_labels)
    for column in range(n_labels):
        known = np.flatnonzero(~np.isnan(labels[:, column]))
        target = labels[known, column].astype(np.float64)
        frequency = (target.sum() + 0.5) / (len(target) + 1)
        start = float(np.log(frequency / (1 - frequency)))
        intercept[column] = start
        if len(np.unique(target)) < 2:
            continue
        kernel_of_known = kernel[np.ix_(known, known)].astype(np.float64)
        fit = _newton(kernel_of_known, target, penalty, start)
        dual[known, column] = fit.dual
        intercept[column] = fit.intercept
    return dual, intercept


@dataclass(frozen=True, eq=False)
class _Fit:
    """A point of Newton's method.

    Attributes:
        dual: a, shape (n,).
        intercept: b.
        values: f = K a + b, shape (n,).
    """

    dual: np.ndarray
    intercept: float
    values: np.ndarray

    def towards(self, other: _Fit, step: float) -> _Fit:
        """Point at a share of the way to another."""
        return _Fit(
            self.dual + step * (other.dual - self.dual),
            self.intercept + step * (other.intercept - self.intercept),
            self.values + step * (other.values - self.values),
        )

    def objective(self, target: np.ndarray, penalty: float) -> float:
        """Logistic loss plus penalty / 2 a' K a."""
        loss = np.logaddexp(0, self.values).sum() - target @ self.values
        norm = self.dual @ (self.values - self.intercept)
        return float(loss + penalty / 2 * norm)


def _newton(kernel: np.ndarray, target: np.ndarray, penalty: float, intercept: float) -> _Fit:
    """Damped Newton's method: a step is halved until the objective falls."""
    n = len(target)
    fit = _Fit(np.zeros(n), intercept, np.full(n, intercept))
    objective = fit.objective(target, penalty)
    for _ in range(MAX_STEPS):
        full_step = _reweighted_fit(kernel, target, penalty, fit)
        for halvings in range(MAX_HALVINGS):
            trial = fit.towards(full_step, 0.5**halvings)
            trial_objective = trial.objective(target, penalty)
            if trial_objective < objective:
                break
        else:
            return fit
        fall = objective - trial_objective
        fit = trial
        objective = trial_objective
        if fall < TOLERANCE * n:
            break
    return fit


def _reweighted_fit(kernel: np.ndarray, target: np.ndarray, penalty: float, fit: _Fit) -> _Fit:
    """Weighted kernel ridge regression of iteratively reweighted least squares.

    Solved in the form of Rasmussen and Williams 2006, algorithm 3.1, whose system has eigenvalues
    of at least 1 for any kernel.
    """
    probability = expit(fit.values)
    weight = np.maximum(probability * (1 - probability), MIN_CURVATURE)
    root = np.sqrt(weight)
    response = fit.values + (target - probability) / weight
    system = root[:, None] * kernel * root / penalty
    system.flat[:: len(target) + 1] += 1
    factor = cho_factor(system, lower=True, overwrite_a=True, check_finite=False)
    right_sides = root[:, None] * np.column_stack([response, np.ones_like(response)])
    solved = root[:, None] * cho_solve(factor, right_sides, check_finite=False) / penalty
    intercept = float(solved[:, 0].sum() / solved[:, 1].sum())
    dual = solved[:, 0] - intercept * solved[:, 1]
    return _Fit(dual, intercept, kernel @ dual + intercept)
