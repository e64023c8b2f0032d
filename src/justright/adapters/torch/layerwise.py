"""Initialization layer by layer: each is scaled by what the layers before it make of a batch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import torch
from torch import Tensor, nn

from justright.adapters.base import Job
from justright.adapters.torch.layers import TRANSPOSED, along, channels_of, divisor, layers_of, output_of
from justright.core.quantiles import to_normal
from justright.core.streams import Stream

__all__ = ["Krahenbuhl", "Lsuv"]

Row = tuple[str, float, float]

KEPT: Final = 0.1  # change of the last layer's deviation that counts as none: a tenth, as the scheme's page says


class _Layerwise:
    """One step for each layer, in the order of the forward pass."""

    def __init__(self, _model: nn.Module, jobs: Sequence[Job], scheme: Any) -> None:  # noqa: ANN401
        self.job, self.scheme = jobs[0], scheme
        self.layers = layers_of(self.job)
        self.total = len(self.layers)
        self.memory: dict[str, Any] = {"rows": []}

    @property
    def rows(self) -> list[Row]:
        """Deviations of the output of each layer before and after."""
        return [tuple(row) for row in self.memory["rows"]]


class Lsuv(_Layerwise):
    """Scales the weight of one layer in each step."""

    def step(self, index: int) -> None:
        """Scale one layer."""
        name, layer = self.layers[index]
        first = std = float(output_of(self.job, name, layer).std())
        for _ in range(int(self.scheme.attempts)):
            if abs(std**2 - 1.0) <= self.scheme.tolerance:
                break
            layer.weight.data.div_(divisor(std, name))
            std = float(output_of(self.job, name, layer).std())
        self.memory["rows"].append((f"{name}.weight", first, std))


class Krahenbuhl(_Layerwise):
    """Gives the channels of one layer in each step mean zero and variance one; then makes rates of change equal."""

    def __init__(self, model: nn.Module, jobs: Sequence[Job], scheme: Any) -> None:  # noqa: ANN401
        super().__init__(model, jobs, scheme)
        self.total += int(scheme.rounds) if len(self.layers) > 1 else 0

    def step(self, index: int) -> None:
        """Normalize one layer, or go one step towards equal rates."""
        if index < len(self.layers):
            self._normalize(*self.layers[index])
        elif not self.memory.get("stopped"):
            self._balance()

    def _normalize(self, name: str, layer: Any) -> None:  # noqa: ANN401
        output = output_of(self.job, name, layer)
        values = output.double().movedim(channels_of(layer, output), 0).flatten(1)
        mean, std = values.mean(1), values.std(1)
        divisor(float(std.min()), name)
        weight, transposed = layer.weight.data, isinstance(layer, TRANSPOSED)
        weight.div_(along(std, int(transposed), weight, layer.groups if transposed else 1))
        if layer.bias is not None:
            layer.bias.data.copy_((layer.bias.data.double() - mean) / std)
        after = float(output_of(self.job, name, layer).std())
        self.memory["rows"].append((f"{name}.weight", float(values.std()), after))

    def _balance(self) -> None:
        """Multiply weights by factors whose product is one, and biases by the product so far; or take it back."""
        before = {name: each.detach().clone() for name, each in self.job.model.named_parameters()}
        deviation = self._last().std()
        logs = [math.log(rate) for rate in self._rates()]
        mean, so_far = sum(logs) / len(logs), 0.0
        for (_, layer), log in zip(self.layers, logs, strict=True):
            change = 0.5 * self.scheme.damping * (log - mean)
            so_far += change
            layer.weight.data.mul_(math.exp(change))
            if layer.bias is not None:
                layer.bias.data.mul_(math.exp(so_far))
        if not abs(float(self._last().std() / deviation) - 1.0) <= KEPT:
            self.memory["stopped"] = True
            with torch.no_grad():
                for name, each in self.job.model.named_parameters():
                    each.copy_(before[name])

    def _last(self) -> Tensor:
        return output_of(self.job, *self.layers[-1])

    def _rates(self) -> list[float]:
        """Return the norm of each layer's gradient over that of its weight, for a random gradient at the last one."""
        weights = [layer.weight for _, layer in self.layers]
        output = output_of(self.job, *self.layers[-1], differentiable=True)
        words = Stream.of(0, "gradient at the last layer").words(0, output.numel())
        gradient = torch.from_numpy(to_normal(words)).reshape(output.shape).to(output)
        found = torch.autograd.grad(output, weights, gradient)
        return [divisor(float(g.norm() / w.detach().norm()), name)
                for (name, _), w, g in zip(self.layers, weights, found, strict=True)]  # fmt: skip
