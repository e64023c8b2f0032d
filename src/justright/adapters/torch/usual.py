"""The usual optimizers, for a step that nobody asked for: those of `torch.optim` import the compiler first.

That takes seconds. These do what those of `torch.optim` do, and what is given or named is one of those.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch

__all__ = ["SGD", "Adam", "AdamW"]


class _Usual:
    """Groups and state under the names of `torch.optim.Optimizer`."""

    def __init__(self, parameters: Iterable[torch.Tensor], **settings: Any) -> None:  # noqa: ANN401
        self.param_groups: list[dict[str, Any]] = [{"params": list(parameters), **settings}]
        self.state: dict[torch.Tensor, dict[str, Any]] = defaultdict(dict)

    def step(self) -> None:
        """Move every parameter that has a gradient."""
        (group,) = self.param_groups
        with torch.no_grad():
            for parameter in group["params"]:
                if parameter.grad is not None:
                    slope = parameter.grad if parameter.grad.layout is torch.strided else parameter.grad.to_dense()
                    self._move(parameter, slope, group, self.state[parameter])

    def _move(self, parameter: torch.Tensor, slope: torch.Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        raise NotImplementedError


class SGD(_Usual):
    """Gradient descent with momentum."""

    def __init__(self, parameters: Iterable[torch.Tensor], lr: float, momentum: float) -> None:
        super().__init__(parameters, lr=lr, momentum=momentum)

    def _move(self, parameter: torch.Tensor, slope: torch.Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(slope)
        state["momentum_buffer"].mul_(group["momentum"]).add_(slope)
        parameter.add_(state["momentum_buffer"], alpha=-group["lr"])


class Adam(_Usual):
    """Adam, algorithm 1 of [Kingma2015], with its settings; decay decoupled from the gradient where it is not zero."""

    def __init__(self, parameters: Iterable[torch.Tensor], lr: float, weight_decay: float = 0.0) -> None:
        super().__init__(parameters, lr=lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=weight_decay)
        self._scratch = torch.empty(0)

    def _move(self, parameter: torch.Tensor, slope: torch.Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        first, second = group["betas"]
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        if not state:  # both averages are this gradient's, and a second step is rare: nothing is written for it
            state.update(step=1, start=slope)
            parameter.addcdiv_(slope, self._size(slope).add_(group["eps"]).to(slope.dtype), value=-group["lr"])
            return
        if "start" in state:
            start = state.pop("start")
            state.update(exp_avg=(1 - first) * start, exp_avg_sq=(1 - second) * start * start.conj())
        state["step"] += 1
        state["exp_avg"].lerp_(slope, 1 - first)
        state["exp_avg_sq"].mul_(second).addcmul_(slope, slope.conj(), value=1 - second)
        scale = state["exp_avg_sq"].sqrt().div_((1 - second ** state["step"]) ** 0.5).add_(group["eps"])
        parameter.addcdiv_(state["exp_avg"], scale, value=-group["lr"] / (1 - first ** state["step"]))

    def _size(self, slope: torch.Tensor) -> torch.Tensor:
        """Return the magnitudes, in memory that serves all parameters: fresh memory costs more than to compute them."""
        if slope.is_complex():
            return slope.abs()
        kind = (slope.dtype, slope.device)
        if self._scratch.numel() < slope.numel() or (self._scratch.dtype, self._scratch.device) != kind:
            self._scratch = slope.new_empty(slope.numel())
        return torch.abs(slope, out=self._scratch[: slope.numel()].view(slope.shape))


class AdamW(Adam):
    """Adam with the weight decay that is usual for it: 0.01, the default of `torch.optim.AdamW`."""

    def __init__(self, parameters: Iterable[torch.Tensor], lr: float) -> None:
        super().__init__(parameters, lr, weight_decay=0.01)
