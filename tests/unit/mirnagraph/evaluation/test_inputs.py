"""Checks before scoring: what passes at the ends of ranges, and which cell a refusal names."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from mirnagraph.errors import InputError
from mirnagraph.evaluation.inputs import (
    by_rna,
    check_fractions,
    check_predictions,
    of_each_group,
    popularity_classes,
)

NAN = float("nan")
NAMES = ("A", "B", "C")


def predictions(**changes: Any) -> dict[str, Any]:
    """Two tested RNAs and one that is not, three compartments: all at the ends of their ranges."""
    given: dict[str, Any] = {
        "true": np.array([[0, 1, NAN], [1, 0, 1], [0, 0, 0]]),
        "probabilities": np.array([[0, 1, 0.5], [1, 0, 0.25], [NAN, 7, -1]]),
        "fold": np.array([0, 0, -1]),
        "thresholds": np.array([[0.5, 0.5, 0.5], [0, 1, 0.5], [NAN, NAN, NAN]]),
        "names": NAMES,
        "reserved": ("average",),
    }
    return given | changes


def with_cell(name: str, *cells: tuple[int, int, float]) -> dict[str, Any]:
    array = predictions()[name].copy()
    for row, column, value in cells:
        array[row, column] = value
    return {name: array}


def test_predictions_at_the_ends_of_their_ranges_are_scored() -> None:
    check_predictions(**predictions())
    check_predictions(**predictions(thresholds=np.array([0.5, 0.5, 0.5])))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"true": np.zeros(3), "probabilities": np.zeros(3)}, r"found \(3,\) and \(3,\)"),
        (
            {"probabilities": np.zeros((3, 2))},
            r"do not fit each other; found \(3, 3\) and \(3, 2\)",
        ),
        ({"fold": np.zeros(2)}, r"one fold per RNA is needed; found \(2,\), expected \(3,\)"),
        ({"thresholds": np.zeros(2)}, r"found \(2,\), expected \(3,\) or \(3, 3\)"),
        ({"names": ("A", "B")}, "found A, B, expected 3 different names"),
        ({"names": ("A", "B", "A")}, "found A, B, A, expected 3 different names"),
        ({"names": ("A", "B", "average")}, "none of them 'average'"),
        (with_cell("true", (0, 0, 2)), "labels must be 0 or 1"),
        ({"fold": np.array([-1, -1, -2])}, "no RNA was tested; found 3 RNAs"),
        (with_cell("probabilities", (0, 1, 1.5), (1, 0, -1)), r"'B': .* \(row 0\); found 1\.5"),
        (with_cell("probabilities", (1, 2, -0.1)), r"'C': .* \(row 1\); found -0\.1"),
        (with_cell("probabilities", (1, 2, NAN)), r"'C': .* \(row 1\); found nan"),
        (
            with_cell("thresholds", (0, 1, NAN), (1, 0, NAN)),
            r"'B': a threshold is missing \(tested RNA 0",
        ),
    ],
)
def test_predictions_that_cannot_be_scored(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_predictions(**predictions(**changes))


def fractions(**changes: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "true": np.array([[0.25, NAN, 0.75], [1, 0, 0]]),
        "predicted": np.array([[0.5, 0.25, 0.25], [NAN, NAN, NAN]]),
        "fold": np.array([0, -1]),
        "names": NAMES,
    }
    return given | changes


def test_fractions_are_correlated_where_they_were_tested() -> None:
    check_fractions(**fractions())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"true": np.zeros(2), "predicted": np.zeros(2)}, r"found \(2,\) and \(2,\)"),
        ({"predicted": np.zeros((2, 2))}, r"found \(2, 3\) and \(2, 2\)"),
        ({"fold": np.zeros(3)}, r"found \(3,\), expected \(2,\)"),
        ({"names": ("A", "B")}, "found A, B, expected 3 different names"),
        ({"fold": np.array([-1, -1])}, "no RNA was tested"),
        (
            {"predicted": np.array([[0.5, NAN, 1], [0, 0, 0]]), "fold": np.array([0, 0])},
            r"'B': a fraction is not finite \(row 0\); found nan and nan",
        ),
        (
            {"predicted": np.array([[0, NAN, 1], [NAN, 0, 0]]), "fold": np.array([0, 0])},
            r"'B': a fraction is not finite \(row 0\)",
        ),
        ({"true": np.array([[0, 0, 0], [0, np.inf, 0]])}, r"'B': a fraction is not .*found inf"),
    ],
)
def test_fractions_that_cannot_be_correlated(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_fractions(**fractions(**changes))


def test_models_without_thresholds_are_cut_at_one_half() -> None:
    true = np.zeros((2, 3))
    given = of_each_group(true, {"m": np.full((2, 3), 0.25)}, {}, ["x", "y"])
    assert given["m"][1].tolist() == [[0.5] * 3] * 2
    cut = of_each_group(true, {"m": true}, {"m": np.array([0.1, 0.2, 0.3])}, ["x", "y"])["m"][1]
    assert cut.tolist() == [[0.1, 0.2, 0.3]] * 2


@pytest.mark.parametrize(
    ("true", "thresholds", "message"),
    [
        (np.zeros(2), {}, "labels and groups do not fit"),
        (np.zeros((3, 2)), {}, "labels and groups do not fit"),
        (np.zeros((2, 3)), {"other": 0.5}, "without predictions; found other"),
        (np.zeros((2, 3)), {"m": np.zeros(2)}, r"found \(2,\), expected \(3,\) or \(2, 3\)"),
    ],
)
def test_groups_that_cannot_be_scored(true: np.ndarray, thresholds: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        of_each_group(true, {"m": np.zeros((2, 3))}, thresholds, ["x", "y"])


def test_one_popularity_class_per_rna() -> None:
    assert popularity_classes(np.array([3, 1]), 2).tolist() == [3.0, 1.0]
    for wrong in (np.array([1.0]), np.array([1.0, NAN])):
        with pytest.raises(InputError):
            popularity_classes(wrong, 2)


def test_a_prediction_table_by_rna() -> None:
    table = pd.DataFrame({"rna_id": ["a", "b"], "fold": [0, 1], "A": [0, 1], "B": [0.5, 0.5]})
    assert by_rna(table, ["A", "B"], "first").loc["b"].tolist() == [1, 1, 0.5]
    for changed, message in (
        (table.drop(columns="fold"), "column 'fold': the first predictions lack a column"),
        (table.assign(rna_id="a"), "hold an RNA twice; found a"),
        (table.iloc[:0], "are empty"),
        (table.assign(A=[0, NAN], B=[NAN, 0]), "'B': the first predictions lack a number for a"),
    ):
        with pytest.raises(InputError, match=message):
            by_rna(changed, ["A", "B"], "first")
