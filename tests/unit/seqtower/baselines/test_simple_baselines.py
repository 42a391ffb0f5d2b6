"""Base rate and length alone: by hand, where labels are unknown, and their AUC."""

from __future__ import annotations

import numpy as np
import pytest

from mirnagraph.evaluation.metrics import AVERAGE, evaluate
from seqtower.baselines.simple import BASE_RATE, LENGTH, base_rates, simple_models, sum_to_one

NAN = np.nan


def test_base_rates_by_hand() -> None:
    labels = np.array([[1.0, 0, NAN], [1, NAN, NAN], [0, NAN, NAN], [1, 1, NAN]])
    np.testing.assert_array_equal(base_rates(labels), [0.75, 0.5, 0.5])
    labels[:, 2] = 0.0
    assert base_rates(labels)[2] == 0


def test_shares_by_hand() -> None:
    np.testing.assert_allclose(
        sum_to_one(np.array([[0.3, 0.1], [-1, 2]])), [[0.75, 0.25], [0, 1]], atol=1e-6
    )


def test_labels_of_other_rows_are_not_read() -> None:
    labels = np.array([[1.0], [0], [1], [1], [0], [0]])
    lengths = np.array([10, 20, 30, 40, 50, 60])
    train = np.array([0, 1, 2, 3])
    rows = np.array([4, 5])
    first = simple_models(lengths, labels, "multi-label", train, rows, 0)
    np.testing.assert_array_equal(first[BASE_RATE], [[0.75], [0.75]])
    second = simple_models(
        lengths, 1 - labels * [[1], [1], [1], [1], [0], [0]], "multi-label", train, rows, 0
    )
    np.testing.assert_array_equal(second[BASE_RATE], [[0.25], [0.25]])
    np.testing.assert_allclose(second[LENGTH], 1 - first[LENGTH])


def test_the_base_rate_has_auc_one_half_and_length_finds_a_length() -> None:
    random = np.random.default_rng(0)
    lengths = np.exp(random.uniform(4, 9, 200)).astype(int)
    labels = np.column_stack([lengths > 600, random.random(200) < 0.3]).astype(float)
    fold = np.arange(200) % 2
    predictions = {BASE_RATE: np.zeros((200, 2)), LENGTH: np.zeros((200, 2))}
    for number in (0, 1):
        train = np.flatnonzero(fold != number)
        rows = np.flatnonzero(fold == number)
        fitted = simple_models(lengths, labels, "multi-label", train, rows, 0)
        for name, values in fitted.items():
            predictions[name][rows] = values

    def auc(name: str, compartment: str, column: str = "mean") -> float:
        table = evaluate(labels, predictions[name], fold, np.full(2, 0.5), ("long", "random"))
        is_row = (table["compartment"] == compartment) & (table["metric"] == "AUC")
        return float(table.loc[is_row, column].iloc[0])

    assert auc(BASE_RATE, AVERAGE) == 0.5
    assert auc(BASE_RATE, AVERAGE, "sd") == 0
    assert auc(LENGTH, "long") > 0.97
    assert auc(LENGTH, "random") == pytest.approx(0.5, abs=0.12)


@pytest.mark.parametrize("kind", ["class", "fractions"])
def test_classes_and_fractions_sum_to_one(kind: str) -> None:
    lengths = np.array([20, 30, 40, 500, 600, 700] * 6)
    long = (lengths > 100).astype(float)
    labels = np.column_stack([long, 1 - long])
    labels[0] = NAN
    rows = np.arange(36)
    fitted = simple_models(lengths, labels, kind, rows[:30], rows[30:], 0)
    for values in fitted.values():
        np.testing.assert_allclose(values.sum(axis=1), 1)
    np.testing.assert_allclose(fitted[BASE_RATE][0], [15 / 29, 14 / 29], atol=1e-6)
    by_length = fitted[LENGTH][:, 0]
    assert by_length[:3].max() < 0.4 < 0.6 < by_length[3:].min()


def test_rnas_of_one_length_and_unknown_compartments() -> None:
    labels = np.array([[1.0, NAN], [0, NAN], [1, NAN], [1, NAN]])
    rows = np.arange(4)
    fitted = simple_models(np.full(4, 22), labels, "multi-label", rows, rows, 0)
    np.testing.assert_allclose(fitted[LENGTH], [[0.75, 0.5]] * 4)
