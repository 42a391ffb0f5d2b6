"""Sentences of a report on metrics that only some folds define."""

from __future__ import annotations

import warnings
from types import SimpleNamespace

import numpy as np
import pytest

from mirnagraph.evaluation.metrics import evaluate
from mirnagraph.runs.report import few_folds


@pytest.mark.parametrize(
    ("scarce", "sentence"),
    [
        ([1, 0, 0, 1], ""),
        (
            [1, 0, 0, 0],
            "Number of folds (of 2) in which AUC is defined: Scarce 1. In the other folds all "
            "tested RNAs have the same label. Counted as 0 there, as some publications do, the "
            # of constant predictions: .5 and .5 of Common, .5 and 0 of Scarce
            "averages are: AUC 0.375, AUPR 0.375.",
        ),
    ],
)
def test_compartments_without_a_metric_in_some_fold_are_named(
    scarce: list[int], sentence: str
) -> None:
    true = np.column_stack([[0, 1, 0, 1], scarce])
    fold = np.array([0, 0, 1, 1])
    names = ("Common", "Scarce")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        metrics = evaluate(true, np.full((4, 2), 0.5), fold, np.array([0.5, 0.5]), names)
    result = SimpleNamespace(
        kind="multi-label",
        compartments=names,
        metrics=metrics,
        folds=SimpleNamespace(n_folds=2),
    )
    assert few_folds(result) == sentence
