"""One operator run alone on given arrays, with its gradient: the framework's own answer where no rule exists."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from justright.adapters.torch.calls import Func, schema_of, tensors_made
from justright.adapters.torch.data import in_range
from justright.adapters.torch.vocabulary import RENAMED
from justright.core.graph import Node
from justright.errors import ForwardError

__all__ = ["apply", "run"]

Arrays = Sequence[NDArray[Any] | None]
Pullback = Callable[[Arrays], list[NDArray[np.float64] | None]]

NAMED = frozenset(("ScalarType", "MemoryFormat", "Layout"))
"""Schema types whose values a graph keeps by name."""


def _operator(node: Node) -> Func | None:
    """Return the overload that a node is a call of; ``None`` for what the tracer inserted."""
    namespace, _, name = node.native.partition(".")
    base, _, overload = name.rpartition(".")
    if not base:
        return None
    found = getattr(getattr(getattr(torch.ops, namespace), base, None), overload, None)
    return found if isinstance(found, torch._ops.OpOverload) else None


@torch.inference_mode(mode=False)
def apply(
    node: Node, operands: Sequence[NDArray[Any]], seed: int, wanted: Sequence[bool] | None = None
) -> tuple[Arrays, Pullback]:
    """Run a node's operator on arrays; see `justright.adapters.base.Adapter.apply`."""
    func = _operator(node)
    if func is None:
        raise ForwardError(f"{node.op}, which is no call of an operator", where=node.op, expected="a native operator")
    leaves = [_tensor(each, flag) for each, flag in zip(operands, wanted or [True] * len(operands), strict=True)]
    try:
        with torch.random.fork_rng(devices=()), torch.enable_grad():
            torch.manual_seed(seed)
            made = _called(func, node, leaves)
    except Exception as error:
        said = str(error).strip().splitlines()
        raise ForwardError(
            f"{type(error).__name__}: {said[0] if said else ''}", where=node.native, expected="an operator that runs"
        ) from error
    return [_array(each) for each in made], lambda slopes: _pulled_back(node, made, leaves, slopes)


@torch.inference_mode(mode=False)
def run(
    nodes: Sequence[Node], given: Mapping[int, NDArray[Any]], wanted: frozenset[int], seed: int
) -> tuple[dict[int, NDArray[Any]], Callable[[Mapping[int, NDArray[Any]]], dict[int, NDArray[Any]]]]:
    """Run nodes one after the other; see `justright.adapters.base.Adapter.run`."""
    known = {site: _tensor(_single(values), site in wanted) for site, values in given.items()}
    made: dict[int, torch.Tensor] = {}
    with torch.random.fork_rng(devices=()), torch.enable_grad():
        torch.manual_seed(seed)
        for node in nodes:
            operands = [made[each.site] if each.site in made else known[each.site] for each in node.operands]
            made.update(zip(node.outputs, _one(node, operands), strict=False))
    return {site: _array(each) for site, each in made.items()}, lambda slopes: _pulled(made, known, slopes)


def _one(node: Node, operands: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    func = _operator(node)
    if func is None:
        raise ForwardError(f"{node.op}, which is no call", where=node.op, expected="a native operator")
    try:
        return _called(func, node, operands)
    except Exception as error:
        raise ForwardError(f"{type(error).__name__}: {error}", where=node.native, expected="nodes that run") from error


def _single(values: NDArray[Any]) -> NDArray[Any]:
    """Return floating-point values in single precision, as what the nodes make by themselves."""
    return values.astype(np.float32) if np.issubdtype(values.dtype, np.floating) else values


def _pulled(
    made: Mapping[int, torch.Tensor], known: Mapping[int, torch.Tensor], slopes: Mapping[int, NDArray[Any]]
) -> dict[int, NDArray[Any]]:
    """Return the gradients at all tensors, made and given, for gradients at some of them."""
    ends = [site for site in slopes if made[site].requires_grad]
    wanted = {site: each for site, each in {**known, **made}.items() if each.requires_grad}
    if not ends or not wanted:
        return {}
    found = torch.autograd.grad(
        [made[site] for site in ends], list(wanted.values()),
        [torch.from_numpy(np.array(slopes[site])).to(made[site].dtype) for site in ends],
        allow_unused=True, retain_graph=True,
    )  # fmt: skip
    return {site: _array(each) for site, each in zip(wanted, found, strict=True) if each is not None}


def _tensor(values: NDArray[Any], wanted: bool) -> torch.Tensor:
    tensor = torch.from_numpy(np.array(values, order="C"))
    return tensor.requires_grad_(wanted and tensor.is_floating_point())


def _array(tensor: torch.Tensor) -> NDArray[Any]:
    found = tensor.detach()
    found = found.float() if found.dtype in (torch.bfloat16, torch.float16) else found
    return np.asarray(found.resolve_conj().numpy())


def _called(func: Func, node: Node, leaves: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Call an operator with copies, so that what it overwrites is no leaf; return what it gives or overwrites."""
    given: dict[str, list[torch.Tensor]] = {}
    for operand, leaf in zip(node.operands, leaves, strict=True):
        given.setdefault(_native_name(node, operand.name), []).append(leaf.clone())
    schema, arguments = schema_of(func), func._schema.arguments
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for name, argument in zip(schema.names, arguments, strict=True):
        value = _argument(name, argument, given, node)
        if value is None and argument.has_default_value():
            value = argument.default_value
        if argument.kwarg_only:
            kwargs["self" if name == "input" else name] = value
        else:
            args.append(value)
    result = func(*in_range(func, tuple(args)), **kwargs)
    return tensors_made(schema, tuple(args), kwargs, result)


def _native_name(node: Node, name: str) -> str:
    """Return the argument name of the schema for a canonical one."""
    back = {canonical: native for native, canonical in RENAMED.get(node.op, {}).items()}
    func = _operator(node)
    native = back.get(name, name)
    return native if func is not None and native in schema_of(func).names else name


def _argument(name: str, argument: Any, given: dict[str, list[torch.Tensor]], node: Node) -> Any:  # noqa: ANN401
    """Return the value of one argument of a schema: tensors, or what the graph recorded."""
    kind = str(argument.type)
    if name in given:
        return _listed(given[name], node.attributes.get(f"{name}_at")) if "List" in kind else given[name][0]
    value = node.attributes.get(name)
    named = str(argument.real_type).removeprefix("Optional[").removesuffix("]") in NAMED
    return getattr(torch, value) if named and isinstance(value, str) else value


def _listed(tensors: list[torch.Tensor], places: Sequence[int] | None) -> list[torch.Tensor | None]:
    """Put the tensors of a list argument to their places, where some of its entries are none."""
    if places is None:
        return list(tensors)
    found: list[torch.Tensor | None] = [None] * (max(places) + 1)
    for place, tensor in zip(places, tensors, strict=True):
        found[place] = tensor
    return found


def _pulled_back(
    node: Node, made: Sequence[torch.Tensor], leaves: Sequence[torch.Tensor], slopes: Arrays
) -> list[NDArray[np.float64] | None]:
    """Return the gradients at the operands for gradients at the outputs; ``None`` where there is none."""
    pairs = [
        (each, torch.from_numpy(np.array(slope)).to(each.dtype))
        for each, slope in zip(made, slopes, strict=False)
        if slope is not None and each.requires_grad
    ]
    wanted = [leaf for leaf in leaves if leaf.requires_grad]
    if not pairs or not wanted:
        return [None] * len(leaves)
    try:
        found = iter(
            torch.autograd.grad([each for each, _ in pairs], wanted, [slope for _, slope in pairs],
                                allow_unused=True, retain_graph=True)
        )  # fmt: skip
    except Exception as error:
        raise ForwardError(
            f"{type(error).__name__}: {error}", where=node.native, expected="an operator with a gradient"
        ) from error
    return [None if not leaf.requires_grad or (each := next(found)) is None else _array(each) for leaf in leaves]
