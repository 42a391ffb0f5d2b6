"""Arguments of metrics that numpy would stretch, cut or turn into numbers without a word."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mirnagraph.errors import ArgumentError, ConfigError, InputError
from mirnagraph.evaluation.calibration import (
    apply_temperature,
    brier_parts,
    expected_calibration_error,
    fit_temperature,
    log_loss,
)
from mirnagraph.evaluation.compare import delong, holm
from mirnagraph.evaluation.enrichment import benjamini_hochberg, exact_test
from mirnagraph.evaluation.metrics import evaluate, score
from mirnagraph.evaluation.scores import deciles, ranking_scores, set_scores, within_auc
from mirnagraph.networks.sparsify import cut_off, top_k

TRUE = np.array([[1, 0], [0, 1], [1, 1], [0, 1]])
PREDICTED = np.array([[1, 0], [1, 1], [0, 1], [0, 0]])
PROBABILITIES = np.array([[0.9, 0.2], [0.6, 0.7], [0.4, 0.8], [0.3, 0.1]])
FOLD = np.array([0, 0, 1, 1])
THRESHOLDS = np.array([0.5, 0.5])


def values_of(*args: object, **kwargs: object) -> np.ndarray:
    return evaluate(*args, **kwargs)[["mean", "pooled"]].to_numpy(float)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "kind",
    [np.int8, np.uint8, bool, ">i4", "longdouble", np.matrix, np.ma.array, "Int64", "boolean"],
)
def test_the_same_labels_in_any_type_have_the_same_scores(kind: object) -> None:
    if kind in ("Int64", "boolean"):
        true = pd.DataFrame(TRUE, index=[3, 2, 1, 0]).astype(kind)  # type: ignore[call-overload]
    elif kind in (np.matrix, np.ma.array):
        true = kind(TRUE)  # type: ignore[operator]
    else:
        true = TRUE.astype(kind)  # type: ignore[call-overload]
    # aiming by hand: 1, 1/2, 1, 0
    assert set_scores(true, PREDICTED)["aiming"] == 0.625
    assert ranking_scores(true, PROBABILITIES) == ranking_scores(TRUE, PROBABILITIES)
    expected = values_of(TRUE, PROBABILITIES, FOLD, THRESHOLDS)
    found = values_of(true, PROBABILITIES, FOLD, THRESHOLDS)
    assert np.array_equal(found, expected, equal_nan=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"true": TRUE.astype(str)}, "true holds texts"),
        ({"true": TRUE + 1j}, "true holds complex numbers"),
        ({"true": np.ma.array(TRUE, mask=TRUE > 0)}, "true has masked values"),
        ({"probabilities": PROBABILITIES.astype(str)}, "probabilities holds texts"),
        ({"fold": FOLD + 0.5}, "a number of fold is not whole; found 0.5"),
        ({"fold": [0, 0, 1, np.nan]}, "a number of fold is not whole; found nan"),
        ({"fold": pd.Series([0, 0, 1, None], dtype="Int64")}, "a number of fold is not whole"),
        ({"fold": FOLD.astype(str)}, "fold holds texts"),
        ({"thresholds": ["a", "b"]}, "thresholds holds texts"),
        ({"trained": np.ones(4)}, "trained has another shape"),
        ({"trained": np.ones((4, 1))}, "trained and true differ in shape"),
        ({"trained": TRUE * 2}, "trained holds what is neither 0 nor 1; found 2"),
    ],
)
def test_evaluate_names_what_it_cannot_read(change: dict, message: str) -> None:
    given = {
        "true": TRUE, "probabilities": PROBABILITIES, "fold": FOLD, "thresholds": THRESHOLDS
    }  # fmt: skip
    with pytest.raises((ArgumentError, InputError), match=message):
        evaluate(**(given | change))


def test_an_unknown_kind_of_labels_is_refused() -> None:
    with pytest.raises(ConfigError, match="unknown kind 'fraction' of labels"):
        score(TRUE, PROBABILITIES, FOLD, THRESHOLDS, ["a", "b"], kind="fraction")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (TRUE[:, :1], "differ in shape"),  # numpy would stretch it
        (TRUE[:-1], "differ in shape"),
        (TRUE[:, 0], "true has another shape"),
        (TRUE * 3, "neither 0 nor 1; found 3"),
        (np.where(TRUE, np.nan, 0), "neither 0 nor 1; found nan"),
    ],
)
def test_sets_and_rankings_need_labels_of_their_shape(wrong: np.ndarray, message: str) -> None:
    for function, other in ((set_scores, PREDICTED), (ranking_scores, PROBABILITIES)):
        with pytest.raises(InputError, match=message):
            function(wrong, other)


def test_deciles_and_the_auc_within_them_need_whole_columns() -> None:
    assert list(deciles(np.array([3, 1, 2], dtype=np.uint8))) == [8, 1, 5]
    for wrong in ([1.0, np.nan], [[1.0, 2.0]]):
        with pytest.raises(InputError, match="values have no deciles"):
            deciles(np.array(wrong))
    labels = TRUE[:, 0]
    assert within_auc(labels, PROBABILITIES[:, 0], np.zeros(4)) == 0.75
    with pytest.raises(InputError, match="decile and true differ in shape"):
        within_auc(labels, PROBABILITIES[:, 0], np.zeros(3))


COLUMN = TRUE[:, 0]
SCORES = PROBABILITIES[:, 0]


@pytest.mark.parametrize(
    "wrong",
    [
        np.ma.array(SCORES, mask=SCORES > 0.5),
        SCORES + 1j,
        SCORES.astype(str),
        SCORES[:, None],  # numpy would stretch it over the labels
        SCORES[:-1],
        None,
        "x",
    ],
    ids=["masked", "complex", "text", "2d", "short", "None", "x"],
)
def test_calibration_and_comparison_refuse_what_is_no_column(wrong: object) -> None:
    calls = (
        lambda: log_loss(COLUMN, wrong),
        lambda: brier_parts(COLUMN, wrong),
        lambda: expected_calibration_error(COLUMN, wrong),
        lambda: fit_temperature(COLUMN, wrong),
        lambda: delong(COLUMN, wrong, SCORES),
        lambda: delong(COLUMN, SCORES, wrong),
    )
    for call in calls:
        with pytest.raises((ArgumentError, InputError)):
            call()


def test_labels_of_a_comparison_are_0_or_1() -> None:
    for labels in (COLUMN * 2, np.array([1, 0, np.nan, 0]), COLUMN.astype(str)):
        with pytest.raises((ArgumentError, InputError), match="true holds"):
            delong(labels, SCORES, SCORES)
        with pytest.raises((ArgumentError, InputError), match="true holds"):
            log_loss(labels, SCORES)
    # by hand: -log(0.9 * 0.4 * 0.4 * 0.7) / 4
    assert log_loss(pd.Series(COLUMN, index=[3, 2, 1, 0]), list(SCORES)) == pytest.approx(
        -np.log(0.1008) / 4
    )
    assert delong(COLUMN.tolist(), SCORES.tolist(), SCORES)[:2] == (0.75, 0.75)


def test_p_values_and_counts_are_checked() -> None:
    for function in (holm, benjamini_hochberg):
        for wrong in ([-0.1, 0.2], [0.5, 1.5]):
            with pytest.raises(InputError, match="p are no p-values"):
                function(wrong)
        assert np.isnan(function([0.01, np.nan, 0.03])[1])
    with pytest.raises(ConfigError, match="'a' is -1, expected at least 0"):
        exact_test(-1, 2, 3, 4)
    with pytest.raises(ArgumentError, match=r"exact_test: a is 1\.5"):
        exact_test(1.5, 2, 3, 4)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="apply_temperature: temperature is None"):
        apply_temperature(SCORES, None)  # type: ignore[arg-type]


def test_a_similarity_is_an_array_of_numbers() -> None:
    similarity = np.array([[1, 0.5], [0.5, 1]])
    for values in (similarity.tolist(), pd.DataFrame(similarity).astype("Float64")):
        assert cut_off(values, 0.3).toarray().tolist() == [[0, 0.5], [0.5, 0]]
        assert top_k(values, 1).toarray().tolist() == [[0, 0.5], [0.5, 0]]
    for wrong in (similarity + 1j, similarity.astype(str), np.ma.array(similarity, mask=True)):
        with pytest.raises(ArgumentError, match="similarity h"):
            cut_off(wrong, 0.3)
    with pytest.raises(ArgumentError, match=r"top_k: k is 1\.5"):
        top_k(similarity, 1.5)  # type: ignore[arg-type]
