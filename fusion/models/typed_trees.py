"""Trees per RNA type: networks for miRNAs, descriptors for long RNAs, each behind a gate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import logit

from fusion.tokens.names import TYPE, single_tokens
from fusion.tokens.table import TokenTable
from mirnagraph.errors import ConfigError
from mirnagraph.seeds import child_seed
from mirnagraph.trees import (
    TreeArrays,
    TreesConfig,
    both_known,
    constant,
    fit_boosting,
    fit_extra_trees,
    gated,
    join_outputs,
    replay_in_bag,
)


@dataclass(frozen=True, eq=False)
class TypedTrees:
    """Fitted trees of all types.

    Attributes:
        forest: extra trees on the flat tokens of any RNA.
        boosted: boosting, likewise; without a tree where the settings have no rounds.
        out_of_bag: probabilities of the training rows by trees whose bootstrap sample lacks them:
            shape (n_train, n_labels).
        in_bag: bool, shape (trees of `forest`, n_train): whether a training row is in a tree's
            bootstrap sample.
    """

    forest: TreeArrays
    boosted: TreeArrays
    out_of_bag: np.ndarray
    in_bag: np.ndarray


def fit_typed_trees(
    tokens: TokenTable,
    names: tuple[str, ...],
    labels: np.ndarray,
    train: np.ndarray,
    settings: list[TreesConfig],
    seed: int,
) -> TypedTrees:
    """Fit extra trees and boosting for every RNA type among the training rows.

    The trees of a type read the tokens that at least one of its training RNAs has. A compartment
    for which no training RNA of a type is labelled gets, for that type, the share of all other
    training RNAs that are annotated there.

    Args:
        tokens: with ``type``, a one-hot code.
        names: tokens that the trees read.
        labels: shape (n_rnas, n_labels), NaN where unknown; only training rows are read.
        train: training rows.
        settings: per type, in the order of the columns of ``type``.
        seed: of the trees; every type and group of compartments draws from its own child.

    Raises:
        ConfigError: the trees do not read ``type``.
    """
    training = TypedTraining(tokens, names, labels, train, settings, seed)
    flat = tokens.flat(names)
    n_labels = labels.shape[1]
    n_known = (~np.isnan(labels[train])).sum(axis=0)
    share = (np.nansum(labels[train], axis=0) + 0.5) / (n_known + 1)
    forests: list[tuple[TreeArrays, np.ndarray]] = []
    boosted: list[tuple[TreeArrays, np.ndarray]] = []
    out_of_bag = np.tile(share, (len(train), 1))
    in_bag = [np.zeros((0, len(train)), dtype=bool)]
    for of_type in training.of_types():
        config = of_type.config
        for group, is_labelled in of_type.groups:
            group_seed = of_type.seed(seed, group)
            fit_places = of_type.places[is_labelled]
            other_places = of_type.places[~is_labelled]
            features = flat[np.ix_(train[fit_places], of_type.columns)]
            targets = labels[np.ix_(train[fit_places], group)]
            forest = fit_extra_trees(features, targets, config, group_seed)
            out_of_bag[np.ix_(fit_places, group)] = forest.out_of_bag
            if len(other_places):
                # RNAs that these trees were not fitted on are predicted as test RNAs are
                others = forest.trees(flat[np.ix_(train[other_places], of_type.columns)])
                out_of_bag[np.ix_(other_places, group)] = np.clip(others, 0, 1)
            forests.append((gated(forest.trees, of_type.gate, of_type.columns), group))
            # the last root holds the offset
            samples = np.zeros((config.n_trees + 1, len(train)), dtype=bool)
            samples[:-1, fit_places] = forest.in_bag
            in_bag.append(samples)
            if config.rounds:
                trees = fit_boosting(features, targets, config, group_seed, forest.importance)
                boosted.append((gated(trees, of_type.gate, of_type.columns), group))
        unlabelled = of_type.unlabelled(n_labels)
        if len(unlabelled):
            forests.append((gated(constant(share[unlabelled]), of_type.gate), unlabelled))
            in_bag.append(np.zeros((1, len(train)), dtype=bool))
            boosted.append((gated(constant(logit(share[unlabelled])), of_type.gate), unlabelled))
    joined_forest = join_outputs(forests, n_labels)
    joined_boosted = join_outputs(boosted, n_labels)
    return TypedTrees(joined_forest, joined_boosted, out_of_bag, np.concatenate(in_bag))


def without_trees_of(
    forest: TreeArrays, in_bag: np.ndarray | None, training: TypedTraining, row: int
) -> TreeArrays | None:
    """The forest of `fit_typed_trees` without the trees that have one training row in their sample.

    Args:
        forest: of `fit_typed_trees`.
        in_bag: see `TypedTrees`; None where the model was saved without it: the samples are then
            reproduced from the seed.
        training: what the forest was fitted with.
        row: one of the training rows.

    Returns:
        None where every tree has the row in its sample, or where the forest has other trees.
    """
    place = int(np.flatnonzero(training.train == row)[0])
    start = 0
    is_used = np.ones(len(forest.roots), dtype=bool)
    value = forest.value.copy()
    ends = np.append(forest.roots, len(value))
    for of_type in training.of_types():
        n_trees = of_type.config.n_trees
        for group, is_labelled in of_type.groups:
            fit_places = of_type.places[is_labelled]
            end = start + n_trees + 1  # the last root holds the offset
            if end > len(forest.roots):
                return None
            if place in fit_places:
                if in_bag is not None:
                    is_out_of_bag = ~in_bag[start : end - 1, place]
                else:
                    group_seed = of_type.seed(training.seed, group)
                    samples = replay_in_bag(len(fit_places), n_trees, group_seed)
                    is_out_of_bag = ~samples[:, np.flatnonzero(fit_places == place)[0]]
                if not is_out_of_bag.any():
                    return None
                is_used[start : end - 1] = is_out_of_bag
                scale = len(is_out_of_bag) / is_out_of_bag.sum()
                value[ends[start] : ends[end]] *= np.float32(scale)
            start = end
        if len(of_type.unlabelled(training.labels.shape[1])):
            start += 1
    if start != len(forest.roots):
        return None
    return replace(forest, roots=forest.roots[is_used], value=value)


@dataclass(frozen=True, eq=False)
class TypedTraining:
    """What `fit_typed_trees` fits, see its arguments."""

    tokens: TokenTable
    names: tuple[str, ...]
    labels: np.ndarray
    train: np.ndarray
    settings: list[TreesConfig]
    seed: int

    def of_types(self) -> Iterator[_RowsOfType]:
        """Training rows per type; ConfigError where the trees do not read ``type``."""
        single = single_tokens(self.names)
        if TYPE not in single:
            raise ConfigError(
                f"the trees do not read the token {TYPE!r}, which RNAs of several types need"
            )
        starts = np.cumsum([0, *(self.tokens[name].width for name in single)])
        is_known = ~np.isnan(self.labels[self.train])
        first_gate = int(starts[single.index(TYPE)])
        for number, config in enumerate(self.settings):
            places = np.flatnonzero(self.tokens[TYPE].values[self.train, number] > 0.5)
            columns = [np.arange(0)]
            for name, start in zip(single, starts, strict=False):
                token = self.tokens[name]
                if name != TYPE and token.present[self.train[places]].any():
                    columns.append(start + np.arange(token.width))
            groups = []
            if len(columns) > 1:
                for group in both_known(is_known[places]):
                    is_labelled = is_known[places, group[0]]
                    if is_labelled.any():
                        groups.append((group, is_labelled))
            gate = first_gate + number
            yield _RowsOfType(number, config, gate, places, np.concatenate(columns), groups)


@dataclass(frozen=True, eq=False)
class _RowsOfType:
    """Training rows of one RNA type.

    Attributes:
        number: of the type.
        config: settings of its trees.
        gate: column of the flat tokens that holds the type.
        places: of the rows among the training rows.
        columns: of the flat tokens that the trees of the type read: those that at least one of the
            rows has, without those of the type.
        groups: compartments that are known together, and which of the rows have them.
    """

    number: int
    config: TreesConfig
    gate: int
    places: np.ndarray
    columns: np.ndarray
    groups: list[tuple[np.ndarray, np.ndarray]]

    def seed(self, seed: int, group: np.ndarray) -> int:
        return child_seed(seed, "type", self.number, "compartments", ",".join(map(str, group)))

    def unlabelled(self, n_labels: int) -> np.ndarray:
        """Compartments in no group."""
        labels = np.arange(n_labels)
        grouped = np.concatenate([labels[:0], *(group for group, _ in self.groups)])
        return np.setdiff1d(labels, grouped)
