"""Group-aware, label-balanced splitting of rows into subsets of given sizes."""

from __future__ import annotations

import numpy as np

MAX_PASSES = 20
"""Most passes in which groups move."""


def balanced_subsets(
    labels: np.ndarray, groups: np.ndarray, shares: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Split rows into label-balanced subsets of given sizes, keeping groups whole.

    Groups are placed one by one, those that hold the largest share of some label first (big groups
    and rare labels), each where it adds least to the sum over labels of count^2 / (share x
    total^2), which is least when every count is exactly its share. Then groups move, one at a time,
    as long as a move lowers that sum. Each subset gets at least one group.

    Args:
        labels: 0/1, shape (n, n_labels).
        groups: group of each row, whole numbers 0 … n_groups - 1, shape (n,); n_groups is at least
            the number of subsets.
        shares: target share of each subset, positive, sum 1, shape (n_subsets,).
        rng: breaks ties.

    Returns:
        Subset of each row, int64, shape (n,).
    """
    n_groups = int(groups.max()) + 1
    n_subsets = len(shares)
    counts = np.zeros((n_groups, labels.shape[1] + 1))
    np.add.at(counts, groups, np.column_stack([labels, np.ones(len(labels))]))
    total = counts.sum(axis=0)
    relative = counts / np.where(total > 0, total, 1.0)
    order = rng.permutation(n_groups)
    order = order[np.argsort(-relative[order].max(axis=1), kind="stable")]
    preference = rng.permutation(n_subsets)

    subset = np.full(n_groups, -1, dtype=np.int64)
    sums = np.zeros((n_subsets, relative.shape[1]))
    for group in order:
        cost = _added_cost(sums, relative[group], shares)
        subset[group] = preference[np.argmin(cost[preference])]
        sums[subset[group]] += relative[group]
    for _ in range(MAX_PASSES):
        if not _improve(subset, sums, relative, shares, order):
            break
    _fill_empty(subset, counts[:, -1], n_subsets)
    return subset[groups]


def _added_cost(sums: np.ndarray, group: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """What a group adds to the sum of squares of each subset: shape (n_subsets,)."""
    added: np.ndarray = ((2 * sums + group) * group).sum(axis=1) / shares
    return added


def _improve(
    subset: np.ndarray,
    sums: np.ndarray,
    relative: np.ndarray,
    shares: np.ndarray,
    order: np.ndarray,
) -> bool:
    """Move each group to a subset of lower cost, in place; whether any moved."""
    before = subset.copy()
    for group in order:
        current = subset[group]
        sums[current] -= relative[group]
        cost = _added_cost(sums, relative[group], shares)
        best = int(np.argmin(cost))
        # Rounding must not send a group back and forth between equals.
        if cost[best] < cost[current] - 1e-12:
            subset[group] = best
        sums[subset[group]] += relative[group]
    return not np.array_equal(before, subset)


def _fill_empty(subset: np.ndarray, size: np.ndarray, n_subsets: int) -> None:
    """Move the smallest group of a subset with several into each empty one, in place."""
    for empty in np.setdiff1d(np.arange(n_subsets), subset):
        n_groups = np.bincount(subset, minlength=n_subsets)
        movable = np.flatnonzero(n_groups[subset] > 1)
        subset[movable[np.argmin(size[movable])]] = empty
