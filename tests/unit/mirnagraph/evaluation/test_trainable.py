"""Which datasets can be trained on."""

from __future__ import annotations

import pandas as pd
import pytest

from mirnagraph.dataset import Dataset
from mirnagraph.errors import InputError
from mirnagraph.evaluation.trainable import require_trainable


def dataset(labels: dict[str, list[int]]) -> Dataset:
    index = pd.Index(["a", "b", "c"], name="rna_id")
    rnas = pd.DataFrame({"sequence": ["A", "C", "G"]}, index=index)
    return Dataset("d", rnas, {}, {}, pd.DataFrame(labels, index=index))


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
