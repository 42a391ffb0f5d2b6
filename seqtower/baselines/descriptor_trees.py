"""Trees on descriptors of whole RNAs: a baseline beside every tower, and, where the settings say so, a share of the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.special import expit, logit

from mirnagraph.config import require
from mirnagraph.errors import CheckpointError
from mirnagraph.evaluation.metrics import FRACTIONS, MULTI_LABEL
from mirnagraph.seeds import child_seed
from mirnagraph.trees import (
    TreeArrays,
    TreesConfig,
    both_known,
    fit_boosting,
    fit_extra_trees,
    join_outputs,
)
from seqtower.data.sequences import CIRCLE, type_numbers
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
"""For 0/1 compartments, many of them with few positives: short boosting on what the extra trees found useful."""

FRACTION_TREES = TreesConfig(
    n_trees=200, min_samples_leaf=3, rounds=150, learning_rate=0.05, leaves=8, boosting_leaf=20
)
"""For fractions, where every RNA says more than yes or no: longer boosting on all columns."""

FOREST = "descriptors.forest"
BOOSTED = "descriptors.boosted"

OWN = "descriptors.own"
COLUMNS = "columns"

LEAST = 1e-4

LEAST_OF_A_TYPE = 50


@dataclass(frozen=True)
class DescriptorConfig:
    """Settings of the trees on descriptors.

    Attributes:
        weight: their share of the answer, the tower's is the rest: in [0, 1]; 0 leaves the answer to the tower alone.
        weights: where there are some, the share is chosen among them, by the loss on the inner part of the training rows.
        window: nucleotides of a window (see `seqtower.encoders.descriptors`).
        trees: extra trees and boosting for 0/1 compartments and classes, which count alike.
        fraction_trees: the same for fractions.
        members: how often both are fitted, from other seeds: their answers (of boosting: the logits) are averaged.
    """

    weight: float = 0.0
    weights: tuple[float, ...] = ()
    window: int = 100
    trees: TreesConfig = field(default_factory=lambda: TREES)
    fraction_trees: TreesConfig = field(default_factory=lambda: FRACTION_TREES)
    members: int = 2

    def __post_init__(self) -> None:
        for weight in (self.weight, *self.weights):
            require(0 <= weight <= 1, "weight", weight, "in [0, 1]")
        require(self.members >= 1, "members", self.members, "1 or more")
        for name, trees in (("trees", self.trees), ("fraction_trees", self.fraction_trees)):
            require(
                trees.n_trees > 0 and trees.rounds > 0,
                name,
                "none of a kind",
                "extra trees and boosting",
            )

    @property
    def share(self) -> bool:
        """Whether the trees have a share in the answer."""
        return self.weight > 0 or len(self.weights) > 0

    def features(
        self,
        sequences: Sequence[str],
        types: Sequence[str] | None = None,
        known: Sequence[str] = (),
    ) -> np.ndarray:
        """What the trees read of RNAs: float32, shape (n, width), columns as `feature_names`.

        Args:
            types: type of each RNA, see `seqtower.data.sequences.RNA_TYPES`; circRNAs are read as circles. None for not told.
            known: the types that have a column, as in `seqtower.data.sequences.vocabulary`.

        Raises:
            ConfigError: a type that is none of `known`.
        """
        circular = None if types is None else [name == CIRCLE for name in types]
        found = [descriptors(sequences, window=self.window, circular=circular)]
        if types is not None:
            found += (
                [junction(sequences, [name == CIRCLE for name in types])] if CIRCLE in known else []
            )
            found.append(np.eye(len(known), dtype=np.float32)[type_numbers(types, known)])
        return np.hstack(found)


def feature_names(known: Sequence[str] = ()) -> list[str]:
    """Names in the order of the columns of `DescriptorConfig.features`: descriptors, the junction where circles are known, types."""
    return [*descriptor_names(), *(junction_names() if CIRCLE in known else ()), *known]


@dataclass(frozen=True, eq=False)
class DescriptorTrees:
    """Fitted trees.

    Attributes:
        forest: extra trees, whose sum is a probability or fraction.
        boosted: boosted trees, whose sum is a logit, or a fraction.
        kind: of the labels, see `mirnagraph.evaluation.metrics.KINDS`.
        own: place of a type of RNAs in the vocabulary -> trees fitted on RNAs of that type alone, and the compartments that they speak of. For an RNA
            of that type they count as much as the trees that all types share.
        n_types: types in the vocabulary, whose columns are the last of the features; read where there is any of `own`.
    """

    forest: TreeArrays
    boosted: TreeArrays
    kind: str
    own: Mapping[int, tuple[DescriptorTrees, np.ndarray]] = field(default_factory=dict)
    n_types: int = 0

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Probabilities or fractions: float64, shape (n, n_labels)."""
        forest = self.forest(features)
        boosted = self.boosted(features)
        said = blend(0.5, forest, boosted if self.kind == FRACTIONS else expit(boosted), self.kind)
        for number, (trees, columns) in self.own.items():
            rows = np.flatnonzero(features[:, number - self.n_types] > 0.5)
            if len(rows):
                said[np.ix_(rows, columns)] = blend(
                    0.5, trees.predict(features[rows]), said[np.ix_(rows, columns)], self.kind
                )
        return said

    def to_arrays(self) -> dict[str, np.ndarray]:
        """All arrays by name, for safetensors."""
        found = self.forest.to_arrays(FOREST) | self.boosted.to_arrays(BOOSTED)
        for number, (trees, columns) in self.own.items():
            start = f"{OWN}.{number}."
            found |= {start + name: array for name, array in trees.to_arrays().items()} | {
                start + COLUMNS: np.asarray(columns, dtype=np.int64)
            }
        return found

    @classmethod
    def from_arrays(
        cls,
        arrays: Mapping[str, np.ndarray],
        kind: str,
        n_labels: int,
        known: Sequence[str] = (),
    ) -> DescriptorTrees:
        """Back from `to_arrays`.

        Args:
            known: the types of RNAs that the trees are told.

        Raises:
            CheckpointError: arrays that lack or do not fit each other.
        """
        own = {}
        for number in range(len(known)):
            start = f"{OWN}.{number}."
            mine = {
                name.removeprefix(start): array
                for name, array in arrays.items()
                if name.startswith(start)
            }
            if mine:
                columns = np.asarray(mine.pop(COLUMNS, np.zeros(0, dtype=np.int64)))
                if (
                    columns.ndim != 1
                    or not len(columns)
                    or not np.isin(columns, range(n_labels)).all()
                    or len(np.unique(columns)) < len(columns)
                ):
                    raise CheckpointError(
                        "the trees of a type of RNAs do not say of which compartments they speak",
                        found=columns.tolist(),
                    )
                own[number] = (cls._alone(mine, kind, len(columns), known), columns)
        return replace(cls._alone(arrays, kind, n_labels, known), own=own, n_types=len(known))

    @classmethod
    def _alone(
        cls, arrays: Mapping[str, np.ndarray], kind: str, n_labels: int, known: Sequence[str]
    ) -> DescriptorTrees:
        found = cls(
            TreeArrays.from_arrays(arrays, FOREST), TreeArrays.from_arrays(arrays, BOOSTED), kind
        )
        width = len(feature_names(known))
        if any(
            part.value.shape[1:] != (n_labels,)
            or (len(part.feature) and part.feature.max() >= width)
            for part in (found.forest, found.boosted)
        ):
            raise CheckpointError(
                "the trees on descriptors do not fit the compartments or the descriptors"
            )
        return found


def fit_typed_trees(
    features: np.ndarray,
    labels: np.ndarray,
    kind: str,
    config: DescriptorConfig,
    seed: int,
    n_types: int,
) -> DescriptorTrees:
    """Trees that all types of RNAs share, and beside them, for 0/1 compartments, trees of each type alone.

    A type that has a compartment in all of its RNAs or in none of them leaves that compartment to the shared trees, as does a type with fewer than
    `LEAST_OF_A_TYPE` RNAs.

    Args:
        features: whose last `n_types` columns say the type, shape (n, width); with fewer than two types there are shared trees alone.
        labels, kind: see `fit_descriptor_trees`.
    """
    shared = fit_descriptor_trees(features, labels, kind, config, seed)
    if n_types < 2 or kind != MULTI_LABEL:
        return shared
    own = {}
    for number in range(n_types):
        rows = np.flatnonzero(features[:, number - n_types] > 0.5)
        if len(rows) < LEAST_OF_A_TYPE:
            continue
        mine = labels[rows]
        columns = np.flatnonzero(
            [len(np.unique(column[~np.isnan(column)])) > 1 for column in mine.T]
        )
        if len(columns):
            own[number] = (
                fit_descriptor_trees(
                    features[rows],
                    mine[:, columns],
                    kind,
                    config,
                    child_seed(seed, "own type", number),
                ),
                columns,
            )
    return replace(shared, own=own, n_types=n_types)


def fit_descriptor_trees(
    features: np.ndarray, labels: np.ndarray, kind: str, config: DescriptorConfig, seed: int
) -> DescriptorTrees:
    """Fit both kinds of trees on training rows.

    Compartments that are known of the same RNAs share a forest, fitted on these RNAs: of sets that speak of different compartments each is learned
    from the sets that speak of it.

    Args:
        features: of `DescriptorConfig.features`, shape (n, width).
        labels: shape (n, n_labels), NaN where unknown; every compartment is known of some row.
        kind: see `mirnagraph.evaluation.metrics.KINDS`.
    """
    trees = config.fraction_trees if kind == FRACTIONS else config.trees
    known = ~np.isnan(labels)
    forests = []
    boosted = []
    for columns in both_known(known):
        read = features[known[:, columns[0]]]
        true = labels[known[:, columns[0]]][:, columns]
        for member in range(config.members):
            own = child_seed(seed, "member", member)
            forest = fit_extra_trees(read, true, trees, child_seed(own, "forest"))
            boosting = fit_boosting(
                read,
                true,
                trees,
                child_seed(own, "boosting"),
                forest.importance,
                fractions=kind == FRACTIONS,
            )
            forests.append((forest.trees.times(1 / config.members), columns))
            boosted.append((boosting.times(1 / config.members), columns))
    return DescriptorTrees(
        join_outputs(forests, labels.shape[1]), join_outputs(boosted, labels.shape[1]), kind
    )


def blend(weight: float, one: np.ndarray, other: np.ndarray, kind: str) -> np.ndarray:
    """`weight` of one answer and the rest of another: the mean of logits for 0/1 compartments, of shares otherwise.

    Args:
        one, other: probabilities or fractions, shape (n, n_labels).
    """
    first, second = (np.clip(answer, LEAST, 1 - LEAST) for answer in (one, other))
    if kind == MULTI_LABEL:
        return np.asarray(expit(weight * logit(first) + (1 - weight) * logit(second)))
    mixed = (
        weight * first + (1 - weight) * second
        if kind == FRACTIONS
        else np.exp(weight * np.log(first) + (1 - weight) * np.log(second))
    )
    return np.asarray(mixed / mixed.sum(axis=1, keepdims=True))


def choose_weight(
    config: DescriptorConfig, trees: np.ndarray, tower: np.ndarray, labels: np.ndarray, kind: str
) -> float:
    """The share of the trees with the lowest loss: squared error for fractions, else the log loss of what is known.

    Args:
        trees, tower: what both say of rows that neither was fitted on, shape (n, n_labels).
        labels: of the same rows, NaN where unknown.
    """
    if not config.weights:
        return config.weight
    losses = []
    for weight in config.weights:
        said = np.clip(blend(weight, trees, tower, kind), LEAST, 1 - LEAST)
        each = (
            (said - labels) ** 2
            if kind == FRACTIONS
            else -(labels * np.log(said) + (1 - labels) * np.log(1 - said))
        )
        losses.append(float(np.nanmean(each)))
    return float(config.weights[int(np.argmin(losses))])
