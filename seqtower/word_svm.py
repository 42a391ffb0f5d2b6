"""A support vector machine on gapped words, for short RNAs: its answers become probabilities by what it says of training RNAs it was not fitted on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.svm import SVC, SVR

from mirnagraph.config import require
from mirnagraph.errors import CheckpointError, ConfigError
from seqtower.encoders.gapped_words import check_words
from seqtower.sequences import FRACTIONS

PREFIX = "descriptors.svm."
PARTS = ("vectors", "coefficients", "bias", "slope", "offset", "gamma")
MOST = 20_000
"""RNAs whose likeness to each other, a number for every pair, is still held in memory: 3 GB."""
AT_A_TIME = 4_096
"""RNAs whose likeness to the training RNAs is held in memory while they are predicted."""
LEAST_OF_A_KIND = 6
"""RNAs with and without a compartment from which the machine learns it; with fewer its answer is their share."""


@dataclass(frozen=True)
class SvmConfig:
    """Settings; the defaults were chosen for miRNAs.

    Attributes:
        share: of the machine in what trees and machine say together; 0 for none.
        span, letters: of the gapped words, see `seqtower.encoders.gapped_words`.
        gamma: of the kernel, e to the - gamma * squared distance, where words are one unit long.
        length: what a unit of the logarithm of the length counts beside the words.
        c: cost of a training RNA on the wrong side.
    """

    share: float = 0.0
    span: int = 5
    letters: int = 3
    gamma: float = 3.0
    length: float = 1.0
    c: float = 3.0

    def __post_init__(self) -> None:
        require(0 <= self.share <= 1, "share", self.share, "in [0, 1]")
        check_words(self.span, self.letters)
        require(self.gamma > 0 and self.c > 0, "gamma, c", (self.gamma, self.c), "above 0")
        require(self.length >= 0, "length", self.length, "0 or more")


@dataclass(frozen=True, eq=False)
class WordSvm:
    """A fitted machine.

    Attributes:
        vectors: training RNAs that any compartment leans on, float32, shape (n_vectors, width).
        coefficients: float64, shape (n_vectors, n_labels); bias: shape (n_labels,).
        slope, offset: from the machine's answer to a logit, shape (n_labels,); for fractions to the fraction itself.
        gamma: of the kernel, shape (1,).
        fractions: whether the labels are fractions.
    """

    vectors: np.ndarray
    coefficients: np.ndarray
    bias: np.ndarray
    slope: np.ndarray
    offset: np.ndarray
    gamma: np.ndarray
    fractions: bool

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Probabilities or fractions: float64, shape (n, n_labels)."""
        parts = np.array_split(features, -(-max(len(features), 1) // AT_A_TIME))  # a number for every pair with a training RNA
        sides = np.concatenate([_kernel(part, self.vectors, float(self.gamma[0])) @ self.coefficients for part in parts]) + self.bias
        sides = self.offset + self.slope * sides
        return np.asarray(np.clip(sides, 0, 1) if self.fractions else expit(sides))

    def to_arrays(self) -> dict[str, np.ndarray]:
        """All arrays by name, for safetensors."""
        return {PREFIX + name: np.ascontiguousarray(getattr(self, name)) for name in PARTS}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], kind: str, n_labels: int, width: int) -> WordSvm:
        """Back from `to_arrays`.

        Raises:
            CheckpointError: arrays that lack or do not fit each other.
        """
        found = {name: arrays.get(PREFIX + name, np.zeros(0)) for name in PARTS}
        n = len(found["vectors"])
        shapes = {"vectors": (n, width), "coefficients": (n, n_labels), "gamma": (1,)} | dict.fromkeys(("bias", "slope", "offset"), (n_labels,))
        for name, shape in shapes.items():
            if found[name].shape != shape or not np.isfinite(found[name]).all():
                raise CheckpointError(
                    "the support vector machine does not fit the compartments or the words", column=name, found=found[name].shape, expected=shape
                )
        return cls(**found, fractions=kind == FRACTIONS)


def _kernel(one: np.ndarray, other: np.ndarray, gamma: float) -> np.ndarray:
    first, second = one.astype(np.float64), other.astype(np.float64)
    distances = (first**2).sum(axis=1)[:, None] + (second**2).sum(axis=1) - 2 * first @ second.T
    return np.asarray(np.exp(-gamma * np.maximum(distances, 0)))


def fit_word_svm(features: np.ndarray, labels: np.ndarray, kind: str, config: SvmConfig, groups: np.ndarray, seed: int) -> WordSvm:
    """Fit a machine per compartment on training rows.

    Platt's logistic curve from the machine's side to a probability is fitted on what machines of two thirds of the groups say of the last third.

    Args:
        features: words and length, shape (n, width).
        labels: shape (n, n_labels), NaN where unknown.
        kind: see `seqtower.sequences.KINDS`.
        groups: group of each row, which a third keeps whole: shape (n,).

    Raises:
        ConfigError: more than `MOST` RNAs.
    """
    n, n_labels = labels.shape
    if n > MOST:
        raise ConfigError(f"the support vector machine on gapped words learns from at most {MOST:,} RNAs, and these are {n:,}; set descriptors.svm.share = 0")
    coefficients, bias, slope, offset = np.zeros((n, n_labels)), np.zeros(n_labels), np.ones(n_labels), np.zeros(n_labels)
    whole = _kernel(features, features, config.gamma)
    for column in range(n_labels):
        known = np.flatnonzero(~np.isnan(labels[:, column]))
        target = labels[known, column]
        if kind == FRACTIONS:
            machine = SVR(kernel="precomputed", C=config.c * max(float(target.std()), 1e-3), epsilon=0.1 * float(target.std()))
            machine.fit(whole[np.ix_(known, known)], target)
        else:
            with_it = int(target.sum())
            if min(with_it, len(target) - with_it) < LEAST_OF_A_KIND:
                slope[column], offset[column] = 0, logit((with_it + 0.5) / (len(target) + 1))
                continue
            machine = _classifier(config).fit(whole[np.ix_(known, known)], target)
            slope[column], offset[column] = _curve(whole[np.ix_(known, known)], target, config, groups[known], seed)
        coefficients[known[machine.support_], column] = machine.dual_coef_[0]
        bias[column] = machine.intercept_[0]
    leant = np.flatnonzero(np.abs(coefficients).sum(axis=1) > 0)
    return WordSvm(features[leant].astype(np.float32), coefficients[leant], bias, slope, offset, np.array([config.gamma]), kind == FRACTIONS)


def _classifier(config: SvmConfig) -> SVC:
    return SVC(kernel="precomputed", C=config.c, class_weight="balanced")


def _curve(kernel: np.ndarray, target: np.ndarray, config: SvmConfig, groups: np.ndarray, seed: int) -> tuple[float, float]:
    """Slope, not below 0, and offset from a side to a logit."""
    sides, seen = np.zeros(len(target)), np.zeros(len(target), dtype=bool)
    for train, test in StratifiedGroupKFold(3, shuffle=True, random_state=seed % 2**32).split(target, target, groups):
        if len(np.unique(target[train])) > 1 and len(test):
            sides[test] = _classifier(config).fit(kernel[np.ix_(train, train)], target[train]).decision_function(kernel[np.ix_(test, train)])
            seen[test] = True
    if len(np.unique(target[seen])) < 2:
        return 1.0, 0.0
    curve = LogisticRegression(C=1e3).fit(sides[seen, None], target[seen])
    return max(float(curve.coef_[0, 0]), 0.0), float(curve.intercept_[0])
