"""Folds from a column of the RNA table and from clusters of sequences."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mirnagraph.dataset import Dataset
from mirnagraph.errors import ConfigError, InputError
from mirnagraph.evaluation.metrics import UndefinedMetricWarning, evaluate, undefined_as_zero
from mirnagraph.evaluation.splits import column_folds, make_folds


def dataset(folds: list[object]) -> Dataset:
    ids = pd.Index([f"r{number}" for number in range(len(folds))], name="rna_id")
    rnas = pd.DataFrame({"sequence": "ACGU", "published": folds}, index=ids, dtype=object)
    values = np.arange(len(folds)) % 2
    labels = pd.DataFrame({"Nucleus": values.astype("int8")}, index=ids)
    return Dataset("made", rnas, {}, {}, labels)


def test_published_folds_are_numbered_from_zero_and_below_one_is_training_only() -> None:
    folds = make_folds(dataset(["3", "-1", "1", "10", "0", "3"]), "published")
    assert folds.assigned.tolist() == [1, -1, 0, 2, -1, 1]
    assert folds.name == "published"
    train, test = folds.rows(dataset(["1"] * 6).index, 1)
    assert train.tolist() == [1, 2, 3, 4]
    assert test.tolist() == [0, 5]


def test_numbers_and_located_rnas_alone() -> None:
    data = dataset([1, 2, 2.0, 1])
    assert column_folds(data, "published").assigned.tolist() == [0, 1, 1, 0]
    located = make_folds(data, "published", rnas="located")
    assert located.to_frame().to_numpy().tolist() == [["r1", 1], ["r3", 0]]


@pytest.mark.parametrize("cell", ["first", "1.5", "", None, "inf", "1e300"])
def test_a_cell_that_is_no_fold_is_named(cell: object) -> None:
    with pytest.raises(InputError, match="fold number of r2") as caught:
        make_folds(dataset(["1", "2", cell]), "published")
    assert "published" in str(caught.value)


def test_the_largest_fold_number() -> None:
    folds = column_folds(dataset(["1", "1000000000000", "-1000000000000"]), "published")
    assert folds.assigned.tolist() == [0, 1, -1]
    with pytest.raises(InputError, match="fold number of r1"):
        column_folds(dataset(["1", "1000000000001"]), "published")


def test_one_fold_a_missing_column_and_a_protocol() -> None:
    with pytest.raises(InputError, match="too few folds"):
        make_folds(dataset(["1", "1", "-1"]), "published")
    with pytest.raises(ConfigError, match="no column 'repeat'"):
        column_folds(dataset(["1", "2"]), "repeat")
    with pytest.raises(ConfigError, match="needs a fold file"):
        make_folds(dataset(["1", "2"]), "published", protocol="p")


def test_a_split_that_is_no_file_is_told_the_choices() -> None:
    with pytest.raises(InputError) as caught:
        make_folds(dataset(["1", "2"]), "famly")
    assert str(caught.value) == (
        "famly: no such file; expected random, family, cluster, a column of the RNA table, or a "
        "fold file; did you mean 'family'?"
    )
    with pytest.raises(InputError, match=r"a fold file; did you mean 'published'\?$"):
        make_folds(dataset(["1", "2"]), "Published")
    with pytest.raises(InputError, match=r"^mine/folds\.tsv: no such file.* a fold file$"):
        make_folds(dataset(["1", "2"]), "mine/folds.tsv")


def test_a_file_comes_before_a_column_of_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("published").write_text("rna_id\tfold\nr0\t1\nr1\t0\n", encoding="utf-8")
    folds = make_folds(dataset(["1", "2"]), "published")
    assert folds.assigned.tolist() == [1, 0]


def test_clusters_are_kept_whole_and_needed() -> None:
    data = dataset(["x"] * 8)
    clusters = pd.Series(list("aabbccdd"), index=data.rnas.index)
    folds = make_folds(data, "cluster", n_folds=2, clusters=clusters)
    assert folds.name == "cluster"
    numbers = folds.assigned.to_numpy().reshape(4, 2)
    assert (numbers[:, 0] == numbers[:, 1]).all()
    assert sorted(numbers[:, 0].tolist()) == [0, 0, 1, 1]
    with pytest.raises(ConfigError, match="needs clusters"):
        make_folds(data, "cluster", n_folds=2)


def test_a_fold_with_one_class_counts_as_zero_in_the_published_convention() -> None:
    true = np.array([[1, 1], [0, 0], [1, 0], [0, 0]])
    predicted = np.array([[0.9, 0.8], [0.1, 0.3], [0.2, 0.4], [0.7, 0.6]])
    fold = np.array([0, 0, 1, 1])
    with pytest.warns(UndefinedMetricWarning):
        metrics = evaluate(true, predicted, fold, np.array([0.5, 0.5]), ["A", "B"])
    table = undefined_as_zero(metrics, 2).set_index(["compartment", "metric"])["mean"]
    # A: AUC 1 and 0; B: AUC 1 in the first fold, undefined in the second: 1 / 2
    assert table["A", "AUC"] == pytest.approx(0.5)
    assert table["B", "AUC"] == pytest.approx(0.5)
    # A: AUPR 1 and 1 / 2; B: AUPR 1 and undefined; their mean is (0.75 + 0.5) / 2
    assert table["A", "AUPR"] == pytest.approx(0.75)
    assert table["average", "AUPR"] == pytest.approx(0.625)
    # the project's average leaves the undefined fold out: (0.75 + 1) / 2
    of_folds = metrics.set_index(["compartment", "metric"])["mean"]
    assert of_folds["average", "AUPR"] == pytest.approx(0.875)
