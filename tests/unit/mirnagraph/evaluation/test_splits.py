"""Folds: hand-made cases, files that are right and wrong, and wrong use."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mirnagraph.errors import ConfigError, InputError
from mirnagraph.evaluation.splits import (
    Folds,
    grouped_folds,
    inner_split,
    random_folds,
    read_folds,
    used_rnas,
    write_folds,
)
from mirnagraph.nodes import NodeIndex


def table(values, prefix="r"):
    values = np.asarray(values)
    return pd.DataFrame(
        values,
        index=[f"{prefix}{i:03d}" for i in range(len(values))],
        columns=[f"c{k}" for k in range(values.shape[1])],
    )


def made_labels(n=120, seed=0, rates=(0.5, 0.2, 0.05)):
    return table((np.random.default_rng(seed).random((n, len(rates))) < rates).astype(int))


def test_each_fold_gets_its_share_of_a_rare_label():
    labels = table(np.repeat([[1, 1], [1, 0], [0, 0]], [4, 8, 8], axis=0))
    folds = random_folds(labels, 4, seed=3)
    for fold in range(4):
        test = labels[folds.assigned == fold]
        assert test.sum().tolist() == [3, 1]
        assert (test.sum(axis=1) == 0).sum() == 2


def test_a_label_with_fewer_positives_than_folds_goes_to_as_many_folds_as_it_has_positives():
    labels = table(np.array([[1]] * 3 + [[0]] * 27))
    fold = random_folds(labels, 10, seed=0).assigned[:3]
    assert fold.nunique() == 3


def test_as_many_folds_as_rnas_leaves_one_out_each_time():
    folds = random_folds(made_labels(12), 12, seed=1)
    assert sorted(folds.assigned) == list(range(12))


def test_groups_of_one_size_spread_evenly():
    groups = pd.Series(np.repeat([f"g{i}" for i in range(10)], 4), index=made_labels(40).index)
    labels = table(np.repeat([[1, 0]] * 5 + [[0, 1]] * 5, 4, axis=0))
    fold = grouped_folds(labels, groups, 5, seed=0).assigned
    assert labels.groupby(fold).sum().to_numpy().tolist() == [[4, 4]] * 5


def test_rnas_without_a_group_stand_alone():
    labels = made_labels(30)
    fold = grouped_folds(
        labels, pd.Series([""] * 15 + [None] * 15, index=labels.index, dtype=object), 10, seed=0
    ).assigned
    assert fold.value_counts().tolist() == [3] * 10


@pytest.mark.parametrize(
    ("n_folds", "match"), [(1, "expected 2 to 4"), (5, "5 folds cannot be made from 4 groups")]
)
def test_too_few_groups_is_wrong_use(n_folds, match):
    labels = made_labels(20)
    with pytest.raises(ConfigError, match=match):
        grouped_folds(labels, pd.Series(np.arange(20) % 4, index=labels.index), n_folds, seed=0)


def test_an_rna_that_is_not_in_the_groups_is_named():
    labels = made_labels(5)
    with pytest.raises(InputError, match="r004"):
        grouped_folds(labels, pd.Series("g", index=labels.index[:4]), 2, seed=0)


def test_more_folds_than_rnas_is_wrong_use():
    with pytest.raises(ConfigError, match="11 folds cannot be made from 10 RNAs, expected 2 to 10"):
        random_folds(made_labels(10), 11, seed=0)


def test_inner_split_takes_the_fraction_and_reads_only_training_rows():
    labels = made_labels(200).to_numpy()
    train = np.arange(20, 200)
    fit, stop = inner_split(train, labels, None, 0.1, seed=0)
    assert (len(fit), len(stop)) == (162, 18)
    other = labels.copy()
    other[:20] = 1 - other[:20]
    assert np.array_equal(inner_split(train[::-1], other, None, 0.1, seed=0)[1], stop)
    assert not np.array_equal(inner_split(train, labels, None, 0.1, seed=1)[1], stop)


def test_inner_split_of_two_big_groups_still_leaves_something_to_stop_by():
    groups = np.repeat([7, 9], [30, 20])
    fit, stop = inner_split(np.arange(50), np.ones((50, 2), dtype=int), groups, 0.05, seed=0)
    assert (len(fit), len(stop)) == (30, 20)


def test_inner_split_refuses_one_group_and_a_fraction_of_one():
    with pytest.raises(InputError, match="too few training groups"):
        inner_split(np.arange(4), np.ones((4, 1)), np.zeros(4), 0.2, seed=0)
    with pytest.raises(ConfigError, match="between 0 and 1"):
        inner_split(np.arange(4), np.ones((4, 1)), None, 1.0, seed=0)


def test_located_leaves_out_rnas_without_compartment():
    labels = table([[0, 1], [0, 0], [1, 1]])
    assert used_rnas(labels, "located").tolist() == [True, False, True]
    assert used_rnas(labels).tolist() == [True] * 3
    with pytest.raises(ConfigError, match="expected 'all' or 'located'"):
        used_rnas(labels, "some")


def test_rows_of_a_fold_leave_out_unlisted_rnas_and_train_on_minus_one():
    folds = Folds(pd.Series({"d": 1, "a": 0, "b": -1, "e": 1}))
    index = NodeIndex.of(list("abcde"), "miRNA")
    assert folds.of_rows(index).tolist() == [0, -1, -2, 1, 1]
    train, test = folds.rows(index, 1)
    assert (train.tolist(), test.tolist()) == ([0, 1], [3, 4])
    with pytest.raises(ConfigError, match="folds 0 to 1"):
        folds.rows(index, 2)


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ({"a": 0, "b": 2}, "no RNA in fold 1"),
        ({"a": 0, "b": 0}, "nothing to train on"),
        ({"a": -1, "b": -1}, "no RNA is tested"),
        ({"a": -2, "b": 1}, "below -1"),
        ({"a": 0.5, "b": 1.0}, "whole"),
    ],
)
def test_folds_that_cannot_be_used_are_refused(values, match):
    with pytest.raises(InputError, match=match):
        Folds(pd.Series(values))


INDEX = NodeIndex.of(list("abcd"), "miRNA")


def read(tmp_path, text, protocol=None):
    path = tmp_path / "folds.tsv"
    path.write_text(text)
    return read_folds(path, INDEX, protocol)


def test_folds_read_back_equal(tmp_path):
    folds = Folds(pd.Series({"c": 1, "a": 0, "b": -1}), name="mine")
    write_folds(folds, tmp_path / "mine.tsv")
    assert (tmp_path / "mine.tsv").read_text() == "rna_id\tfold\nc\t1\na\t0\nb\t-1\n"
    again = read_folds(tmp_path / "mine.tsv", INDEX)
    pd.testing.assert_series_equal(again.assigned, folds.assigned)
    assert again.name == "mine"


def test_one_of_several_protocols_is_chosen_by_name(tmp_path):
    text = "protocol\trna_id\tfold\nx\ta\t0\nx\tb\t1\ny\ta\t1\ny\tb\t0\n"
    assert read(tmp_path, text, "y").assigned.to_dict() == {"a": 1, "b": 0}
    with pytest.raises(ConfigError, match="several protocols, name one of them: x, y"):
        read(tmp_path, text)
    with pytest.raises(ConfigError, match="no protocol 'z'; it holds x, y"):
        read(tmp_path, text, "z")
    with pytest.raises(ConfigError, match="no column protocol"):
        read(tmp_path, "rna_id\tfold\na\t0\nb\t1\n", "x")


@pytest.mark.parametrize(
    ("text", "line", "column", "match"),
    [
        (
            "rna_id\tfold\na\t0\nq\t1\n",
            3,
            "rna_id",
            "unknown RNA; found q, expected an id of the dataset",
        ),
        (
            "rna_id\tfold\na\t0\nb\t1\na\t1\n",
            4,
            "rna_id",
            r"found a, expected each RNA once \(first on line 2\)",
        ),
        ("rna_id\tfold\na\t0\nb\t1.0\n", 3, "fold", "not a fold number; found 1.0, expected -1, 0"),
        ("rna_id\tfold\na\t0\nb\t-2\n", 3, "fold", "found -2"),
        ("rna_id\tfold\na\t0\nb\t99999999999999999999\n", 3, "fold", "not a fold number"),
        ("rna_id\tfold\na\t\nb\t1\n", 2, "fold", "not a fold number"),
        ("rna_id\tpart\na\t0\n", 1, "fold", "missing column"),
        ("protocol\trna_id\tfold\nx\ta\t0\nx\ta\t1\n", 3, "rna_id", "more than one fold"),
    ],
)
def test_a_wrong_fold_file_is_named_by_line_and_column(tmp_path, text, line, column, match):
    with pytest.raises(InputError, match=match) as caught:
        read(tmp_path, text)
    assert (caught.value.file, caught.value.line, caught.value.column) == (
        tmp_path / "folds.tsv",
        line,
        column,
    )


def test_a_gap_in_the_fold_numbers_names_the_file(tmp_path):
    with pytest.raises(InputError, match=r"folds\.tsv.*no RNA in fold 1"):
        read(tmp_path, "rna_id\tfold\na\t0\nb\t2\n")
