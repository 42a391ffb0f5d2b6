"""What each feature adds to what trees say of one RNA: along its path in every tree, so that the parts sum to the answer exactly."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numba import njit

from mirnagraph.trees import TreeArrays


@dataclass(frozen=True, eq=False)
class TreeContributions:
    """What trees say of one row, taken apart (Saabas 2014, as in the package treeinterpreter).

    At every split the mean answer of the training rows below changes from a node to its child; the change is put down to the feature that is compared
    there. Nothing is averaged over orders of features as in SHAP: what is split at first counts for the rows that it parts.

    Attributes:
        values: what each feature adds: float64, shape (width, n_outputs).
        bias: mean answer over the background rows: float64, shape (n_outputs,). The values and the bias sum to what the trees say.
    """

    values: np.ndarray
    bias: np.ndarray


def tree_contributions(trees: TreeArrays, row: np.ndarray, background: np.ndarray) -> TreeContributions:
    """Take apart what trees say of a row.

    Args:
        row: features, shape (width,).
        background: rows over which the answer of a node is averaged, those that were learned from: shape (n, width).
    """
    rows = np.ascontiguousarray(background, dtype=np.float32)
    counts = _count_leaves(rows, trees.feature, trees.threshold, trees.left, trees.right, trees.roots)
    means = _node_means(counts, trees.feature, trees.left, trees.right, trees.value)
    features = np.ascontiguousarray(row, dtype=np.float32)
    values = _along_paths(features, means, trees.feature, trees.threshold, trees.left, trees.right, trees.roots)
    return TreeContributions(values, trees.offset + means[trees.roots].sum(axis=0))


def some_trees(trees: TreeArrays, chosen: np.ndarray) -> TreeArrays:
    """The mean of some trees of a forest, whose trees each hold their share of a mean over all.

    Args:
        chosen: bool, shape (n_trees,), True for one or more.
    """
    return replace(trees, roots=trees.roots[chosen], value=trees.value * np.float32(len(chosen) / chosen.sum()))


@njit(cache=True, nogil=True)  # type: ignore[misc]
def _count_leaves(rows, feature, threshold, left, right, roots):  # type: ignore[no-untyped-def]  # pragma: no cover
    """How many rows end in each leaf: int64, shape (n_nodes,)."""
    counts = np.zeros(len(feature), dtype=np.int64)
    for i in range(rows.shape[0]):
        for root in roots:
            node = root
            while feature[node] >= 0:
                node = left[node] if rows[i, feature[node]] <= threshold[node] else right[node]
            counts[node] += 1
    return counts


@njit(cache=True, nogil=True)  # type: ignore[misc]
def _node_means(counts, feature, left, right, value):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Mean leaf value of the rows below each node: float64, shape (n_nodes, n_outputs); of both children alike where no row passes."""
    means = value.astype(np.float64)
    below = counts.copy()
    # children stand after their parent
    for node in range(len(feature) - 1, -1, -1):
        if feature[node] >= 0:
            one, other = left[node], right[node]
            below[node] = below[one] + below[other]
            share = below[one] / below[node] if below[node] > 0 else 0.5
            for j in range(value.shape[1]):
                means[node, j] = share * means[one, j] + (1 - share) * means[other, j]
    return means


@njit(cache=True, nogil=True)  # type: ignore[misc]
def _along_paths(row, means, feature, threshold, left, right, roots):  # type: ignore[no-untyped-def]  # pragma: no cover
    total = np.zeros((len(row), means.shape[1]))
    for root in roots:
        node = root
        while feature[node] >= 0:
            child = left[node] if row[feature[node]] <= threshold[node] else right[node]
            for j in range(means.shape[1]):
                total[feature[node], j] += means[child, j] - means[node, j]
            node = child
    return total
