"""Trees on flat tokens: extra trees and gradient boosting, fitted by scikit-learn and kept as plain arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numba import njit

from mirnagraph.config import require
from mirnagraph.errors import CheckpointError
from mirnagraph.seeds import child_seed
from mirnagraph.tree_draws import forest_seed


@dataclass(frozen=True)
class TreesConfig:
    """Settings of the trees.

    Attributes:
        n_trees: extra trees, grown on all compartments together; 0 for none.
        min_samples_leaf: fewest training RNAs in a leaf of an extra tree.
        max_features: share of features looked at per split of an extra tree, in (0, 1].
        rounds: boosting rounds per compartment; 0 for none.
        learning_rate: of boosting.
        leaves: most leaves of a boosted tree.
        boosting_leaf: fewest training RNAs in a leaf of a boosted tree.
        l2: penalty on the leaves of boosted trees.
        boosting_features: share of features looked at per split of a boosted tree, in (0, 1].
        boosting_width: boosting reads only so many features, those that the extra trees found most useful; 0 for all.
    """

    n_trees: int = 300
    min_samples_leaf: int = 1
    max_features: float = 0.1
    rounds: int = 120
    learning_rate: float = 0.06
    leaves: int = 8
    boosting_leaf: int = 10
    l2: float = 5.0
    boosting_features: float = 0.1
    boosting_width: int = 0

    def __post_init__(self) -> None:
        require(self.n_trees >= 0 and self.rounds >= 0, "n_trees, rounds", (self.n_trees, self.rounds), "0 or more")
        require(self.min_samples_leaf >= 1, "min_samples_leaf", self.min_samples_leaf, "1 or more")
        require(self.learning_rate > 0, "learning_rate", self.learning_rate, "above 0")
        require(self.leaves >= 2, "leaves", self.leaves, "2 or more")
        require(self.boosting_leaf >= 1, "boosting_leaf", self.boosting_leaf, "1 or more")
        require(self.l2 >= 0, "l2", self.l2, "0 or more")
        require(self.boosting_width >= 0, "boosting_width", self.boosting_width, "0 or more")
        for name in ("max_features", "boosting_features"):
            require(0 < getattr(self, name) <= 1, name, getattr(self, name), "in (0, 1]")


@dataclass(frozen=True, eq=False)
class TreeArrays:
    """A sum of trees as arrays: what scikit-learn fitted, without its classes, so that it can be stored without pickle.

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
        if len(self.feature) and int(self.feature.max()) >= rows.shape[1]:  # compiled code would read beyond the row
            raise CheckpointError("the trees read more features than there are", found=int(self.feature.max()) + 1, expected=f"at most {rows.shape[1]}")
        return self.offset + _add_leaves(rows, self.feature, self.threshold, self.left, self.right, self.value, self.roots)

    def times(self, factor: float) -> TreeArrays:
        """The same trees, whose sum is `factor` times as much."""
        return replace(self, value=(self.value * factor).astype(np.float32), offset=self.offset * factor)

    def to_arrays(self, prefix: str) -> dict[str, np.ndarray]:
        """All arrays by name, for safetensors."""
        return {f"{prefix}.{name}": np.ascontiguousarray(getattr(self, name)) for name in self.__dataclass_fields__}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], prefix: str) -> TreeArrays:
        """Back from `to_arrays`; checks that no node points outside, since the numbers may come from a stranger."""
        try:
            trees = cls(**{name: np.asarray(arrays[f"{prefix}.{name}"]) for name in cls.__dataclass_fields__})
        except KeyError as error:
            raise CheckpointError("the model lacks an array", found=str(error)) from None
        whole = all(getattr(trees, name).dtype.kind == "i" and getattr(trees, name).ndim == 1 for name in ("feature", "left", "right", "roots"))
        if not whole:
            raise CheckpointError(f"the trees of {prefix!r} are damaged", expected="whole numbers for features, children and roots")
        n_nodes = len(trees.feature)
        inner = trees.feature >= 0
        own = np.arange(n_nodes)[inner]
        # children stand after their parent, so walking down ends
        ordered = (trees.left[inner] > own).all() and (trees.right[inner] > own).all()
        inside = all(len(a) == 0 or (int(a.max()) < n_nodes and int(a.min()) >= 0) for a in (trees.left, trees.right, trees.roots))
        same = len({n_nodes, len(trees.threshold), len(trees.left), len(trees.right), len(trees.value)}) == 1
        if not (ordered and inside and same and trees.value.ndim == 2 and trees.offset.shape == trees.value.shape[1:]):
            raise CheckpointError(f"the trees of {prefix!r} are damaged", expected="nodes that point to later nodes")
        return trees


@njit(cache=True, nogil=True)  # type: ignore[misc]
def _add_leaves(rows, feature, threshold, left, right, value, roots):  # type: ignore[no-untyped-def]  # pragma: no cover
    total = np.zeros((rows.shape[0], value.shape[1]))
    for i in range(rows.shape[0]):
        for root in roots:
            node = root
            while feature[node] >= 0:
                node = left[node] if rows[i, feature[node]] <= threshold[node] else right[node]
            for j in range(value.shape[1]):
                total[i, j] += value[node, j]
    return total


@dataclass(frozen=True, eq=False)
class _Tree:
    """One tree: node arrays whose children are numbered within the tree, leaves marked by feature -1."""

    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    value: np.ndarray


def _pack(trees: Sequence[_Tree], n_outputs: int, offset: np.ndarray) -> TreeArrays:
    """Join trees whose values have `n_outputs` columns."""
    starts = np.cumsum([0, *(len(tree.feature) for tree in trees)])
    joined = {
        "feature": [tree.feature for tree in trees],
        "threshold": [np.where(tree.feature < 0, 0.0, tree.threshold) for tree in trees],
        "left": [np.where(tree.feature < 0, 0, tree.left + start) for tree, start in zip(trees, starts, strict=False)],
        "right": [np.where(tree.feature < 0, 0, tree.right + start) for tree, start in zip(trees, starts, strict=False)],
        "value": [np.where(tree.feature[:, None] < 0, tree.value, 0.0) for tree in trees],
    }
    kinds = {"feature": np.int32, "threshold": np.float64, "left": np.int32, "right": np.int32, "value": np.float32}
    arrays = {
        name: np.concatenate(parts).astype(kinds[name]) if parts else np.zeros((0, n_outputs) if name == "value" else 0, kinds[name])
        for name, parts in joined.items()
    }
    return TreeArrays(**arrays, roots=starts[:-1].astype(np.int32), offset=np.asarray(offset, dtype=np.float64))


def join_outputs(parts: Sequence[tuple[TreeArrays, np.ndarray]], n_outputs: int) -> TreeArrays:
    """Trees fitted for some outputs each, as trees of all outputs; what several parts say of one output is added.

    Args:
        parts: trees, and which columns their outputs are.
    """
    starts = np.cumsum([0, *(len(trees.feature) for trees, _ in parts)])
    values = [np.zeros((len(trees.feature), n_outputs), dtype=np.float32) for trees, _ in parts]
    offset = np.zeros(n_outputs)
    for value, (trees, columns) in zip(values, parts, strict=True):
        value[:, columns] = trees.value
        offset[columns] += trees.offset
    moved = {
        name: np.concatenate([np.where(trees.feature < 0, 0, getattr(trees, name) + start) for (trees, _), start in zip(parts, starts, strict=False)])
        for name in ("left", "right")
    }
    return TreeArrays(
        feature=np.concatenate([trees.feature for trees, _ in parts]),
        threshold=np.concatenate([trees.threshold for trees, _ in parts]),
        left=moved["left"].astype(np.int32),
        right=moved["right"].astype(np.int32),
        value=np.concatenate(values),
        roots=np.concatenate([trees.roots + start for (trees, _), start in zip(parts, starts, strict=False)]).astype(np.int32),
        offset=offset,
    )


@dataclass(frozen=True, eq=False)
class FittedForest:
    """Extra trees and what they say of their own training rows.

    Attributes:
        trees: the sum of trees is the probability.
        out_of_bag: shape (n_train, n_labels), each training row predicted by the trees that did not draw it (by the
            training frequency where every tree drew it).
        importance: shape (width,), summing to 1.
    """

    trees: TreeArrays
    out_of_bag: np.ndarray
    importance: np.ndarray


def fit_extra_trees(features: np.ndarray, labels: np.ndarray, config: TreesConfig, seed: int) -> FittedForest:
    """Extra trees over all compartments at once, each grown on a bootstrap sample.

    For 0/1 labels the squared error and the Gini index choose the same splits, and a regressor takes compartments that
    have a single value here.

    Args:
        features: float32, shape (n, width).
        labels: 0/1, shape (n, n_labels).
    """
    from sklearn.ensemble import ExtraTreesRegressor

    n_labels = labels.shape[1]
    forest = ExtraTreesRegressor(
        config.n_trees,
        min_samples_leaf=config.min_samples_leaf,
        max_features=config.max_features,
        bootstrap=True,
        random_state=forest_seed(seed),
    ).fit(features, labels if n_labels > 1 else labels[:, 0])
    grown = [tree.tree_ for tree in forest.estimators_]
    parts = [_Tree(np.where(t.children_left < 0, -1, t.feature), t.threshold, t.children_left, t.children_right, t.value[:, :, 0] / len(grown)) for t in grown]
    packed = _pack(parts, n_labels, np.zeros(n_labels))
    total, seen = np.zeros(labels.shape), np.zeros(len(labels))
    for tree, drawn in zip(forest.estimators_, forest.estimators_samples_, strict=True):
        out = np.ones(len(labels), dtype=bool)
        out[drawn] = False
        total[out] += tree.tree_.predict(np.asarray(features[out], dtype=np.float32)).reshape(-1, n_labels)
        seen += out
    known = seen > 0
    out_of_bag = np.where(known[:, None], total / np.maximum(seen, 1)[:, None], labels.mean(axis=0))
    return FittedForest(packed, out_of_bag, np.asarray(forest.feature_importances_))


def known_together(known: np.ndarray) -> list[np.ndarray]:
    """Columns by the rows in which they are known, in order of first appearance. `known`: bool, shape (n, n_labels)."""
    groups: dict[bytes, list[int]] = {}
    for column in range(known.shape[1]):
        groups.setdefault(np.packbits(known[:, column]).tobytes(), []).append(column)
    return [np.array(columns) for columns in groups.values()]


def fit_boosting(
    features: np.ndarray, labels: np.ndarray, config: TreesConfig, seed: int, importance: np.ndarray | None = None, *, fractions: bool = False
) -> TreeArrays:
    """Gradient boosting, one per compartment; the sum of trees is the logit.

    A compartment with a single value in the training rows gets the logit of a smoothed frequency and no tree.

    Args:
        features: float32, shape (n, width).
        labels: 0/1, or numbers with `fractions`, shape (n, n_labels); a row whose label is NaN is left out for that compartment.
        fractions: fit the labels as numbers; the sum of trees is then the number itself and no logit.
        importance: shape (width,); with it only the `boosting_width` most important features are read.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    width = features.shape[1]
    chosen = np.arange(width)
    if importance is not None and 0 < config.boosting_width < width:
        chosen = np.sort(np.argsort(-importance, kind="stable")[: config.boosting_width])
    trees: list[_Tree] = []
    frequency = (np.nansum(labels, axis=0) + 0.5) / ((~np.isnan(labels)).sum(axis=0) + 1)
    offset = np.nanmean(labels, axis=0) if fractions else np.log(frequency / (1 - frequency))
    model = HistGradientBoostingRegressor if fractions else HistGradientBoostingClassifier
    for column in range(labels.shape[1]):
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
        ).fit(features[known][:, chosen], target)
        offset[column] = float(np.ravel(boosted._baseline_prediction)[0])
        trees.extend(_boosted_tree(predictor[0].nodes, chosen, column, labels.shape[1]) for predictor in boosted._predictors)
    return _pack(trees, labels.shape[1], offset)


def _boosted_tree(nodes: np.ndarray, chosen: np.ndarray, column: int, n_outputs: int) -> _Tree:
    """One tree of scikit-learn's histogram boosting, whose nodes have no public name; a test holds that the sums are equal."""
    leaf = nodes["is_leaf"].astype(bool)
    value = np.zeros((len(nodes), n_outputs))
    value[:, column] = nodes["value"]
    feature = np.where(leaf, -1, chosen[np.where(leaf, 0, nodes["feature_idx"])])
    return _Tree(feature, nodes["num_threshold"], nodes["left"].astype(np.int64), nodes["right"].astype(np.int64), value)
