"""Folds and balanced parts by hand, and folds of fixed seeds, the same in every version."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mirnagraph.errors import ConfigError, InputError
from mirnagraph.evaluation.balance import balanced_subsets
from mirnagraph.evaluation.splits import (
    Folds,
    group_codes,
    grouped_folds,
    inner_split,
    make_folds,
    random_folds,
    read_folds,
)
from mirnagraph.nodes import NodeIndex

# folds of version 0.1.0
RANDOM = [
    [0, 0, 2, 1, 0, 1, 1, 1, 1, 0, 1, 2, 0, 0, 1, 1, 0, 2, 2, 2, 2, 2, 0, 0],
    [1, 1, 0, 2, 1, 0, 2, 2, 0, 1, 1, 2, 0, 0, 2, 0, 2, 1, 2, 0, 1, 0, 1, 2],
]
LEAVE_ONE_OUT = [1, 2, 0, 5, 3, 4]
GROUPED = [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 1, 1, 1]
INNER = [2, 7, 9, 16, 18, 20]
INNER_GROUPED = [4, 5, 6, 7]


def parts(labels: np.ndarray, sizes: list[int], shares: list[float]) -> np.ndarray:
    """Part of each group."""
    groups = np.repeat(np.arange(len(sizes)), sizes)
    found = balanced_subsets(labels, groups, np.array(shares), np.random.default_rng(0))
    return found[np.cumsum(sizes) - 1]


def test_shares_are_met_where_groups_allow_it() -> None:
    # 4 + 2 + 1 against 3
    assert parts(np.zeros((10, 1)), [4, 3, 2, 1], [0.7, 0.3]).tolist() == [0, 1, 0, 0]
    assert parts(np.ones((10, 1)), [4, 3, 2, 1], [0.3, 0.7]).tolist() == [1, 0, 1, 1]


def test_a_label_weighs_as_much_as_the_number_of_rows() -> None:
    # two big groups and two small ones, the label in a big and a small one: each part has one of
    # each
    labels = np.repeat([1, 0, 1, 0], [3, 3, 1, 1])[:, None]
    found = parts(labels, [3, 3, 1, 1], [0.5, 0.5])
    assert found[0] != found[1]
    assert found[0] != found[2]
    assert found[1] != found[3]


def test_a_label_that_nobody_has_changes_nothing() -> None:
    labels = np.random.default_rng(1).integers(0, 2, (20, 2))
    with_empty = np.column_stack([labels, np.zeros(20, int)])
    sizes = [3, 1, 4, 2, 5, 1, 2, 2]
    assert (
        parts(with_empty, sizes, [0.5, 0.3, 0.2]).tolist()
        == parts(labels, sizes, [0.5, 0.3, 0.2]).tolist()
    )


def test_a_part_of_almost_no_share_gets_the_smallest_group() -> None:
    for n_labels in (1, 2):
        assert parts(np.zeros((9, n_labels)), [5, 1, 3], [0.999, 0.001]).tolist() == [0, 1, 0]


def test_a_part_never_gives_away_its_only_group() -> None:
    # 6 and 5 go to the share of .89, 1 to that of .1; the empty third part gets 5, not the smaller
    # but lone 1
    assert parts(np.zeros((12, 1)), [1, 5, 6], [0.1, 0.89, 0.01]).tolist() == [0, 2, 1]


def table(n: int) -> pd.DataFrame:
    rows = np.arange(n)
    values = np.column_stack([rows % 3 == 0, rows % 5 < 2, rows % 7 == 6]).astype(int)
    return pd.DataFrame(values, index=[f"r{row:02d}" for row in rows], columns=["a", "b", "c"])


def test_random_folds_of_a_seed() -> None:
    folds = [random_folds(table(24), 3, seed).assigned.tolist() for seed in (0, 1)]
    assert folds == RANDOM


def test_as_many_random_folds_as_rnas() -> None:
    assert random_folds(table(6), 6, 3).assigned.tolist() == LEAVE_ONE_OUT


def test_grouped_folds_of_a_seed() -> None:
    labels = table(24)
    groups = pd.Series(np.arange(24) // 3 * 7 % 5, index=labels.index)
    assert grouped_folds(labels, groups, 2, 5).assigned.tolist() == GROUPED


def test_inner_split_of_a_seed() -> None:
    labels = table(24).to_numpy()
    train_rows = np.arange(2, 22)
    fit, stop = inner_split(train_rows, labels, None, 0.25, 4)
    assert stop.tolist() == INNER
    assert sorted([*fit, *stop]) == train_rows.tolist()
    fit, stop = inner_split(train_rows, labels, np.arange(24) // 4, 0.25, 4)
    assert stop.tolist() == INNER_GROUPED


def test_two_groups_are_enough_for_an_inner_split() -> None:
    fit, stop = inner_split(np.arange(4), np.ones((4, 1)), np.array([0, 0, 0, 1]), 0.25, 0)
    assert (fit.tolist(), stop.tolist()) == ([0, 1, 2], [3])
    for fraction in (0.0, 1.0, -0.1):
        with pytest.raises(ConfigError, match="between 0 and 1"):
            inner_split(np.arange(4), np.ones((4, 1)), None, fraction, 0)


def test_codes_of_groups_by_first_appearance() -> None:
    groups = pd.Series(["b", "", "a", None, "b", float("nan"), "a"], dtype=object)
    assert group_codes(groups).tolist() == [0, 1, 2, 3, 0, 4, 2]


def test_two_folds_of_two_rnas() -> None:
    folds = random_folds(pd.DataFrame({"c": [1, 0]}, index=["x", "y"]), 2, 0)
    assert sorted(folds.assigned) == [0, 1]
    labels = pd.DataFrame({"c": [1, 0, 1]}, index=["x", "y", "z"])
    groups = pd.Series(["g", "h", "g"], index=labels.index)
    assigned = grouped_folds(labels, groups, 2, 0).assigned
    assert assigned["x"] == assigned["z"] != assigned["y"]
    with pytest.raises(ConfigError, match="1 fold cannot be made from 3 RNAs"):
        random_folds(labels, 1, 0)
    with pytest.raises(ConfigError, match="2 folds cannot be made from 0 groups"):
        grouped_folds(labels[:0], groups, 2, 0)


def test_fold_zero_alone_needs_rnas_that_are_only_trained_on() -> None:
    folds = Folds(pd.Series({"a": 0, "b": -1}))
    index = NodeIndex.of(list("ab"), "miRNA")
    assert folds.n_folds == 1
    assert [rows.tolist() for rows in folds.rows(index, 0)] == [[1], [0]]
    for fold in (-1, 1):
        with pytest.raises(ConfigError, match=f"no fold {fold}: there are folds 0 to 0"):
            folds.rows(index, fold)
    with pytest.raises(InputError, match="no RNA in fold 0"):
        Folds(pd.Series({"a": 1, "b": -1}))


def test_ten_random_folds_of_seed_0_unless_told_otherwise(small_dataset: object) -> None:
    folds = make_folds(small_dataset)
    assert folds.n_folds == 10
    expected = random_folds(small_dataset.labels, 10, 0)
    assert folds.assigned.tolist() == expected.assigned.tolist()
    assert make_folds(small_dataset, seed=1).assigned.tolist() != folds.assigned.tolist()


def test_the_only_protocol_of_a_file_need_not_be_named(tmp_path: Path) -> None:
    path = tmp_path / "folds.tsv"
    path.write_text("protocol\trna_id\tfold\nx\ta\t0\nx\tb\t1\n")
    folds = read_folds(path, NodeIndex.of(list("abc"), "miRNA"))
    assert (folds.name, folds.assigned.to_dict()) == ("x", {"a": 0, "b": 1})
    path.write_text("rna_id\tfold\na\t0\nb\t1\n")
    assert read_folds(path, NodeIndex.of(list("abc"), "miRNA")).name == "folds"
