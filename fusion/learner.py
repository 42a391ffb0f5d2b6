"""The model of one fold: attention over tokens and trees on the same, joined by weights chosen inside the training part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.special import expit, logit

from fusion.neighbours import neighbour_tokens
from fusion.problem import NEIGHBOURS, Problem
from fusion.settings import ExperimentConfig
from fusion.tokens import TokenTable
from fusion.training import TrainedAttention, fit_attention
from fusion.trees import TreeArrays, fit_boosting, fit_extra_trees
from mirnagraph.evaluation.splits import inner_split
from mirnagraph.seeds import child_seed

EPSILON = 1e-4


@dataclass(frozen=True, eq=False)
class Learner:
    """Everything fitted on one set of training rows.

    Attributes:
        tokens: label-free tokens and label averages over the training rows, of all RNAs.
        attention: None where the settings have no attention tokens.
        trees: name of each tree model -> its arrays.
        weights: name of each part -> its weight in the mean of logits; they sum to 1.
        thresholds: shape (n_labels,), probability above which a compartment is called.
        choices: what was chosen on the way, as plain values.
    """

    config: ExperimentConfig
    tokens: TokenTable
    attention: TrainedAttention | None
    trees: Mapping[str, TreeArrays]
    weights: Mapping[str, float]
    thresholds: np.ndarray
    choices: dict[str, Any] = field(default_factory=dict)

    def parts(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Probabilities of each part by itself: name -> float64, shape (len(rows), n_labels)."""
        found = {}
        if self.attention is not None:
            found["attention"] = expit(self.attention.logits(self.tokens.select(self.config.tokens.attention), rows))
        if self.trees:
            flat = self.tokens.flat(self.config.tokens.trees)[rows]
            for name, model in self.trees.items():
                found[name] = model(flat) if name == "extra_trees" else expit(model(flat))
        return found

    def predict(self, rows: np.ndarray) -> np.ndarray:
        """Probabilities: float64, shape (len(rows), n_labels)."""
        return join(self.parts(rows), self.weights)


def join(parts: Mapping[str, np.ndarray], weights: Mapping[str, float]) -> np.ndarray:
    """Weighted mean of the parts' logits, as a probability."""
    return np.asarray(expit(sum(weights[name] * logit(np.clip(p, EPSILON, 1 - EPSILON)) for name, p in parts.items())))


def fit_learner(problem: Problem, train: np.ndarray, config: ExperimentConfig, seed: int) -> Learner:
    """Fit on the training rows alone.

    Args:
        problem: its labels are NaN outside `train` when called from a fold (see `Problem.hide`).
        train: rows to learn from.
        seed: of this fold.
    """
    tokens = _with_neighbours(problem, train, config)
    labels = problem.labels
    attention = None
    if config.tokens.attention:
        parts = [
            inner_split(train, labels, problem.groups, config.training.inner_fraction, child_seed(seed, "inner part", member))
            for member in range(config.training.n_members)
        ]
        attention = fit_attention(tokens.select(config.tokens.attention), labels, parts, config.attention, config.training, child_seed(seed, "attention"))
    trees = {}
    if config.tokens.trees:
        flat = tokens.flat(config.tokens.trees)[train]
        if config.trees.n_trees:
            trees["extra_trees"] = fit_extra_trees(flat, labels[train], config.trees, seed)
        if config.trees.rounds:
            trees["boosting"] = fit_boosting(flat, labels[train], config.trees, seed)
    names = (["attention"] if attention is not None else []) + list(trees)
    weights = {name: 1 / len(names) for name in names}
    thresholds = np.full(labels.shape[1], 0.5)
    epochs = [len(h) for h in attention.history] if attention is not None else []
    return Learner(config, tokens, attention, trees, weights, thresholds, {"weights": weights, "epochs": epochs})


def _with_neighbours(problem: Problem, train: np.ndarray, config: ExperimentConfig) -> TokenTable:
    wanted = [n.removeprefix(NEIGHBOURS) for n in dict.fromkeys((*config.tokens.attention, *config.tokens.trees)) if n.startswith(NEIGHBOURS)]
    if not wanted:
        return problem.tokens
    chosen = {name: problem.similarities[name] for name in wanted}
    return problem.tokens + neighbour_tokens(problem.index, chosen, problem.labels, train, config.tokens.neighbours)
