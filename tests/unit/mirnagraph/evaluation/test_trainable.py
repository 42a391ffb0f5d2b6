"""Which datasets can be trained on."""

from __future__ import annotations

import pandas as pd
import pytest

from mirnagraph.dataset import Dataset
from mirnagraph.errors import InputError
from mirnagraph.evaluation.splits import make_folds
from mirnagraph.evaluation.trainable import (
    LABELS_KNOWN,
    is_trainable,
    labelled_rows,
    require_trainable,
)


def dataset(labels: dict[str, list[int]]) -> Dataset:
    index = pd.Index(["a", "b", "c"], name="rna_id")
    rnas = pd.DataFrame({"sequence": ["A", "C", "G"]}, index=index)
    return Dataset("d", rnas, {}, {}, pd.DataFrame(labels, index=index))


def test_one_compartment_with_known_negatives_can_be_trained_on() -> None:
    """Of a, b, c, d: one in, two known to be out, one unknown."""
    index = pd.Index(["a", "b", "c", "d"], name="rna_id")
    known = ["yes", "yes", "yes", "no"]
    rnas = pd.DataFrame({"sequence": "A", LABELS_KNOWN: known}, index=index, dtype=object)
    labels = pd.DataFrame({"Nucleus": [0, 1, 0, 0]}, index=index)
    made = Dataset("d", rnas, {}, {}, labels)
    assert labelled_rows(made).tolist() == [True, True, True, False]
    require_trainable(made)
    assert list(make_folds(made, n_folds=2, rnas="located").assigned.index) == ["a", "b", "c"]
    assert len(make_folds(made, n_folds=2, rnas="all").assigned) == 4
    for cells in (["no"] * 4, ["no", "yes", "no", "no"]):
        with pytest.raises(InputError, match=r"has one class.*yes in a column labels_known"):
            require_trainable(Dataset("d", rnas.assign(**{LABELS_KNOWN: cells}), {}, {}, labels))


def test_two_classes_can_be_trained_on() -> None:
    labels = {"Nucleus": [1, 0, 0], "Exosome": [1, 1, 0]}
    for name, column in labels.items():
        with pytest.raises(InputError, match="has one class"):
            require_trainable(dataset({name: column}))
    require_trainable(dataset(labels))


@pytest.mark.parametrize("labels", [{}, {"Nucleus": [0, 0, 0]}])
def test_no_label_is_refused(labels: dict[str, list[int]]) -> None:
    with pytest.raises(InputError, match="no RNA has a label, so it can be predicted on, not tr"):
        require_trainable(dataset(labels))


@pytest.mark.parametrize("labels", [{"Exosome": [1, 1, 0]}, {"Exosome": [0, 1, 0], "N": [0, 0, 0]}])
def test_positives_only_are_refused_by_the_compartment(labels: dict[str, list[int]]) -> None:
    n = sum(labels["Exosome"])
    with pytest.raises(
        InputError,
        match=rf"compartment 'Exosome' has one class: .* found {n} of {n} labelled RNAs",
    ):
        require_trainable(dataset(labels))


@pytest.mark.parametrize(
    ("column", "expected"),
    [([0, 0, 0], False), ([1, 0, 0], True), ([1, 1, 0], True), ([1, 1, 1], False)],
)
def test_one_rna_of_each_class_is_enough(column: list[int], expected: bool) -> None:
    """Another compartment holds all three, so that all are labelled."""
    assert is_trainable(dataset({"Nucleus": column, "Exosome": [1, 1, 1]})) is expected
