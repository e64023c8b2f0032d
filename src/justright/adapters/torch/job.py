"""Model, batch and loss, checked and brought together: how the forward is called and what is scored."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch.utils import _pytree as pytree

from justright.adapters.base import Job
from justright.adapters.torch.losses import scoring
from justright.core.graph import Initializer
from justright.core.inputs import InputSpec, TensorSpec
from justright.errors import InputError, ModelError

__all__ = ["batch_tensors", "own_tensors", "prepare", "unwrapped"]

UNINITIALIZED = (torch.nn.parameter.UninitializedParameter, torch.nn.parameter.UninitializedBuffer)
MODEL_FORM = "a torch.nn.Module instance"


def unwrapped(model: Any) -> tuple[torch.nn.Module, list[str]]:  # noqa: ANN401
    """Take compiled and data-parallel wrappers off; say so in sentences.

    Raises
    ------
    ModelError
        If this is no module, or it has no parameters.
    """
    notes = []
    while isinstance(model, torch.nn.Module):
        if isinstance(model, torch.nn.DataParallel | torch.nn.parallel.DistributedDataParallel):
            notes.append(f"{type(model).__name__} was taken off: one replica was examined")
            model = model.module
        elif hasattr(model, "_orig_mod"):
            notes.append("torch.compile was taken off: the eager model was examined")
            model = model._orig_mod
        else:
            break
    if not isinstance(model, torch.nn.Module):
        raise ModelError(f"a {type(model).__name__}", where="model", expected=MODEL_FORM)
    parameters = list(model.parameters())
    if not parameters:
        raise ModelError(
            f"{type(model).__name__} without parameters", where="model", expected="at least one parameter to examine",
            try_="register weights as torch.nn.Parameter and layers in torch.nn.ModuleList, not in plain lists",
        )  # fmt: skip
    _check_parameters(model)
    return model, notes


def prepare(
    model: Any,  # noqa: ANN401
    batch: Any,  # noqa: ANN401
    loss: Any = None,  # noqa: ANN401
    *,
    device: str | None = None,
    initializers: Mapping[str, Initializer] | None = None,
    notes: Sequence[str] = (),
) -> Job:
    """See `justright.adapters.base.Adapter.prepare`."""
    model, found = unwrapped(model)
    on = _device_of(model, device)
    notes = [*notes, *found]
    if isinstance(batch, InputSpec):
        notes.append(f"inputs were drawn at random: {batch}")
        batch = _made(batch)
    args, kwargs, target = _arguments(model, batch, loss)
    args, kwargs, target = pytree.tree_map_only(torch.Tensor, partial(_placed, on), (args, kwargs, target))
    _check_batch(args, kwargs, target)
    facts = _facts(model, args, kwargs, on)
    return Job(model, args, kwargs, scoring(loss, target, batch), facts, target, tuple(notes), initializers or {})


@torch.inference_mode(mode=False)
def own_tensors(job: Job, form: Callable[[torch.Tensor], torch.Tensor] = torch.Tensor.detach) -> Job:
    """Give the forward tensor objects of its own, so that the user's keep their shape, flags and history.

    By default the memory is the user's own.
    """
    made: dict[int, torch.Tensor] = {}

    def own(tensor: torch.Tensor) -> torch.Tensor:
        if id(tensor) not in made:
            made[id(tensor)] = form(tensor).requires_grad_(tensor.requires_grad and tensor.is_leaf)
        return made[id(tensor)]

    args, kwargs = pytree.tree_map_only(torch.Tensor, own, (job.args, dict(job.kwargs)))
    return replace(job, args=args, kwargs=kwargs)


def batch_tensors(job: Job) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the tensors that the forward and the loss get, by a name each."""
    for path, value in pytree.tree_flatten_with_path(job.args)[0]:
        if isinstance(value, torch.Tensor):
            yield f"input{pytree.keystr(path)}", value
    for path, value in pytree.tree_flatten_with_path(dict(job.kwargs))[0]:
        if isinstance(value, torch.Tensor):
            yield f"input{pytree.keystr(path)}", value
    for path, value in pytree.tree_flatten_with_path(job.target)[0]:
        if isinstance(value, torch.Tensor):
            yield f"target{pytree.keystr(path)}", value


def _check_parameters(model: torch.nn.Module) -> None:
    for name, parameter in (*model.named_parameters(), *model.named_buffers()):
        if isinstance(parameter, UNINITIALIZED):
            raise ModelError(
                "a lazy parameter without a shape", where=name, expected="parameters that exist",
                try_="run one forward, so that lazy layers take their shapes",
            )  # fmt: skip
        if parameter.is_inference():
            raise ModelError(
                "a tensor made under torch.inference_mode()", where=name,
                expected="tensors that can take part in training", try_="build the model outside inference_mode",
            )  # fmt: skip


def _device_of(model: torch.nn.Module, device: str | None) -> torch.device:
    found = next(model.parameters()).device
    try:
        same = device is None or torch.device(device).type == found.type
    except RuntimeError as error:
        raise InputError(
            repr(device), where="device", expected="a device of PyTorch", try_='"cpu" or "cuda"'
        ) from error
    if same:
        return found
    raise InputError(
        f"device {device!r}, and a model on {str(found)!r}", where="device", expected="both on one device",
        try_=f"move the model first: model.to({device!r})",
    )  # fmt: skip


@torch.inference_mode(mode=False)
def _placed(device: torch.device, tensor: torch.Tensor) -> torch.Tensor:
    """Bring a tensor of the batch to the model; a model of shapes alone takes it as it is."""
    if device.type == "meta":
        return tensor
    if tensor.device.type == "meta":
        raise InputError(
            "a tensor on the meta device, which holds no values", where="batch", expected="a batch with values"
        )
    tensor = tensor.to(device)
    return tensor.clone() if tensor.is_inference() else tensor  # what was made for inference carries no gradient


@torch.inference_mode(mode=False)
def _made(spec: InputSpec) -> Any:  # noqa: ANN401
    generator = torch.Generator().manual_seed(0)
    args = tuple(_tensor(each, generator) for each in spec.args)
    if spec.kwargs:
        made: dict[str, Any] = {name: _tensor(each, generator) for name, each in spec.kwargs}
        return made if spec.target is None else (made, _tensor(spec.target, generator))
    return args if spec.target is None else (*args, _tensor(spec.target, generator))


def _tensor(spec: TensorSpec, generator: torch.Generator) -> torch.Tensor:
    dtype = getattr(torch, spec.dtype, None)
    if not isinstance(dtype, torch.dtype):
        raise InputError(f"dtype {spec.dtype!r}", where="input specification", expected="a dtype of PyTorch")
    if dtype.is_floating_point or dtype.is_complex:
        return torch.randn(spec.shape, generator=generator, dtype=torch.float32).to(dtype)
    return torch.randint(spec.low, spec.high, spec.shape, generator=generator).to(dtype)


def _arguments(model: torch.nn.Module, batch: Any, loss: Any) -> tuple[tuple[Any, ...], dict[str, Any], Any]:  # noqa: ANN401
    """Split a batch into positional arguments, keyword arguments and target."""
    if batch is None:
        raise InputError(
            "no batch", where="batch", expected="a batch, or the shape of one",
            try_='--input "8,3,224,224" on the command line; check(model, batch) in Python',
        )  # fmt: skip
    if isinstance(batch, Mapping):
        return (), {str(name): value for name, value in batch.items()}, None
    if not isinstance(batch, list | tuple):
        return (batch,), {}, None
    inputs, last = batch[:-1], batch[-1] if batch else None
    if not inputs or not _last_is_target(model, last, len(batch), loss):
        return tuple(batch), {}, None
    if len(inputs) == 1 and isinstance(inputs[0], Mapping):
        return (), dict(inputs[0]), last
    return tuple(inputs), {}, last


def _last_is_target(model: torch.nn.Module, last: Any, given: int, loss: Any) -> bool:  # noqa: ANN401
    """Say whether a tuple ends with the target: a loss was given, or the forward has no place for its last tensor."""
    if loss is not None or not isinstance(last, torch.Tensor):
        return loss is not None
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    try:
        places = inspect.signature(model.forward).parameters.values()
    except (TypeError, ValueError):
        return False
    if any(place.kind is inspect.Parameter.VAR_POSITIONAL for place in places):
        return False
    return sum(place.kind in kinds for place in places) < given


def _check_batch(args: tuple[Any, ...], kwargs: Mapping[str, Any], target: Any) -> None:  # noqa: ANN401
    tensors = [leaf for leaf in pytree.tree_leaves((args, dict(kwargs))) if isinstance(leaf, torch.Tensor)]
    for tensor in [*tensors, *([target] if isinstance(target, torch.Tensor) else [])]:
        if tensor.numel() == 0:
            raise InputError(
                f"an empty tensor of shape {tuple(tensor.shape)}", where="batch", expected="at least one example"
            )
    if isinstance(target, torch.Tensor) and target.dim() and tensors and tensors[0].dim():
        rows, targets = tensors[0].shape[0], target.shape[0]
        if rows != targets and not _divides(rows, targets):
            raise InputError(
                f"{rows} inputs and {targets} targets", where="batch", expected="one target for every input"
            )


def _divides(rows: int, targets: int) -> bool:
    """Say whether there may be so many targets: a flattened sequence has a multiple; anything else is a mistake."""
    return targets > rows and targets % rows == 0


def _facts(
    model: torch.nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any], device: torch.device
) -> dict[str, str]:
    tensors = [leaf for leaf in pytree.tree_leaves((args, dict(kwargs))) if isinstance(leaf, torch.Tensor)]
    shapes = ", ".join(f"{tuple(each.shape)} {str(each.dtype).removeprefix('torch.')}" for each in tensors)
    count = sum(parameter.numel() for parameter in model.parameters())
    return {
        "model": type(model).__name__,
        "parameters": f"{count:,}",
        "batch": shapes,
        "mode": "train" if model.training else "eval",
        "device": str(device),
        "torch": torch.__version__,
    }
