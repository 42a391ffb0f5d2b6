"""The compiled kernels compute what torch's layers compute, values and gradients."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from seqtower.nn.kernels import can_fuse, convolve, convolve_and_pool
from seqtower.nn.layers import MaskedConv, MaskedLSTM, mask_padding, pool
from seqtower.towers.base import make_tower
from seqtower.towers.rnatracker import RNATrackerConfig

LENGTHS = torch.tensor([50, 31, 7, 1])
MASK = torch.arange(50) < LENGTHS.unsqueeze(1)


def gradients(values: torch.Tensor, *wanted: torch.Tensor) -> tuple[torch.Tensor, ...]:
    slopes = torch.linspace(-1, 1, values.numel()).view(values.shape)
    return torch.autograd.grad(values, wanted, slopes)


@pytest.mark.parametrize(
    ("channels", "filters", "kernel", "window"),
    [
        (4, 6, 10, 3),
        (32, 32, 10, 3),
        (5, 6, 3, 4),
        (4, 1, 1, 1),
        (4, 6, 12, 60),
        (4, 5, 23, 300),
    ],
)
def test_fused_convolution_and_pooling_equals_the_layers(
    channels: int, filters: int, kernel: int, window: int
) -> None:
    torch.manual_seed(0)
    layer = MaskedConv(channels, filters, kernel)
    ours = torch.randn(4, 50, channels).requires_grad_()
    theirs = ours.detach().clone().requires_grad_()
    pooled, pooled_mask = layer.rectified_and_pooled(ours, MASK, window)
    assert pooled.grad_fn is not None
    assert "ConvolveAndPool" in type(pooled.grad_fn).__name__
    expected, expected_mask = pool(torch.relu(layer(theirs, MASK)), MASK, window)
    assert (pooled_mask == expected_mask).all()
    torch.testing.assert_close(pooled, expected, atol=1e-5, rtol=1e-5)
    slopes = gradients(pooled, ours, *layer.parameters())
    true_slopes = gradients(expected, theirs, *layer.parameters())
    for slope, true_slope in zip(slopes, true_slopes, strict=True):
        assert true_slope.abs().max() > 0
        torch.testing.assert_close(slope, true_slope, atol=1e-5, rtol=1e-5)


def test_a_window_of_equal_maxima_passes_its_gradient_to_the_first() -> None:
    conv = nn.Conv1d(1, 1, 1)
    nn.init.ones_(conv.weight)
    nn.init.zeros_(conv.bias)
    values = torch.tensor([2.0, 5.0, 5.0, -1.0, -3.0]).view(1, 5, 1).requires_grad_()
    pooled = convolve_and_pool(values, torch.tensor([5]), conv, 0, 3)
    assert pooled.flatten().tolist() == [5, 0]
    (slopes,) = torch.autograd.grad(pooled.sum(), values)
    assert slopes.flatten().tolist() == [0, 1, 0, 0, 0]


@pytest.mark.parametrize(("kernel", "dilation"), [(6, 1), (6, 5), (3, 40), (1, 1)])
def test_convolution_as_a_picture_equals_that_in_one_dimension(kernel: int, dilation: int) -> None:
    torch.manual_seed(0)
    conv = nn.Conv1d(5, 7, kernel, dilation=dilation)
    values = torch.randn(3, 50, 5)
    around = (dilation * (kernel - 1), 2)
    wide = nn.functional.pad(values.transpose(1, 2), around)
    sums = convolve(values, conv.weight, conv.bias, around, dilation)
    torch.testing.assert_close(sums, conv(wide).transpose(1, 2), atol=1e-5, rtol=1e-5)


def test_a_prediction_leaves_the_generator_as_it_is() -> None:
    tower = make_tower("rnatracker", RNATrackerConfig(), 4, 3).eval()
    letters = mask_padding(torch.eye(4)[torch.randint(4, (4, 50))], MASK)
    before = torch.get_rng_state()
    tower(letters, MASK)
    assert (torch.get_rng_state() == before).all()


def test_nan_is_passed_on_by_pooling() -> None:
    values = torch.zeros(1, 6, 4)
    values[0, 0] = float("nan")
    pooled = convolve_and_pool(values, torch.tensor([6]), nn.Conv1d(4, 2, 1), 0, 3)
    assert pooled[0, 0].isnan().all()
    assert not pooled[0, 1].isnan().any()


@pytest.mark.parametrize("units", [1, 6, 32, 40])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("n", [1, 3, 4])
def test_lstm_equals_torch_on_each_rna_alone(units: int, bidirectional: bool, n: int) -> None:
    torch.manual_seed(0)
    layer = MaskedLSTM(5, units, bidirectional=bidirectional)
    for weight in layer.parameters():
        nn.init.normal_(weight, std=min(1, 4 / units**0.5))  # gates open and close altogether
    values = torch.randn(n, 50, 5)
    values[~MASK[-n:]] = float("nan")  # padding is not read
    values.requires_grad_()
    lengths = LENGTHS[-n:]
    hidden = layer(values, MASK[-n:])
    exact = values.detach().nan_to_num().double().requires_grad_()
    doubles = copy.deepcopy(layer).double()  # torch itself is off in float32
    rows = []
    for row, length in enumerate(lengths.tolist()):
        alone = exact[row : row + 1, :length]
        states = [doubles.forwards[0](alone)[0]]
        if bidirectional:
            states.append(doubles.backwards[0](alone.flip(1))[0].flip(1))
        rows.append(nn.functional.pad(torch.cat(states, dim=2), (0, 0, 0, 50 - length)))
    expected = torch.cat(rows)
    torch.testing.assert_close(hidden.double(), expected, atol=1e-5, rtol=1e-5)
    slopes = gradients(hidden, values, *layer.parameters())
    true_slopes = gradients(expected, exact, *doubles.parameters())
    for slope, true_slope in zip(slopes, true_slopes, strict=True):
        atol = 1e-5 * float(true_slope.abs().max())
        torch.testing.assert_close(slope.double(), true_slope, atol=atol, rtol=1e-5)


def test_lstm_follows_large_numbers() -> None:
    layer = MaskedLSTM(1, 2, bidirectional=False)
    values = torch.tensor([-1e30, -200.0, -9.0, 0.0, 9.0, 200.0, 1e30]).view(7, 1, 1)
    hidden = layer(values, torch.ones(7, 1, dtype=torch.bool))
    torch.testing.assert_close(hidden, layer.forwards[0](values)[0], atol=1e-6, rtol=1e-5)


def test_lstm_passes_nan_on() -> None:
    layer = MaskedLSTM(2, 9, bidirectional=False)
    values = torch.zeros(1, 3, 2)
    values[0, 1] = float("nan")
    hidden = layer(values, torch.ones(1, 3, dtype=torch.bool))
    assert hidden.isnan().all(dim=2).tolist() == [[False, True, True]]


def test_towers_say_the_same_with_and_without_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    tower = make_tower("rnatracker", RNATrackerConfig(), 4, 3).eval()
    lstm = MaskedLSTM(4, 3, layers=2)
    letters = mask_padding(torch.eye(4)[torch.randint(4, (4, 50))], MASK)
    inputs = letters.clone().requires_grad_()
    weights = list(tower.parameters())

    def compute() -> list[torch.Tensor]:
        logits = tower(letters, MASK)
        of_weights = gradients(logits, *weights)
        of_inputs = gradients(tower(inputs, MASK), inputs)
        return [logits, lstm(letters, MASK), *of_weights, *of_inputs]

    with_kernels = compute()
    monkeypatch.setattr("seqtower.nn.kernels.can_fuse", lambda _values: False)
    for ours, theirs in zip(with_kernels, compute(), strict=True):
        atol = 1e-6 + 1e-5 * float(theirs.detach().abs().max())
        torch.testing.assert_close(ours, theirs, atol=atol, rtol=1e-5)


def test_kernels_are_for_full_precision_alone() -> None:
    assert can_fuse(torch.zeros(1))
    assert not can_fuse(torch.zeros(1, dtype=torch.float64))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert not can_fuse(torch.zeros(1))
