"""The model of one fold: trees on tokens, attention over tokens and over what the trees say, joined in one mean of logits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from scipy.special import expit, logit

from fusion.config import ExperimentConfig
from fusion.data.inputs import FusionData
from fusion.models.training import MemberSplit, TrainedAttention, fit_attention
from fusion.models.typed_trees import fit_typed_trees
from fusion.tokens.names import NEIGHBOURS, SEQUENCE, TOWER, TREES, single_tokens, tokens_of_kind
from fusion.tokens.neighbours import (
    neighbour_profile_tokens,
    neighbour_profiles,
    neighbour_tokens,
    partner_label_tokens,
)
from fusion.tokens.sequence_tower import FittedTowers, fit_towers
from fusion.tokens.table import Token, TokenTable, make_token
from mirnagraph.evaluation.calibration import apply_temperature, best_thresholds, fit_temperature
from mirnagraph.evaluation.splits import inner_split
from mirnagraph.nodes import NodeIndex
from mirnagraph.seeds import child_seed
from mirnagraph.trees import TreeArrays, TreesConfig, fit_boosting, fit_extra_trees
from seqtower.data.sequences import RNA_TYPES

EPSILON = 5e-3

ATTENTION = "attention"
EXTRA_TREES = "extra_trees"
BOOSTING = "boosting"


@dataclass(frozen=True, eq=False)
class FusionModel:
    """Everything fitted on one set of training rows.

    Attributes:
        tokens: label-free tokens, label averages over the training rows, and the trees' logits, of all RNAs.
        attention: None where the settings have no attention tokens.
        trees: name of each tree model -> its arrays.
        weights: name of each part -> its weight in the mean of logits; they sum to 1.
        thresholds: shape (n_labels,), probability above which a compartment is called.
        temperature: logits of the joined probabilities are divided by it.
        choices: what was chosen on the way, as plain values.
        profiles: what newcomers take over from the training RNAs that they are like (see `fusion.tokens.neighbours.neighbour_profiles`).
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
            found[ATTENTION] = self.attention.probabilities(
                tokens, rows, _trees_logits(self.tokens)
            ).mean(axis=0)
        if self.trees:
            flat = self.tokens.flat(self.config.tokens.trees)[rows]
            for name, model in self.trees.items():
                found[name] = (
                    np.clip(model(flat), 0, 1) if name == EXTRA_TREES else expit(model(flat))
                )
        return found

    def predict(self, rows: np.ndarray) -> np.ndarray:
        """Probabilities: float64, shape (len(rows), n_labels)."""
        return apply_temperature(join(self.parts(rows), self.weights), self.temperature)

    def uncertainty(self, rows: np.ndarray) -> np.ndarray:
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
    return np.asarray(
        expit(sum(weights[name] / total * safe_logit(p) for name, p in parts.items()))
    )


def safe_logit(probability: np.ndarray) -> np.ndarray:
    """Logit of a probability pulled a little away from 0 and 1, so that one sure part cannot outvote all others."""
    return np.asarray(logit((probability + EPSILON) / (1 + 2 * EPSILON)))


def fit_fusion_model(
    data: FusionData, train: np.ndarray, config: ExperimentConfig, seed: int
) -> FusionModel:
    """Fit on the training rows alone.

    Args:
        problem: its labels are NaN outside `train` when called from a fold (see `FusionData.masked_labels`).
        train: rows to learn from.
        seed: of this fold.
    """
    labels = data.labels
    profiles = neighbour_profiles(
        data.associations, train[train < data.n_network_rnas], config.tokens.svd_dim
    )
    tokens, towers = _with_tower(
        data,
        _with_colocalized(data, _with_neighbours(data, train, config, profiles), train),
        train,
        config,
        seed,
    )
    trees: dict[str, TreeArrays] = {}
    in_bag: np.ndarray | None = None
    out_of_bag: np.ndarray | None = (
        None  # what the extra trees say of training rows by trees that did not draw them
    )
    if config.tokens.trees:
        trees, out_of_bag, in_bag = _fit_trees(data, tokens, train, config, seed)
        said = np.clip(trees[EXTRA_TREES](tokens.flat(config.tokens.trees)), 0, 1)
        said[train] = out_of_bag
        tokens = tokens + trees_token(data.index, said)
    attention = None
    if config.tokens.attention:
        train_rows, validation_rows = _train_and_validation(data, train, config, seed)
        splits = [MemberSplit(train_rows, validation_rows, student) for student in _kinds(config)]
        chosen = tokens.select(config.tokens.attention)
        prior = _trees_logits(tokens)
        attention = fit_attention(
            chosen,
            labels,
            splits,
            config.attention,
            config.training,
            child_seed(seed, "attention"),
            prior,
        )
    weights = {
        name: getattr(config.mix, name)
        for name in ([ATTENTION] if attention is not None else []) + list(trees)
    }
    temperature = _temperature(data, train, config, seed)
    thresholds = np.full(labels.shape[1], 0.5)
    if out_of_bag is not None and config.mix.thresholds == "mcc":
        thresholds = best_thresholds(
            labels[train], apply_temperature(join({EXTRA_TREES: out_of_bag}, weights), temperature)
        )
    epochs = [len(h) for h in attention.history] if attention is not None else []
    choices = {"weights": weights, "epochs": epochs, "temperature": temperature}
    return FusionModel(
        config,
        tokens,
        attention,
        trees,
        weights,
        thresholds,
        temperature,
        choices,
        profiles,
        towers,
        in_bag,
    )


def _fit_trees(
    data: FusionData, tokens: TokenTable, train: np.ndarray, config: ExperimentConfig, seed: int
) -> tuple[dict[str, TreeArrays], np.ndarray, np.ndarray]:
    """Extra trees and, where the settings want them, boosting, of each type of RNA where there are several.

    Returns:
        The trees; out-of-bag predictions of the extra trees; and their bootstrap samples (see `FusionModel.in_bag`).
    """
    names = config.tokens.trees
    labels = data.labels
    if data.extra_rnas is not None:
        network_rows = {
            RNA_TYPES.index(name) for name in data.extra_rnas.types[: data.n_network_rnas]
        }
        typed = fit_typed_trees(
            tokens, names, labels, train, trees_of_types(network_rows, config), seed
        )
        return (
            {
                EXTRA_TREES: typed.forest,
                **({BOOSTING: typed.boosted} if config.trees.rounds else {}),
            },
            typed.out_of_bag,
            typed.in_bag,
        )
    flat = tokens.flat(names)[train]
    forest = fit_extra_trees(flat, labels[train], config.trees, seed)
    boosted = (
        {BOOSTING: fit_boosting(flat, labels[train], config.trees, seed, forest.importance)}
        if config.trees.rounds
        else {}
    )
    return {EXTRA_TREES: forest.trees, **boosted}, forest.out_of_bag, forest.in_bag


def trees_token(index: NodeIndex, said: np.ndarray) -> TokenTable:
    """The token ``trees``: logits of what the extra trees say of every RNA, always present. `said`: probabilities, shape (n, n_labels)."""
    return TokenTable(index, (make_token(TREES, safe_logit(said), np.ones(len(said), dtype=bool)),))


def _temperature(data: FusionData, train: np.ndarray, config: ExperimentConfig, seed: int) -> float:
    """Temperature at which a second model, fitted without a part of the training rows, is best calibrated on that part.

    It has one member of each kind: more would take as long as the model itself for a temperature that hardly differs.
    """
    if config.mix.calibration_part == 0:
        return 1.0
    train_rows, validation_rows = inner_split(
        train,
        data.labels,
        data.groups,
        config.mix.calibration_part,
        child_seed(seed, "calibration part"),
    )
    few = replace(
        config.training,
        n_members=min(1, config.training.n_members),
        n_students=min(1, config.training.n_students),
    )
    second = fit_fusion_model(
        data,
        train_rows,
        replace(config, training=few, mix=replace(config.mix, calibration_part=0.0)),
        child_seed(seed, "calibration"),
    )
    return fit_temperature(data.labels[validation_rows], second.predict(validation_rows))


def _trees_logits(tokens: TokenTable) -> np.ndarray | None:
    return tokens[TREES].values if TREES in tokens.sources else None


def _kinds(config: ExperimentConfig) -> list[bool]:
    """Whether each member of attention is a student."""
    return [False] * config.training.n_members + [True] * config.training.n_students


def _train_and_validation(
    data: FusionData, train: np.ndarray, config: ExperimentConfig, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Rows that attention learns from, and the training rows it stops on, families kept whole; none where nothing is stopped early."""
    fraction = config.training.inner_fraction
    if fraction == 0:
        return train, train[:0]
    return inner_split(train, data.labels, data.groups, fraction, child_seed(seed, "inner part"))


def _with_tower(
    data: FusionData, tokens: TokenTable, train: np.ndarray, config: ExperimentConfig, seed: int
) -> tuple[TokenTable, FittedTowers | None]:
    if TOWER not in single_tokens((*config.tokens.attention, *config.tokens.trees)):
        return tokens, None
    towers, token = fit_towers(data.sequences, data.labels, data.groups, train, config.tower, seed)
    return tokens + TokenTable(data.index, (token,)), towers


def _with_neighbours(
    data: FusionData,
    train: np.ndarray,
    config: ExperimentConfig,
    profiles: Mapping[str, np.ndarray],
) -> TokenTable:
    """The tokens, with label averages over neighbours among the networks' RNAs; guests have none."""
    wanted = [name.similarity for name in tokens_of_kind(config.tokens.names, NEIGHBOURS)]
    found = data.tokens
    network_rows = data.n_network_rnas
    train = train[train < network_rows]
    index = (
        data.index
        if data.extra_rnas is None
        else NodeIndex(data.index.ids[:network_rows], data.index.kinds[:network_rows])
    )
    near = TokenTable(index, ())
    if wanted:
        chosen = {name: data.similarities[name] for name in wanted}
        labels = (
            data.labels
            if data.extra_rnas is None
            else data.labels[:network_rows, : data.extra_rnas.n_labels]
        )
        near = near + neighbour_tokens(index, chosen, labels, train, config.tokens.neighbours)
    if profiles:
        near = near + neighbour_profile_tokens(
            index, data.similarities[SEQUENCE], profiles, train, config.tokens.neighbours
        )
    return found + TokenTable(data.index, tuple(_padded(token, len(data.index)) for token in near))


def _padded(token: Token, n_rnas: int) -> Token:
    """A token that further RNAs do not have."""
    more = n_rnas - len(token.values)
    return (
        token
        if more == 0
        else Token(
            token.name, np.pad(token.values, ((0, more), (0, 0))), np.pad(token.present, (0, more))
        )
    )


def _with_colocalized(data: FusionData, tokens: TokenTable, train: np.ndarray) -> TokenTable:
    extra_rnas = data.extra_rnas
    return (
        tokens
        if extra_rnas is None
        else tokens
        + partner_label_tokens(
            data.index, extra_rnas.associations, extra_rnas.links, data.labels, train
        )
    )


def trees_of_types(network_rows: set[int], config: ExperimentConfig) -> list[TreesConfig]:
    """Settings of the trees of each type of RNA: those of the networks' RNAs, and for all others those of trees on descriptors.

    Args:
        home: numbers of the types that the networks' RNAs are of (see `seqtower.data.sequences`).
    """
    return [
        config.trees if number in network_rows else config.guest_trees
        for number in range(len(RNA_TYPES))
    ]
