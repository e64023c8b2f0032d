"""Losses by name, and the one that is used when none was given."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import torch
import torch.nn.functional as F  # noqa: N812  the field's usual name for it

from justright.errors import LossError

__all__ = ["LOSSES", "OWN", "PROBE", "Score", "floating_outputs", "main_output", "scoring"]


class Score:
    """From an output to the scalar that gradients start from.

    Parameters
    ----------
    function
        Returns the scalar and what it is.

    Attributes
    ----------
    used
        What the last scalar was, in a few words.
    """

    def __init__(self, function: Callable[[Any], tuple[torch.Tensor, str]]) -> None:
        self._function = function
        self.used = ""

    def __call__(self, output: Any) -> torch.Tensor:  # noqa: ANN401
        """Score an output."""
        value, self.used = self._function(output)
        return value


def _cross_entropy(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Cross-entropy with classes on the last axis of a sequence, on axis 1 of everything else."""
    if target.dtype.is_floating_point or output.dim() != target.dim() + 1 or output.dim() < 3:  # noqa: PLR2004
        return F.cross_entropy(output, target)
    if output.shape[:-1] == target.shape:
        return F.cross_entropy(output.flatten(0, -2), target.flatten())
    return F.cross_entropy(output, target)


LOSSES: Final[dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]]] = {
    "cross_entropy": _cross_entropy,
    "nll": F.nll_loss,
    "mse": F.mse_loss,
    "l1": F.l1_loss,
    "huber": F.huber_loss,
    "bce": F.binary_cross_entropy,
    "bce_with_logits": F.binary_cross_entropy_with_logits,
}
"""Losses of (output, target) by name."""

REFUSING = ("cross_entropy", "bce", "bce_with_logits")
"""Losses that refuse integers of the output's own shape, such as one-hot classes."""

OWN = "the model's own (output.loss)"
PROBE = "a fixed random direction of unit norm at the output"


def floating_outputs(output: Any) -> Iterator[torch.Tensor]:  # noqa: ANN401
    """Yield the floating-point tensors in an output: tensors, sequences, mappings, dataclasses."""
    if isinstance(output, torch.Tensor):
        if output.is_floating_point() or output.is_complex():
            yield output
    elif isinstance(output, Mapping):
        for value in output.values():
            yield from floating_outputs(value)
    elif isinstance(output, list | tuple):
        for value in output:
            yield from floating_outputs(value)
    elif dataclasses.is_dataclass(output) and not isinstance(output, type):
        for part in dataclasses.fields(output):
            yield from floating_outputs(getattr(output, part.name))


def main_output(output: Any) -> torch.Tensor:  # noqa: ANN401
    """Return the tensor a loss reads: ``.logits`` if there is one, else the first floating-point tensor.

    Raises
    ------
    LossError
        If the output holds no floating-point tensor.
    """
    logits = getattr(output, "logits", None)
    found = logits if isinstance(logits, torch.Tensor) else next(floating_outputs(output), None)
    if found is None:
        raise LossError(
            _described(output),
            where="output of the model",
            expected="at least one floating-point tensor",
            try_="return the scores before argmax or rounding",
        )
    return found


def scoring(loss: Any, target: Any, batch: Any) -> Score:  # noqa: ANN401
    """Make the function from an output to the scalar that gradients start from.

    Parameters
    ----------
    loss
        A callable of (output, target), a name from `LOSSES`, or ``None`` to choose one: by the dtype of the target;
        without a target the model's own, and if it has none, a fixed random direction at the output.
    target
        What the loss compares with; ``None`` if there is none.
    batch
        What a callable gets in place of a missing target: the batch itself.

    Raises
    ------
    LossError
        If the name is unknown or the named loss has no target.
    """
    if callable(loss):
        against = batch if target is None else target
        name = getattr(loss, "__name__", type(loss).__name__)
        return Score(lambda output: (_scalar(_scored(loss, output, against)), name))
    if loss is not None and not isinstance(loss, str):
        raise LossError(_described(loss), where="loss", expected=f"a callable or one of {', '.join(LOSSES)}")
    if loss is None and target is None:
        return Score(_own_or_probe)
    name = loss or ("mse" if target.dtype.is_floating_point else "cross_entropy")
    return _named(name, target, "" if loss else " (chosen by the target's dtype)")


def _readable(output: Any, target: torch.Tensor) -> torch.Tensor:  # noqa: ANN401
    """Return the target as a loss of scores takes it: integers of the output's own shape are shares of classes.

    PyTorch refuses them; the run goes on with them as floating-point numbers, and a diagnostic tells.
    """
    scores = main_output(output)
    refused = not target.dtype.is_floating_point and target.shape == scores.shape and scores.dim() > 1
    return target.to(scores.dtype) if refused else target


def _as_it_is(_output: Any, target: torch.Tensor) -> torch.Tensor:  # noqa: ANN401
    return target


def _scored(loss: Callable[..., Any], output: Any, against: Any) -> Any:  # noqa: ANN401
    """Compute a loss of the user's; PyTorch's own classification losses get a target that they do not refuse."""
    refusing = torch.nn.CrossEntropyLoss | torch.nn.BCELoss | torch.nn.BCEWithLogitsLoss
    if isinstance(loss, refusing) and isinstance(against, torch.Tensor):
        return loss(output, _readable(output, against))
    return loss(output, against)


def _named(name: str, target: Any, note: str) -> Score:  # noqa: ANN401
    if name not in LOSSES:
        near = difflib.get_close_matches(name, LOSSES, n=1)
        raise LossError(f"{name!r}", where="loss", expected=f"one of {', '.join(LOSSES)}", try_="".join(near))
    if target is None:
        raise LossError(
            f"{name!r} without a target", where="loss", expected="something to compare the output with",
            try_="give the batch as (inputs, target)",
        )  # fmt: skip
    read = _readable if name in REFUSING else _as_it_is
    return Score(lambda output: (_scalar(LOSSES[name](main_output(output), read(output, target))), name + note))


def _own_or_probe(output: Any) -> tuple[torch.Tensor, str]:  # noqa: ANN401
    own = output.get("loss") if isinstance(output, Mapping) else getattr(output, "loss", None)
    if isinstance(own, torch.Tensor) and own.numel() == 1:
        return own.reshape(()) if own.dim() else own, OWN
    found = main_output(output)
    if found.numel() == 1:
        return found.reshape(()), "the model's output, a single number"
    # Signs from a generator of its own: the same at every run, and no draw from the user's generators.
    signs = torch.randint(0, 2, found.shape, generator=torch.Generator().manual_seed(0)).to(found.device)
    return (found.float() * (2.0 * signs - 1.0)).sum() / found.numel() ** 0.5, PROBE


def _scalar(value: Any) -> torch.Tensor:  # noqa: ANN401
    if isinstance(value, torch.Tensor) and value.numel() == 1 and value.is_floating_point():
        return value.reshape(()) if value.dim() else value
    raise LossError(
        _described(value),
        where="loss",
        expected="a scalar floating-point tensor",
        try_='reduce it: reduction="mean", or .mean() at the end',
    )


def _described(value: Any) -> str:  # noqa: ANN401
    if isinstance(value, torch.Tensor):
        return f"a tensor of shape {tuple(value.shape)} and dtype {str(value.dtype).removeprefix('torch.')}"
    return f"a {type(value).__name__}"
