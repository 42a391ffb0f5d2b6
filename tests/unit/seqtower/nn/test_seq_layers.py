"""Masked layers and towers: an RNA alone and in a batch, compared with plain torch layers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from mirnagraph.config import preset_names
from seqtower.config import seq_config
from seqtower.data.batches import collate
from seqtower.data.kmers import one_hot
from seqtower.nn.layers import AdditiveAttention, MaskedConv, MaskedLSTM, pool
from seqtower.towers.base import TowerConfig, make_tower
from seqtower.towers.rnatracker import RNATrackerConfig

LONG, SHORT = "ACGUUGCANNACGUACGGAUUCGAUCGA", "GGACUUACG"


@pytest.fixture
def both():
    return collate([one_hot(LONG), one_hot(SHORT)], [0, 1])


@pytest.fixture
def alone():
    return collate([one_hot(SHORT)], [0])


def test_convolution_equals_torch_and_ignores_padding(both, alone) -> None:
    torch.manual_seed(0)
    layer = MaskedConv(4, 5, 4)
    here = layer(alone.inputs, alone.mask)
    plain = torch.nn.functional.conv1d(
        torch.nn.functional.pad(alone.inputs.transpose(1, 2), (1, 2)),
        layer.conv.weight,
        layer.conv.bias,
    )
    torch.testing.assert_close(here, plain.transpose(1, 2))
    dirty = both.inputs + 7.0 * ~both.mask.unsqueeze(-1)
    torch.testing.assert_close(layer(dirty, both.mask)[1, : len(SHORT)], here[0])
    assert (layer(dirty, both.mask)[1, len(SHORT) :] == 0).all()


def test_pooling_takes_the_highest_real_position() -> None:
    values = torch.tensor([[[-3.0], [-5.0], [-1.0], [-2.0], [9.0]]])
    mask = torch.tensor([[True, True, True, True, False]])
    pooled, pooled_mask = pool(values, mask, 3)
    assert pooled.flatten().tolist() == [-1.0, -2.0]
    assert pooled_mask.tolist() == [[True, True]]
    pooled, pooled_mask = pool(values, torch.tensor([[True, True, False, False, False]]), 3)
    assert pooled.flatten().tolist() == [-3.0, 0.0]
    assert pooled_mask.tolist() == [[True, False]]


@pytest.mark.parametrize(("kernel", "dilation"), [(6, 1), (6, 5), (3, 40), (1, 1)])
def test_dilated_convolution_equals_torch(kernel: int, dilation: int) -> None:
    torch.manual_seed(0)
    layer = MaskedConv(5, 7, kernel, dilation)
    values = torch.randn(3, 50, 5)
    wide = torch.nn.functional.pad(values.transpose(1, 2), (layer.before, layer.after))
    sums = layer(values, torch.ones(3, 50, dtype=torch.bool))
    torch.testing.assert_close(sums, layer.conv(wide).transpose(1, 2), atol=1e-5, rtol=1e-5)


def test_a_window_of_equal_maxima_passes_its_gradient_to_the_first() -> None:
    values = torch.tensor([2.0, 5.0, 5.0, -1.0, -3.0]).view(1, 5, 1).requires_grad_()
    pooled, _ = pool(values, torch.ones(1, 5, dtype=torch.bool), 3)
    assert pooled.flatten().tolist() == [5, -1]
    (slopes,) = torch.autograd.grad(pooled.sum(), values)
    assert slopes.flatten().tolist() == [0, 1, 0, 1, 0]


def test_nan_is_passed_on_by_pooling() -> None:
    values = torch.zeros(1, 6, 2)
    values[0, 0] = float("nan")
    pooled, _ = pool(values, torch.ones(1, 6, dtype=torch.bool), 3)
    assert pooled[0, 0].isnan().all()
    assert not pooled[0, 1].isnan().any()


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("n", [1, 3, 4])
def test_lstm_equals_torch_on_each_rna_alone(bidirectional: bool, n: int) -> None:
    torch.manual_seed(0)
    lengths = [50, 31, 7, 1][-n:]
    mask = torch.arange(50) < torch.tensor(lengths).unsqueeze(1)
    layer = MaskedLSTM(5, 6, bidirectional=bidirectional).double()
    values = torch.randn(n, 50, 5, dtype=torch.float64)
    values[~mask] = 7.0  # padding is not read
    values.requires_grad_()
    hidden = layer(values, mask)
    rows = []
    for row, length in enumerate(lengths):
        alone = values[row : row + 1, :length]
        states = [layer.forwards[0](alone)[0]]
        if bidirectional:
            states.append(layer.backwards[0](alone.flip(1))[0].flip(1))
        rows.append(torch.nn.functional.pad(torch.cat(states, dim=2), (0, 0, 0, 50 - length)))
    expected = torch.cat(rows)
    torch.testing.assert_close(hidden, expected)
    weights = [values, *layer.parameters()]
    slopes = torch.autograd.grad(hidden.sum(), weights, retain_graph=True)
    torch.testing.assert_close(slopes, torch.autograd.grad(expected.sum(), weights))


def test_a_prediction_leaves_the_generator_as_it_is(both) -> None:
    tower = make_tower("rnatracker", RNATrackerConfig(), 4, 3).eval()
    before = torch.get_rng_state()
    tower(both.inputs, both.mask)
    assert (torch.get_rng_state() == before).all()


def test_lstm_starts_and_ends_with_the_rna(both, alone) -> None:
    torch.manual_seed(0)
    ours = MaskedLSTM(4, 3, layers=2)
    theirs = torch.nn.LSTM(4, 3, num_layers=2, bidirectional=True, batch_first=True)
    for name, value in theirs.named_parameters():
        which, layer = (
            (ours.backwards, name.removesuffix("_reverse"))
            if name.endswith("_reverse")
            else (ours.forwards, name)
        )
        value.data.copy_(getattr(which[int(layer[-1])], layer[:-1] + "0").data)
    torch.testing.assert_close(ours(alone.inputs, alone.mask), theirs(alone.inputs)[0])
    together = ours(both.inputs, both.mask)
    torch.testing.assert_close(together[1, : len(SHORT)], theirs(alone.inputs)[0][0])
    assert (together[1, len(SHORT) :] == 0).all()


def test_attention_sums_to_one_over_real_positions(both) -> None:
    torch.manual_seed(0)
    mean, weights = AdditiveAttention(4, 6, heads=2)(both.inputs, both.mask)
    assert mean.shape == (2, 2, 4)
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(2, 2))
    assert (weights[1, :, len(SHORT) :] == 0).all()


def tower_on_letters(preset: str) -> TowerConfig:
    """The tower of a preset, for one-hot letters in place of patches."""
    config = seq_config(preset).tower
    if preset != "long":
        return config
    return replace(config, settings=replace(config.settings, letters=0))


@pytest.mark.parametrize("preset", preset_names("seqtower"))
def test_a_tower_predicts_the_same_in_every_batch(preset: str, both, alone) -> None:
    torch.manual_seed(0)
    config = tower_on_letters(preset)
    tower = make_tower(config.name, config.settings, 4, 3).eval()
    together, single = tower(both.inputs, both.mask), tower(alone.inputs, alone.mask)
    torch.testing.assert_close(together[1], single[0], atol=1e-6, rtol=1e-5)
    assert tower.encode(both.inputs, both.mask).shape == (2, tower.output_dim)
    attention = tower.attention(both.inputs, both.mask)
    assert attention.shape[::2] == (2, both.inputs.shape[1])
    torch.testing.assert_close(attention.sum(dim=-1), torch.ones(attention.shape[:2]))
    assert (attention[1, :, len(SHORT) :] == 0).all()
    assert not np.allclose(together[0].detach(), together[1].detach())


def test_one_nucleotide_is_enough() -> None:
    tower = make_tower("rnatracker", RNATrackerConfig(), 4, 2).eval()
    assert torch.isfinite(tower(*_one("A"))).all()


def _one(sequence: str) -> tuple[torch.Tensor, torch.Tensor]:
    batch = collate([one_hot(sequence)], [0])
    return batch.inputs, batch.mask
