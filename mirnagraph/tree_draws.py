"""Which training rows each extra tree drew: told again from the seed, without fitting anything."""

from __future__ import annotations

import numpy as np

from mirnagraph.seeds import child_seed


def forest_seed(seed: int) -> int:
    """What scikit-learn's generator of a forest starts from, for a fold's seed."""
    return child_seed(seed, "extra trees") % 2**32


def drawn_by_tree(n_train: int, n_trees: int, seed: int) -> np.ndarray:
    """Which training rows each tree of `mirnagraph.trees.fit_extra_trees` drew: bool, shape (n_trees, n_train).

    It follows the order in which scikit-learn asks its generator; a test holds that both agree.
    """
    of_forest = np.random.RandomState(forest_seed(seed))
    found = np.zeros((n_trees, n_train), dtype=bool)
    for tree in range(n_trees):
        of_tree = np.random.RandomState(of_forest.randint(np.iinfo(np.int32).max))
        found[tree, of_tree.randint(0, n_train, n_train)] = True
    return found
