"""The model of one fold: trees on tokens, attention over tokens and over what the trees say, joined in one mean of logits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from scipy.special import expit, logit

from fusion.colocalized import colocalized_tokens
from fusion.neighbours import neighbour_tokens
from fusion.problem import NEIGHBOURS, SEQUENCE, TREES, Problem
from fusion.sequence_join import transfer_profiles, transfer_tokens
from fusion.settings import ExperimentConfig
from fusion.tokens import Token, TokenTable, make_token, single_tokens
from fusion.tower import TOWER, FittedTowers, fit_towers
from fusion.training import Lesson, TrainedAttention, fit_attention
from fusion.typed_trees import fit_typed_trees
from mirnagraph.evaluation.calibration import apply_temperature, fit_temperature
from mirnagraph.evaluation.splits import inner_split
from mirnagraph.evaluation.thresholds import best_thresholds
from mirnagraph.nodes import NodeIndex
from mirnagraph.seeds import child_seed
from mirnagraph.trees import TreeArrays, TreesConfig, fit_boosting, fit_extra_trees
from seqtower.rna_types import RNA_TYPES

EPSILON = 5e-3
EXTRA_TREES, BOOSTING = "extra_trees", "boosting"


@dataclass(frozen=True, eq=False)
class Learner:
    """Everything fitted on one set of training rows.

    Attributes:
        tokens: label-free tokens, label averages over the training rows, and the trees' logits, of all RNAs.
        attention: None where the settings have no attention tokens.
        trees: name of each tree model -> its arrays.
        weights: name of each part -> its weight in the mean of logits; they sum to 1.
        thresholds: shape (n_labels,), probability above which a compartment is called.
        temperature: logits of the joined probabilities are divided by it.
        choices: what was chosen on the way, as plain values.
        profiles: what newcomers take over from the training RNAs that they are like (see `fusion.sequence_join.transfer_profiles`).
        towers: what made the token ``tower``; None where the settings have none.
        in_bag: bool, shape (number of extra trees, n_train), which training rows are in a tree's bootstrap sample; None for a model without extra
            trees, or saved without them.
    """

    config: ExperimentConfig
    tokens: TokenTable
    attention: TrainedAttention | None
    trees: Mapping[str, TreeArrays]
    weights: Mapping[str, float]
    thresholds: np.ndarray
    temperature: float = 1.0
    choices: dict[str, Any] = field(default_factory=dict)
    profiles: Mapping[str, np.ndarray] = field(default_factory=dict)
    towers: FittedTowers | None = None
    in_bag: np.ndarray | None = None

    def parts(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Probabilities of each part by itself: name -> float64, shape (len(rows), n_labels)."""
        found = {}
        if self.attention is not None:
            tokens = self.tokens.select(self.config.tokens.attention)
            found["attention"] = self.attention.probabilities(tokens, rows, _trees_logits(self.tokens)).mean(axis=0)
        if self.trees:
            flat = self.tokens.flat(self.config.tokens.trees)[rows]
            for name, model in self.trees.items():
                found[name] = np.clip(model(flat), 0, 1) if name == EXTRA_TREES else expit(model(flat))
        return found

    def predict(self, rows: np.ndarray) -> np.ndarray:
        """Probabilities: float64, shape (len(rows), n_labels)."""
        return apply_temperature(join(self.parts(rows), self.weights), self.temperature)

    def spread(self, rows: np.ndarray) -> np.ndarray:
        """How far the ensemble disagrees: SD of the probabilities over all members of attention and the tree models, shape (len(rows), n_labels)."""
        parts = self.parts(rows)
        found = [parts[name][None] for name in self.trees]
        if self.attention is not None:
            tokens = self.tokens.select(self.config.tokens.attention)
            found.append(self.attention.probabilities(tokens, rows, _trees_logits(self.tokens)))
        return np.asarray(np.concatenate(found).std(axis=0))


def join(parts: Mapping[str, np.ndarray], weights: Mapping[str, float]) -> np.ndarray:
    """Weighted mean of the parts' logits, as a probability; weights are scaled to sum to 1 over the parts at hand."""
    total = sum(weights[name] for name in parts)
    return np.asarray(expit(sum(weights[name] / total * safe_logit(p) for name, p in parts.items())))


def safe_logit(probability: np.ndarray) -> np.ndarray:
    """Logit of a probability pulled a little away from 0 and 1, so that one sure part cannot outvote all others."""
    return np.asarray(logit((probability + EPSILON) / (1 + 2 * EPSILON)))


def fit_learner(problem: Problem, train: np.ndarray, config: ExperimentConfig, seed: int) -> Learner:
    """Fit on the training rows alone.

    Args:
        problem: its labels are NaN outside `train` when called from a fold (see `Problem.hide`).
        train: rows to learn from.
        seed: of this fold.
    """
    labels, profiles = problem.labels, transfer_profiles(problem.associations, train[train < problem.n_home], config.tokens.svd_dim)
    tokens, towers = _with_tower(problem, _with_colocalized(problem, _with_neighbours(problem, train, config, profiles), train), train, config, seed)
    trees: dict[str, TreeArrays] = {}
    in_bag: np.ndarray | None = None
    out_of_bag: np.ndarray | None = None  # what the extra trees say of training rows by trees that did not draw them
    if config.tokens.trees:
        trees, out_of_bag, in_bag = _fit_trees(problem, tokens, train, config, seed)
        said = np.clip(trees[EXTRA_TREES](tokens.flat(config.tokens.trees)), 0, 1)
        said[train] = out_of_bag
        tokens = tokens + trees_token(problem.index, said)
    attention = None
    if config.tokens.attention:
        learn, held = _learn_and_held(problem, train, config, seed)
        lessons = [Lesson(learn, held, student) for student in _kinds(config)]
        chosen, prior = tokens.select(config.tokens.attention), _trees_logits(tokens)
        attention = fit_attention(chosen, labels, lessons, config.attention, config.training, child_seed(seed, "attention"), prior)
    weights = {name: getattr(config.mix, name) for name in (["attention"] if attention is not None else []) + list(trees)}
    temperature = _temperature(problem, train, config, seed)
    thresholds = np.full(labels.shape[1], 0.5)
    if out_of_bag is not None and config.mix.thresholds == "mcc":
        thresholds = best_thresholds(labels[train], apply_temperature(join({EXTRA_TREES: out_of_bag}, weights), temperature))
    epochs = [len(h) for h in attention.history] if attention is not None else []
    choices = {"weights": weights, "epochs": epochs, "temperature": temperature}
    return Learner(config, tokens, attention, trees, weights, thresholds, temperature, choices, profiles, towers, in_bag)


def _fit_trees(
    problem: Problem, tokens: TokenTable, train: np.ndarray, config: ExperimentConfig, seed: int
) -> tuple[dict[str, TreeArrays], np.ndarray, np.ndarray]:
    """Extra trees and, where the settings want them, boosting, of each type of RNA where there are several.

    Returns:
        The trees; out-of-bag predictions of the extra trees; and their bootstrap samples (see `Learner.in_bag`).
    """
    names, labels = config.tokens.trees, problem.labels
    if problem.joined is not None:
        home = {RNA_TYPES.index(name) for name in problem.joined.types[: problem.n_home]}
        typed = fit_typed_trees(tokens, names, labels, train, trees_of_types(home, config), seed)
        return {EXTRA_TREES: typed.forest, **({BOOSTING: typed.boosted} if config.trees.rounds else {})}, typed.out_of_bag, typed.in_bag
    flat = tokens.flat(names)[train]
    forest = fit_extra_trees(flat, labels[train], config.trees, seed)
    boosted = {BOOSTING: fit_boosting(flat, labels[train], config.trees, seed, forest.importance)} if config.trees.rounds else {}
    return {EXTRA_TREES: forest.trees, **boosted}, forest.out_of_bag, forest.in_bag


def trees_token(index: NodeIndex, said: np.ndarray) -> TokenTable:
    """The token ``trees``: logits of what the extra trees say of every RNA, always present. `said`: probabilities, shape (n, n_labels)."""
    return TokenTable(index, (make_token(TREES, safe_logit(said), np.ones(len(said), dtype=bool)),))


def _temperature(problem: Problem, train: np.ndarray, config: ExperimentConfig, seed: int) -> float:
    """Temperature at which a second model, fitted without a part of the training rows, is best calibrated on that part.

    It has one member of each kind: more would take as long as the model itself for a temperature that hardly differs.
    """
    if config.mix.calibration_part == 0:
        return 1.0
    learn, held = inner_split(train, problem.labels, problem.groups, config.mix.calibration_part, child_seed(seed, "calibration part"))
    few = replace(config.training, n_members=min(1, config.training.n_members), n_students=min(1, config.training.n_students))
    second = fit_learner(problem, learn, replace(config, training=few, mix=replace(config.mix, calibration_part=0.0)), child_seed(seed, "calibration"))
    return fit_temperature(problem.labels[held], second.predict(held))


def _trees_logits(tokens: TokenTable) -> np.ndarray | None:
    return tokens[TREES].values if TREES in tokens.sources else None


def _kinds(config: ExperimentConfig) -> list[bool]:
    """Whether each member of attention is a student."""
    return [False] * config.training.n_members + [True] * config.training.n_students


def _learn_and_held(problem: Problem, train: np.ndarray, config: ExperimentConfig, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows that attention learns from, and the training rows it stops on, families kept whole; none where nothing is stopped early."""
    fraction = config.training.inner_fraction
    if fraction == 0:
        return train, train[:0]
    return inner_split(train, problem.labels, problem.groups, fraction, child_seed(seed, "inner part"))


def _with_tower(problem: Problem, tokens: TokenTable, train: np.ndarray, config: ExperimentConfig, seed: int) -> tuple[TokenTable, FittedTowers | None]:
    if TOWER not in single_tokens((*config.tokens.attention, *config.tokens.trees)):
        return tokens, None
    towers, token = fit_towers(problem.sequences, problem.labels, problem.groups, train, config.tower, seed)
    return tokens + TokenTable(problem.index, (token,)), towers


def _with_neighbours(problem: Problem, train: np.ndarray, config: ExperimentConfig, profiles: Mapping[str, np.ndarray]) -> TokenTable:
    """The tokens, with label averages over neighbours among the networks' RNAs; guests have none."""
    wanted = [n.removeprefix(NEIGHBOURS) for n in single_tokens((*config.tokens.attention, *config.tokens.trees)) if n.startswith(NEIGHBOURS)]
    found, home = problem.tokens, problem.n_home
    train, index = train[train < home], problem.index if problem.joined is None else NodeIndex(problem.index.ids[:home], problem.index.kinds[:home])
    near = TokenTable(index, ())
    if wanted:
        chosen = {name: problem.similarities[name] for name in wanted}
        labels = problem.labels if problem.joined is None else problem.labels[:home, : problem.joined.n_labels]
        near = near + neighbour_tokens(index, chosen, labels, train, config.tokens.neighbours)
    if profiles:
        near = near + transfer_tokens(index, problem.similarities[SEQUENCE], profiles, train, config.tokens.neighbours)
    return found + TokenTable(problem.index, tuple(_padded(token, len(problem.index)) for token in near))


def _padded(token: Token, n_rnas: int) -> Token:
    """A token that further RNAs do not have."""
    more = n_rnas - len(token.values)
    return token if more == 0 else Token(token.name, np.pad(token.values, ((0, more), (0, 0))), np.pad(token.present, (0, more)))


def _with_colocalized(problem: Problem, tokens: TokenTable, train: np.ndarray) -> TokenTable:
    joined = problem.joined
    return tokens if joined is None else tokens + colocalized_tokens(problem.index, joined.associations, joined.links, problem.labels, train)


def trees_of_types(home: set[int], config: ExperimentConfig) -> list[TreesConfig]:
    """Settings of the trees of each type of RNA: those of the networks' RNAs, and for all others those of trees on descriptors.

    Args:
        home: numbers of the types that the networks' RNAs are of (see `seqtower.rna_types`).
    """
    return [config.trees if number in home else config.guest_trees for number in range(len(RNA_TYPES))]
