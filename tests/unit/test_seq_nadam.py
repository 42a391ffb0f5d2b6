"""NAdam for the CPU beside torch's, and memory that stays with a training."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

from seqtower.cpu.memory import keep_freed_memory
from seqtower.cpu.nadam import NAdam


def pair(dtype: torch.dtype = torch.float32) -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    one, other = (nn.Sequential(nn.Conv1d(4, 8, 3), nn.Linear(5, 3)).to(dtype) for _ in range(2))
    other.load_state_dict(one.state_dict())
    return one, other


def step(optimizers: list[torch.optim.Optimizer], networks: list[nn.Module], number: int, left_out: int | None = None) -> None:
    """The same random gradients for all, of another size at each step; none for the parameter left out."""
    torch.manual_seed(number)
    gradients = [torch.randn_like(parameter) * 10 ** (number % 5 - 3) for parameter in networks[0].parameters()]
    for optimizer, network in zip(optimizers, networks, strict=True):
        for place, (parameter, gradient) in enumerate(zip(network.parameters(), gradients, strict=True)):
            parameter.grad = None if place == left_out else gradient.clone()
        for group in optimizer.param_groups:
            group["lr"] = 0.01 / (1 + number)
        optimizer.step()


def assert_same(one: nn.Module, other: nn.Module) -> None:
    for ours, theirs in zip(one.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("settings", [{}, {"weight_decay": 0.1}, {"betas": (0.5, 0.9), "eps": 1e-3, "momentum_decay": 0.02}])
def test_forty_steps_equal_those_of_torch(settings: dict[str, float]) -> None:
    one, other = pair()
    ours, theirs = NAdam(one.parameters(), **settings), torch.optim.NAdam(other.parameters(), **settings)
    for number in range(40):
        step([ours, theirs], [one, other], number)
    assert_same(one, other)
    for mine, torchs in zip(ours.state_dict()["state"].values(), theirs.state_dict()["state"].values(), strict=True):
        assert set(mine) == set(torchs)
        for name in mine:
            torch.testing.assert_close(mine[name], torchs[name], atol=1e-6, rtol=1e-5)


def test_steps_are_own_where_they_can_be_and_those_of_torch_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = []
    torchs = torch.optim.NAdam.step
    monkeypatch.setattr(torch.optim.NAdam, "step", lambda self, closure=None: counted.append(1) or torchs(self, closure))
    for dtype, own in ((torch.float32, True), (torch.float64, False)):
        network, _ = pair(dtype)
        optimizer = NAdam(network.parameters())
        counted.clear()
        for number in range(5):
            step([optimizer], [network], number)
        assert len(counted) == (1 if own else 5)


def test_a_parameter_that_at_first_has_no_gradient() -> None:
    one, other = pair()
    ours, theirs = NAdam(one.parameters()), torch.optim.NAdam(other.parameters())
    for number in range(10):
        step([ours, theirs], [one, other], number, left_out=1 if number < 4 else None)
    assert_same(one, other)


def test_goes_on_from_the_state_of_torch_and_the_other_way_round() -> None:
    one, other = pair()
    ours, theirs = NAdam(one.parameters()), torch.optim.NAdam(other.parameters())
    for number in range(5):
        step([ours, theirs], [one, other], number)
    swapped, back = NAdam(one.parameters()), torch.optim.NAdam(other.parameters())
    swapped.load_state_dict(theirs.state_dict())
    back.load_state_dict(ours.state_dict())
    for number in range(5, 10):
        step([swapped, back], [one, other], number)
    assert_same(one, other)


def test_a_closure_is_called_and_its_loss_returned() -> None:
    network, _ = pair()
    optimizer = NAdam(network.parameters(), lr=0.1)
    inputs = torch.randn(2, 4, 7)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss: torch.Tensor = network(inputs).square().mean()
        loss.backward()
        return loss

    losses = [float(optimizer.step(closure).detach()) for _ in range(30)]
    assert losses[-1] < 0.5 * losses[0]


FAULTS = """
import resource, sys, torch
from seqtower.cpu.memory import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
def work():
    held = [torch.empty(size * 2**16).fill_(1) for size in (4, 20, 36, 52)]
for _ in range(10):
    work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not keep_freed_memory(), reason="this system's C library cannot be told what to keep")
def test_freed_memory_comes_again_without_the_system() -> None:
    pages = [int(subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True, text=True, check=True).stdout) for how in ("keep", "plain")]
    assert pages[0] < 2_000  # of 28 MB, 20 times: 143,360 pages
    assert pages[0] <= pages[1]
