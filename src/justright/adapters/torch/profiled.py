"""Factors on a residual stream, from the variances of the branches that are added to it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakTensorKeyDictionary

from justright.adapters.base import Job
from justright.errors import ForwardError, InputError

__all__ = ["Admin"]

Row = tuple[str, float, float]


class Admin:
    """Sets all factors after one forward pass."""

    total = 1

    def __init__(self, model: nn.Module, jobs: Sequence[Job], scheme: Any) -> None:  # noqa: ANN401
        self.job = jobs[0]
        self.factors = {n: p for n, p in model.named_parameters() if fnmatchcase(n, scheme.factors)}
        self.memory: dict[str, Any] = {"rows": []}
        if not self.factors:
            raise InputError(
                f"no parameter named {scheme.factors}", where="calibrate", try_='"admin(factors=*.skip_gain)"',
                expected="factors on the residual stream, as norm(omega * x + f(x)) has them",
            )  # fmt: skip

    @property
    def rows(self) -> list[Row]:
        """The factors before, which is one, and after."""
        return [tuple(row) for row in self.memory["rows"]]

    def step(self, _index: int) -> None:
        """Run the network with factors of one, and set them."""
        for each in self.factors.values():
            each.data.fill_(1.0)
        with torch.no_grad(), _Stream(self.factors) as stream:
            self.job.model(*self.job.args, **self.job.kwargs)
        for name, each in self.factors.items():
            if name not in stream.variances:
                raise ForwardError("a factor that multiplies no stream with a branch added to it", where=name,
                                   expected="norm(omega * x + f(x))", try_="admin(factors=PATTERN)")  # fmt: skip
            each.data.fill_(math.sqrt(stream.variances[name]))
            self.memory["rows"].append((name, 1.0, math.sqrt(stream.variances[name])))


class _Stream(TorchDispatchMode):
    """Follows ``omega * x + f``: the variance of each stream before a sum is what entered it and all branches since."""

    def __init__(self, factors: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.names = {each.untyped_storage().data_ptr(): name for name, each in factors.items()}
        self.variances: dict[str, float] = {}
        self.sums = WeakTensorKeyDictionary()  # of any tensor on a stream: the variance so far
        self.scaled = WeakTensorKeyDictionary()  # of omega * x: the variance so far

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # noqa: ANN401
        out = func(*args, **(kwargs or {}))
        operands = [each for each in args if isinstance(each, Tensor)]
        made = out[0] if isinstance(out, tuple | list) and out else out  # a normalization returns its statistics too
        if isinstance(made, Tensor) and operands:
            self._follow(func.overloadpacket.__name__.rstrip("_"), operands, made)
        return out

    def _follow(self, name: str, operands: list[Tensor], out: Tensor) -> None:
        factor = next((self._named(each) for each in operands if self._named(each)), None)
        if name == "addcmul" and factor is not None:
            branch, *product = operands
            self._add(self._scale(factor, product), branch, out)
        elif name == "mul" and factor is not None:
            self.scaled[out] = self._scale(factor, operands)
        elif (
            name == "add"
            and (at := next((i for i, each in enumerate(operands) if each in self.scaled), None)) is not None
        ):
            self._add(self.scaled[operands[at]], operands[1 - at], out)
        else:
            known = [self.sums[each] for each in operands if each in self.sums]
            if known:
                self.sums[out] = max(known)

    def _named(self, tensor: Tensor) -> str | None:
        return self.names.get(tensor.untyped_storage().data_ptr())

    def _scale(self, factor: str, operands: list[Tensor]) -> float:
        """Note the variance of the stream that a factor multiplies."""
        x = next(each for each in operands if self._named(each) is None)
        self.variances[factor] = self.sums[x] if x in self.sums else float(x.double().var())
        return self.variances[factor]

    def _add(self, stream: float, branch: Tensor, out: Tensor) -> None:
        self.sums[out] = stream + float(branch.double().var())
