"""Kernels for the CPU say what torch's layers say, values and gradients, and never see padding."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from seqtower.fused import can_fuse, convolve_and_pool
from seqtower.layers import Dropout, MaskedConv, MaskedLSTM, pool, silence
from seqtower.recurrence import recur
from seqtower.settings import seq_config
from seqtower.towers.make import make_tower

LENGTHS = torch.tensor([50, 31, 7, 1])
MASK = torch.arange(50) < LENGTHS.unsqueeze(1)


def gradients(found: torch.Tensor, *wanted: torch.Tensor) -> tuple[torch.Tensor, ...]:
    return torch.autograd.grad(found, wanted, torch.linspace(-1, 1, found.numel()).view(found.shape))


@pytest.mark.parametrize(("channels", "kernel", "window"), [(4, 10, 3), (32, 10, 3), (5, 3, 4), (4, 1, 1), (4, 12, 60)])
def test_convolution_and_pooling_in_one_equal_the_layers(channels: int, kernel: int, window: int) -> None:
    torch.manual_seed(0)
    layer = MaskedConv(channels, 6, kernel)
    one, other = (torch.randn(4, 50, channels, generator=torch.Generator().manual_seed(1)).requires_grad_() for _ in range(2))
    found, kept = layer.rectified_and_pooled(one, MASK, window)
    expected, expected_kept = pool(torch.relu(layer(other, MASK)), MASK, window)
    assert (kept == expected_kept).all()
    torch.testing.assert_close(found, expected)
    for ours, theirs in zip(gradients(found, one, *layer.parameters()), gradients(expected, other, *layer.parameters()), strict=True):
        assert theirs.abs().max() > 0
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def test_letters_need_no_gradient_of_their_own() -> None:
    torch.manual_seed(0)
    layer, letters = MaskedConv(4, 6, 10), torch.eye(4)[torch.randint(4, (4, 50))]
    found, expected = layer.rectified_and_pooled(letters, MASK, 3)[0], pool(torch.relu(layer(letters, MASK)), MASK, 3)[0]
    for ours, theirs in zip(gradients(found, *layer.parameters()), gradients(expected, *layer.parameters()), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def test_what_is_no_number_is_not_passed_over() -> None:
    values = torch.zeros(1, 6, 4)
    values[0, 0] = float("nan")
    found = convolve_and_pool(values, torch.tensor([6]), nn.Conv1d(4, 2, 1), 0, 3)
    assert found[0, 0].isnan().all()
    assert not found[0, 1].isnan().any()


@pytest.mark.parametrize("units", [1, 6, 32])
@pytest.mark.parametrize("back", [False, True])
def test_recurrence_equals_torch_on_each_rna_alone(units: int, back: bool) -> None:
    torch.manual_seed(0)
    layer = nn.LSTM(5, units, batch_first=True)
    for weight in layer.parameters():
        nn.init.normal_(weight)  # wide enough that gates open and close altogether
    values = torch.randn(4, 50, 5).requires_grad_()
    found = recur(values, LENGTHS, layer, back)
    expected = torch.zeros(4, 50, units)
    for row, length in enumerate(LENGTHS.tolist()):
        alone = values[row : row + 1, :length]
        said = layer(alone.flip(1))[0].flip(1) if back else layer(alone)[0]
        expected = expected + nn.functional.pad(said, (0, 0, 0, 50 - length, row, 3 - row))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    for ours, theirs in zip(gradients(found, values, *layer.parameters()), gradients(expected, values, *layer.parameters()), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5 * float(theirs.abs().max()), rtol=1e-5)


def test_recurrence_follows_large_numbers() -> None:
    layer = nn.LSTM(1, 2, batch_first=True)
    values = torch.tensor([-1e30, -200.0, -9.0, 0.0, 9.0, 200.0, 1e30]).view(7, 1, 1)
    torch.testing.assert_close(recur(values, torch.ones(7, dtype=torch.int64), layer, False), layer(values)[0], atol=1e-6, rtol=1e-5)


def test_recurrence_passes_on_what_is_no_number() -> None:
    values = torch.zeros(1, 3, 2)
    values[0, 1] = float("nan")
    found = recur(values, torch.tensor([3]), nn.LSTM(2, 9, batch_first=True), False)
    assert found.isnan().all(dim=2).tolist() == [[False, True, True]]


def test_layers_say_the_same_with_and_without_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    tower, lstm = make_tower(seq_config("rnatracker"), 4, 3).eval(), MaskedLSTM(4, 3, layers=2)
    letters = silence(torch.eye(4)[torch.randint(4, (4, 50))], MASK)
    fast = [tower(letters, MASK), lstm(letters, MASK)]
    monkeypatch.setattr("seqtower.layers.can_fuse", lambda _values: False)
    for ours, theirs in zip(fast, [tower(letters, MASK), lstm(letters, MASK)], strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-5)


def test_kernels_are_for_full_precision_alone() -> None:
    assert can_fuse(torch.zeros(1))
    assert not can_fuse(torch.zeros(1, dtype=torch.float64))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert not can_fuse(torch.zeros(1))


def test_dropout_keeps_the_mean_and_follows_the_seed() -> None:
    values, layer = torch.ones(1001, 300), Dropout(0.2)
    torch.manual_seed(0)
    found = layer(values)
    assert float((found == 0).float().mean()) == pytest.approx(0.2, abs=0.005)
    assert float(found.mean()) == pytest.approx(1.0, abs=0.005)
    torch.manual_seed(0)
    assert (layer(values) == found).all()
    assert (layer(values) != found).any()
    assert (layer.eval()(values) == 1).all()
    assert (Dropout(0.0)(values) == 1).all()
