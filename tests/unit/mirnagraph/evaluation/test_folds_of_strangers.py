"""Labels, groups and rows of any type give the same folds; what is no label or row is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from mirnagraph.dataset import Dataset
from mirnagraph.errors import ArgumentError, InputError, MirnagraphError
from mirnagraph.evaluation.scores import popularity
from mirnagraph.evaluation.splits import (
    Folds,
    group_codes,
    grouped_folds,
    inner_split,
    random_folds,
    used_rnas,
)
from mirnagraph.nodes import NodeIndex

IDS = [f"r{row:02}" for row in range(24)]
LABELS = pd.DataFrame({"a": [1, 0] * 12, "b": [0, 0, 1] * 8}, index=IDS)
GROUPS = pd.Series([f"f{row % 7}" for row in range(24)], index=IDS)


@pytest.mark.parametrize("kind", ["bool", "Int64", "boolean", "float32", "object", "int8[pyarrow]"])
def test_folds_do_not_depend_on_the_type_of_labels(kind: str) -> None:
    expected = random_folds(LABELS, 4, 1).assigned
    assert random_folds(LABELS.astype(kind), 4, 1).assigned.equals(expected)


@pytest.mark.parametrize("kind", ["category", "string", "string[pyarrow]"])
def test_a_missing_group_of_any_type_is_a_group_of_its_own(kind: str) -> None:
    is_gap = GROUPS == "f3"
    expected = grouped_folds(LABELS, GROUPS.mask(is_gap), 4, 1).assigned
    assert grouped_folds(LABELS, GROUPS.astype(kind).mask(is_gap), 4, 1).assigned.equals(expected)
    pairs = zip(GROUPS[~is_gap], expected[~is_gap], strict=True)
    assert len(set(pairs)) == GROUPS[~is_gap].nunique()


def test_codes_of_groups_with_gaps() -> None:
    assert group_codes(pd.Series(["a", None, "a", pd.NA], dtype="string")).tolist() == [0, 1, 0, 2]
    assert group_codes(pd.Series(["a", " ", "a", " ", ""])).tolist() == [0, 1, 0, 2, 3]
    assert group_codes(pd.Series([7, None, 7], dtype="Int64")).tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("labels", "groups", "message"),
    [
        (LABELS.where(LABELS["a"] == 1, axis=0), None, "labels holds what is neither 0 nor 1"),
        (LABELS.astype("Int64").mask(LABELS == 0), None, "labels holds what is neither 0 nor 1"),
        (LABELS * 2, None, "labels holds what is neither 0 nor 1; found 2"),
        (LABELS.astype(str), None, "labels holds texts"),
        (LABELS.to_numpy(), None, r"random_folds: labels is .* \(ndarray\), expected DataFrame"),
        (LABELS, pd.concat([GROUPS, GROUPS[:1]]), "an RNA with two groups; found r00"),
        (LABELS, list(GROUPS), r"groups is .* \(list\), expected Series"),
    ],
)
def test_folds_of_what_is_no_label_or_group(labels: Any, groups: Any, message: str) -> None:
    how = (labels,) if groups is None else (labels, groups)
    make = random_folds if groups is None else grouped_folds
    with pytest.raises(MirnagraphError, match=message):
        make(*how, 4, 1)


def test_rows_of_an_inner_split_are_numbers_of_rnas() -> None:
    labels = LABELS.to_numpy()
    rows = np.arange(4, 24)
    fit, validation = inner_split(rows, labels, GROUPS.to_numpy(), 0.25, 3)
    assert sorted([*fit, *validation]) == rows.tolist()
    assert not set(GROUPS.iloc[fit]) & set(GROUPS.iloc[validation])
    for wrong, message in (
        (np.arange(24) >= 4, "train_rows are a mask"),
        (rows + 0.5, "a number of train_rows is not whole"),
        (rows - 5, "train_rows name a row that is not there; found -1"),
        (rows + 1, "train_rows name a row that is not there; found 24"),
    ):
        with pytest.raises(InputError, match=message):
            inner_split(wrong, labels, None, 0.25, 3)
    with pytest.raises(InputError, match="groups and labels do not fit each other; found 3 groups"):
        inner_split(rows, labels, np.zeros(3), 0.25, 3)


@pytest.mark.parametrize("kind", ["int8", "uint8", "Int64", "int64[pyarrow]"])
def test_fold_numbers_of_any_whole_type(kind: str) -> None:
    folds = Folds(pd.Series([0, 1, 0], index=IDS[:3]).astype(kind))
    assert folds.assigned.tolist() == [0, 1, 0]
    for fold in (0.5, "0"):
        with pytest.raises(ArgumentError, match=r"Folds\.rows: fold is"):
            folds.rows(NodeIndex.of(IDS, "miRNA"), fold)  # type: ignore[arg-type]


@pytest.mark.parametrize("values", [[True, False, True], [0.0, 1.0, 0.0], ["0", "1", "0"]])
def test_fold_numbers_of_another_type(values: list[Any]) -> None:
    with pytest.raises(InputError, match="fold numbers must be whole"):
        Folds(pd.Series(values, index=IDS[:3]))
    with pytest.raises(InputError, match="a number of fold is not whole"):
        Folds(pd.Series([0, 1, None], index=IDS[:3], dtype="Int64"))
    with pytest.raises(ArgumentError, match="used_rnas: labels is"):
        used_rnas(LABELS.to_numpy())  # type: ignore[arg-type]


def numbered(ids: list[Any], **changes: Any) -> Dataset:
    table = pd.DataFrame({"rna_id": [ids[0], ids[1], ids[0]], "partner_id": [1, 1, 2]})
    parts: dict[str, Any] = {
        "name": "d",
        "rnas": pd.DataFrame({"sequence": ["ACGU", "GGGA", "UUUC"]}, index=ids),
        "associations": {"disease": table},
        "partners": {"disease": pd.DataFrame(index=[1, 2])},
        "labels": pd.DataFrame({"A": [1, 0, 0], "B": [0, 1, 1]}, index=ids),
    }
    return Dataset(**{**parts, **changes})


@pytest.mark.parametrize("ids", [[5, 7, 9], ["5", "7", "9"], [5, "7", 9]])
def test_ids_that_are_numbers_are_texts(ids: list[Any]) -> None:
    dataset = numbered(ids)
    assert dataset.association_matrix("disease").toarray().tolist() == [[1, 1], [1, 0], [0, 0]]
    assert dataset.rnas.index.tolist() == dataset.labels.index.tolist() == ["5", "7", "9"]
    assert popularity(dataset).tolist() == [3, 2, 1]
    assert dataset.index.positions([9, "5"]).tolist() == [2, 0]
    assert 7 in dataset.index
    with pytest.raises(ArgumentError, match=r"NodeIndex\.positions: names is '57'"):
        dataset.index.positions("57")


def test_labels_that_may_be_missing() -> None:
    labels = pd.DataFrame({"A": [1, 0, 0], "B": [0, 1, 1]}, index=[5, 7, 9])
    assert numbered([5, 7, 9], labels=labels.astype("boolean")).located.all()
    with pytest.raises(InputError, match="labels must be 0 or 1"):
        numbered([5, 7, 9], labels=labels.astype("Int64").mask(labels == 0))
