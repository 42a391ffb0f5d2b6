"""Trees behind a gate: what several sets of trees say, each for its own rows, as one set of trees."""

from __future__ import annotations

import numpy as np

from mirnagraph.trees import TreeArrays

HALF = 0.5


def gated(trees: TreeArrays, column: int, columns: np.ndarray | None = None) -> TreeArrays:
    """The same sum for rows whose `column` is above one half, and 0 for all others.

    Sums of trees behind gates of different columns of a one-hot code are added by `mirnagraph.trees.join_outputs`.

    Args:
        column: of a 0/1 feature, in the table that the result will read.
        columns: where the columns that `trees` read stand in that table; None where they stand in the same places.
    """
    n_trees, n_nodes, n_outputs = len(trees.roots), len(trees.feature), trees.value.shape[1]
    # a gate per tree and one for the offset, then their two leaves: nothing, and the offset; children stand after their parents
    gates = n_trees + 1
    nothing, everything, start = gates, gates + 1, gates + 2
    moved = trees.feature if columns is None else np.where(trees.feature < 0, -1, np.asarray(columns)[np.maximum(trees.feature, 0)])
    inner = trees.feature >= 0
    leaves = np.zeros((start, n_outputs), dtype=np.float32)
    leaves[everything] = trees.offset
    return TreeArrays(
        feature=np.concatenate([np.full(gates, column), [-1, -1], moved]).astype(np.int32),
        threshold=np.concatenate([np.full(gates, HALF), [0.0, 0.0], trees.threshold]),
        left=np.concatenate([np.full(gates, nothing), [0, 0], np.where(inner, trees.left + start, 0)]).astype(np.int32),
        right=np.concatenate([trees.roots + start, [everything], [0, 0], np.where(inner, trees.right + start, 0)]).astype(np.int32),
        value=np.concatenate([leaves, trees.value]) if n_nodes else leaves,
        roots=np.arange(gates, dtype=np.int32),
        offset=np.zeros(n_outputs),
    )


def constant(values: np.ndarray) -> TreeArrays:
    """No tree, and these numbers for every row. `values`: shape (n_outputs,)."""
    whole = np.zeros(0, dtype=np.int32)
    return TreeArrays(whole, np.zeros(0), whole, whole, np.zeros((0, len(values)), dtype=np.float32), whole, np.asarray(values, dtype=np.float64))
