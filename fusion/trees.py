"""Trees on flat tokens: extra trees and gradient boosting, fitted by scikit-learn and kept as plain arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit
from sklearn.ensemble import ExtraTreesRegressor, GradientBoostingClassifier

from mirnagraph.config import require
from mirnagraph.errors import CheckpointError
from mirnagraph.seeds import child_seed


@dataclass(frozen=True)
class TreesConfig:
    """Settings of the trees.

    Attributes:
        n_trees: extra trees, grown on all compartments together; 0 for none.
        min_samples_leaf: fewest training RNAs in a leaf of an extra tree.
        max_features: share of features looked at per split of an extra tree, in (0, 1].
        rounds: boosting rounds per compartment; 0 for none.
        learning_rate: of boosting.
        depth: of each boosted tree.
        subsample: share of RNAs each boosted tree sees, in (0, 1].
        boosting_features: share of features looked at per split of a boosted tree, in (0, 1].
    """

    n_trees: int = 500
    min_samples_leaf: int = 2
    max_features: float = 0.2
    rounds: int = 250
    learning_rate: float = 0.05
    depth: int = 4
    subsample: float = 0.7
    boosting_features: float = 0.1

    def __post_init__(self) -> None:
        require(self.n_trees >= 0 and self.rounds >= 0, "n_trees, rounds", (self.n_trees, self.rounds), "0 or more")
        require(self.min_samples_leaf >= 1, "min_samples_leaf", self.min_samples_leaf, "1 or more")
        require(self.learning_rate > 0, "learning_rate", self.learning_rate, "above 0")
        require(self.depth >= 1, "depth", self.depth, "1 or more")
        for name in ("max_features", "subsample", "boosting_features"):
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
        return self.offset + _add_leaves(rows, self.feature, self.threshold, self.left, self.right, self.value, self.roots)

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
        n_nodes = len(trees.feature)
        inner = trees.feature >= 0
        own = np.arange(n_nodes)[inner]
        # children stand after their parent, so walking down ends
        ordered = (trees.left[inner] > own).all() and (trees.right[inner] > own).all()
        inside = all(len(a) == 0 or (int(a.max()) < n_nodes and int(a.min()) >= 0) for a in (trees.left, trees.right, trees.roots))
        same = len({n_nodes, len(trees.threshold), len(trees.left), len(trees.right), len(trees.value)}) == 1
        if not (ordered and inside and same and trees.value.ndim == 2):
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


def _pack(trees: Sequence[object], outputs: Sequence[int], n_outputs: int, scale: float, offset: np.ndarray) -> TreeArrays:
    """Join scikit-learn ``tree_`` objects; tree `i` fills all outputs (-1) or the one `outputs[i]`."""
    parts: dict[str, list[np.ndarray]] = {name: [] for name in ("feature", "threshold", "left", "right", "value")}
    roots, start = [], 0
    for tree, output in zip(trees, outputs, strict=True):
        leaf = tree.children_left < 0  # type: ignore[attr-defined]
        value = tree.value[:, :, 0] * scale  # type: ignore[attr-defined]
        if output >= 0:
            wide = np.zeros((len(value), n_outputs))
            wide[:, output] = value[:, 0]
            value = wide
        parts["feature"].append(np.where(leaf, -1, tree.feature).astype(np.int32))  # type: ignore[attr-defined]
        parts["threshold"].append(np.where(leaf, 0.0, tree.threshold))  # type: ignore[attr-defined]
        parts["left"].append(np.where(leaf, 0, tree.children_left + start).astype(np.int32))  # type: ignore[attr-defined]
        parts["right"].append(np.where(leaf, 0, tree.children_right + start).astype(np.int32))  # type: ignore[attr-defined]
        parts["value"].append(np.where(leaf[:, None], value, 0.0).astype(np.float32))
        roots.append(start)
        start += len(leaf)
    joined = {name: np.concatenate(arrays) for name, arrays in parts.items()}
    return TreeArrays(**joined, roots=np.asarray(roots, dtype=np.int32), offset=np.asarray(offset, dtype=np.float64))


def fit_extra_trees(features: np.ndarray, labels: np.ndarray, config: TreesConfig, seed: int) -> TreeArrays:
    """Extra trees over all compartments at once; the sum of trees is the probability.

    For 0/1 labels the squared error and the Gini index choose the same splits, and a regressor takes compartments that
    have a single value here.

    Args:
        features: float32, shape (n, width).
        labels: 0/1, shape (n, n_labels).
    """
    forest = ExtraTreesRegressor(
        config.n_trees,
        min_samples_leaf=config.min_samples_leaf,
        max_features=config.max_features,
        random_state=child_seed(seed, "extra trees") % 2**32,
    ).fit(features, labels if labels.shape[1] > 1 else labels[:, 0])
    n_labels = labels.shape[1]
    return _pack([t.tree_ for t in forest.estimators_], [-1] * config.n_trees, n_labels, 1 / config.n_trees, np.zeros(n_labels))


def fit_boosting(features: np.ndarray, labels: np.ndarray, config: TreesConfig, seed: int) -> TreeArrays:
    """Gradient boosting, one per compartment; the sum of trees is the logit.

    A compartment with a single value in the training rows gets the logit of a smoothed frequency and no tree.
    """
    trees, outputs = [], []
    frequency = (labels.sum(axis=0) + 0.5) / (len(labels) + 1)
    offset = np.log(frequency / (1 - frequency))
    for column in range(labels.shape[1]):
        target = labels[:, column]
        if target.min() == target.max():
            continue
        boosted = GradientBoostingClassifier(
            n_estimators=config.rounds,
            learning_rate=config.learning_rate,
            max_depth=config.depth,
            subsample=config.subsample,
            max_features=config.boosting_features,
            random_state=child_seed(seed, "boosting", column) % 2**32,
        ).fit(features, target)
        mean = target.mean()
        offset[column] = np.log(mean / (1 - mean))
        trees.extend(t.tree_ for t in boosted.estimators_[:, 0])
        outputs.extend([column] * config.rounds)
    if not trees:
        empty = np.zeros(0, dtype=np.int32)
        return TreeArrays(empty, np.zeros(0), empty, empty, np.zeros((0, labels.shape[1]), dtype=np.float32), empty, offset)
    return _pack(trees, outputs, labels.shape[1], config.learning_rate, offset)
