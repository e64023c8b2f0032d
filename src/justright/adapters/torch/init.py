"""The functions of `torch.nn.init`, in place, over this package's schemes.

Names, signatures and distributions are PyTorch's, so that ``from justright.torch import init`` replaces
``from torch.nn import init``. What differs: numbers are drawn in float32 and rounded to the tensor's type, every
function with a generator draws from it alone (`sparse_` too), orthogonal matrices come in half precision, and gains
exist for every activation. One number is taken from the generator a call; the rest follows ``docs/streams.md``.
"""

from __future__ import annotations

import math
import warnings
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from justright.core.layout import WeightLayout
from justright.core.streams import Stream
from justright.errors import CatalogueError
from justright.initializers.base import INITIALIZERS, SchemeError, Target
from justright.initializers.gains import gain as exact_gain
from justright.initializers.laws import Law, Normal, Truncated, Uniform
from justright.initializers.structured import centre, haar, passing

__all__ = [
    "calculate_gain",
    "constant_",
    "dirac_",
    "eye_",
    "kaiming_normal_",
    "kaiming_uniform_",
    "normal_",
    "ones_",
    "orthogonal_",
    "sparse_",
    "trunc_normal_",
    "uniform_",
    "xavier_normal_",
    "xavier_uniform_",
    "zeros_",
]

Generator = torch.Generator | None

FIXED: Final = {
    **dict.fromkeys(("linear", "sigmoid", *(f"conv{t}{n}d" for t in ("", "_transpose") for n in (1, 2, 3))), 1.0),
    "relu": math.sqrt(2.0),  # He et al. 2015, equation 10
    "tanh": 5.0 / 3.0,  # torch.nn.init.calculate_gain; the integral gives 1.5925
    "selu": 3.0 / 4.0,  # the same; the integral gives 1
}
"""Gains that PyTorch fixes; all others are integrals over a Gaussian."""

MATRIX: Final = 2
"""Axes of a matrix: with fewer there are no fans."""

SLOPE: Final = 0.01  # torch.nn.LeakyReLU: negative_slope


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """Return PyTorch's gain of a nonlinearity it knows, and the exact one of any other activation.

    Parameters
    ----------
    nonlinearity
        ``"relu"``, ``"leaky_relu"``, ``"gelu"`` and so on.
    param
        Negative slope, for ``"leaky_relu"``.

    Raises
    ------
    SchemeError
        If there is no such activation, or the slope is no number.
    """
    if nonlinearity == "leaky_relu":
        if param is not None and (isinstance(param, bool) or not isinstance(param, int | float)):
            raise SchemeError(repr(param), where="negative slope", expected="a number", try_="0.01")
        return math.sqrt(2.0 / (1.0 + (SLOPE if param is None else param) ** 2))
    if nonlinearity in FIXED:
        return FIXED[nonlinearity]
    try:
        return exact_gain(nonlinearity)
    except CatalogueError as error:
        raise SchemeError(
            repr(nonlinearity), where="nonlinearity", expected="an activation", try_=error.try_
        ) from error


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator = None) -> Tensor:
    """Fill with U(a, b)."""
    return _filled(tensor, Uniform(float(a), float(b)), generator)


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator = None) -> Tensor:
    """Fill with N(mean, std²)."""
    return _filled(tensor, Normal(float(mean), float(std)), generator)


def trunc_normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0, generator: Generator = None
) -> Tensor:
    """Fill with N(mean, std²) given that it lies between `a` and `b`: absolute numbers, not standard deviations."""
    return _filled(tensor, Truncated(float(mean), float(std), float(a), float(b)), generator)


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Fill with a value."""
    with torch.no_grad():
        return tensor.fill_(val)


def ones_(tensor: Tensor) -> Tensor:
    """Fill with ones."""
    return constant_(tensor, 1.0)


def zeros_(tensor: Tensor) -> Tensor:
    """Fill with zeros."""
    return constant_(tensor, 0.0)


def eye_(tensor: Tensor) -> Tensor:
    """Fill a matrix with the identity, or with as much of it as fits."""
    _of_rank(tensor, (2,), "a matrix")
    return _written(tensor, np.eye(*tensor.shape, dtype=np.float32))


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """Fill a kernel so that the convolution passes as many channels of each group on as it can."""
    _of_rank(tensor, (3, 4, 5), "the kernel of a convolution")
    outputs, inputs, *kernel = tensor.shape
    if outputs % groups:
        raise SchemeError(f"{outputs} outputs", where="dirac_", expected=f"a multiple of {groups}", try_="groups=1")
    layout = WeightLayout.convolution(tuple(tensor.shape), groups)
    extent = (1, groups, outputs // groups, inputs, math.prod(kernel))
    return _written(tensor, layout.restored(passing(extent, centre(Target("", layout)))))


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Generator = None) -> Tensor:
    """Fill with U(±b), ``b = gain sqrt(6 / (fan_in + fan_out))``."""
    return _schemed(tensor, "xavier_uniform", generator, gain=float(gain))


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator = None) -> Tensor:
    """Fill with N(0, std²), ``std = gain sqrt(2 / (fan_in + fan_out))``."""
    return _schemed(tensor, "xavier_normal", generator, gain=float(gain))


def kaiming_uniform_(
    tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Generator = None
) -> Tensor:
    """Fill with U(±b), ``b = gain sqrt(3 / fan)``."""
    return _kaiming(tensor, a, mode, nonlinearity, "uniform", generator)


def kaiming_normal_(
    tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Generator = None
) -> Tensor:
    """Fill with N(0, std²), ``std = gain / sqrt(fan)``."""
    return _kaiming(tensor, a, mode, nonlinearity, "normal", generator)


def orthogonal_(tensor: Tensor, gain: float = 1, generator: Generator = None) -> Tensor:
    """Fill with a random orthogonal matrix, or with orthonormal rows or columns, times `gain`."""
    if tensor.ndim < MATRIX:
        raise SchemeError(_shape(tensor), where="orthogonal_", expected="two axes or more", try_="normal_")
    if not tensor.numel():
        return tensor
    rows, columns = tensor.shape[0], tensor.numel() // tensor.shape[0]
    return _written(tensor, gain * haar(_stream(generator), 0, 1, rows, columns).reshape(tuple(tensor.shape)))


def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, generator: Generator = None) -> Tensor:
    """Fill a matrix with N(0, std²), and the share `sparsity` of every column, rounded up, with zeros."""
    _of_rank(tensor, (2,), "a matrix")
    stream = _stream(generator)
    rows, columns = tensor.shape
    weight = Normal(0.0, float(std)).draw(stream.words(0, rows * columns)).reshape(columns, rows).T.copy()
    order = np.argsort(stream.beside(1).words(0, rows * columns).reshape(columns, rows).T, axis=0, kind="stable")
    np.put_along_axis(weight, order[: math.ceil(sparsity * rows)], 0.0, axis=0)
    return _written(tensor, weight)


def _kaiming(tensor: Tensor, a: float, mode: str, nonlinearity: str, law: str, generator: Generator) -> Tensor:
    if 0 in tensor.shape:
        warnings.warn("a tensor without elements is left as it is", UserWarning, stacklevel=3)
        return tensor
    scale = calculate_gain(nonlinearity, a) ** 2
    return _schemed(tensor, "variance_scaling", generator, scale=scale, mode=mode.lower(), distribution=law)


def _schemed(tensor: Tensor, name: str, generator: Generator, **parameters: float | str) -> Tensor:
    if tensor.ndim < MATRIX:
        raise SchemeError(_shape(tensor), where=name, expected="two axes or more, for fans", try_="normal_")
    if not tensor.numel():
        return tensor
    shape = tuple(tensor.shape)
    layout = WeightLayout.dense(shape) if len(shape) == MATRIX else WeightLayout.convolution(shape)
    made = INITIALIZERS[name](**parameters)
    return _written(tensor, made.sample(Target("", layout), _stream(generator)))


def _filled(tensor: Tensor, law: Law, generator: Generator) -> Tensor:
    return _written(tensor, law.draw(_stream(generator).words(0, tensor.numel())).reshape(tuple(tensor.shape)))


def _stream(generator: Generator) -> Stream:
    """Return the stream that one number of the generator, or of PyTorch's own, chooses."""
    device = "cpu" if generator is None else generator.device
    return Stream.of(int(torch.empty((), dtype=torch.int64, device=device).random_(generator=generator)), "")


def _written(tensor: Tensor, values: NDArray[np.floating]) -> Tensor:
    with torch.no_grad():
        return tensor.copy_(torch.from_numpy(np.ascontiguousarray(values)))


def _of_rank(tensor: Tensor, ranks: tuple[int, ...], what: str) -> None:
    if tensor.ndim not in ranks:
        raise SchemeError(_shape(tensor), where="tensor", expected=what, try_="a tensor with the axes it needs")


def _shape(tensor: Tensor) -> str:
    return f"a tensor of shape {list(tensor.shape)}"
