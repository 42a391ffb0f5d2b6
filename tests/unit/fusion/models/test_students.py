"""Students: members of attention trained on the trees' out-of-bag probabilities and labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fusion.model_config import AttentionConfig, TrainConfig
from fusion.models.training import MemberSplit, fit_attention, member_settings
from fusion.tokens.table import TokenTable, make_token
from mirnagraph.errors import ConfigError
from mirnagraph.nodes import NodeIndex

ATTENTION = AttentionConfig(dim=8, n_heads=2, n_layers=0, dropout=0.0, residual=True)
TRAINING = TrainConfig(
    epochs=40, batch_size=32, learning_rate=0.02, inner_fraction=0.0, n_members=0, n_students=1
)


def table(n: int = 96) -> tuple[TokenTable, np.ndarray, np.ndarray]:
    """Labels that say nothing, and trees whose logits follow the only token."""
    random = np.random.default_rng(0)
    values = random.normal(size=(n, 1))
    tokens = TokenTable(
        NodeIndex.of([f"r{i}" for i in range(n)], "RNA"), (make_token("a", values),)
    )
    return tokens, np.tile([[0.0], [1.0]], (n // 2, 1)), 3 * values


def says(distillation: float, student: bool = True) -> tuple[np.ndarray, np.ndarray]:
    tokens, labels, prior = table()
    rows = np.arange(len(labels))
    training = replace(TRAINING, distillation=distillation)
    model = fit_attention(
        tokens, labels, [MemberSplit(rows, rows[:0], student)], ATTENTION, training, 0, prior
    )
    return model.probabilities(tokens, rows, prior)[0, :, 0], prior[:, 0]


@pytest.mark.slow
def test_a_student_follows_the_trees_as_far_as_distillation_says() -> None:
    taught, prior = says(1.0)
    assert np.corrcoef(taught, prior)[0, 1] > 0.9
    alone, _ = says(0.0)
    error = [np.abs(values - 1 / (1 + np.exp(-prior))).mean() for values in (taught, alone)]
    assert error[0] < 0.1 < 0.2 < error[1]


@pytest.mark.slow
def test_a_student_does_not_read_the_trees_when_asked() -> None:
    tokens, labels, prior = table()
    rows = np.arange(len(labels))
    model = fit_attention(
        tokens,
        labels,
        [MemberSplit(rows, rows[:0], True), MemberSplit(rows, rows[:0], False)],
        ATTENTION,
        TRAINING,
        0,
        prior,
    )
    before, after = (
        model.probabilities(tokens, rows, prior),
        model.probabilities(tokens, rows, prior + 2),
    )
    np.testing.assert_array_equal(before[0], after[0])
    assert (after[1] > before[1]).all()


@pytest.mark.slow
def test_rows_outside_a_split_are_not_read() -> None:
    tokens, labels, prior = table()
    train_rows, validation_rows = np.arange(64), np.arange(64, 96)
    hidden = labels.copy()
    hidden[validation_rows] = np.nan
    members = [
        fit_attention(
            tokens,
            y,
            [MemberSplit(train_rows, validation_rows, True)],
            ATTENTION,
            TRAINING,
            0,
            prior,
        )
        for y in (labels, hidden)
    ]
    np.testing.assert_array_equal(
        members[0].probabilities(tokens, validation_rows, prior),
        members[1].probabilities(tokens, validation_rows, prior),
    )


def test_settings_of_a_student() -> None:
    settings = member_settings(ATTENTION, TRAINING, student=True)
    assert (
        settings.n_layers,
        settings.residual,
        settings.readout,
        settings.norm_first,
        settings.block_dropout,
    ) == (1, False, "light_queries", True, 0.0)
    assert member_settings(ATTENTION, TRAINING, student=False) is ATTENTION
    with pytest.raises(ConfigError, match="distillation"):
        TrainConfig(distillation=1.5)
    with pytest.raises(ConfigError, match="n_members"):
        TrainConfig(n_members=0)
