"""Parting rows into parts of given shares so that whole groups stay together and every label is spread evenly."""

from __future__ import annotations

import numpy as np

MAX_PASSES = 20


def balanced_parts(labels: np.ndarray, groups: np.ndarray, shares: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Give each group to one part so that rows and labels come near their share in every part.

    Groups are placed one by one, those that hold the largest share of some label first (big groups and rare labels), each
    where it adds least to the sum over labels of count^2 / (share x total^2), which is least when every count is exactly its
    share. Then groups move, one at a time, as long as a move lowers that sum. Each part gets at least one group.

    Args:
        labels: 0/1, shape (n, n_labels).
        groups: group of each row, whole numbers 0 … n_groups - 1, shape (n,); n_groups is at least the number of parts.
        shares: wanted share of each part, positive, sum 1, shape (n_parts,).
        rng: breaks ties.

    Returns:
        Part of each row, int64, shape (n,).
    """
    n_groups, n_parts = int(groups.max()) + 1, len(shares)
    counts = np.zeros((n_groups, labels.shape[1] + 1))
    np.add.at(counts, groups, np.column_stack([labels, np.ones(len(labels))]))
    total = counts.sum(axis=0)
    relative = counts / np.where(total > 0, total, 1.0)
    order = rng.permutation(n_groups)
    order = order[np.argsort(-relative[order].max(axis=1), kind="stable")]
    preference = rng.permutation(n_parts)

    part = np.full(n_groups, -1, dtype=np.int64)
    held = np.zeros((n_parts, relative.shape[1]))
    for group in order:
        cost = _added(held, relative[group], shares)
        part[group] = preference[np.argmin(cost[preference])]
        held[part[group]] += relative[group]
    for _ in range(MAX_PASSES):
        if not _improve(part, held, relative, shares, order):
            break
    _fill_empty(part, counts[:, -1], n_parts)
    return part[groups]


def _added(held: np.ndarray, group: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """What a group adds to the sum of squares of each part: shape (n_parts,)."""
    added: np.ndarray = ((2 * held + group) * group).sum(axis=1) / shares
    return added


def _improve(part: np.ndarray, held: np.ndarray, relative: np.ndarray, shares: np.ndarray, order: np.ndarray) -> bool:
    moved = False
    for group in order:
        own = part[group]
        held[own] -= relative[group]
        cost = _added(held, relative[group], shares)
        best = int(np.argmin(cost))
        # Rounding must not send a group back and forth between equals.
        if cost[best] < cost[own] - 1e-12:
            part[group], moved = best, True
        held[part[group]] += relative[group]
    return moved


def _fill_empty(part: np.ndarray, size: np.ndarray, n_parts: int) -> None:
    for empty in np.setdiff1d(np.arange(n_parts), part):
        n_of_part = np.bincount(part, minlength=n_parts)
        movable = np.flatnonzero(n_of_part[part] > 1)
        part[movable[np.argmin(size[movable])]] = empty
