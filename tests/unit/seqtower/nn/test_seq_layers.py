"""Masked layers and towers: an RNA alone and in a batch, compared with plain torch layers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mirnagraph.config import preset_names
from seqtower.config import seq_config
from seqtower.data.batches import collate
from seqtower.data.kmers import one_hot
from seqtower.nn.layers import AdditiveAttention, MaskedConv, MaskedLSTM, pool
from seqtower.towers.base import make_tower
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


@pytest.mark.parametrize("preset", preset_names("seqtower"))
def test_a_tower_predicts_the_same_in_every_batch(preset: str, both, alone) -> None:
    torch.manual_seed(0)
    config = seq_config(preset).tower
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
