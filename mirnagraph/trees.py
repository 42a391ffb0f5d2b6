"""Extra trees and gradient boosting, fitted by scikit-learn and stored as plain arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numba import njit

from mirnagraph.config import (
    AtLeastTwo,
    Checked,
    Count,
    CountOrZero,
    Positive,
    PositiveOrZero,
    Share,
)
from mirnagraph.errors import CheckpointError
from mirnagraph.seeds import child_seed

GATE = 0.5


@dataclass(frozen=True)
class TreesConfig(Checked):
    """Settings of the trees.

    Attributes:
        n_trees: extra trees, grown on all compartments together.
        min_samples_leaf: fewest training RNAs in a leaf of an extra tree.
        max_features: share of features looked at per split of an extra tree, in (0, 1].
        rounds: boosting rounds per compartment; 0 for none.
        learning_rate: of boosting.
        leaves: most leaves of a boosted tree.
        boosting_leaf: fewest training RNAs in a leaf of a boosted tree.
        l2: penalty on the leaves of boosted trees.
        boosting_features: share of features looked at per split of a boosted tree, in (0, 1].
        boosting_width: number of features for boosting, the most important ones of the extra trees;
            0 for all.
    """

    n_trees: Count = 300
    min_samples_leaf: Count = 1
    max_features: Share = 0.1
    rounds: CountOrZero = 120
    learning_rate: Positive = 0.06
    leaves: AtLeastTwo = 8
    boosting_leaf: Count = 10
    l2: PositiveOrZero = 5.0
    boosting_features: Share = 0.1
    boosting_width: CountOrZero = 0


@dataclass(frozen=True, eq=False)
class TreeArrays:
    """A sum of trees as arrays, so that it can be stored without pickle.

    Attributes:
        feature: int32 (n_nodes,), column to compare; -1 at a leaf.
        threshold: float64 (n_nodes,); a row goes left where its float32 value is not above it.
        left, right: int32 (n_nodes,), absolute node numbers.
        value: float32 (n_nodes, n_outputs), what a leaf adds.
        roots: int32 (n_trees,).
        offset: float64 (n_outputs,), added to the sum of all trees.
    """

    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    value: np.ndarray
    roots: np.ndarray
    offset: np.ndarray

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Sum over trees: float64, shape (n, n_outputs)."""
        rows = np.ascontiguousarray(features, dtype=np.float32)
        width = int(self.feature.max(initial=-1)) + 1
        if width > rows.shape[1]:  # compiled code would read beyond the row
            what = "the trees read more features than there are"
            raise CheckpointError(what, found=width, expected=f"at most {rows.shape[1]}")
        nodes = (self.feature, self.threshold, self.left, self.right, self.value)
        return self.offset + _add_leaves(rows, *nodes, self.roots)

    def times(self, factor: float) -> TreeArrays:
        """Scale the sum of the trees by `factor`."""
        value = (self.value * factor).astype(np.float32)
        return replace(self, value=value, offset=self.offset * factor)

    def to_arrays(self, prefix: str) -> dict[str, np.ndarray]:
        """Name all arrays for safetensors.

        Values of inner nodes, which nothing reads, are 0. A threshold is the largest float32 that
        is not above it: features are float32, so that every row goes the same way.
        """
        nearest = self.threshold.astype(np.float32)
        below = np.nextafter(nearest, np.float32(-np.inf))
        changed = {
            "threshold": np.where(nearest > self.threshold, below, nearest).astype(np.float64),
            "value": np.where((self.feature < 0)[:, None], self.value, np.float32(0)),
        }
        names = self.__dataclass_fields__
        return {f"{prefix}.{name}": changed.get(name, getattr(self, name)) for name in names}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], prefix: str) -> TreeArrays:
        """Restore trees from `to_arrays`, checked, since the file may be from an untrusted source.

        Raises:
            CheckpointError: an array is missing or damaged.
        """
        names = cls.__dataclass_fields__
        try:
            trees = cls(**{name: np.asarray(arrays[f"{prefix}.{name}"]) for name in names})
        except KeyError as error:
            raise CheckpointError("the model lacks an array", found=str(error)) from None
        expected = trees._damage()
        if expected is not None:
            raise CheckpointError(f"the trees of {prefix!r} are damaged", expected=expected)
        return trees

    def _damage(self) -> str | None:
        """What is expected of arrays that do not fit each other; None where they do."""
        pointers = (self.feature, self.left, self.right, self.roots)
        if any(array.dtype.kind != "i" or array.ndim != 1 for array in pointers):
            return "whole numbers for features, children and roots"
        n_nodes = len(self.feature)
        lengths = {len(array) for array in (self.threshold, self.left, self.right, self.value)}
        if lengths != {n_nodes}:
            return f"{n_nodes} nodes in every array"
        if self.value.ndim != 2 or self.offset.shape != self.value.shape[1:]:
            return "one value and one offset for each output"
        for array in (self.left, self.right, self.roots):
            if array.min(initial=0) < 0 or array.max(initial=-1) >= n_nodes:
                return f"nodes 0 to {n_nodes - 1}"
        inner = np.flatnonzero(self.feature >= 0)
        # children come after their parent, so that a prediction ends
        if (self.left[inner] <= inner).any() or (self.right[inner] <= inner).any():
            return "nodes that point to later nodes"
        return None


@njit(cache=True, nogil=True)  # type: ignore[misc]
def _add_leaves(  # type: ignore[no-untyped-def]  # pragma: no cover
    rows, feature, threshold, left, right, value, roots
):
    total = np.zeros((rows.shape[0], value.shape[1]))
    for i in range(rows.shape[0]):
        for root in roots:
            node = root
            while feature[node] >= 0:
                node = left[node] if rows[i, feature[node]] <= threshold[node] else right[node]
            for j in range(value.shape[1]):
                total[i, j] += value[node, j]
    return total


def _single_tree(
    feature: np.ndarray,
    threshold: np.ndarray,
    left: np.ndarray,
    right: np.ndarray,
    value: np.ndarray,
) -> TreeArrays:
    """Make a sum of one tree of nodes numbered within the tree; `feature` is -1 at a leaf."""
    leaf = feature < 0
    return TreeArrays(
        feature=feature.astype(np.int32),
        threshold=np.where(leaf, 0.0, threshold),
        left=np.where(leaf, 0, left).astype(np.int32),
        right=np.where(leaf, 0, right).astype(np.int32),
        value=np.where(leaf[:, None], value, 0.0).astype(np.float32),
        roots=np.zeros(1, dtype=np.int32),
        offset=np.zeros(value.shape[1]),
    )


def join_outputs(
    parts: Iterable[tuple[TreeArrays, np.ndarray | list[int]]], n_outputs: int
) -> TreeArrays:
    """Join trees of different outputs into one sum; outputs of several are added up.

    Args:
        parts: trees, and the columns of their outputs.
        n_outputs: number of columns of the result.
    """
    nothing = constant(np.zeros(n_outputs))
    sums = [nothing]
    offset = nothing.offset.copy()
    start = 0
    for trees, columns in parts:
        leaf = trees.feature < 0
        value = np.zeros((len(leaf), n_outputs), dtype=np.float32)
        value[:, columns] = trees.value
        offset[columns] += trees.offset
        left = np.where(leaf, 0, trees.left + start)
        right = np.where(leaf, 0, trees.right + start)
        roots = trees.roots + start
        sums.append(replace(trees, left=left, right=right, value=value, roots=roots))
        start += len(leaf)
    names = [name for name in TreeArrays.__dataclass_fields__ if name != "offset"]
    arrays = {name: np.concatenate([getattr(trees, name) for trees in sums]) for name in names}
    return TreeArrays(**arrays, offset=offset)


def gated(trees: TreeArrays, column: int, columns: np.ndarray | None = None) -> TreeArrays:
    """Restrict a sum of trees to rows whose `column` is above one half; it is 0 for all others.

    The result has one tree more than `trees`: the last one adds their offset. Sums behind gates of
    different columns of a one-hot code are added by `join_outputs`.

    Args:
        trees: fitted on some columns of a table.
        column: of a 0/1 feature, in the table that the result will read.
        columns: where the columns that `trees` read are in that table; None for the same places.
    """
    n_outputs = trees.value.shape[1]
    # a gate per tree and one for the offset, then their two leaves: nothing, and the offset
    gates = len(trees.roots) + 1
    nothing = gates
    everything = gates + 1
    start = gates + 2
    leaf = trees.feature < 0
    feature = trees.feature
    if columns is not None:
        feature = np.where(leaf, -1, np.asarray(columns)[np.maximum(feature, 0)])
    value = np.zeros((start, n_outputs), dtype=np.float32)
    value[everything] = trees.offset
    left = np.where(leaf, 0, trees.left + start)
    right = np.where(leaf, 0, trees.right + start)
    two = np.zeros(2, dtype=np.int32)
    return TreeArrays(
        feature=np.concatenate([np.full(gates, column), two - 1, feature]).astype(np.int32),
        threshold=np.concatenate([np.full(gates, GATE), two, trees.threshold]),
        left=np.concatenate([np.full(gates, nothing), two, left]).astype(np.int32),
        right=np.r_[trees.roots + start, everything, two, right].astype(np.int32),
        value=np.concatenate([value, trees.value]),
        roots=np.arange(gates, dtype=np.int32),
        offset=np.zeros(n_outputs),
    )


def constant(values: np.ndarray) -> TreeArrays:
    """Make a sum without trees: the same `values`, shape (n_outputs,), for every row."""
    none = np.zeros(0, dtype=np.int32)
    value = np.zeros((0, len(values)), dtype=np.float32)
    offset = np.asarray(values, dtype=np.float64)
    return TreeArrays(none, np.zeros(0), none, none, value, none, offset)


@dataclass(frozen=True, eq=False)
class FittedForest:
    """Extra trees with out-of-bag predictions of their training rows.

    Attributes:
        trees: the sum of trees is the probability.
        out_of_bag: shape (n_train, n_labels), each training row predicted by the trees whose
            bootstrap sample lacks it (by the training frequency where none does).
        importance: of each feature, shape (width,), summing to 1.
        in_bag: bool, shape (n_trees, n_train), whether a row is in a tree's bootstrap sample.
    """

    trees: TreeArrays
    out_of_bag: np.ndarray
    importance: np.ndarray
    in_bag: np.ndarray


def fit_extra_trees(
    features: np.ndarray, labels: np.ndarray, config: TreesConfig, seed: int
) -> FittedForest:
    """Fit extra trees for all compartments at once, each on a bootstrap sample.

    For 0/1 labels the squared error and the Gini index choose the same splits, and a regressor
    takes compartments with a single value.

    Args:
        features: float32, shape (n, width).
        labels: 0/1, shape (n, n_labels).
        config: n_trees, min_samples_leaf and max_features are read.
        seed: of bootstrap samples and splits.
    """
    from sklearn.ensemble import ExtraTreesRegressor

    n_train, n_labels = labels.shape
    every_label = np.arange(n_labels)
    forest = ExtraTreesRegressor(
        config.n_trees,
        min_samples_leaf=config.min_samples_leaf,
        max_features=config.max_features,
        bootstrap=True,
        random_state=_forest_seed(seed),
    ).fit(features, labels if n_labels > 1 else labels[:, 0])
    parts = []
    total = np.zeros(labels.shape)
    in_bag = np.zeros((config.n_trees, n_train), dtype=bool)
    samples = zip(forest.estimators_, forest.estimators_samples_, strict=True)
    for number, (estimator, sample) in enumerate(samples):
        tree = estimator.tree_
        left = tree.children_left
        feature = np.where(left < 0, -1, tree.feature)
        value = tree.value[:, :, 0] / config.n_trees
        part = _single_tree(feature, tree.threshold, left, tree.children_right, value)
        parts.append((part, every_label))
        in_bag[number, sample] = True
        out = ~in_bag[number]
        rows = np.asarray(features[out], dtype=np.float32)
        total[out] += tree.predict(rows).reshape(-1, n_labels)
    n_trees_out = (~in_bag).sum(axis=0)
    mean = total / np.maximum(n_trees_out, 1)[:, None]
    out_of_bag = np.where(n_trees_out[:, None] > 0, mean, labels.mean(axis=0))
    trees = join_outputs(parts, n_labels)
    return FittedForest(trees, out_of_bag, np.asarray(forest.feature_importances_), in_bag)


def _forest_seed(seed: int) -> int:
    """Seed of scikit-learn's generator of a forest, for a fold's seed."""
    return child_seed(seed, "extra trees") % 2**32


def replay_in_bag(n_train: int, n_trees: int, seed: int) -> np.ndarray:
    """Bootstrap samples of `fit_extra_trees`, reproduced from the seed, as `FittedForest.in_bag`.

    For models saved without their samples. It draws random numbers in the order of scikit-learn,
    which a test checks.
    """
    forest_state = np.random.RandomState(_forest_seed(seed))
    in_bag = np.zeros((n_trees, n_train), dtype=bool)
    for tree in range(n_trees):
        tree_state = np.random.RandomState(forest_state.randint(np.iinfo(np.int32).max))
        in_bag[tree, tree_state.randint(0, n_train, n_train)] = True
    return in_bag


def both_known(known: np.ndarray) -> list[np.ndarray]:
    """Group columns by the rows in which they are known, in order of first appearance.

    Args:
        known: bool, shape (n, n_labels).
    """
    groups: dict[bytes, list[int]] = {}
    for column in range(known.shape[1]):
        groups.setdefault(np.packbits(known[:, column]).tobytes(), []).append(column)
    return [np.array(columns) for columns in groups.values()]


def fit_boosting(
    features: np.ndarray,
    labels: np.ndarray,
    config: TreesConfig,
    seed: int,
    importance: np.ndarray | None = None,
    *,
    fractions: bool = False,
) -> TreeArrays:
    """Fit gradient boosting, one model per compartment; the sum of trees is the logit.

    A compartment with a single value in the training rows gets the logit of a smoothed frequency
    and no tree.

    Args:
        features: float32, shape (n, width).
        labels: 0/1, or numbers with `fractions`, shape (n, n_labels); a row whose label is NaN is
            left out for that compartment.
        config: all but the settings of extra trees is read.
        seed: of the features that each split looks at.
        importance: shape (width,); with it the `boosting_width` most important features are read.
        fractions: fit the labels as numbers; the sum of trees is then the number itself, no logit.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    width = features.shape[1]
    n_labels = labels.shape[1]
    columns_read = np.arange(width)
    if importance is not None and 0 < config.boosting_width < width:
        order = np.argsort(-importance, kind="stable")
        columns_read = np.sort(order[: config.boosting_width])
    frequency = (np.nansum(labels, axis=0) + 0.5) / ((~np.isnan(labels)).sum(axis=0) + 1)
    if fractions:
        model = HistGradientBoostingRegressor
        offset = np.nanmean(labels, axis=0)
    else:
        model = HistGradientBoostingClassifier
        offset = np.log(frequency / (1 - frequency))
    trees = []
    for column in range(n_labels):
        known = ~np.isnan(labels[:, column])
        target = labels[known, column]
        if target.min() == target.max():
            continue
        boosted = model(
            max_iter=config.rounds,
            learning_rate=config.learning_rate,
            max_leaf_nodes=config.leaves,
            min_samples_leaf=config.boosting_leaf,
            l2_regularization=config.l2,
            max_features=config.boosting_features,
            max_bins=32,
            early_stopping=False,
            random_state=child_seed(seed, "boosting", column) % 2**32,
        ).fit(features[known][:, columns_read], target)
        # Private names: pyproject.toml bounds scikit-learn's version, and a test compares the sums.
        offset[column] = np.ravel(boosted._baseline_prediction)[0]
        for (predictor,) in boosted._predictors:
            tree = _boosted_tree(predictor.nodes, columns_read)
            trees.append((tree, [column]))
    return replace(join_outputs(trees, n_labels), offset=offset.astype(np.float64))


def _boosted_tree(nodes: np.ndarray, columns_read: np.ndarray) -> TreeArrays:
    """Read a tree of scikit-learn's histogram boosting, fitted on some columns of a table."""
    feature = np.where(nodes["is_leaf"], -1, columns_read[nodes["feature_idx"]])
    value = nodes["value"][:, None]
    return _single_tree(feature, nodes["num_threshold"], nodes["left"], nodes["right"], value)
