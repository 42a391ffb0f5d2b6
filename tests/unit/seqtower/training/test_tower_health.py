"""Health of a tower by hand: SD, training score, reasons, choice after a second training."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from seqtower.training.health import (
    BY_BOTH,
    BY_TOWER,
    BY_TREES,
    DIVERGED,
    FAILED,
    HEALTHY,
    Health,
    after_retry,
    answered_by,
    assess,
    health_sentence,
    largest_sd,
    model_warning,
    scored_rows,
    training_score,
)

GOOD = np.array([[0.2, 0.4], [0.4, 0.4], [0.6, 0.4], [0.8, 0.4]])
TRUE = np.array([[0.0, 1], [0, 0], [1, 0], [1, 1]])
WELL = Health(HEALTHY, "", 0.2, 0.8, 4)
DEAD = Health(FAILED, "dead", 0.001, 0.52, 3)
NOTHING = Health(FAILED, DIVERGED, math.nan, math.nan, 0)


def test_scored_rows_by_hand() -> None:
    rows = np.array([2, 3, 5, 7, 11, 13, 17])
    np.testing.assert_array_equal(scored_rows(rows), rows)
    np.testing.assert_array_equal(scored_rows(rows, 3), [2, 5, 11])  # 0, 7 // 3, 14 // 3
    assert len(set(scored_rows(np.arange(2001)))) == 2000


def test_sd_by_hand() -> None:
    # deviations .3, .1, .1, .3 of the first column, squares .2 / 4; the second does not vary
    assert largest_sd(GOOD) == pytest.approx(math.sqrt(0.05))
    assert math.isnan(largest_sd(GOOD[:1]))


def test_score_by_hand() -> None:
    # first compartment: all four pairs in order; second: all equal, every pair counts half
    assert training_score(TRUE, GOOD, "multi-label") == pytest.approx(0.75)
    assert training_score(1 - TRUE, GOOD, "multi-label") == pytest.approx(0.25)
    unknown = np.array([[np.nan, 1], [0, 1], [0, 1], [1, 1.0]])
    # the second has one label, and does not count; of the first, three labels are known
    assert training_score(unknown, GOOD, "multi-label") == 1
    assert math.isnan(training_score(unknown[:, 1:], GOOD[:, 1:], "multi-label"))
    # deviations -.3, -.1, .1, .3 times -.5, -.5, .5, .5: .4 / sqrt(.2); constant counts 0
    assert training_score(TRUE, GOOD, "fractions") == pytest.approx(0.4 / math.sqrt(0.2) / 2)


@pytest.mark.parametrize(
    ("predicted", "validation", "best", "epochs", "reasons"),
    [
        (GOOD, GOOD, 2, 9, []),
        (GOOD, GOOD, 0, 1, []),
        (GOOD, GOOD, 0, 2, ["never fell below that of the first epoch"]),
        (GOOD, GOOD / 100, 2, 9, ["do not vary (SD 0.0022 "]),
        (GOOD, GOOD[:1], 2, 9, []),  # the SD of one RNA is unknown
        (GOOD[[0, 2, 1, 3]], GOOD, 2, 9, []),  # AUC .75 and .5
        (GOOD[[0, 3, 1, 2]], GOOD, 2, 9, ["near chance (mean AUC 0.500 "]),
        (
            GOOD[[3, 2, 1, 0]],
            GOOD[:, [1, 1]],
            0,
            3,
            ["SD 0.0000", "mean AUC 0.250", "first epoch"],
        ),
    ],
)
def test_reasons(
    predicted: np.ndarray, validation: np.ndarray, best: int, epochs: int, reasons: list[str]
) -> None:
    health = assess(TRUE, predicted, validation, "multi-label", best, epochs)
    assert health.has_failed == bool(reasons)
    found = health.reason.split("; ") if health.reason else []
    assert len(found) == len(reasons)
    for reason, words in zip(found, reasons, strict=True):
        assert words in reason


def test_fractions_have_their_own_threshold() -> None:
    true = np.array([[0.5], [0.5], [0.1], [0.9]])
    predicted = np.array([[0.4], [0.4], [0.5], [0.5]])  # Pearson 0, above no threshold
    health = assess(true, predicted, predicted, "fractions", 2, 9)
    assert "mean Pearson correlation 0.000 on the training RNAs, expected 0.05" in health.reason
    tilted = np.array([[0.4], [0.4], [0.47], [0.5]])
    assert not assess(true, tilted, tilted, "fractions", 2, 9).has_failed


@pytest.mark.parametrize("where", ["predicted", "validation"])
def test_a_prediction_that_is_not_finite_is_a_failure(where: str) -> None:
    broken = GOOD.copy()
    broken[2, 1] = np.nan
    given = {"predicted": GOOD, "validation": GOOD, where: broken}
    health = assess(TRUE, given["predicted"], given["validation"], "class", 2, 9)
    assert health.has_diverged
    assert health.to_dict() == {
        "status": FAILED,
        "reason": DIVERGED,
        "sd": None,
        "score": None,
        "best_epoch": 2,
        "retried": False,
    }
    assert Health.from_dict(health.to_dict() | {"later": 1}).has_diverged


def test_of_two_trainings() -> None:
    assert after_retry(DEAD, WELL) == (replace(WELL, reason="dead", retried=True), True)
    better = replace(DEAD, reason="late", score=0.53)
    assert after_retry(DEAD, better) == (replace(better, retried=True), True)
    assert after_retry(better, DEAD) == (replace(better, retried=True), False)
    assert after_retry(DEAD, DEAD) == (replace(DEAD, retried=True), True)
    assert after_retry(DEAD, NOTHING) == (replace(DEAD, retried=True), False)
    assert after_retry(NOTHING, DEAD) == (replace(DEAD, retried=True), True)
    assert after_retry(NOTHING, NOTHING)[0].has_diverged


def test_sentences() -> None:
    assert health_sentence("fold 1", WELL) == ""
    assert health_sentence("fold 1", DEAD) == "FAILED: the tower of fold 1: dead."
    assert health_sentence("fold 1", replace(DEAD, retried=True)) == (
        "FAILED: the tower of fold 1, also when trained again with 0.2 of the learning rate: dead."
    )
    assert health_sentence("fold 1", after_retry(DEAD, WELL)[0]) == (
        "The first training of the tower of fold 1 FAILED: dead. It was trained again with 0.2 of "
        "the learning rate and is healthy (SD 0.2000, training score 0.800)."
    )


def test_parts_of_a_model() -> None:
    assert answered_by(False, 0.0) == BY_TOWER
    assert answered_by(True, 0.0) == BY_TOWER
    assert answered_by(True, 1.0) == BY_TREES
    assert answered_by(True, 0.8) == BY_BOTH


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ({}, ""),
        ({"answered_by": BY_TOWER, "health": WELL.to_dict()}, ""),
        ({"answered_by": BY_BOTH, "health": WELL.to_dict(), "weight": 0.8}, ""),
        (
            {"answered_by": BY_TREES, "health": WELL.to_dict(), "weight": 1},
            "Only the trees on descriptors predict: the tower of this model has no weight.",
        ),
        (
            {"answered_by": BY_TOWER, "health": DEAD.to_dict(), "weight": 0},
            "The tower of this model FAILED in training, its predictions are not usable: dead.",
        ),
        (
            {"answered_by": BY_TREES, "health": DEAD.to_dict(), "weight": 1},
            "The tower of this model FAILED in training, only its trees on descriptors predict: "
            "dead.",
        ),
        (
            {"answered_by": BY_BOTH, "health": DEAD.to_dict(), "weight": 0.8},
            "The tower of this model FAILED in training, the failed tower has a weight of 0.2 in "
            "its predictions: dead.",
        ),
    ],
)
def test_what_a_saved_model_says(header: dict[str, object], words: str) -> None:
    assert model_warning(header) == words
