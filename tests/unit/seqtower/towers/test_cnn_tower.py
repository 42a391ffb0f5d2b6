"""Small convolutional tower: by hand, alone and in a batch, masks and settings."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mirnagraph.errors import ConfigError
from mirnagraph.seeds import torch_scope
from seqtower.towers.base import TowerConfig, make_tower
from seqtower.towers.cnn import Cnn, CnnConfig


def tower(**settings: float) -> Cnn:
    with torch_scope(0, "test"):
        config = TowerConfig("cnn", {"filters": 3, "kernel": 3, **settings})
        made = make_tower("cnn", config.settings, 4, 2)
    assert isinstance(made, Cnn)
    return made.eval()


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    """Three RNAs of 7, 4 and 1 nucleotides."""
    mask = torch.arange(7) < torch.tensor([[7], [4], [1]])
    values = torch.from_numpy(np.random.default_rng(2).normal(size=(3, 7, 4)).astype(np.float32))
    return values * mask.unsqueeze(-1), mask


def test_by_hand() -> None:
    model = Cnn(CnnConfig(filters=1, kernel=1, window=2), 1, 2).eval()
    with torch.no_grad():
        model.first.conv.weight.fill_(2.0)
        model.first.conv.bias.zero_()  # type: ignore[union-attr]
        model.second.conv.weight.zero_()
        model.second.conv.weight[0, 0, 2] = 1.0
        model.second.conv.bias.fill_(-1.0)  # type: ignore[union-attr]
    values = torch.tensor([[[1.0], [3], [-5], [-6], [4], [9]]])
    mask = torch.tensor([[True] * 5 + [False]])
    # rectified: 2, 6, 0, 0, 8; windows of two: 6, 0, 8; minus 1 and rectified: 5, 0, 7
    embedding, attention = model.read(values, mask)
    np.testing.assert_allclose(embedding.detach(), [[7, 4]], rtol=1e-6)
    np.testing.assert_allclose(attention.detach(), [[[1 / 3] * 3]], rtol=1e-6)


def test_an_rna_alone_and_in_a_batch_is_the_same() -> None:
    model = tower()
    values, mask = batch()
    together = model.encode(values, mask)
    for row, length in enumerate((7, 4, 1)):
        alone = model.encode(values[row : row + 1, :length], mask[row : row + 1, :length])
        torch.testing.assert_close(alone[0], together[row])
    assert together.shape == (3, model.output_dim)
    assert model.output_dim == 6


def test_padding_is_not_read() -> None:
    model = tower()
    values, mask = batch()
    filled = values.masked_fill(~mask.unsqueeze(-1), 9.0)
    assert torch.equal(model(filled, mask), model(values, mask))


def test_attention_is_even_over_the_positions_of_an_rna() -> None:
    model = tower()
    values, mask = batch()
    attention = model.attention(values, mask)
    assert attention.shape == (3, 1, 7)
    torch.testing.assert_close(attention.sum(dim=-1), torch.ones(3, 1))
    assert not attention[:, 0][~mask].any()
    np.testing.assert_allclose(attention[1, 0, :4].detach(), 0.25, rtol=1e-6)


def test_dropout_is_for_training_alone() -> None:
    model = tower(dropout=0.5)
    values, mask = batch()
    assert torch.equal(model(values, mask), model(values, mask))
    model.train()
    with torch_scope(1, "test"):
        assert not torch.equal(model(values, mask), model(values, mask))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"filters": 0}, "setting 'filters' is 0, expected 1 or more"),
        ({"kernel": 0}, "setting 'kernel' is 0, expected 1 or more"),
        ({"window": 0}, "setting 'window' is 0, expected 1 or more"),
        ({"dropout": 1.0}, r"setting 'dropout' is 1\.0, expected in \[0, 1\)"),
        ({"units": 3}, "units"),
    ],
)
def test_bad_settings(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        TowerConfig("cnn", settings)
    assert "\n" not in str(error.value)


def test_the_second_convolution_sees_five_steps_and_dropout_may_be_none() -> None:
    assert Cnn(CnnConfig(dropout=0), 4, 2).second.conv.weight.shape == (24, 24, 5)


def test_an_rna_of_one_step_has_its_own_mean() -> None:
    values, mask = batch()
    embedding, attention = tower().read(values, mask)
    n = embedding.shape[1] // 2
    torch.testing.assert_close(embedding[2, :n], embedding[2, n:])
    assert attention[2, 0].tolist() == [1, 0, 0, 0]
