"""The token `tower`: which tower predicts which RNA, which labels are read, missing sequences."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from fusion.config import TowerSettings
from fusion.models.saved import read_towers, tower_arrays, tower_header
from fusion.tokens import sequence_tower
from fusion.tokens.partners import partner_means
from fusion.tokens.sequence_tower import FittedTowers, fit_towers, split_rows
from mirnagraph.errors import ConfigError, InputError
from seqtower.config import seq_config
from seqtower.nn.losses import starting_logits

SETTINGS = TowerSettings(epochs=1, parts=3)
N, FAMILIES = 24, 8


def data() -> tuple[list[str | None], np.ndarray, np.ndarray]:
    """24 RNAs of 8 families, two compartments; the fourth RNA has no sequence."""
    random = np.random.default_rng(0)
    sequences: list[str | None] = [
        "".join(random.choice(list("ACGU"), size=random.integers(20, 40))) for _ in range(N)
    ]
    sequences[3] = None
    return sequences, random.integers(0, 2, (N, 2)).astype(float), np.arange(N) % FAMILIES


TRAIN = np.arange(20)


def test_parts_are_even_whole_and_know_no_label() -> None:
    groups = np.array([0, 0, 1, 1, 2, 2, 3, 3, 9])
    rows = np.arange(8)
    part = split_rows(rows, groups, 2, 0)
    assert sorted(np.bincount(part)) == [4, 4]
    assert (part[0::2] == part[1::2]).all()
    assert split_rows(rows, groups, 50, 0).max() == 3  # no more parts than families
    with pytest.raises(InputError, match="too few"):
        split_rows(rows[:2], groups, 2, 0)


def test_training_rows_are_predicted_by_the_tower_not_trained_on_them() -> None:
    sequences, labels, groups = data()
    fitted, token = fit_towers(sequences, labels, groups, TRAIN, SETTINGS, 5)
    rows = np.array([row for row in TRAIN if row != 3])
    part = split_rows(rows, groups, 3, 5)
    every = [
        replace(fitted, towers=(tower,), start=fitted.start[[k]]).token(sequences).values
        for k, tower in enumerate(fitted.towers)
    ]
    for row, k in zip(rows, part, strict=True):
        np.testing.assert_allclose(token.values[row], every[k][row], atol=1e-6)
    np.testing.assert_allclose(token.values[20:], np.mean(every, axis=0)[20:], atol=1e-6)
    for k in range(3):
        np.testing.assert_array_equal(
            fitted.start[k], starting_logits("multi-label", labels[rows[part != k]])
        )
    assert token.values.shape == (N, 2)
    assert not token.present[3]
    assert token.present.sum() == N - 1
    assert (token.values[3] == 0).all()


def test_neither_its_own_label_nor_a_test_label_reaches_a_row() -> None:
    sequences, labels, groups = data()
    hidden = labels.copy()
    hidden[20:] = np.nan
    _, before = fit_towers(sequences, labels, groups, TRAIN, SETTINGS, 5)
    _, poisoned = fit_towers(sequences, hidden, groups, TRAIN, SETTINGS, 5)
    np.testing.assert_array_equal(before.values, poisoned.values)
    for row in (0, 7):
        flipped = hidden.copy()
        flipped[row] = 1 - flipped[row]
        _, after = fit_towers(sequences, flipped, groups, TRAIN, SETTINGS, 5)
        family = [other for other in TRAIN if groups[other] == groups[row]]
        np.testing.assert_array_equal(
            before.values[family], after.values[family]
        )  # nor that of a relative
        assert not np.array_equal(before.values[20:], after.values[20:])


def test_the_same_seed_gives_the_same_bits_and_another_does_not() -> None:
    sequences, labels, groups = data()
    first, second, other = (
        fit_towers(sequences, labels, groups, TRAIN, SETTINGS, seed)[1].values for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)


def test_towers_come_back_from_their_arrays() -> None:
    sequences, labels, groups = data()
    fitted, token = fit_towers(sequences, labels, groups, TRAIN, SETTINGS, 5)
    back = read_towers(tower_arrays(fitted), tower_header(fitted), 2)
    again = back.token(sequences[20:])
    n = again.width
    np.testing.assert_allclose(again.values, token.values[20:, :n], atol=1e-6)
    assert not token.values[20:, n:].any()


def test_a_tower_inside_attention_is_refused_with_one_sentence() -> None:
    with pytest.raises(
        ConfigError, match="'joint', but towers trained inside attention were removed"
    ):
        TowerSettings(mode="joint")
    assert TowerSettings(mode="crossfit") == TowerSettings()


@pytest.mark.parametrize(
    "wrong", [{"preset": "nothing"}, {"mode": "both"}, {"parts": 1}, {"epochs": -1}, {"dim": 0}]
)
def test_settings_that_cannot_work_are_refused_when_made(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        TowerSettings(**wrong)  # type: ignore[arg-type]


def test_epochs_end_with_the_lowest_rate() -> None:
    training = TowerSettings(preset="rnatracker", epochs=4).config().training
    assert (training.epochs, training.decay_epochs, training.decay_steps) == (4, 4, 0)
    assert TowerSettings(preset="rnatracker").config() == seq_config("rnatracker")


def test_what_rnas_say_of_their_partners_worked_by_hand() -> None:
    matrix = sparse.csr_array(np.array([[1, 0, 1], [1, 1, 0], [0, 1, 0.0]]))
    labels = np.array([[1.0, 0], [0, 0], [np.nan, np.nan]])
    mean, n = partner_means(matrix, labels, np.array([0, 1]))
    assert n.tolist() == [2, 1, 1]
    assert mean.tolist() == [[0.5, 0], [0, 0], [1, 0]]
    mean, n = partner_means(matrix, labels, np.array([1]))
    assert n.tolist() == [1, 1, 0]
    assert mean.tolist() == [[0, 0], [0, 0], [0, 0]]


class _Lengths:
    """Encoding by a column of ones, one position per nucleotide."""

    channels = 1

    def __call__(self, sequences: list[str]) -> list[np.ndarray]:
        return [np.ones((len(sequence), 1), dtype=np.float32) for sequence in sequences]


def test_the_token_is_the_logit_above_the_base_rate_of_the_tower_that_did_not_train_on_the_rna(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    logits = {"first": [[2.0], [4.0], [6.0], [0.0]], "second": [[1.0], [3.5], [5.0], [0.0]]}
    monkeypatch.setattr(
        sequence_tower, "read_sequences", lambda tower, *_: (None, np.array(logits[tower]))
    )
    start = np.array([[0.5], [1.5]])
    towers = FittedTowers(seq_config(), _Lengths(), ("first", "second"), start)  # type: ignore[arg-type]
    token = towers.token(["A", "AC", "ACG", None], np.array([0, 1, -1, -1]))
    # 2 - 0.5; 3.5 - 1.5; mean of 6 - 0.5 and 5 - 1.5; no sequence
    assert token.values[:, 0].tolist() == [1.5, 2.0, 4.5, 0.0]
    assert token.present.tolist() == [True, True, True, False]
    assert towers.token(["A", "AC", "ACG", None]).values[0, 0] == 0.5  # (1.5 - 0.5) / 2


def test_two_families_are_enough_to_split_rows() -> None:
    subset = split_rows(np.arange(4), np.array([7, 7, 9, 9]), 3, 0)
    assert subset[0] == subset[1] != subset[2] == subset[3]
    assert set(subset) == {0, 1}
    with pytest.raises(InputError, match="too few training RNAs"):
        split_rows(np.arange(2), np.array([7, 7]), 3, 0)
