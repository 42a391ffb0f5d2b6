"""Trees of each type of RNA, behind a gate that asks for the type: a miRNA's read networks, those of a long RNA its descriptors."""

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
        forest, boosted: read the flat tokens of any RNA; `boosted` has no tree where the settings want none.
        out_of_bag: what the forest says of training rows by trees that did not draw them: shape (n_train, n_labels).
        in_bag: bool, shape (trees of `forest`, n_train), which training rows are in a tree's bootstrap sample.
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
    """Fit extra trees and boosting for every type of RNA among the training rows.

    The trees of a type read the tokens that at least one of its training RNAs has. A compartment that no training RNA of a type is labelled for gets,
    for that type, the share of all other training RNAs that have it: nothing better is known.

    Args:
        tokens: ``type`` among them, a one-hot code. names: tokens that trees read.
        labels: shape (n_rnas, n_labels), NaN where unknown; only training rows are read.
        settings: per type, in the order of the columns of ``type``.

    Raises:
        ConfigError: the trees do not read ``type``.
    """
    flat = tokens.flat(names)
    every = np.arange(labels.shape[1])
    with np.errstate(invalid="ignore"):
        share = (np.nansum(labels[train], axis=0) + 0.5) / (
            (~np.isnan(labels[train])).sum(axis=0) + 1
        )
    forests: list[tuple[TreeArrays, np.ndarray]] = []
    boosted: list[tuple[TreeArrays, np.ndarray]] = []
    out_of_bag = np.tile(share, (len(train), 1))
    in_bag = [np.zeros((0, len(train)), dtype=bool)]
    for kind, config in zip(
        _kinds(tokens, names, labels, train, len(settings)), settings, strict=True
    ):
        for group, there in kind.groups:
            own = kind.seed(seed, group)
            which = kind.place[there]
            unseen = kind.place[~there]
            read = flat[np.ix_(train[which], kind.columns)]
            true = labels[np.ix_(train[which], group)]
            forest = fit_extra_trees(read, true, config, own)
            out_of_bag[np.ix_(which, group)] = forest.out_of_bag
            if len(unseen):  # of RNAs that it did not learn from, as of those that are tested
                out_of_bag[np.ix_(unseen, group)] = np.clip(
                    forest.trees(flat[np.ix_(train[unseen], kind.columns)]), 0, 1
                )
            forests.append((gated(forest.trees, kind.gate, kind.columns), group))
            drawn = np.zeros(
                (config.n_trees + 1, len(train)), dtype=bool
            )  # the last root holds the offset
            drawn[:-1, which] = forest.in_bag
            in_bag.append(drawn)
            if config.rounds:
                boosted.append(
                    (
                        gated(
                            fit_boosting(read, true, config, own, forest.importance),
                            kind.gate,
                            kind.columns,
                        ),
                        group,
                    )
                )
        silent = kind.silent(len(every))
        if len(silent):
            forests.append((gated(constant(share[silent]), kind.gate), silent))
            in_bag.append(np.zeros((1, len(train)), dtype=bool))
            boosted.append((gated(constant(logit(share[silent])), kind.gate), silent))
    extra_rnas = join_outputs(forests, len(every))
    return TypedTrees(
        extra_rnas, join_outputs(boosted, len(every)), out_of_bag, np.concatenate(in_bag)
    )


def without_trees_of(
    forest: TreeArrays,
    in_bag: np.ndarray | None,
    tokens: TokenTable,
    names: tuple[str, ...],
    labels: np.ndarray,
    train: np.ndarray,
    settings: list[TreesConfig],
    seed: int,
    row: int,
) -> TreeArrays | None:
    """The forest of `fit_typed_trees` with only those trees whose bootstrap sample lacks one training row.

    Args:
        in_bag: see `TypedTrees`; None where the model was saved without, for samples reproduced from the seed.
        row: one of `train`. The others: what the forest was fitted with.

    Returns:
        None where every tree drew the row, or where the trees are not those.
    """
    place = int(np.flatnonzero(train == row)[0])
    at = 0
    kept = np.ones(len(forest.roots), dtype=bool)
    value = forest.value.copy()
    ends = np.append(forest.roots, len(value))
    for kind, config in zip(
        _kinds(tokens, names, labels, train, len(settings)), settings, strict=True
    ):
        for group, there in kind.groups:
            which = kind.place[there]  # the last root holds the offset
            until = at + config.n_trees + 1
            if until > len(forest.roots):
                return None
            if row in train[which]:
                if in_bag is not None:
                    unseen = ~in_bag[at : until - 1, place]
                else:
                    replayed = replay_in_bag(len(which), config.n_trees, kind.seed(seed, group))
                    unseen = ~replayed[:, int(np.flatnonzero(which == place)[0])]
                if not unseen.any():
                    return None
                kept[at : until - 1] = unseen
                value[ends[at] : ends[until]] *= np.float32(len(unseen) / unseen.sum())
            at = until
        at += bool(
            len(kind.silent(labels.shape[1]))
        )  # one root for all that the type does not speak of
    return (
        replace(forest, roots=forest.roots[kept], value=value) if at == len(forest.roots) else None
    )


@dataclass(frozen=True, eq=False)
class _Kind:
    """Training rows of one type of RNA: their places among them, the column of their gate and those that their trees read, and per group of
    compartments that are known together which of them have it."""

    number: int
    gate: int
    place: np.ndarray
    columns: np.ndarray
    groups: list[tuple[np.ndarray, np.ndarray]]

    def seed(self, seed: int, group: np.ndarray) -> int:
        return child_seed(seed, "type", self.number, "compartments", ",".join(map(str, group)))

    def silent(self, n_labels: int) -> np.ndarray:
        every = np.arange(n_labels)
        return np.setdiff1d(
            every, np.concatenate([every[:0], *(group for group, _ in self.groups)])
        )


def _kinds(
    tokens: TokenTable, names: tuple[str, ...], labels: np.ndarray, train: np.ndarray, n_types: int
) -> Iterator[_Kind]:
    single = single_tokens(names)
    if TYPE not in single:
        raise ConfigError(
            f"RNAs of several types need the token {TYPE!r} among the tokens of the trees"
        )
    starts = np.cumsum([0, *(tokens[name].width for name in single)])
    known = ~np.isnan(labels[train])
    for number in range(n_types):
        place = np.flatnonzero(tokens[TYPE].values[train, number] > 0.5)
        columns = _columns(tokens, single, starts, train[place])
        groups = [(group, known[place, group[0]]) for group in both_known(known[place])]
        yield _Kind(
            number,
            int(starts[single.index(TYPE)]) + number,
            place,
            columns,
            [g for g in groups if g[1].any()] if len(columns) else [],
        )


def _columns(
    tokens: TokenTable, single: list[str], starts: np.ndarray, rows: np.ndarray
) -> np.ndarray:
    """Columns of the flat tokens that at least one of the rows has."""
    there = [name != TYPE and bool(tokens[name].present[rows].any()) for name in single]
    return np.concatenate(
        [np.arange(0), *(np.arange(starts[i], starts[i + 1]) for i, yes in enumerate(there) if yes)]
    ).astype(np.int64)
