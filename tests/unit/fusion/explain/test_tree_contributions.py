"""Contributions of features to trees: worked by hand, and exact sums on random trees."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusion.explain.tokens import some_trees, tree_contributions
from mirnagraph.trees import TreeArrays, TreesConfig, fit_boosting, fit_extra_trees

STUMPS = TreeArrays(
    feature=np.array([0, -1, 1, -1, -1, 1, -1, -1], dtype=np.int32),
    threshold=np.array([0.5, 0, 0.5, 0, 0, 0.5, 0, 0]),
    left=np.array([1, 0, 3, 0, 0, 6, 0, 0], dtype=np.int32),
    right=np.array([2, 0, 4, 0, 0, 7, 0, 0], dtype=np.int32),
    value=np.array([[0], [0.1], [0], [0.2], [0.5], [0], [0.0], [0.4]], dtype=np.float32),
    roots=np.array([0, 5], dtype=np.int32),
    offset=np.array([1.0]),
)


def test_two_trees_worked_by_hand() -> None:
    background = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=np.float32)
    # first tree: .225 at the root, .1 to the left, .35 to the right, then .2 or .5;
    # second tree: .2 at the root, then 0 or .4
    found = tree_contributions(STUMPS, np.array([1.0, 1.0]), background)
    assert found.bias[0] == pytest.approx(1 + 0.225 + 0.2)
    np.testing.assert_allclose(
        found.values[:, 0], [0.35 - 0.225, (0.5 - 0.35) + (0.4 - 0.2)], rtol=1e-6
    )
    left = tree_contributions(STUMPS, np.array([0.0, 1.0]), background)
    np.testing.assert_allclose(left.values[:, 0], [0.1 - 0.225, 0.4 - 0.2], rtol=1e-6)


def test_a_node_that_no_background_row_reaches_is_the_mean_of_its_children() -> None:
    found = tree_contributions(STUMPS, np.array([1.0, 1.0]), np.zeros((3, 2), dtype=np.float32))
    assert found.bias[0] == pytest.approx(1 + 0.1 + 0.0)
    np.testing.assert_allclose(found.values[:, 0], [0.35 - 0.1, 0.15 + 0.4], rtol=1e-6)


def test_some_trees_are_the_mean_of_those() -> None:
    kept = some_trees(STUMPS, np.array([True, False]))
    assert kept(np.array([[1.0, 1.0]]))[0, 0] == pytest.approx(1 + 2 * 0.5)


@settings(max_examples=25)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(5, 40),
    width=st.integers(1, 6),
    boosted=st.booleans(),
)
def test_contributions_and_bias_sum_to_what_the_trees_say(
    seed: int, n: int, width: int, boosted: bool
) -> None:
    random = np.random.default_rng(seed)
    features = random.normal(size=(n, width)).round(1).astype(np.float32)
    labels = (random.random((n, 2)) < 0.5).astype(float)
    config = TreesConfig(
        n_trees=4, rounds=3, max_features=1.0, boosting_leaf=2, boosting_features=1.0
    )
    trees = (
        fit_boosting(features, labels, config, seed=1)
        if boosted
        else fit_extra_trees(features, labels, config, seed=1).trees
    )
    row = random.normal(size=width).astype(np.float32)
    found = tree_contributions(trees, row, features)
    np.testing.assert_allclose(
        found.bias + found.values.sum(axis=0), trees(row[None])[0], atol=1e-6
    )
    np.testing.assert_allclose(found.bias, trees(features).mean(axis=0), atol=1e-6)
    compared = set(trees.feature[trees.feature >= 0].tolist())
    assert not found.values[[column for column in range(width) if column not in compared]].any()
