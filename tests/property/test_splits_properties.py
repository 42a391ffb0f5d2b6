"""Properties of folds: disjoint, complete, whole groups, stratified, deterministic, row order."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from mirnagraph.evaluation.balance import balanced_subsets
from mirnagraph.evaluation.splits import grouped_folds, inner_split, random_folds
from mirnagraph.nodes import NodeIndex

seeds = st.integers(0, 10_000)


@st.composite
def labelled(draw, n_min=20, n_max=80):
    n, n_labels = draw(st.integers(n_min, n_max)), draw(st.integers(1, 5))
    rng = np.random.default_rng(draw(seeds))
    values = (rng.random((n, n_labels)) < rng.uniform(0.02, 0.9, n_labels)).astype(int)
    labels = pd.DataFrame(values, index=[f"r{i}" for i in rng.permutation(n)])
    groups = pd.Series(rng.integers(0, n // 2, n), index=labels.index).astype(str)
    return labels, groups


def is_partition(folds, labels, n_folds):
    """Whether every row is tested once, no fold is empty, and each row is tested or trained on."""
    index = NodeIndex.of(labels.index, "miRNA")
    rows = list(range(len(labels)))
    parts = [folds.rows(index, fold) for fold in range(n_folds)]
    once = sorted(np.concatenate([test for _, test in parts])) == rows
    return once and all(
        len(test) and sorted(np.concatenate([train, test])) == rows for train, test in parts
    )


@given(labelled(), st.integers(2, 10), seeds)
@settings(max_examples=40, deadline=None)
def test_random_folds_are_a_partition_that_ignores_row_order(made, n_folds, seed):
    labels, _ = made
    folds = random_folds(labels, n_folds, seed)
    assert folds.n_folds == n_folds
    assert is_partition(folds, labels, n_folds)
    again = random_folds(labels.iloc[::-1], n_folds, seed).assigned
    pd.testing.assert_series_equal(again.loc[labels.index], folds.assigned)


@given(labelled(), st.integers(2, 5), seeds)
@settings(max_examples=40, deadline=None)
def test_grouped_folds_keep_groups_whole_and_ignore_row_order_and_group_names(made, n_folds, seed):
    labels, groups = made
    folds = grouped_folds(labels, groups, n_folds, seed)
    assert is_partition(folds, labels, n_folds)
    assert folds.assigned.groupby(groups).nunique().max() == 1
    again = grouped_folds(labels.iloc[::-1], "x" + groups, n_folds, seed).assigned
    pd.testing.assert_series_equal(again.loc[labels.index], folds.assigned)


@given(labelled(), st.floats(0.05, 0.5), seeds, st.booleans())
@settings(max_examples=40, deadline=None)
def test_inner_split_parts_the_training_rows_and_keeps_groups_whole(made, fraction, seed, grouped):
    labels, groups = made
    codes = groups.to_numpy() if grouped else None
    train = np.arange(3, len(labels))
    fit, stop = inner_split(train, labels.to_numpy(), codes, fraction, seed)
    assert len(fit)
    assert len(stop)
    assert np.array_equal(np.sort(np.concatenate([fit, stop])), train)
    if grouped:
        assert not set(groups.iloc[fit]) & set(groups.iloc[stop])
    else:
        assert abs(len(stop) - fraction * len(train)) <= 4  # labels are kept in balance too
    for mine, again in zip(
        (fit, stop), inner_split(train[::-1], labels.to_numpy(), codes, fraction, seed), strict=True
    ):
        assert np.array_equal(mine, again)


def spread(labels, fold):
    """Mean over labels of the SD over folds of the label's count."""
    return labels.groupby(fold).sum().std().mean()


@given(seeds)
@settings(max_examples=15, deadline=None)
def test_labels_are_spread_better_than_by_chance(seed):
    rng = np.random.default_rng(seed)
    labels = pd.DataFrame(
        (rng.random((200, 4)) < (0.8, 0.4, 0.2, 0.08)).astype(int),
        index=[f"r{i}" for i in range(200)],
    )
    chance = np.mean([spread(labels, rng.permutation(200) % 10) for _ in range(20)])
    assert spread(labels, random_folds(labels, 10, seed).assigned) < 0.5 * chance
    groups = pd.Series(rng.integers(0, 80, 200), index=labels.index)
    by_group = grouped_folds(labels, groups, 10, seed).assigned
    group_chance = np.mean(
        [spread(labels, pd.Series(rng.permutation(80) % 10)[groups].to_numpy()) for _ in range(20)]
    )
    assert spread(labels, by_group) < 0.5 * group_chance
    sizes = by_group.value_counts()
    assert sizes.max() - sizes.min() <= 6


@given(labelled(), st.integers(2, 5), seeds)
@settings(max_examples=25, deadline=None)
def test_no_single_move_of_a_group_would_balance_parts_better(made, n_parts, seed):
    labels, groups = made
    codes = np.unique(groups, return_inverse=True)[1]
    shares = np.full(n_parts, 1 / n_parts)
    part = balanced_subsets(labels.to_numpy(), codes, shares, np.random.default_rng(seed))
    counted = np.column_stack([labels, np.ones(len(labels))])
    share = counted / np.maximum(counted.sum(axis=0), 1)

    def cost(of_row):
        return sum((share[of_row == k].sum(axis=0) ** 2).sum() for k in range(n_parts))

    least = cost(part)
    for group in range(codes.max() + 1):
        for other in range(n_parts):
            assert cost(np.where(codes == group, other, part)) > least - 1e-9


def test_another_seed_gives_other_folds():
    labels = pd.DataFrame(np.arange(60).reshape(60, 1) % 2, index=[f"r{i}" for i in range(60)])
    groups = pd.Series(np.arange(60) // 2, index=labels.index)
    assert not random_folds(labels, 5, 0).assigned.equals(random_folds(labels, 5, 1).assigned)
    assert not grouped_folds(labels, groups, 5, 0).assigned.equals(
        grouped_folds(labels, groups, 5, 1).assigned
    )
