"""First steps of the usual optimizers, for a step that nobody asked for.

Those of `torch.optim` import the compiler first, which takes seconds, and they keep averages for a second step. In the
first step every average is the gradient's own, so that the step is a function of each element's value and gradient.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

__all__ = ["SGD", "Adam", "AdamW", "Usual"]


class Usual:
    """Groups under the names of `torch.optim.Optimizer`, and the step from given values and gradients."""

    def __init__(self, parameters: Iterable[torch.Tensor], **settings: Any) -> None:  # noqa: ANN401
        self.settings = settings
        self.param_groups: list[dict[str, Any]] = [{"params": list(parameters), **settings}]

    def change(self, values: torch.Tensor, slopes: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
        """Write the first step of elements with these values and gradients, of one real dtype, to `out`; return it."""
        raise NotImplementedError


class SGD(Usual):
    """Gradient descent with momentum."""

    def __init__(self, parameters: Iterable[torch.Tensor], lr: float, momentum: float) -> None:
        super().__init__(parameters, lr=lr, momentum=momentum)

    def change(self, values: torch.Tensor, slopes: torch.Tensor, out: torch.Tensor) -> torch.Tensor:  # noqa: ARG002
        """Go down the gradient, whatever the values: the momentum of a first step is the gradient."""
        return torch.mul(slopes, -self.settings["lr"], out=out)


class Adam(Usual):
    """Adam, algorithm 1 of [Kingma2015], with its settings; decay decoupled from the gradient where it is not zero."""

    def __init__(self, parameters: Iterable[torch.Tensor], lr: float, weight_decay: float = 0.0) -> None:
        super().__init__(parameters, lr=lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=weight_decay)

    def change(self, values: torch.Tensor, slopes: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
        """Go the learning rate's length: both averages, corrected, are this gradient and its square."""
        rate, decay = self.settings["lr"], self.settings["weight_decay"]
        torch.div(slopes, torch.abs(slopes, out=out).add_(self.settings["eps"]), out=out).mul_(-rate)
        return out.add_(values, alpha=-rate * decay) if decay else out


class AdamW(Adam):
    """Adam with the weight decay that is usual for it: 0.01, the default of `torch.optim.AdamW`."""

    def __init__(self, parameters: Iterable[torch.Tensor], lr: float) -> None:
        super().__init__(parameters, lr, weight_decay=0.01)
