"""NAdam for the CPU: torch's, in one pass over each parameter instead of eight."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numba import njit


class NAdam(torch.optim.NAdam):
    """What `torch.optim.NAdam` does (Dozat 2016), with the same settings and the same state, to rounding.

    The first step, and any on other than contiguous float32 parameters on a CPU, is torch's own. For a tower of many small parameters and a
    batch of short RNAs torch's step takes a tenth of the training.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        """Change the parameters; returns what `closure` returns, which is called before."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        learned = [[parameter for parameter in group["params"] if parameter.grad is not None] for group in self.param_groups]
        if all(self._can_fuse(group, parameters) for group, parameters in zip(self.param_groups, learned, strict=True)):
            for group, parameters in zip(self.param_groups, learned, strict=True):
                self._change(group, parameters)
        else:
            super().step()
        return loss

    def _can_fuse(self, group: dict[str, Any], parameters: list[torch.Tensor]) -> bool:
        """Whether all of a group have been changed as often, by settings that the kernel knows."""
        if any(group[name] for name in ("maximize", "capturable", "differentiable", "decoupled_weight_decay")):
            return False
        steps = {float(self.state[parameter].get("step", -1)) for parameter in parameters}
        if len(steps) > 1 or -1 in steps:
            return False
        return all(_is_plain(parameter, parameter.grad) for parameter in parameters)

    def _change(self, group: dict[str, Any], parameters: list[torch.Tensor]) -> None:
        if not parameters:
            return
        (low, high), decay, rate = group["betas"], group["momentum_decay"], float(group["lr"])
        states = [self.state[parameter] for parameter in parameters]
        step = float(states[0]["step"]) + 1
        now, then = (low * (1 - 0.5 * 0.96 ** (at * decay)) for at in (step, step + 1))
        torch._foreach_add_([state["step"] for state in states], 1)
        torch._foreach_mul_([state["mu_product"] for state in states], now)
        product = float(states[0]["mu_product"])
        of_gradient, of_mean = rate * (1 - now) / (1 - product), rate * then / (1 - product * then)
        for parameter, state in zip(parameters, states, strict=True):
            assert parameter.grad is not None
            _move(
                parameter.detach().numpy().reshape(-1), parameter.grad.numpy().reshape(-1), state["exp_avg"].numpy().reshape(-1),
                state["exp_avg_sq"].numpy().reshape(-1), low, high, 1 - high**step, group["weight_decay"], group["eps"], of_gradient, of_mean,
            )  # fmt: skip


def _is_plain(values: torch.Tensor, gradient: torch.Tensor | None) -> bool:
    return (
        values.device.type == "cpu" and values.dtype == torch.float32 and values.is_contiguous()
        and gradient is not None and gradient.layout == torch.strided and gradient.is_contiguous()
    )  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy")
def _move(values, gradients, means, squares, low, high, correction, decay, least, of_gradient, of_mean):  # type: ignore[no-untyped-def]
    """Change values, and the running means of gradients and of their squares, by one step."""
    keep, new = np.float32(high), np.float32(1 - high)
    come, weight, least = np.float32(1 - low), np.float32(decay), np.float32(least)
    scale, of_gradient, of_mean = np.float32(1 / correction), np.float32(of_gradient), np.float32(of_mean)
    for i in range(len(values)):
        gradient = gradients[i] + weight * values[i]
        means[i] += come * (gradient - means[i])
        squares[i] = keep * squares[i] + new * gradient * gradient
        values[i] -= (of_gradient * gradient + of_mean * means[i]) / (np.sqrt(squares[i] * scale) + least)
