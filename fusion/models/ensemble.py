"""Fusion model of one fold: a neural part, trees and a kernel model, and their mean of logits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from scipy.special import expit, logit

from fusion.config import FUSION, ExperimentConfig
from fusion.data.inputs import FusionData
from fusion.models.kernel import KernelModel, fit_kernel
from fusion.models.towers_training import TrainedFusion, fit_fusion
from fusion.models.training import MemberSplit, TrainedAttention, fit_attention, mean_history
from fusion.models.typed_trees import fit_typed_trees
from fusion.tokens.names import (
    NEAREST,
    NEIGHBOURS,
    SEQUENCE,
    TOWER,
    TREES,
    single_tokens,
    tokens_of_kind,
)
from fusion.tokens.nearest import nearest_tokens
from fusion.tokens.neighbours import (
    neighbour_profile_tokens,
    neighbour_profiles,
    neighbour_tokens,
    partner_label_tokens,
)
from fusion.tokens.sequence_tower import FittedTowers, fit_towers
from fusion.tokens.table import Token, TokenTable, make_token
from mirnagraph.evaluation.calibration import apply_temperature, best_thresholds, fit_temperature
from mirnagraph.evaluation.mixture import left_out
from mirnagraph.evaluation.splits import inner_split
from mirnagraph.nodes import NodeIndex
from mirnagraph.seeds import child_seed
from mirnagraph.trees import TreeArrays, TreesConfig, fit_boosting, fit_extra_trees
from seqtower.data.sequences import RNA_TYPES

EPSILON = 5e-3
"""Distance of probabilities from 0 and 1 in `safe_logit`."""

ATTENTION = "attention"
EXTRA_TREES = "extra_trees"
BOOSTING = "boosting"
KERNEL = "kernel"

OPTIONAL_PARTS = {"own_trees": (EXTRA_TREES, BOOSTING), "kernel": (KERNEL,)}
"""Parts that `MixSettings.least_gain` keeps or leaves out together. The neural part stays: the
model that decides has one member of it, and several are better."""


@dataclass(frozen=True, eq=False)
class FusionModel:
    """Everything fitted on one set of training rows.

    Attributes:
        tokens: of all RNAs: label-free tokens, label averages over the training rows and the logits
            of the trees.
        attention: the neural part, see `ExperimentConfig.neural`; None where the settings have no
            attention tokens.
        trees: name of each tree model -> its arrays.
        weights: name of each part -> its weight in the mean of logits, scaled to sum to 1; 0 for
            one that is left out.
        thresholds: probability above which a compartment is called, shape (n_labels,).
        temperature: divides the logits of the joined probabilities.
        choices: weights, temperature, epochs, and the mean losses of `mean_history`, as plain
            values.
        profiles: of the training RNAs, transferred to RNAs with a similar sequence (see
            `fusion.tokens.neighbours.neighbour_profiles`).
        towers: models of the token ``tower``; None where the settings have none.
        in_bag: bool, shape (n_extra_trees, n_train): whether a training row is in a tree's
            bootstrap sample; None without extra trees, or for a model that was saved without it.
        kernel: None where the settings have no blocks.
    """

    config: ExperimentConfig
    tokens: TokenTable
    attention: TrainedAttention | TrainedFusion | None
    trees: Mapping[str, TreeArrays]
    weights: Mapping[str, float]
    thresholds: np.ndarray
    temperature: float = 1.0
    choices: dict[str, Any] = field(default_factory=dict)
    profiles: Mapping[str, np.ndarray] = field(default_factory=dict)
    towers: FittedTowers | None = None
    in_bag: np.ndarray | None = None
    kernel: KernelModel | None = None

    def parts(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Probabilities of each part alone: name -> float64, shape (len(rows), n_labels)."""
        return {name: members.mean(axis=0) for name, members in self._members(rows).items()}

    def predict(self, rows: np.ndarray) -> np.ndarray:
        """Probabilities: float64, shape (len(rows), n_labels)."""
        return apply_temperature(join(self.parts(rows), self.weights), self.temperature)

    def uncertainty(self, rows: np.ndarray) -> np.ndarray:
        """SD of the probabilities over trees, kernel and members of attention, as `predict`."""
        members = self._members(rows)
        names = [name for name in (*self.trees, KERNEL, ATTENTION) if name in members]
        ordered = [members[name] for name in names if self.weights[name] > 0]
        return np.asarray(np.concatenate(ordered).std(axis=0))

    def _members(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Probabilities of each part: name -> shape (n_members, len(rows), n_labels)."""
        members = {}
        if self.attention is not None:
            tokens = self.tokens
            if isinstance(self.attention, TrainedAttention):
                tokens = tokens.select(self.config.tokens.attention)
            prior = _trees_logits(self.tokens)
            members[ATTENTION] = self.attention.probabilities(tokens, rows, prior)
        if self.trees:
            flat = self.tokens.flat(self.config.tokens.trees)[rows]
            for name, trees in self.trees.items():
                values = trees(flat)[None]
                members[name] = np.clip(values, 0, 1) if name == EXTRA_TREES else expit(values)
        if self.kernel is not None:
            members[KERNEL] = self.kernel.probabilities(self.tokens, rows)[None]
        return members


def join(parts: Mapping[str, np.ndarray], weights: Mapping[str, float]) -> np.ndarray:
    """Probability of the weighted mean of the parts' logits.

    Weights are scaled to sum to 1 over the parts given.
    """
    total = sum(weights[name] for name in parts)
    logits = sum(weights[name] / total * safe_logit(p) for name, p in parts.items())
    return np.asarray(expit(logits))


def safe_logit(probability: np.ndarray) -> np.ndarray:
    """Logit of a probability moved away from 0 and 1, so that one part cannot outvote the rest."""
    return np.asarray(logit((probability + EPSILON) / (1 + 2 * EPSILON)))


def fit_fusion_model(
    data: FusionData, train: np.ndarray, config: ExperimentConfig, seed: int
) -> FusionModel:
    """Fit on the training rows.

    Args:
        data: its labels are masked outside `train` in a fold (see `FusionData.masked_labels`).
        train: training rows.
        config: settings of the run.
        seed: of this fold.
    """
    labels = data.labels
    network_rows = train[train < data.n_network_rnas]
    profiles = neighbour_profiles(data.associations, network_rows, config.tokens.svd_dim)
    tokens = _with_neighbours(data, network_rows, config, profiles)
    extra = data.extra_rnas
    if extra is not None:
        tokens = tokens + partner_label_tokens(
            data.index, extra.associations, extra.links, labels, train
        )
    towers = None
    if TOWER in single_tokens(config.token_names):
        towers, token = fit_towers(data.sequences, labels, data.groups, train, config.tower, seed)
        tokens = tokens + TokenTable(data.index, (token,))
    trees: dict[str, TreeArrays] = {}
    in_bag = None
    out_of_bag = None
    if config.tokens.trees:
        trees, out_of_bag, in_bag = _fit_trees(data, tokens, train, config, seed)
        probabilities = _forest_probabilities(trees[EXTRA_TREES], tokens, config)
        probabilities[train] = out_of_bag
        tokens = tokens + trees_token(data.index, probabilities)
    attention = None
    if config.tokens.attention:
        attention = _fit_members(data, tokens, train, config, seed)
    kernel = None
    if config.kernel.blocks and config.mix.kernel > 0:
        kernel = fit_kernel(tokens, labels, train, config.kernel)
    is_part = {ATTENTION: attention, **trees, KERNEL: kernel}
    names = [name for name, part in is_part.items() if part is not None]
    weights = {name: getattr(config.mix, name) for name in names}
    dropped, temperature = _calibrate(data, train, config, seed)
    weights |= dict.fromkeys(dropped, 0.0)
    thresholds = np.full(labels.shape[1], 0.5)
    if out_of_bag is not None and config.mix.thresholds == "mcc":
        joined = apply_temperature(join({EXTRA_TREES: out_of_bag}, {EXTRA_TREES: 1.0}), temperature)
        thresholds = best_thresholds(labels[train], joined)
    histories = [] if attention is None else attention.history
    choices = {
        "weights": weights,
        "epochs": [len(history) for history in histories],
        "temperature": temperature,
        "history": mean_history(histories),
    }
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
        kernel,
    )


def _fit_members(
    data: FusionData, tokens: TokenTable, train: np.ndarray, config: ExperimentConfig, seed: int
) -> TrainedAttention | TrainedFusion:
    """Train the neural part; without `inner_fraction` on all training rows."""
    if config.neural == FUSION:
        return fit_fusion(
            tokens,
            config.tokens.attention,
            data.labels,
            train,
            data.groups,
            config.fusion,
            config.kernel,
            child_seed(seed, "fusion"),
        )
    training = config.training
    train_rows = train
    validation_rows = train[:0]
    if training.inner_fraction > 0:
        split_seed = child_seed(seed, "inner part")
        train_rows, validation_rows = inner_split(
            train, data.labels, data.groups, training.inner_fraction, split_seed
        )
    is_student = [False] * training.n_members + [True] * training.n_students
    splits = [MemberSplit(train_rows, validation_rows, student) for student in is_student]
    return fit_attention(
        tokens.select(config.tokens.attention),
        data.labels,
        splits,
        config.attention,
        training,
        child_seed(seed, "attention"),
        _trees_logits(tokens),
    )


def _fit_trees(
    data: FusionData, tokens: TokenTable, train: np.ndarray, config: ExperimentConfig, seed: int
) -> tuple[dict[str, TreeArrays], np.ndarray, np.ndarray]:
    """Extra trees, and boosting where the settings have rounds; per RNA type where several are.

    Returns:
        The trees, out-of-bag probabilities of the extra trees, and `FusionModel.in_bag`.
    """
    names = config.tokens.trees
    labels = data.labels
    if data.extra_rnas is not None:
        network_types = {
            RNA_TYPES.index(name) for name in data.extra_rnas.types[: data.n_network_rnas]
        }
        settings = trees_of_types(network_types, config)
        typed = fit_typed_trees(tokens, names, labels, train, settings, seed)
        trees = {EXTRA_TREES: typed.forest}
        if config.trees.rounds:
            trees[BOOSTING] = typed.boosted
        return trees, typed.out_of_bag, typed.in_bag
    flat = tokens.flat(names)[train]
    forest = fit_extra_trees(flat, labels[train], config.trees, seed)
    trees = {EXTRA_TREES: forest.trees}
    if config.trees.rounds:
        trees[BOOSTING] = fit_boosting(flat, labels[train], config.trees, seed, forest.importance)
    return trees, forest.out_of_bag, forest.in_bag


def trees_token(index: NodeIndex, probabilities: np.ndarray) -> TokenTable:
    """The token ``trees``: logits of the extra trees, present for every RNA.

    Args:
        index: the RNAs.
        probabilities: of the extra trees, shape (n_rnas, n_labels).
    """
    present = np.ones(len(probabilities), dtype=bool)
    return TokenTable(index, (make_token(TREES, safe_logit(probabilities), present),))


def with_trees_token(
    tokens: TokenTable, forest: TreeArrays, config: ExperimentConfig
) -> TokenTable:
    """Append the token ``trees`` as the extra trees predict it from the other tokens."""
    probabilities = _forest_probabilities(forest, tokens, config)
    return tokens + trees_token(tokens.index, probabilities)


def _forest_probabilities(
    forest: TreeArrays, tokens: TokenTable, config: ExperimentConfig
) -> np.ndarray:
    return np.clip(forest(tokens.flat(config.tokens.trees)), 0, 1)


def _calibrate(
    data: FusionData, train: np.ndarray, config: ExperimentConfig, seed: int
) -> tuple[list[str], float]:
    """Parts to leave out of the mean, and the temperature that calibrates it best.

    Both are chosen by a second model on training rows that it was not fitted on. It has one member
    of each kind: more would take as long as the model itself for a temperature that hardly differs.
    """
    if config.mix.calibration_part == 0:
        return [], 1.0
    train_rows, validation_rows = inner_split(
        train,
        data.labels,
        data.groups,
        config.mix.calibration_part,
        child_seed(seed, "calibration part"),
    )
    training = replace(
        config.training,
        n_members=min(1, config.training.n_members),
        n_students=min(1, config.training.n_students),
    )
    mix = replace(config.mix, calibration_part=0.0)
    fusion = replace(config.fusion, n_members=1)
    second_config = replace(config, training=training, fusion=fusion, mix=mix)
    second = fit_fusion_model(data, train_rows, second_config, child_seed(seed, "calibration"))
    parts = second.parts(validation_rows)
    labels = data.labels[validation_rows]
    dropped: list[str] = []
    if config.mix.least_gain > 0:
        dropped = parts_left_out(labels, parts, second.weights, config.mix.least_gain)
    joined = join({name: parts[name] for name in parts if name not in dropped}, second.weights)
    return dropped, fit_temperature(labels, joined)


def parts_left_out(
    labels: np.ndarray,
    parts: Mapping[str, np.ndarray],
    weights: Mapping[str, float],
    least_gain: float,
) -> list[str]:
    """Find the parts that are better left out of the mean (see `evaluation.mixture.left_out`).

    Args:
        labels: of RNAs that the parts were not fitted on, shape (n, n_labels).
        parts: probabilities of each, same shape.
        weights: of the parts.
        least_gain: see `MixSettings.least_gain`.
    """
    names_of = {
        part: [name for name in names if name in parts] for part, names in OPTIONAL_PARTS.items()
    }

    always = [name for name in parts if name == ATTENTION]

    def mean(optional: Sequence[str]) -> np.ndarray:
        names = [*always, *(name for part in optional for name in names_of[part])]
        return join({name: parts[name] for name in names}, weights)

    optional = [part for part, names in names_of.items() if names]
    removed = left_out(labels, optional, mean, least_gain, least=0 if always else 1)
    return [name for part in removed for name in names_of[part]]


def _trees_logits(tokens: TokenTable) -> np.ndarray | None:
    return tokens[TREES].values if TREES in tokens.sources else None


def _with_neighbours(
    data: FusionData,
    train: np.ndarray,
    config: ExperimentConfig,
    profiles: Mapping[str, np.ndarray],
) -> TokenTable:
    """Append averages over neighbours, training rows of the networks; additional RNAs have none."""
    similarities = {}
    for name in tokens_of_kind(config.token_names, NEIGHBOURS):
        similarities[name.similarity] = data.similarities[name.similarity]
    n_network_rnas = data.n_network_rnas
    index = data.index
    labels = data.labels
    if data.extra_rnas is not None:
        index = NodeIndex(index.ids[:n_network_rnas], index.kinds[:n_network_rnas])
        labels = labels[:n_network_rnas, : data.extra_rnas.n_labels]
    near = TokenTable(index, ())
    if similarities:
        near = near + neighbour_tokens(index, similarities, labels, train, config.tokens.neighbours)
    nearest = {
        name.similarity: data.similarities[name.similarity]
        for name in tokens_of_kind(config.token_names, NEAREST)
    }
    if nearest:
        near = near + nearest_tokens(index, nearest, train, config.tokens.neighbours)
    if profiles:
        near = near + neighbour_profile_tokens(
            index, data.similarities[SEQUENCE], profiles, train, config.tokens.neighbours
        )
    n_more = len(data.index) - len(index)
    padded = []
    for token in near:
        values = np.pad(token.values, ((0, n_more), (0, 0)))
        padded.append(Token(token.name, values, np.pad(token.present, (0, n_more))))
    return data.tokens + TokenTable(data.index, tuple(padded))


def trees_of_types(network_types: set[int], config: ExperimentConfig) -> list[TreesConfig]:
    """Settings of the trees per RNA type: `guest_trees` for types that the networks do not hold.

    Args:
        network_types: numbers of the types of the networks' RNAs (see `seqtower.data.sequences`).
        config: settings of the run.
    """
    return [
        config.trees if number in network_types else config.guest_trees
        for number in range(len(RNA_TYPES))
    ]
