"""Kernels for the CPU say what torch's layers say, values and gradients, and never see padding."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from seqtower.cpu.convolution import can_fuse, convolve_and_pool
from seqtower.cpu.dropout import _split_mix, draws, factors
from seqtower.cpu.lanes import LANES
from seqtower.cpu.lookup import words_of
from seqtower.cpu.products import COLUMNS, add_crossed, multiply
from seqtower.cpu.recurrence import recur
from seqtower.layers import AdditiveAttention, Dropout, MaskedConv, MaskedLSTM, pool, silence
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
    found, kept = layer.rectified_and_pooled(one, MASK, window, Dropout(0.0))
    expected, expected_kept = pool(torch.relu(layer(other, MASK)), MASK, window)
    assert (kept == expected_kept).all()
    torch.testing.assert_close(found, expected)
    for ours, theirs in zip(gradients(found, one, *layer.parameters()), gradients(expected, other, *layer.parameters()), strict=True):
        assert theirs.abs().max() > 0
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("filters", "kernel", "window"), [(32, 10, 3), (6, 10, 3), (6, 4, 1), (5, 1, 4), (8, 23, 60)])
def test_letters_looked_up_equal_the_layers(filters: int, kernel: int, window: int) -> None:
    torch.manual_seed(0)
    layer, letters = MaskedConv(4, filters, kernel), torch.eye(5)[torch.randint(5, (4, 50))][:, :, :4]  # a fifth of them N
    assert words_of(letters, LENGTHS, layer.before, kernel) is not None
    found = layer.rectified_and_pooled(letters, MASK, window, Dropout(0.0))[0]
    expected = pool(torch.relu(layer(letters, MASK)), MASK, window)[0]
    torch.testing.assert_close(found, expected)
    for ours, theirs in zip(gradients(found, *layer.parameters()), gradients(expected, *layer.parameters()), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("channels", "filters"), [(COLUMNS, COLUMNS), (2 * COLUMNS, COLUMNS), (COLUMNS, 2 * COLUMNS)])
@pytest.mark.parametrize(("kernel", "dilation"), [(6, 1), (6, 5), (3, 40), (1, 1)])
def test_taps_as_products_equal_the_convolution(channels: int, filters: int, kernel: int, dilation: int, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    layer, values = MaskedConv(channels, filters, kernel, dilation), torch.randn(4, 50, channels)
    values[~MASK] = float("nan")  # padding is not read
    values.requires_grad_()
    found = layer(values, MASK)
    assert found.grad_fn is not None
    assert "Convolve" in type(found.grad_fn).__name__
    ours = [found, *gradients(found, values, *layer.parameters())]
    monkeypatch.setattr("seqtower.layers.can_fuse", lambda _values: False)
    clean = values.detach().nan_to_num().requires_grad_()
    truth = layer(clean, MASK)
    for one, other in zip(ours, [truth, *gradients(truth, clean, *layer.parameters())], strict=True):
        torch.testing.assert_close(one, other, atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("odd", [[0.5, 0.5, 0, 0], [1, 0, 0, 1], [0.5, 0, 0, 0], [-1, 1, 0, 0], [float("nan"), 0, 0, 0]])
def test_what_is_more_or_less_than_a_letter_is_not_looked_up(odd: list[float]) -> None:
    letters = torch.zeros(2, 5, 4)
    letters[:, :, 0] = 1
    letters[1, 2] = torch.tensor(odd)
    assert words_of(letters, torch.tensor([5, 5]), 0, 3) is None
    assert words_of(letters, torch.tensor([5, 2]), 0, 3) is not None  # at padding there is nothing


def test_letters_that_need_a_gradient_and_other_channels_are_not_looked_up() -> None:
    assert words_of(torch.eye(4)[None].requires_grad_(), torch.tensor([4]), 0, 3) is None
    assert words_of(torch.eye(5)[None], torch.tensor([5]), 0, 3) is None


@pytest.mark.parametrize("channels", [4, 8])
def test_dropout_in_one_with_the_convolution(channels: int) -> None:
    torch.manual_seed(0)
    layer, letters, dropout = MaskedConv(channels, 32, 10), torch.eye(channels)[torch.randint(channels, (4, 50))], Dropout(0.25)
    whole = layer.rectified_and_pooled(letters, MASK, 3, Dropout(0.0))[0]
    torch.manual_seed(1)
    found = layer.rectified_and_pooled(letters, MASK, 3, dropout)[0]
    kept = (found != 0).float()
    torch.testing.assert_close(found, whole * kept / 0.75)
    assert float(kept[whole != 0].mean()) == pytest.approx(0.75, abs=0.06)
    for ours, theirs in zip(gradients(found, *layer.parameters()), gradients(whole * kept / 0.75, *layer.parameters()), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    torch.manual_seed(1)
    assert (layer.rectified_and_pooled(letters, MASK, 3, dropout)[0] == found).all()
    assert (layer.rectified_and_pooled(letters, MASK, 3, dropout.eval())[0] == whole).all()


def test_a_prediction_leaves_the_generator_as_it_is() -> None:
    tower, letters = make_tower(seq_config("rnatracker"), 4, 3).eval(), silence(torch.eye(4)[torch.randint(4, (4, 50))], MASK)
    before = torch.get_rng_state()
    tower(letters, MASK)
    assert (torch.get_rng_state() == before).all()


@pytest.mark.parametrize("channels", [4, 8])
def test_dropout_of_almost_everything_is_finite(channels: int) -> None:
    layer, letters = MaskedConv(channels, 32, 10), torch.eye(channels)[torch.randint(channels, (4, 50))]
    assert layer.rectified_and_pooled(letters, MASK, 3, Dropout(0.999_999))[0].isfinite().all()
    assert Dropout(0.999_999)(letters).isfinite().all()


def test_what_is_no_number_is_not_passed_over() -> None:
    values = torch.zeros(1, 6, 4)
    values[0, 0] = float("nan")
    found = convolve_and_pool(values, torch.tensor([6]), nn.Conv1d(4, 2, 1), 0, 3)
    assert found[0, 0].isnan().all()
    assert not found[0, 1].isnan().any()


@pytest.mark.parametrize("n", [1, 2, 3, 4, 67, 260])
@pytest.mark.parametrize(("channels", "wide"), [(1, COLUMNS), (33, 2 * COLUMNS)])
def test_products_equal_those_of_torch(n: int, channels: int, wide: int) -> None:
    torch.manual_seed(0)
    rows, weights, first, held = torch.randn(n, channels), torch.randn(channels, wide), torch.randn(wide), torch.randn(n, wide)
    for added in (False, True):
        found = held.clone()
        multiply(rows.view(-1).numpy(), channels, weights.numpy(), first.numpy(), found.view(-1).numpy(), added)
        torch.testing.assert_close(found, rows @ weights + (held if added else first), atol=1e-5, rtol=1e-5)
        found, numbers = held.clone(), torch.randn(2 * n + channels)  # rows that share all but two numbers with the next
        multiply(numbers.numpy(), 2, weights.numpy(), first.numpy(), found.view(-1).numpy(), added)
        shared = numbers.unfold(0, channels, 2)[:n]
        torch.testing.assert_close(found, shared @ weights + (held if added else first), atol=1e-5, rtol=1e-5)
    left, crossed = torch.randn(n, 4 * channels), torch.randn(4 * channels, wide)
    found = crossed.clone()
    add_crossed(left.view(-1).numpy(), held.view(-1).numpy(), found.numpy())
    torch.testing.assert_close(found, crossed + left.t() @ held, atol=1e-4, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.skipif(LANES == 8, reason="the kernels that run here are those of registers of eight numbers")
def test_kernels_for_smaller_registers(tmp_path: Path) -> None:
    """These tests once more, as on a CPU without AVX-512."""
    smaller = {"NUMBA_CPU_NAME": "x86-64-v3", "NUMBA_CPU_FEATURES": "+avx,+avx2,+fma", "NUMBA_CACHE_DIR": str(tmp_path)}
    told = [sys.executable, "-c", "from seqtower.cpu.lanes import LANES; print(LANES)"]
    assert subprocess.run(told, env=os.environ | smaller, capture_output=True, text=True, check=True).stdout == "8\n"
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-x", __file__], env=os.environ | smaller, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("units", [1, 6, 32, 40])
@pytest.mark.parametrize("backs", [(False,), (True,), (False, True)])
@pytest.mark.parametrize("n", [1, 3, 4])
def test_recurrence_equals_torch_on_each_rna_alone(units: int, backs: tuple[bool, ...], n: int) -> None:
    torch.manual_seed(0)
    layers = [nn.LSTM(5, units, batch_first=True) for _ in backs]
    weights = [weight for layer in layers for weight in layer.parameters()]
    for weight in weights:
        nn.init.normal_(weight, std=min(1, 4 / units**0.5))  # wide enough that gates open and close altogether
    values, lengths = torch.randn(n, 50, 5).requires_grad_(), LENGTHS[-n:]
    found = recur(values, lengths, layers, backs)
    exact, doubles = values.detach().double().requires_grad_(), copy.deepcopy(layers)  # as torch itself is off in float32
    expected = torch.zeros(n, 50, len(backs) * units, dtype=torch.float64)
    for row, length in enumerate(lengths.tolist()):
        alone = exact[row : row + 1, :length]
        said = [layer.double()(alone.flip(1))[0].flip(1) if back else layer.double()(alone)[0] for layer, back in zip(doubles, backs, strict=True)]
        expected = expected + nn.functional.pad(torch.cat(said, dim=2), (0, 0, 0, 50 - length, row, n - 1 - row))
    torch.testing.assert_close(found.double(), expected, atol=1e-5, rtol=1e-5)
    truths = gradients(expected, exact, *(weight for layer in doubles for weight in layer.parameters()))
    for ours, theirs in zip(gradients(found, values, *weights), truths, strict=True):
        torch.testing.assert_close(ours.double(), theirs, atol=1e-5 * float(theirs.abs().max()), rtol=1e-5)


def test_recurrence_follows_large_numbers() -> None:
    layer = nn.LSTM(1, 2, batch_first=True)
    values = torch.tensor([-1e30, -200.0, -9.0, 0.0, 9.0, 200.0, 1e30]).view(7, 1, 1)
    torch.testing.assert_close(recur(values, torch.ones(7, dtype=torch.int64), [layer], (False,)), layer(values)[0], atol=1e-6, rtol=1e-5)


def test_recurrence_passes_on_what_is_no_number() -> None:
    values = torch.zeros(1, 3, 2)
    values[0, 1] = float("nan")
    found = recur(values, torch.tensor([3]), [nn.LSTM(2, 9, batch_first=True)], (False,))
    assert found.isnan().all(dim=2).tolist() == [[False, True, True]]


@pytest.mark.parametrize(("channels", "units"), [(64, 50), (COLUMNS, 3)])
def test_attention_in_one_equals_the_layers(channels: int, units: int, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    layer, values = AdditiveAttention(channels, units), silence(torch.randn(4, 50, channels), MASK).requires_grad_()

    def said() -> list[torch.Tensor]:
        both = torch.cat([part.flatten() for part in layer(values, MASK)])
        return [both, *gradients(both, values, *layer.parameters())]

    ours = said()
    monkeypatch.setattr("seqtower.layers.can_fuse", lambda _values: False)
    for found, expected in zip(ours, said(), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_layers_say_the_same_with_and_without_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    tower, lstm = make_tower(seq_config("rnatracker"), 4, 3).eval(), MaskedLSTM(4, 3, layers=2)
    letters = silence(torch.eye(4)[torch.randint(4, (4, 50))], MASK)
    inputs, weights = letters.clone().requires_grad_(), list(tower.parameters())

    def said() -> list[torch.Tensor]:
        logits = tower(letters, MASK)
        return [logits, lstm(letters, MASK), *gradients(logits, *weights), *gradients(tower(inputs, MASK), inputs, *weights)]

    fast = said()
    monkeypatch.setattr("seqtower.layers.can_fuse", lambda _values: False)
    for ours, theirs in zip(fast, said(), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6 + 1e-5 * float(theirs.detach().abs().max()), rtol=1e-5)


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


def test_draws_are_those_of_split_mix_and_even() -> None:
    found = np.empty(3, np.uint64)
    _split_mix(np.uint64(1234567), found)
    assert found.tolist() == [6457827717110365317, 3203168211198807973, 9817491932198370423]  # as the algorithm's authors' code says
    torch.manual_seed(0)
    drawn = draws(400_001).astype(np.float64) / 65_535
    assert len(drawn) == 400_001
    assert drawn.mean() == pytest.approx(0.5, abs=0.002)
    assert abs(np.corrcoef(drawn[:-1], drawn[1:])[0, 1]) < 0.01
    assert (factors(400_001, 13_107) == 0).mean() == pytest.approx(0.2, abs=0.003)
    assert factors(400_001, 13_107).mean() == pytest.approx(1, abs=0.004)
