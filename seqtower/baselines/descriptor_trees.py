"""Trees on descriptors of whole RNAs: a baseline of every tower, or a part of the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.special import expit, logit

from mirnagraph.config import Checked, Count, require
from mirnagraph.errors import CheckpointError
from mirnagraph.evaluation.metrics import FRACTIONS, MULTI_LABEL
from mirnagraph.seeds import child_seed
from mirnagraph.trees import (
    TreeArrays,
    TreesConfig,
    both_known,
    constant,
    fit_boosting,
    fit_extra_trees,
    join_outputs,
)
from seqtower.data.sequences import CIRCLE, type_numbers
from seqtower.encoders.base import without_prefix
from seqtower.encoders.descriptors import descriptor_names, descriptors, junction, junction_names

TREES = TreesConfig(
    n_trees=200,
    min_samples_leaf=5,
    rounds=80,
    learning_rate=0.05,
    leaves=6,
    boosting_leaf=10,
    boosting_features=0.3,
    boosting_width=150,
)
"""For 0/1 labels, many compartments with few positives: short boosting on the columns of highest
importance in the extra trees."""

FRACTION_TREES = TreesConfig(
    n_trees=200, min_samples_leaf=3, rounds=150, learning_rate=0.05, leaves=8, boosting_leaf=20
)
"""For fractions, which hold more information per RNA than 0/1: longer boosting on all columns."""

FOREST = "descriptors.forest"
BOOSTED = "descriptors.boosted"

TYPED = "descriptors.own"
COLUMNS = "columns"

LEAST = 1e-4
"""Least distance of a prediction from 0 and 1 before its logarithm is taken."""

LEAST_OF_A_TYPE = 50
"""Fewest training RNAs of a type that get trees of their own."""


@dataclass(frozen=True)
class DescriptorConfig(Checked):
    """Settings of the trees on descriptors.

    Attributes:
        weight: of the trees in the prediction, that of the tower is the rest: in [0, 1]; 0 for the
            tower alone.
        weights: where given, the weight is chosen among them, by the loss on validation rows.
        window: nucleotides of a window (see `seqtower.encoders.descriptors`).
        trees: extra trees and boosting for 0/1 compartments and classes, of equal weight.
        fraction_trees: the same for fractions.
        members: number of fits of both, with different seeds, whose predictions (of boosting: the
            logits) are averaged.
    """

    weight: float = 0.0
    weights: tuple[float, ...] = ()
    window: int = 100
    trees: TreesConfig = field(default_factory=lambda: TREES)
    fraction_trees: TreesConfig = field(default_factory=lambda: FRACTION_TREES)
    members: Count = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        for weight in (self.weight, *self.weights):
            require(0 <= weight <= 1, "weight", weight, "in [0, 1]")
        for name, trees in (("trees", self.trees), ("fraction_trees", self.fraction_trees)):
            has_both = trees.n_trees > 0 and trees.rounds > 0
            require(has_both, name, "none of a kind", "extra trees and boosting")

    @property
    def is_used(self) -> bool:
        """Whether the trees have a weight in the prediction."""
        return self.weight > 0 or len(self.weights) > 0

    def features(
        self,
        sequences: Sequence[str],
        types: Sequence[str] | None = None,
        known: Sequence[str] = (),
    ) -> np.ndarray:
        """Compute the features of the trees: float32, shape (n, width), see `feature_names`.

        Args:
            sequences: RNA, 5' to 3'.
            types: type of each RNA, see `seqtower.data.sequences.RNA_TYPES`; circRNAs are read as
                circles. None for trees that are not conditioned on RNA types.
            known: types that have a column, as in `seqtower.data.sequences.vocabulary`.

        Raises:
            ConfigError: a type that is not in `known`.
        """
        if types is None:
            return descriptors(sequences, window=self.window)
        is_circle = [name == CIRCLE for name in types]
        blocks = [descriptors(sequences, window=self.window, circular=is_circle)]
        if CIRCLE in known:
            blocks.append(junction(sequences, is_circle))
        blocks.append(np.eye(len(known), dtype=np.float32)[type_numbers(types, known)])
        return np.hstack(blocks)


def feature_names(known: Sequence[str] = ()) -> list[str]:
    """Names of the columns of `DescriptorConfig.features`.

    Descriptors, those of the junction where circRNAs are among the `known` types, and types.
    """
    junctions = junction_names() if CIRCLE in known else []
    return [*descriptor_names(), *junctions, *known]


@dataclass(frozen=True, eq=False)
class DescriptorTrees:
    """Fitted trees.

    Attributes:
        forest: extra trees, whose sum is a probability or fraction.
        boosted: boosted trees, whose sum is a logit, or a fraction.
        kind: of the labels, see `mirnagraph.evaluation.metrics.KINDS`.
        typed: number of an RNA type in the vocabulary -> trees fitted on RNAs of that type alone,
            and the compartments (columns) that they predict. For an RNA of that type they have the
            same weight as the trees that all types share.
        n_types: types in the vocabulary, whose columns are the last of the features; read where
            there are trees of a type.
    """

    forest: TreeArrays
    boosted: TreeArrays
    kind: str
    typed: Mapping[int, tuple[DescriptorTrees, np.ndarray]] = field(default_factory=dict)
    n_types: int = 0

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Predict probabilities or fractions: float64, shape (n, n_labels)."""
        boosted = self.boosted(features)
        if self.kind != FRACTIONS:
            boosted = expit(boosted)
        predicted = blend(0.5, self.forest(features), boosted, self.kind)
        for number, (trees, columns) in self.typed.items():
            rows = np.flatnonzero(features[:, number - self.n_types] > 0.5)
            if len(rows):
                cells = np.ix_(rows, columns)
                of_type = trees.predict(features[rows])
                predicted[cells] = blend(0.5, of_type, predicted[cells], self.kind)
        return predicted

    def to_arrays(self) -> dict[str, np.ndarray]:
        """All arrays by name, for safetensors."""
        arrays = self.forest.to_arrays(FOREST) | self.boosted.to_arrays(BOOSTED)
        for number, (trees, columns) in self.typed.items():
            prefix = f"{TYPED}.{number}."
            arrays |= {prefix + name: array for name, array in trees.to_arrays().items()}
            arrays[prefix + COLUMNS] = np.asarray(columns, dtype=np.int64)
        return arrays

    @classmethod
    def from_arrays(
        cls,
        arrays: Mapping[str, np.ndarray],
        kind: str,
        n_labels: int,
        known: Sequence[str] = (),
    ) -> DescriptorTrees:
        """Restore trees from `to_arrays`.

        Args:
            arrays: by name; others are ignored.
            kind: of the labels.
            n_labels: number of compartments.
            known: RNA types that the trees are conditioned on.

        Raises:
            CheckpointError: arrays that are missing or do not fit each other.
        """
        typed = {}
        for number in range(len(known)):
            of_type = without_prefix(arrays, f"{TYPED}.{number}.")
            if of_type:
                columns = _read_columns(of_type, n_labels)
                typed[number] = (cls._untyped(of_type, kind, len(columns), known), columns)
        shared = cls._untyped(arrays, kind, n_labels, known)
        return replace(shared, typed=typed, n_types=len(known))

    @classmethod
    def _untyped(
        cls, arrays: Mapping[str, np.ndarray], kind: str, n_labels: int, known: Sequence[str]
    ) -> DescriptorTrees:
        """Restore trees without those of a type."""
        forest = TreeArrays.from_arrays(arrays, FOREST)
        boosted = TreeArrays.from_arrays(arrays, BOOSTED)
        width = len(feature_names(known))
        for trees in (forest, boosted):
            reads_more = len(trees.feature) > 0 and trees.feature.max() >= width
            if reads_more or trees.value.shape[1:] != (n_labels,):
                raise CheckpointError(
                    "the trees on descriptors do not fit the compartments or the descriptors"
                )
        return cls(forest, boosted, kind)


def _read_columns(arrays: Mapping[str, np.ndarray], n_labels: int) -> np.ndarray:
    """Compartments that the trees of a type predict."""
    columns = arrays.get(COLUMNS, np.zeros(0, dtype=np.int64))
    is_valid = columns.ndim == 1 and len(columns) > 0 and np.isin(columns, range(n_labels)).all()
    if not is_valid or len(np.unique(columns)) < len(columns):
        raise CheckpointError(
            "trees of an RNA type without valid columns of the compartments that they predict",
            found=columns.tolist(),
            expected=f"different numbers below {n_labels}",
        )
    return columns


def fit_typed_trees(
    features: np.ndarray,
    labels: np.ndarray,
    kind: str,
    config: DescriptorConfig,
    seed: int,
    n_types: int,
) -> DescriptorTrees:
    """Fit trees that all RNA types share and, for 0/1 compartments, trees of each type alone.

    A compartment of which all RNAs of a type, or none, are positive is left to the shared trees, as
    is a type with fewer than `LEAST_OF_A_TYPE` RNAs.

    Args:
        features: shape (n, width), the last `n_types` columns mark the type; with fewer than two
            types there are shared trees alone.
        labels: see `fit_descriptor_trees`.
        kind: of the labels.
        config: settings of the trees.
        seed: of all random steps.
        n_types: number of RNA types.
    """
    shared = fit_descriptor_trees(features, labels, kind, config, seed)
    if n_types < 2 or kind != MULTI_LABEL:
        return shared
    typed = {}
    for number in range(n_types):
        rows = np.flatnonzero(features[:, number - n_types] > 0.5)
        if len(rows) < LEAST_OF_A_TYPE:
            continue
        labels_of_type = labels[rows]
        n_values = [len(np.unique(column[~np.isnan(column)])) for column in labels_of_type.T]
        columns = np.flatnonzero(np.array(n_values) > 1)
        if len(columns):
            type_seed = child_seed(seed, "own type", number)
            true = labels_of_type[:, columns]
            trees = fit_descriptor_trees(features[rows], true, kind, config, type_seed)
            typed[number] = (trees, columns)
    return replace(shared, typed=typed, n_types=n_types)


def fit_descriptor_trees(
    features: np.ndarray, labels: np.ndarray, kind: str, config: DescriptorConfig, seed: int
) -> DescriptorTrees:
    """Fit extra trees and boosting on training rows.

    Compartments that are known of the same RNAs share a forest, fitted on these RNAs: of sets that
    are labelled for different compartments, each compartment is fitted on the sets labelled for it.
    A compartment that is known of no RNA is predicted with 0.5.

    Args:
        features: of `DescriptorConfig.features`, shape (n, width).
        labels: shape (n, n_labels), NaN where unknown.
        kind: of the labels, see `mirnagraph.evaluation.metrics.KINDS`.
        config: settings of the trees.
        seed: of all random steps.
    """
    is_fraction = kind == FRACTIONS
    settings = config.fraction_trees if is_fraction else config.trees
    is_known = ~np.isnan(labels)
    forests = []
    boosted = []
    for columns in both_known(is_known):
        rows = is_known[:, columns[0]]
        if not rows.any():
            # 0.5 in the forest, and a logit or fraction of 0 in boosting
            forests.append((constant(np.full(len(columns), 0.5)), columns))
            continue
        inputs = features[rows]
        true = labels[rows][:, columns]
        for member in range(config.members):
            member_seed = child_seed(seed, "member", member)
            forest = fit_extra_trees(inputs, true, settings, child_seed(member_seed, "forest"))
            boosting_seed = child_seed(member_seed, "boosting")
            boosting = fit_boosting(
                inputs, true, settings, boosting_seed, forest.importance, fractions=is_fraction
            )
            forests.append((forest.trees.times(1 / config.members), columns))
            boosted.append((boosting.times(1 / config.members), columns))
    n_labels = labels.shape[1]
    return DescriptorTrees(join_outputs(forests, n_labels), join_outputs(boosted, n_labels), kind)


def blend(weight: float, first: np.ndarray, second: np.ndarray, kind: str) -> np.ndarray:
    """Weighted mean of two predictions: of logits for 0/1 compartments, of shares otherwise.

    Args:
        weight: of `first`, in [0, 1]; that of `second` is the rest.
        first: probabilities or fractions, shape (n, n_labels).
        second: the same of another model.
        kind: of the labels; classes are mixed geometrically, fractions arithmetically.
    """
    first = np.clip(first, LEAST, 1 - LEAST)
    second = np.clip(second, LEAST, 1 - LEAST)
    if kind == MULTI_LABEL:
        return expit(weight * logit(first) + (1 - weight) * logit(second))
    if kind == FRACTIONS:
        mixed = weight * first + (1 - weight) * second
    else:
        mixed = np.exp(weight * np.log(first) + (1 - weight) * np.log(second))
    return mixed / mixed.sum(axis=1, keepdims=True)


def choose_weight(
    config: DescriptorConfig, trees: np.ndarray, tower: np.ndarray, labels: np.ndarray, kind: str
) -> float:
    """Choose the weight of the trees with the lowest loss.

    The loss is the squared error for fractions, else the log loss, over known labels.

    Args:
        config: settings; without `weights` the weight is fixed.
        trees: predictions of validation rows by the trees, shape (n, n_labels).
        tower: predictions by the tower.
        labels: of the same rows, NaN where unknown.
        kind: of the labels.
    """
    if not config.weights:
        return config.weight
    losses = []
    for weight in config.weights:
        predicted = np.clip(blend(weight, trees, tower, kind), LEAST, 1 - LEAST)
        if kind == FRACTIONS:
            cell_losses = (predicted - labels) ** 2
        else:
            cell_losses = -(labels * np.log(predicted) + (1 - labels) * np.log(1 - predicted))
        losses.append(float(np.nanmean(cell_losses)))
    return float(config.weights[int(np.argmin(losses))])
