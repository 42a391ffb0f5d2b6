"""Cross-validation core: finished folds are read back, and what is collected of them."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mirnagraph.errors import InputError
from mirnagraph.evaluation.metrics import FRACTIONS, UndefinedMetricWarning
from mirnagraph.evaluation.splits import Folds
from mirnagraph.nodes import NodeIndex
from mirnagraph.runs.cross_validation import collect, cross_validate
from mirnagraph.runs.results import FoldResult, load_fold, save_fold, saved_folds

IDS = ["a", "b", "c", "d", "e"]
INDEX = NodeIndex.of(IDS, "miRNA")
NAMES = ("P", "Q")
# e is trained on in every fold and never tested
FOLDS = Folds(pd.Series([1, 0, 0, 1, -1], index=IDS))
LABELS = np.array([[1, 0], [1, 1], [0, 0], [0, 1], [1, 1]], dtype=float)
FITTED: list[int] = []


def fit_fold(offset: float, fold: int) -> FoldResult:
    """Probabilities that tell the fold and the row."""
    FITTED.append(fold)
    rows = np.flatnonzero(FOLDS.of_rows(INDEX) == fold)
    values = np.column_stack([rows / 10 + offset, 1 - rows / 10])
    predictions = {"model": values, "trees": values / 2}
    if fold == 0:
        predictions["only in one"] = values
    return FoldResult(fold, rows, predictions, {"model": np.array([0.2, 0.3 + fold / 10])})


def results() -> list[FoldResult]:
    return [fit_fold(0.0, 0), fit_fold(0.0, 1)]


@pytest.fixture(autouse=True)
def quiet():
    """Folds of two RNAs leave some metrics undefined, and that is warned of."""
    FITTED.clear()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        yield


def test_finished_folds_are_read_back_and_not_fitted_again(tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    first = fit_fold(0.05, 1)
    save_fold(tmp_path, first)
    FITTED.clear()
    done = cross_validate(
        fit_fold, 0.0, FOLDS, folder=tmp_path, progress=lambda *step: seen.append(step), step="cv"
    )
    assert FITTED == [0]
    assert [result.fold for result in done] == [0, 1]
    np.testing.assert_array_equal(done[1].probabilities, first.probabilities)
    np.testing.assert_array_equal(done[1].thresholds["model"], [0.2, 0.4])
    assert seen == [("cv", 1, 2), ("cv", 2, 2)]
    assert saved_folds(tmp_path, 2) == [0, 1]
    assert cross_validate(fit_fold, 0.0, FOLDS, folder=tmp_path)[0].rows.tolist() == [1, 2]
    assert FITTED == [0]


def test_without_a_folder_every_fold_is_fitted() -> None:
    cross_validate(fit_fold, 0.0, FOLDS)
    cross_validate(fit_fold, 0.0, FOLDS)
    assert FITTED == [0, 1, 0, 1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "damaged"),
        ('{"fold": 0, "rows": [1, 2]}', "older version"),
        ('{"names": []}', "damaged"),
    ],
)
def test_a_damaged_fold_is_refused(tmp_path: Path, text: str, message: str) -> None:
    save_fold(tmp_path, fit_fold(0.0, 0))
    (tmp_path / "folds" / "fold_00" / "fold.json").write_text(text)
    with pytest.raises(InputError, match=f"{message}.*delete its folder"):
        cross_validate(fit_fold, 0.0, FOLDS, folder=tmp_path)


def test_uncertainty_and_choices_are_stored_with_a_fold(tmp_path: Path) -> None:
    rows = np.array([1, 2])
    given = FoldResult(
        0, rows, {"model": np.ones((2, 2))}, {}, np.full((2, 2), 0.25), {"weight": 0.5}, 1.5
    )
    save_fold(tmp_path, given)
    back = load_fold(tmp_path, 0)
    assert back.uncertainty is not None
    assert (back.uncertainty == 0.25).all()
    assert back.choices == {"weight": 0.5}
    assert back.seconds == 1.5


def test_test_parts_are_joined_row_by_row() -> None:
    result = collect(results(), INDEX, NAMES, FOLDS, LABELS)
    # of each row r: r / 10 and 1 - r / 10; e (row 4) was not tested
    assert result.probabilities[:4, 0].tolist() == pytest.approx([0.0, 0.1, 0.2, 0.3])
    assert np.isnan(result.probabilities[4]).all()
    assert result.thresholds[:4, 1].tolist() == pytest.approx([0.4, 0.3, 0.3, 0.4])
    # trees gave no thresholds
    assert (result.thresholds_of["trees"][:4] == 0.5).all()
    assert result.labels.dtype == np.int8
    assert result.to_frame()["rna_id"].tolist() == IDS[:4]
    # P: positives a, b at 0.0 and 0.1, negatives c, d above them: no pair in order
    pooled = result.metrics.set_index(["compartment", "metric"])["pooled"]
    assert pooled[("P", "AUC")] == 0
    # Q: positives b, d at 0.9 and 0.7, negatives a, c at 1.0 and 0.8: 1 of 4 pairs in order
    assert pooled[("Q", "AUC")] == pytest.approx(0.25)


def test_names_that_some_folds_lack_are_not_collected() -> None:
    assert list(collect(results(), INDEX, NAMES, FOLDS, LABELS).predictions) == ["model", "trees"]
    only = collect(results(), INDEX, NAMES, FOLDS, LABELS, names=("model", "absent"))
    assert list(only.predictions) == list(only.metrics_of) == ["model"]


def test_a_non_finite_prediction_is_refused() -> None:
    folds = results()
    folds[1].predictions["trees"][0, 1] = np.nan
    with pytest.raises(InputError, match="non-finite prediction of 'trees'"):
        collect(folds, INDEX, NAMES, FOLDS, LABELS)
    assert collect(folds, INDEX, NAMES, FOLDS, LABELS, names=("model",)).metrics_of


def test_folds_of_other_test_rnas_are_refused() -> None:
    swapped = Folds(pd.Series([0, 0, 1, 1, -1], index=IDS))
    with pytest.raises(InputError, match="fold 0 was saved for other test RNAs"):
        collect(results(), INDEX, NAMES, swapped, LABELS)


def test_fractions_are_scored_by_correlations_and_unknown_labels_stay() -> None:
    labels = LABELS.copy()
    labels[0, 0] = np.nan
    result = collect(results(), INDEX, NAMES, FOLDS, labels, kind=FRACTIONS)
    assert set(result.metrics["metric"]) == {"Pearson", "Spearman"}
    assert np.isnan(result.labels[0, 0])
    assert result.tested(0).tolist() == [1, 2, 3]


@pytest.mark.slow
def test_one_process_and_two_give_the_same(tmp_path: Path) -> None:
    one, two = (cross_validate(fit_fold, 0.0, FOLDS, workers=n) for n in (1, 2))
    for first, second in zip(one, two, strict=True):
        np.testing.assert_array_equal(first.probabilities, second.probabilities)
