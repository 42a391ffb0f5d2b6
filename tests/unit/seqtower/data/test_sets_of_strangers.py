"""Sets made in Python, and cells of no class."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mirnagraph.errors import InputError, MirnagraphError
from mirnagraph.nodes import NodeIndex
from seqtower.data.labels import read_labels
from seqtower.data.sequences import SequenceSet


def two(**changes: Any) -> SequenceSet:
    parts: dict[str, Any] = {
        "index": NodeIndex.of(["a", "b"], "RNA"),
        "sequences": ("ACGU", "GGG"),
        "labels": np.eye(2),
        "compartments": ("x", "y"),
        "kind": "multi-label",
        "groups": None,
        "left_out": pd.DataFrame(),
    }
    return SequenceSet(**{**parts, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sequences": ("ACGU",)}, "sequences do not fit the ids; found 1, expected 2"),
        ({"groups": ("g",)}, "groups do not fit the ids"),
        ({"labels": np.eye(3)}, "labels do not fit the ids"),
        ({"labels": np.eye(2) * 2}, "labels must be 0 or 1"),
        ({"kind": "classes"}, "setting 'kind' is 'classes'"),
        ({"types": ("miRNA", "tRNA")}, r"setting 'types' is \['tRNA'\]"),
    ],
)
def test_parts_of_a_set_that_do_not_fit(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(MirnagraphError, match=message):
        two(**changes)


def test_rows_of_a_set_are_numbers() -> None:
    assert two().rows(np.array([1, 0])).index.ids == ("b", "a")
    with pytest.raises(InputError, match="rows are a mask"):
        two().rows(np.array([True, False]))


@pytest.mark.parametrize("cell", ["NA", "na", "NaN", "n/a", "#N/A", "<NA>", ""])
def test_a_cell_without_a_class_in_any_capitals(cell: str, tmp_path: Path) -> None:
    path = tmp_path / "labels.tsv"
    path.write_text(f"id\tclass\na\tnucleus\nb\tcytoplasm\nc\t{cell}\nd\tnucleus;{cell}\n")
    labels = read_labels(path)
    assert labels.kind == "class"
    assert labels.values.columns.tolist() == ["cytoplasm", "nucleus"]
    assert labels.values.loc["c"].isna().all()
    assert labels.values.loc["d"].tolist() == [0, 1]
