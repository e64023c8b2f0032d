"""Optimizers: given, by name, or chosen for a kind of network; what they are in words, and how to undo their steps."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from justright.adapters.torch.guard import Guard
from justright.adapters.torch.preserve import preserved
from justright.adapters.torch.usual import SGD, Adam, AdamW
from justright.core.graph import Graph
from justright.core.vocabulary import Kind
from justright.errors import InputError

__all__ = ["Plan", "described", "needs_closure", "plan_of", "rates_of", "undone", "usual_plan", "waits"]

Optimizer = torch.optim.Optimizer
Parameters = list[torch.nn.Parameter]

NAMES = {
    name.lower(): found
    for name, found in vars(torch.optim).items()
    if isinstance(found, type) and issubclass(found, Optimizer) and found is not Optimizer
}
"""PyTorch's own optimizers by lower-case name."""

FORM = 'a torch.optim.Optimizer, a callable from parameters to one, or a name and a rate such as "adamw:3e-4"'
BETWEEN = frozenset({Kind.VIEW, Kind.SELECTION, Kind.POINTWISE, Kind.RANDOM, Kind.CAST})
"""What may stand between the softmax of an attention and the product with the values: dropout, a cast, a
reshape, the repetition of heads."""

SHOWN = ("momentum", "betas", "alpha", "nesterov", "weight_decay")
"""Settings that belong to an optimizer's description, where they are not zero."""


@dataclass(frozen=True)
class Plan:
    """How to come to the optimizer whose step is tried.

    Parameters
    ----------
    make
        From the model's trainable parameters to the optimizer.
    given
        Whether the user asked for it.
    why
        Why it was chosen, if not.
    """

    make: Callable[[Parameters], Any]
    given: bool = True
    why: str = ""

    def optimizer(self, model: torch.nn.Module) -> Any:  # noqa: ANN401
        """Return the optimizer of this model.

        Raises
        ------
        InputError
            If there is none, or it has none of the model's parameters.
        """
        trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
        made = self.make(trainable)
        if not self.given:
            return made
        if not isinstance(made, Optimizer):
            raise InputError(f"a {type(made).__name__}", where="optimizer", expected=FORM)
        if trainable and not {id(each) for each in trainable} & {id(each) for each in _parameters(made)}:
            raise InputError(
                f"{type(made).__name__} over other parameters than the model's", where="optimizer",
                expected="an optimizer over parameters of this model",
                try_="make the optimizer from this very model, after it was moved or wrapped: optimizer = "
                f"torch.optim.{type(made).__name__}(model.parameters(), lr=...)",
            )  # fmt: skip
        return made


def plan_of(optimizer: Any) -> Plan | None:  # noqa: ANN401
    """Read what was given as an optimizer; ``None`` stays ``None``: one is chosen when the network is known.

    Raises
    ------
    InputError
        If it is none of what an optimizer may be given as.
    """
    if optimizer is None:
        return None
    if isinstance(optimizer, Optimizer):
        return Plan(lambda _: optimizer)
    if isinstance(optimizer, str):
        return Plan(_named(optimizer))
    if callable(optimizer):
        return Plan(optimizer)
    raise InputError(f"a {type(optimizer).__name__}", where="optimizer", expected=FORM)


def _named(text: str) -> Callable[[Parameters], Optimizer]:
    name, _, rate = (part.strip() for part in text.partition(":"))
    if name.lower() not in NAMES:
        near = difflib.get_close_matches(name.lower(), NAMES, n=1)
        raise InputError(f"{name!r}", where="optimizer", expected=f"one of {', '.join(NAMES)}", try_="".join(near))
    try:
        options: dict[str, Any] = {"lr": float(rate)} if rate else {}
    except ValueError:
        raise InputError(
            f"the learning rate {rate!r}", where="optimizer", expected="a number", try_=f'optimizer="{name}:1e-3"'
        ) from None
    return lambda parameters: NAMES[name.lower()](parameters, **options)


def usual_plan(graph: Graph) -> Plan:
    """Choose the optimizer with which networks of this kind are usually trained.

    Attention: AdamW at 3e-4 [Touvron2023]; batch normalization over convolutions: SGD at 0.1 with momentum 0.9
    [He2016]; everything else: Adam at its default of 1e-3 [Kingma2015].
    """
    if _attends(graph):
        return Plan(lambda each: AdamW(each, lr=3e-4), False, "the usual one for attention (Touvron 2023)")
    ops = {node.op for node in graph.nodes}
    if "batch_norm" in ops and any("conv" in op for op in ops):
        return Plan(
            lambda each: SGD(each, lr=0.1, momentum=0.9),
            False,
            "the usual one for convolutions with batch normalization (He 2016)",
        )
    return Plan(lambda each: Adam(each, lr=1e-3), False, "the default of Kingma 2015")


def _attends(graph: Graph) -> bool:
    """Say whether the result of a softmax is multiplied with a signal, as in attention."""
    soft = {site for node in graph.nodes if node.kind is Kind.SOFTMAX for site in node.outputs}
    for node in graph.nodes:
        reads = {operand.site for operand in node.operands}
        if reads & soft and node.kind is Kind.CONTRACTION:
            return True
        if reads & soft and node.kind in BETWEEN:
            soft.update(node.outputs)
    return False


def described(optimizer: Optimizer) -> str:
    """Say in words what an optimizer is: class, rates and what else matters.

    Examples
    --------
    >>> described(torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1, momentum=0.9))
    'SGD, lr 0.1, momentum 0.9'
    """
    rates = sorted(set(rates_of(optimizer)))
    parts = [type(optimizer).__name__]
    parts += [f"lr {rates[0]:g}" + (f" to {rates[-1]:g}" if len(rates) > 1 else "")] if rates else []
    group = optimizer.param_groups[0]
    parts += [f"{name.replace('_', ' ')} {group[name]}" for name in SHOWN if group.get(name)]
    return ", ".join(parts)


def rates_of(optimizer: Optimizer) -> tuple[float, ...]:
    """Return the learning rate of every group that has one."""
    return tuple(float(group["lr"]) for group in optimizer.param_groups if "lr" in group)


def waits(optimizer: Optimizer) -> bool:
    """Say whether a schedule has started a group below the rate that it will reach (warm-up)."""
    return any(
        float(group.get(name, 0.0)) > float(group.get("lr", 0.0))
        for group in optimizer.param_groups
        for name in ("initial_lr", "max_lr")  # what schedules of PyTorch note in a group
    )


def needs_closure(optimizer: Optimizer) -> bool:
    """Say whether a step of this optimizer must be able to compute the loss itself."""
    closure = inspect.signature(optimizer.step).parameters.get("closure")
    return closure is not None and closure.default is inspect.Parameter.empty


@contextmanager
def undone(model: torch.nn.Module, optimizer: Optimizer, batch: Iterable[torch.Tensor]) -> Iterator[Guard]:
    """Open a context after which model and optimizer are bit for bit what they were, also after an error.

    Yields the guard that must be told of whatever is written.

    Parameters
    ----------
    model, batch
        As in `justright.adapters.torch.preserve.preserved`.
    optimizer
        Its groups, its state and its own attributes come back, and those of an optimizer that it wraps.
    """
    with preserved(_Holder(model, optimizer), batch) as guard:
        yield guard


class _Holder(torch.nn.Module):
    """Lets `preserved`, which looks at what hangs on modules, see an optimizer beside its model."""

    def __init__(self, model: torch.nn.Module, optimizer: Optimizer) -> None:
        super().__init__()
        self.model = model
        wrapped = [each for each in vars(optimizer).values() if isinstance(each, Optimizer)]
        self.held: list[Mapping[str, Any]] = [vars(each) for each in (optimizer, *wrapped)]


def _parameters(optimizer: Optimizer) -> Parameters:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]
