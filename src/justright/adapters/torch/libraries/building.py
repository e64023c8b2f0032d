"""Building a library's model with care: offline, and only if it fits into memory."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch.utils._python_dispatch import _disable_current_modes

from justright.adapters.torch.weightless import weightless
from justright.errors import BackendError, JustRightError, ModelError

__all__ = ["build", "offline"]


@contextmanager
def offline() -> Iterator[None]:
    """Keep the Hugging Face client from the network while the context is open: weights are never downloaded."""
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def build(make: Callable[[], torch.nn.Module], where: str, *, values: bool = True) -> torch.nn.Module:
    """Build a model if its weights and their gradients fit into memory.

    Parameters
    ----------
    make
        Builds it; also called on the meta device, to count parameters without memory.
    where
        Source of the model, for messages.
    values
        Whether its parameters have values; of shapes alone any model fits.

    Raises
    ------
    ModelError
        If it does not fit, or the library refuses to build it.
    BackendError
        If the library needs another package for it.
    """
    with _put_into_words(where), offline():
        if not values:
            return weightless(make)
        _refuse_too_large(make, where)
        return make()


@contextmanager
def _put_into_words(where: str) -> Iterator[None]:
    """Make one error of whatever a library's constructors raise, which share no base class."""
    try:
        yield
    except JustRightError:
        raise
    except ImportError as error:
        raise _missing(error, where) from error
    except Exception as error:
        raise ModelError(
            f"{type(error).__name__}: {str(error).strip()}", where=where, expected="options that build a model",
            try_="correct the options; --debug shows where the library refused",
        ) from error  # fmt: skip


def _missing(error: ImportError, where: str) -> BackendError:
    """Name the package that a library's message asks for, with the command that the message holds."""
    said = " ".join(str(error).split())
    command = re.search(r"`(pip install [^`]+)`", said)
    return BackendError(
        said.partition(" You can install")[0] or "a package that is missing", where=where,
        expected="every package that this model needs, and those that they need in turn",
        try_=command[1] if command else "",
    )  # fmt: skip


def _refuse_too_large(make: Callable[[], torch.nn.Module], where: str) -> None:
    needed, free = 2 * _bytes(make), _free_bytes()  # every gradient takes as much as its parameter
    if needed > free:
        raise ModelError(
            f"{needed / 1e9:.0f} GB of weights and gradients", where=where,
            expected=f"at most the {free / 1e9:.0f} GB of memory that are free",
            try_="a smaller one of the same kind: fewer layers in the options after '?', such as num_hidden_layers=4",
        )  # fmt: skip


def _bytes(make: Callable[[], torch.nn.Module]) -> int:
    """Size of the parameters; 0 where a constructor computes with values, which the meta device does not have."""
    states = torch.get_rng_state()
    try:
        # Whoever watches tensors being filled must not see these: their memory is used again by the real ones.
        with _disable_current_modes(), torch.device("meta"):
            return sum(each.numel() * each.element_size() for each in make().parameters())
    except (RuntimeError, NotImplementedError, ValueError, TypeError):
        return 0
    finally:
        torch.set_rng_state(states)


def _free_bytes() -> float:
    if sys.platform == "linux":
        return float(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return float("inf")
