"""Networks with a known verdict, which every framework's adapter may contribute: the entries of the zoo."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from justright.registry import Catalogue

__all__ = ["NETWORKS", "Build", "Network", "Shelf"]

Build = Callable[[int], tuple[Any, Any, Any]]
"""From a seed to (model, batch, loss), as `justright.check` takes them."""

NETWORKS: Catalogue[Network] = Catalogue("network", package="justright.adapters.torch.zoo")
"""Networks by name. Third parties add theirs through the entry point group of that package's name."""


@dataclass(frozen=True)
class Network:
    """One small network with the verdict that it deserves.

    Parameters
    ----------
    name
        Unique name, ``"mlp/sigmoid-20"``.
    family
        Kind of architecture, ``"mlp"``.
    build
        From a seed to (model, batch, loss). Leaves the framework's random state as it was.
    fault
        Code of the diagnostic that must be the first error or warning; ``None`` for a healthy network.
    note
        What makes it worth having, in a sentence.
    needs
        Packages that building it imports.
    twin
        Name of the healthy network that is this one but for its fault, beside which it trains worse; empty if it does
        not learn at all.
    dtype
        Dtype in which it does not learn, ``"float16"``; empty if the dtype is not what breaks it.
    optimizer
        From the model's trainable parameters to the optimizer it comes with; ``None`` if its verdict does not depend
        on one.
    """

    name: str
    family: str
    build: Build
    fault: str | None = None
    note: str = ""
    needs: tuple[str, ...] = ()
    twin: str = ""
    dtype: str = ""
    optimizer: Callable[[Any], Any] | None = None

    @property
    def healthy(self) -> bool:
        """Whether it trains as it stands."""
        return self.fault is None

    @property
    def available(self) -> bool:
        """Whether the packages that it needs are installed."""
        return all(importlib.util.find_spec(package) is not None for package in self.needs)


class Shelf:
    """The networks of one family, added one by one.

    Parameters
    ----------
    family
        Kind of architecture; also the first part of every name.
    prepare
        Wraps every build, to seed the framework and to leave its random state as it was.
    needs
        Packages that building any of them imports.

    Examples
    --------
    >>> shelf = Shelf("toy", prepare=lambda build: build)
    >>> @shelf.healthy("one", "a toy")
    ... def build(seed):
    ...     return ("model", "batch", "loss")
    >>> NETWORKS["toy/one"].healthy
    True
    >>> del NETWORKS._entries["toy/one"]
    """

    def __init__(self, family: str, *, prepare: Callable[[Build], Build], needs: tuple[str, ...] = ()) -> None:
        self.family = family
        self._prepare = prepare
        self._needs = needs

    def healthy(self, name: str, note: str, **more: Any) -> Callable[[Build], Build]:  # noqa: ANN401
        """Add the decorated build as a network that trains; `more` as in `Network`."""
        return self._adding(name, None, note, more)

    def sick(self, name: str, fault: str, note: str, **more: Any) -> Callable[[Build], Build]:  # noqa: ANN401
        """Add the decorated build as a network that has this fault; `more` as in `Network`."""
        return self._adding(name, fault, note, more)

    def _adding(self, name: str, fault: str | None, note: str, more: dict[str, Any]) -> Callable[[Build], Build]:
        def add(build: Build) -> Build:
            full = f"{self.family}/{name}"
            network = Network(full, self.family, self._prepare(build), fault, note, self._needs, **more)
            NETWORKS.register(full, network)
            return build

        return add
