"""Low-rank pairs that take over the principal singular values of the weight beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from justright.adapters.base import Job
from justright.errors import InputError

__all__ = ["Pissa"]

Row = tuple[str, float, float]


@dataclass(frozen=True)
class _Pair:
    """A pair of matrices with the weight that it adapts."""

    name: str
    first: Tensor
    second: Tensor
    weight: Tensor
    scaling: float


class Pissa:
    """Moves the principal singular values of one weight in each step."""

    def __init__(self, model: nn.Module, _jobs: Sequence[Job], scheme: Any) -> None:  # noqa: ANN401
        self.pairs = _pairs(model, float(scheme.scaling))
        self.total = len(self.pairs)
        self.memory: dict[str, Any] = {"rows": []}

    @property
    def rows(self) -> list[Row]:
        """Norms of the adapted weights before and after."""
        return [tuple(row) for row in self.memory["rows"]]

    def step(self, index: int) -> None:
        """Decompose one weight, in double precision."""
        pair = self.pairs[index]
        weight, rank = pair.weight.data.double(), len(pair.first)
        u, s, v = torch.linalg.svd(weight, full_matrices=False)
        root = s[:rank].sqrt()
        pair.first.data.copy_(root[:, None] * v[:rank])
        pair.second.data.copy_(u[:, :rank] * root / pair.scaling)
        product = pair.second.data.double() @ pair.first.data.double()  # as stored, so that the sum is what it was
        pair.weight.data.copy_(weight - pair.scaling * product)
        self.memory["rows"].append((pair.name, float(weight.norm()), float(pair.weight.data.double().norm())))


def _pairs(model: nn.Module, scaling: float) -> list[_Pair]:
    """Return the pairs of a model: parameters with lora_a and lora_b in their names, beside one weight."""
    named = {name: each for name, each in model.named_parameters() if each.ndim == 2}  # noqa: PLR2004  matrices
    firsts = [name for name in named if "lora_a" in name.lower()]
    if not firsts:
        raise InputError("a model without lora_A and lora_B", where="calibrate",
                         expected="pairs of matrices with these in their names", try_="jr.initialize")  # fmt: skip
    return [_pair(model, named, name, scaling) for name in firsts]


def _pair(model: nn.Module, named: Mapping[str, Tensor], name: str, scaling: float) -> _Pair:
    at = name.lower().index("lora_a")
    partner = f"{name[: at + 5]}{'b' if name[at + 5] == 'a' else 'B'}{name[at + 6 :]}"
    owner, first = name[:at].rstrip("."), named[name]
    shape = (named[partner].shape[0], first.shape[1]) if partner in named else None
    found = [
        key for key, each in named.items()
        if key.startswith(f"{owner}." if owner else "") and "lora_" not in key.lower() and each.shape == shape
    ]  # fmt: skip
    if len(found) != 1 or len(first) > min(shape or ()):
        raise InputError(
            f"{len(found)} weights beside a pair of rank {len(first)}", where=name,
            expected=f"{partner}, and one weight of no smaller rank in {owner or 'the model'}", try_="lora",
        )  # fmt: skip
    return _Pair(found[0], first, named[partner], named[found[0]], scaling or _scaling(model, owner, name))


def _scaling(model: nn.Module, owner: str, name: str) -> float:
    """Return the attribute of the layer: a number, or one for each adapter by its name; one if there is none."""
    known = getattr(model.get_submodule(owner), "scaling", 1.0)
    if isinstance(known, Mapping):
        known = next((value for adapter, value in known.items() if f".{adapter}." in name), 1.0)
    return float(known)
