"""Arrays of scores and similarities: what is no number, not finite or of another shape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from mirnagraph.errors import MirnagraphError
from mirnagraph.evaluation.calibration import (
    apply_temperature,
    best_thresholds,
    calibration_error_by_chance,
    equal_count_bins,
)
from mirnagraph.evaluation.compare import delong
from mirnagraph.evaluation.scores import auc, aupr, brier, f1, mcc, precision, recall, within_auc
from mirnagraph.similarity.disease import blend
from mirnagraph.similarity.profile import correlation_similarity

LABELS = np.array([0, 1, 0, 1])
SCORES = np.array([0.25, 0.75, 0.5, 0.5])
SQUARE = np.array([[1.0, 0.25], [0.25, 1.0]])

VECTORS: dict[str, Callable[[Any], Any]] = {
    "auc": lambda x: auc(LABELS, x),
    "aupr": lambda x: aupr(LABELS, x),
    "brier": lambda x: brier(LABELS, x),
    "f1": lambda x: f1(LABELS, x),
    "mcc": lambda x: mcc(LABELS, x),
    "precision": lambda x: precision(LABELS, x),
    "recall": lambda x: recall(LABELS, x),
    "auc, labels": lambda x: auc(x, SCORES),
    "mcc, labels": lambda x: mcc(x, LABELS),
    "delong": lambda x: delong(LABELS, SCORES, x),
    "within_auc": lambda x: within_auc(LABELS, x, LABELS),
    "within_auc, deciles": lambda x: within_auc(LABELS, SCORES, x),
    "equal_count_bins": equal_count_bins,
    "calibration_error_by_chance": calibration_error_by_chance,
}


@pytest.mark.parametrize("name", VECTORS)
@pytest.mark.parametrize(
    "values",
    [
        np.array([0.25, np.nan, 0.5, 1.0]),
        np.array([0.25, np.inf, 0.5, 1.0]),
        np.array(["0", "1", "0", "1"]),
        np.array([0, 1, 0, 1 + 2j]),
        [[0, 1], [0]],
        np.ma.masked_array(LABELS, mask=[1, 0, 0, 0]),
        np.ones((2, 2)),
        5,
        None,
    ],
    ids=["nan", "inf", "texts", "complex", "ragged", "masked", "two dimensions", "5", "None"],
)
def test_what_is_no_vector_of_numbers_is_refused(name: str, values: Any) -> None:
    with pytest.raises(MirnagraphError) as error:
        VECTORS[name](values)
    assert "\n" not in str(error.value)


def test_scores_take_lists_and_keep_their_values() -> None:
    # pairs: (.75 > .25), (.75 > .5), (.5 > .25), (.5 = .5)
    assert auc([0, 1, 0, 1], [0.25, 0.75, 0.5, 0.5]) == 3.5 / 4
    assert brier(LABELS, SCORES) == (0.0625 + 0.0625 + 0.25 + 0.25) / 4
    assert f1([0, 1, 0, 1], [1, 1, 0, 0]) == 0.5
    assert mcc(true=[0, 1, 0, 1], predicted=[0, 1, 0, 1]) == 1
    with pytest.raises(MirnagraphError, match="auc: expected true and probabilities"):
        auc(LABELS)  # type: ignore[call-arg]


def test_thresholds_and_temperatures_of_what_is_no_probability() -> None:
    with pytest.raises(MirnagraphError, match="not a probability; found inf"):
        best_thresholds(LABELS[:, None], np.array([[0.5], [np.inf], [0.5], [0.5]]))
    with pytest.raises(MirnagraphError, match="probability holds texts"):
        best_thresholds(LABELS[:, None], np.array([["a"]] * 4))
    with pytest.raises(MirnagraphError, match=r"not a probability; found 1\.5"):
        apply_temperature(np.array([np.nan, 1.5]), 2.0)
    assert np.isnan(apply_temperature(np.array([np.nan]), 2.0)[0])


def test_a_blend_of_sparse_similarities() -> None:
    dense = blend(SQUARE, np.eye(2))
    assert dense.tolist() == [[1.0, 0.125], [0.125, 1.0]]
    assert blend(sparse.csr_array(SQUARE), sparse.coo_matrix(np.eye(2))).tolist() == dense.tolist()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (SQUARE * 2, r"a number of functional is no similarity \(row 0, column 0\); found 2\.0"),
        (-SQUARE, "no similarity"),
        ([[1.0], [1.0, 2.0]], "functional holds what is no number"),
        (SQUARE * 1j, "functional holds complex numbers"),
        (sparse.csr_array(SQUARE * 1j), "functional holds complex numbers"),
    ],
)
def test_a_blend_of_what_is_no_similarity(values: Any, message: str) -> None:
    with pytest.raises(MirnagraphError, match=message):
        blend(values, np.eye(2))


def test_a_correlation_of_sparse_profiles() -> None:
    profiles = np.array([[1, 2, 3], [0, 0, 9], [3, 2, 0.0]])
    expected = correlation_similarity(profiles).tolist()
    assert correlation_similarity(sparse.csr_array(profiles)).tolist() == expected


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([[1.0], [1.0, 2.0]], "profiles holds what is no number"),
        (np.array([[1j, 2.0]]), "profiles holds complex numbers"),
        (sparse.csr_array(np.array([[1j, 2.0]])), "profiles holds complex numbers"),
        (np.array([["1", "2"]]), "profiles holds texts"),
        (np.array([1.0, 2.0]), "profiles is no matrix"),
        (np.array([[1.0, np.inf]]), "a number of profiles is not finite"),
    ],
)
def test_a_correlation_of_what_are_no_profiles(values: Any, message: str) -> None:
    with pytest.raises(MirnagraphError, match=message):
        correlation_similarity(values)
