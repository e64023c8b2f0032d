"""Layouts of a model's parameters, read from the modules that hold them; what no module says stays unknown."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import torch
from torch import nn

from justright.core.layout import Kind, WeightLayout
from justright.initializers.target import Place, Target

__all__ = ["Holder", "fill", "holders"]

Holder = tuple[Target | None, nn.Parameter, str]
"""What to fill, the parameter, and why its layout is not known if it is not."""

Reading = tuple[WeightLayout, Place]

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
NORMS = (nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, nn.modules.batchnorm._NormBase)
GATES: Final[Mapping[type[nn.Module], tuple[str, ...]]] = {
    nn.LSTM: ("i", "f", "g", "o"), nn.LSTMCell: ("i", "f", "g", "o"),
    nn.GRU: ("r", "z", "n"), nn.GRUCell: ("r", "z", "n"), nn.RNN: ("h",), nn.RNNCell: ("h",),
}  # fmt: skip
"""Gates of a cell in the order in which they are packed."""


def holders(model: nn.Module) -> Iterator[tuple[str, Holder]]:
    """Yield every parameter once, by the first name it has, with what is to be filled.

    Parameters
    ----------
    model
        The model; a tied parameter is read at its first place.
    """
    for name, parameter in model.named_parameters():
        path, _, leaf = name.rpartition(".")
        reading = _reading(model.get_submodule(path), leaf, parameter)
        if isinstance(reading, str):
            yield name, (None, parameter, reading)
            continue
        layout, place = reading
        yield name, (Target(name, layout, str(parameter.dtype).removeprefix("torch."), place), parameter, "")


def _reading(module: nn.Module, leaf: str, parameter: nn.Parameter) -> Reading | str:
    for kinds, read in READERS:
        if isinstance(module, kinds):
            found = read(module, leaf, tuple(parameter.shape))
            if found is not None:
                return found
    return f"{type(module).__name__} does not say how it uses {leaf}"


def _dense(module: Any, leaf: str, shape: tuple[int, ...]) -> Reading | None:  # noqa: ANN401
    weight = WeightLayout.dense(tuple(module.weight.shape))
    return _weight_or_bias(leaf, shape, weight)


def _convolution(module: Any, leaf: str, shape: tuple[int, ...]) -> Reading | None:  # noqa: ANN401
    weight = WeightLayout.convolution(
        tuple(module.weight.shape), module.groups, module.stride, transposed=module.transposed
    )
    return _weight_or_bias(leaf, shape, weight)


def _weight_or_bias(leaf: str, shape: tuple[int, ...], weight: WeightLayout) -> Reading | None:
    if leaf == "weight":
        return weight, Place()
    return (_shift(shape), Place(weight=weight)) if leaf == "bias" else None


def _bilinear(module: Any, leaf: str, shape: tuple[int, ...]) -> Reading | None:  # noqa: ANN401
    # to one of the two inputs the other one is what taps are: each output sums over it, and so does each gradient
    return _weight_or_bias(leaf, shape, WeightLayout(tuple(module.weight.shape), (0,), (1,), spatial=(2,)))


def _embedding(_module: Any, leaf: str, shape: tuple[int, ...]) -> Reading | None:  # noqa: ANN401
    return (WeightLayout.embedding(shape), Place(role="embedding")) if leaf == "weight" else None


def _norm(_module: Any, leaf: str, shape: tuple[int, ...]) -> Reading | None:  # noqa: ANN401
    kind = {"weight": Kind.SCALE, "bias": Kind.SHIFT}.get(leaf)
    return None if kind is None else (WeightLayout(shape, tuple(range(len(shape))), kind=kind), Place())


def _recurrent(module: Any, leaf: str, shape: tuple[int, ...]) -> Reading | None:  # noqa: ANN401
    gates = next(found for kind, found in GATES.items() if isinstance(module, kind))
    hidden = module.hidden_size
    if leaf.startswith("weight_hr"):  # the projection of an LSTM's output
        return WeightLayout.dense(shape), Place()
    place = Place(gates=gates, hidden=hidden, role="recurrent" if "_hh" in leaf else None)
    parts = (hidden,) * len(gates) if len(gates) > 1 else ()
    if leaf.startswith("weight_"):
        return WeightLayout(shape, (0,), (1,), parts=parts), place
    return (WeightLayout(shape, (0,), kind=Kind.SHIFT, parts=parts), place) if leaf.startswith("bias_") else None


def _attention(module: Any, leaf: str, shape: tuple[int, ...]) -> Reading | None:  # noqa: ANN401
    if leaf == "in_proj_weight":
        return WeightLayout(shape, (0,), (1,), parts=(module.embed_dim,) * 3), Place()
    if leaf in {"q_proj_weight", "k_proj_weight", "v_proj_weight"}:
        return WeightLayout.dense(shape), Place()
    return (_shift(shape), Place()) if leaf == "in_proj_bias" else None


def _slope(_module: Any, leaf: str, shape: tuple[int, ...]) -> Reading | None:  # noqa: ANN401
    return (WeightLayout(shape, (0,), kind=Kind.OTHER), Place()) if leaf == "weight" else None


def _shift(shape: tuple[int, ...]) -> WeightLayout:
    return WeightLayout(shape, tuple(range(len(shape))), kind=Kind.SHIFT)


READERS: Final[tuple[tuple[Any, Callable[[Any, str, tuple[int, ...]], Reading | None]], ...]] = (
    (nn.Linear, _dense),
    (nn.Bilinear, _bilinear),
    (CONVOLUTIONS, _convolution),
    ((nn.Embedding, nn.EmbeddingBag), _embedding),
    (NORMS, _norm),
    (tuple(GATES), _recurrent),
    (nn.MultiheadAttention, _attention),
    (nn.PReLU, _slope),
)
"""How modules of PyTorch use their parameters; classes made from these use them alike."""


def fill(parameter: torch.Tensor, values: Any) -> None:  # noqa: ANN401
    """Write an array into a parameter, rounded to its type, on its device."""
    with torch.no_grad():
        parameter.copy_(torch.from_numpy(values))
