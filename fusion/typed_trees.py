"""Trees of each type of RNA, behind a gate that asks for the type: a miRNA's read networks, those of a long RNA its descriptors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import logit

from fusion.tokens import TokenTable, single_tokens
from mirnagraph.errors import ConfigError
from mirnagraph.seeds import child_seed
from mirnagraph.tree_gates import constant, gated
from mirnagraph.trees import TreeArrays, TreesConfig, fit_boosting, fit_extra_trees, join_outputs, known_together

TYPE = "type"


@dataclass(frozen=True, eq=False)
class TypedTrees:
    """Fitted trees of all types.

    Attributes:
        forest, boosted: read the flat tokens of any RNA; `boosted` has no tree where the settings want none.
        out_of_bag: what the forest says of training rows by trees that did not draw them: shape (n_train, n_labels).
    """

    forest: TreeArrays
    boosted: TreeArrays
    out_of_bag: np.ndarray


def fit_typed_trees(tokens: TokenTable, names: tuple[str, ...], labels: np.ndarray, train: np.ndarray, settings: list[TreesConfig], seed: int) -> TypedTrees:
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
    single = single_tokens(names)
    if TYPE not in single:
        raise ConfigError(f"RNAs of several types need the token {TYPE!r} among the tokens of the trees")
    flat, width = tokens.flat(names), [tokens[name].width for name in single]
    starts = np.cumsum([0, *width])
    first = int(starts[single.index(TYPE)])
    with np.errstate(invalid="ignore"):
        known = ~np.isnan(labels[train])
        share = (np.nansum(labels[train], axis=0) + 0.5) / (known.sum(axis=0) + 1)
    n_labels = labels.shape[1]
    every = np.arange(n_labels)
    forests: list[tuple[TreeArrays, np.ndarray]] = []
    boosted: list[tuple[TreeArrays, np.ndarray]] = []
    out_of_bag = np.tile(share, (len(train), 1))
    for number, config in enumerate(settings):
        place = np.flatnonzero(tokens[TYPE].values[train, number] > 0.5)
        mine = train[place]
        columns = _columns(tokens, single, starts, mine)
        spoken = np.zeros(n_labels, dtype=bool)
        for group in known_together(known[place]):
            there = known[place, group[0]]
            which = np.flatnonzero(there)
            if not len(which) or not len(columns):
                continue
            spoken[group] = True
            own = child_seed(seed, "type", number, "compartments", ",".join(map(str, group)))
            read, true = flat[np.ix_(mine[which], columns)], labels[np.ix_(mine[which], group)]
            forest = fit_extra_trees(read, true, config, own)
            out_of_bag[np.ix_(place[which], group)] = forest.out_of_bag
            if not there.all():  # of RNAs that it did not learn from, as of those that are tested
                unseen = np.flatnonzero(~there)
                out_of_bag[np.ix_(place[unseen], group)] = np.clip(forest.trees(flat[np.ix_(mine[unseen], columns)]), 0, 1)
            forests.append((gated(forest.trees, first + number, columns), group))
            if config.rounds:
                boosted.append((gated(fit_boosting(read, true, config, own, forest.importance), first + number, columns), group))
        silent = every[~spoken]
        if len(silent):
            forests.append((gated(constant(share[silent]), first + number), silent))
            boosted.append((gated(constant(logit(share[silent])), first + number), silent))
    return TypedTrees(join_outputs(forests, n_labels), join_outputs(boosted, n_labels), out_of_bag)


def _columns(tokens: TokenTable, single: list[str], starts: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Columns of the flat tokens that at least one of the rows has."""
    there = [name != TYPE and bool(tokens[name].present[rows].any()) for name in single]
    return np.concatenate([np.arange(0), *(np.arange(starts[i], starts[i + 1]) for i, yes in enumerate(there) if yes)]).astype(np.int64)
