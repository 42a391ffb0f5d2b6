"""What the report of a run of the sequence tower says of its own figures."""

from __future__ import annotations

import warnings
from types import SimpleNamespace

import numpy as np
import pytest

from mirnagraph.evaluation.metrics import evaluate
from seqtower.run import few_folds


@pytest.mark.parametrize(
    ("scarce", "said"),
    [
        ([1, 0, 0, 1], ""),
        (
            [1, 0, 0, 0],
            "Folds that AUC comes from, of 2: 1 for Scarce; in the others, all RNAs are of one kind.",
        ),
    ],
)
def test_figures_of_some_folds_alone_are_named(scarce: list[int], said: str) -> None:
    true, fold = np.column_stack([[0, 1, 0, 1], scarce]), np.array([0, 0, 1, 1])
    names = ("Common", "Scarce")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        metrics = evaluate(true, np.full((4, 2), 0.5), fold, np.array([0.5, 0.5]), names)
    result = SimpleNamespace(
        kind="multi-label",
        compartments=names,
        metrics_of={"model": metrics},
        folds=SimpleNamespace(n_folds=2),
    )
    assert few_folds(result) == said
