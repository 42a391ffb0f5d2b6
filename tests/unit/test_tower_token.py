"""The sequence tower as a token: which tower speaks of which RNA, what reads labels and what does not, and what is not there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import sparse

from fusion.attention import AttentionConfig, TokenFusion
from fusion.joint import JointReader, fits, pack
from fusion.partners import partner_means
from fusion.settings import ExperimentConfig, TokenSettings
from fusion.tower import FittedTowers, TowerSettings, fit_towers, inner_parts
from fusion.tower_files import about_towers, read_towers, tower_arrays
from mirnagraph.errors import ConfigError, InputError
from mirnagraph.seeds import torch_scope
from seqtower.encoding import fit_encoding
from seqtower.losses import starting_logits
from seqtower.settings import seq_config

SETTINGS = TowerSettings(epochs=1, parts=3)
N, FAMILIES = 24, 8


def data() -> tuple[list[str | None], np.ndarray, np.ndarray]:
    """24 RNAs of 8 families, two compartments; the fourth RNA has no sequence."""
    random = np.random.default_rng(0)
    sequences: list[str | None] = ["".join(random.choice(list("ACGU"), size=random.integers(20, 40))) for _ in range(N)]
    sequences[3] = None
    return sequences, random.integers(0, 2, (N, 2)).astype(float), np.arange(N) % FAMILIES


TRAIN = np.arange(20)


def test_parts_are_even_whole_and_know_no_label() -> None:
    groups = np.array([0, 0, 1, 1, 2, 2, 3, 3, 9])
    rows = np.arange(8)
    part = inner_parts(rows, groups, 2, 0)
    assert sorted(np.bincount(part)) == [4, 4]
    assert (part[0::2] == part[1::2]).all()
    assert inner_parts(rows, groups, 50, 0).max() == 3  # no more parts than families
    with pytest.raises(InputError, match="too few"):
        inner_parts(rows[:2], groups, 2, 0)


def test_each_training_row_is_told_by_the_tower_that_did_not_learn_from_it_and_others_by_the_mean() -> None:
    sequences, labels, groups = data()
    fitted, token = fit_towers(sequences, labels, groups, TRAIN, SETTINGS, 5)
    rows = np.array([row for row in TRAIN if row != 3])
    part = inner_parts(rows, groups, 3, 5)
    every = [replace(fitted, towers=(tower,), start=fitted.start[[k]]).token(sequences).values for k, tower in enumerate(fitted.towers)]
    for row, k in zip(rows, part, strict=True):
        np.testing.assert_allclose(token.values[row], every[k][row], atol=1e-6)
    np.testing.assert_allclose(token.values[20:], np.mean(every, axis=0)[20:], atol=1e-6)
    for k in range(3):
        np.testing.assert_array_equal(fitted.start[k], starting_logits("multi-label", labels[rows[part != k]]))
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
        np.testing.assert_array_equal(before.values[family], after.values[family])  # nor that of a relative
        assert not np.array_equal(before.values[20:], after.values[20:])


def test_the_same_seed_gives_the_same_bits_and_another_does_not() -> None:
    sequences, labels, groups = data()
    first, second, other = (fit_towers(sequences, labels, groups, TRAIN, SETTINGS, seed)[1].values for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("mode", ["crossfit", "joint"])
def test_towers_come_back_from_their_arrays(mode: str) -> None:
    sequences, labels, groups = data()
    fitted, token = fit_towers(sequences, labels, groups, TRAIN, replace(SETTINGS, mode=mode), 5)
    back = read_towers(tower_arrays(fitted), about_towers(fitted), 2)
    again = back.token(sequences[20:])
    n = again.width
    np.testing.assert_allclose(again.values, token.values[20:, :n], atol=1e-6)
    assert not token.values[20:, n:].any()
    assert back.joint == fitted.joint == (mode == "joint")


def test_packed_sequences_worked_by_hand() -> None:
    one, two = np.array([[0.5, -1.0]], dtype=np.float32), np.array([[1, 2], [3, 4]], dtype=np.float32)
    packed = pack([one, np.zeros((0, 2), dtype=np.float32), two], 2)
    assert packed.tolist() == [[0.5, -1, 1, 0, 0, 0], [0, 0, 0, 0, 0, 0], [1, 2, 1, 3, 4, 1]]
    assert fits(6, 9, 2)
    assert not fits(7, 9, 2)


def joint_model() -> tuple[TokenFusion, list[torch.Tensor], torch.Tensor, FittedTowers]:
    config = seq_config("hairpin")
    sequences = ["ACGUACGGUA", "GGGCAUACGUACGAGU", None, "UUACGA"]
    fitted = FittedTowers(config, fit_encoding(config, ["ACGU"]), (), np.zeros((0, 2)))
    token = fitted.token(sequences)
    with torch_scope(0, "test"):
        model = TokenFusion({"a": 2, "tower": token.width}, 2, AttentionConfig(dim=8, n_heads=2, n_layers=1), fitted.readers()).eval()
    values = [torch.randn(4, 2, generator=torch.Generator().manual_seed(0)), torch.from_numpy(token.values)]
    return model, values, torch.from_numpy(np.stack([np.ones(4, dtype=bool), token.present], axis=1)), fitted


def test_a_tower_inside_attention_embeds_as_it_does_alone_whatever_stands_beside_it() -> None:
    model, values, _, fitted = joint_model()
    reader = model.readers["tower"]
    assert isinstance(reader, JointReader)
    together = reader(values[1])
    assert together.shape == (4, reader.output_dim)
    assert (together[2] == 0).all()
    alone = reader(torch.from_numpy(fitted.token(["GGGCAUACGUACGAGU"]).values))
    assert torch.allclose(together[1], alone[0], atol=1e-6)
    assert (reader(values[1][2:3]) == 0).all()


def test_an_absent_sequence_has_no_weight_and_no_say() -> None:
    model, values, present, _ = joint_model()
    logits, _, weights = model.encode(values, present)
    assert (weights[2, :, 1] == 0).all()
    assert (weights[[0, 1, 3]][:, :, 1] > 0).all()
    changed = [values[0], values[1].clone()]
    changed[1][2] = changed[1][1]
    assert torch.equal(model(changed, present)[2], logits[2])


def test_a_tower_inside_attention_learns_and_is_hidden_at_times() -> None:
    model, values, present, _ = joint_model()
    model(values, present).sum().backward()
    tower = model.readers["tower"].tower
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in tower.parameters())
    model.set_scaling(values, present)  # standardises "a" alone
    assert model.get_buffer("shift").shape == (2,)
    with torch_scope(0, "hide"):
        hiding = TokenFusion({"a": 2, "tower": values[1].shape[1]}, 2, AttentionConfig(dim=8, n_heads=2, token_dropout=0.9), {"tower": model.readers["tower"]})
        _, _, weights = hiding.train().encode(values, present)
    assert (weights[..., 1] == 0).all(dim=1).sum() > 1


@pytest.mark.parametrize("tokens", [{"attention": ("kmer",), "trees": ("tower",)}, {"attention": ("kmer+tower",)}])
def test_a_tower_trained_along_is_a_token_of_attention_by_itself(tokens: dict[str, tuple[str, ...]]) -> None:
    with pytest.raises(ConfigError, match="tower"):
        ExperimentConfig(TokenSettings(**tokens), tower=TowerSettings(mode="joint"))
    ExperimentConfig(TokenSettings(**tokens))


@pytest.mark.parametrize("wrong", [{"preset": "nothing"}, {"mode": "both"}, {"parts": 1}, {"epochs": -1}, {"dim": 0}])
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
