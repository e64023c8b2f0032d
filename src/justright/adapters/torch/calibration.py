"""Data-driven initialization of PyTorch models: one step after another, from where an interrupted run ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Protocol

import torch
from torch import Tensor, nn

from justright.adapters.base import Job
from justright.adapters.torch.layerwise import Krahenbuhl, Lsuv
from justright.adapters.torch.metalearned import GradInit, MetaInit
from justright.adapters.torch.principal import Pissa
from justright.adapters.torch.profiled import Admin
from justright.errors import InputError

__all__ = ["Row", "calibrate"]

Row = tuple[str, float, float]
"""Name of a parameter, and what was changed of it, before and after."""

Scheme = Any
"""An entry of the catalogue, whose parameters are read."""


class _Method(Protocol):
    """A scheme at work: `total` steps, and all that the next step needs in `memory`."""

    total: int
    memory: dict[str, Any]

    @property
    def rows(self) -> list[Row]: ...

    def step(self, index: int) -> None: ...


def calibrate(
    model: nn.Module,
    jobs: Sequence[Job],
    scheme: Scheme,
    *,
    state: Path | None,
    key: str,
    begin: Callable[[], object],
    progress: Callable[[str, int, int], None],
) -> tuple[Row, ...]:
    """Change the parameters of a model by what its batches do or its weights hold, and say what was changed.

    Parameters
    ----------
    model, jobs
        A model, and a job of it for each batch.
    scheme
        Which, with its parameters.
    state
        File that holds where it is after each step, and from which it goes on.
    key
        What the file must have been written for.
    begin
        Sets the weights to start with, where there is no such file.
    progress
        Is told the name, the steps done and their number.

    Raises
    ------
    InputError
        If the file is of another run.
    ForwardError
        If a layer's output cannot be scaled; the model is then as it was.
    """
    before = {name: each.detach().clone() for name, each in model.named_parameters()}
    with _evaluating(model):
        try:
            found = _found(state, key)
            if found is None:
                begin()
            method = METHODS[scheme.name](model, jobs, scheme)
            done = 0 if found is None else _resumed(method, model, found)
            for index in range(done, method.total):
                method.step(index)
                _written(method, model, state, key, index + 1)
                progress(scheme.name, index + 1, method.total)
        except Exception:
            _load(model, before)
            raise
    return tuple(method.rows)


METHODS: Final[Mapping[str, Callable[[nn.Module, Sequence[Job], Scheme], _Method]]] = {
    "lsuv": Lsuv, "krahenbuhl": Krahenbuhl, "metainit": MetaInit, "gradinit": GradInit, "admin": Admin, "pissa": Pissa,
}  # fmt: skip
"""How each scheme of the catalogue works."""


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Run without dropout and without updates of running statistics."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def _load(model: nn.Module, values: Mapping[str, Tensor]) -> None:
    with torch.no_grad():
        for name, each in model.named_parameters():
            each.copy_(values[name])


def _found(state: Path | None, key: str) -> dict[str, Any] | None:
    """Return what a file holds, or nothing if there is none."""
    if state is None or not state.exists():
        return None
    found: dict[str, Any] = torch.load(state, weights_only=True)
    if found["key"] != key:
        raise InputError(f"a state of {found['key']}", where=str(state), expected=key, try_="another file")
    return found


def _resumed(method: _Method, model: nn.Module, found: Mapping[str, Any]) -> int:
    """Return the number of steps that are done, after the model and the memory have been set to them."""
    _load(model, found["parameters"])
    method.memory.update(found["memory"])
    return int(found["done"])


def _written(method: _Method, model: nn.Module, state: Path | None, key: str, done: int) -> None:
    """Write where a run is; the file is whole at every moment."""
    if state is None:
        return
    parameters = {name: each.detach() for name, each in model.named_parameters()}
    part = state.with_name(state.name + ".part")
    torch.save({"key": key, "done": done, "parameters": parameters, "memory": method.memory}, part)
    Path(part).replace(state)
