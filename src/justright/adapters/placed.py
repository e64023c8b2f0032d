"""Parameters with their places: what their modules say of them, and what only the traced graph does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from typing import Any

from justright.adapters.base import Adapter
from justright.core.inputs import parse_input
from justright.core.layout import WeightLayout
from justright.core.place import NOWHERE, Place
from justright.core.places import places
from justright.core.uses import readings
from justright.initializers.target import Target

__all__ = ["placed"]


def placed(adapter: Adapter, model: Any, batch: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401
    """Yield every parameter with what the traced graph says of it, beside what its module says.

    Parameters
    ----------
    adapter
        Of the model's framework.
    model
        The model.
    batch
        Data that it runs on, or their specification as a string.
    """
    graph = adapter.trace(adapter.prepare(model, parse_input(batch) if isinstance(batch, str) else batch))
    known, used = places(graph), {name: each for each in graph.parameters for name in (each.name, *each.aliases)}
    for name, (target, parameter, unknown) in adapter.holders(model):
        entry = used.get(name)
        place = NOWHERE if entry is None else known.get(entry.name, NOWHERE)
        found = () if entry is None else readings(graph, entry)
        if target is None and len(found) == 1 and found[0] is not None and entry is not None:
            yield name, (Target(name, found[0], graph.sites[entry.site].dtype, place), parameter, "")
        elif target is None:
            yield name, (None, parameter, unknown)
        else:
            yield name, (_read(target, place, [each for each in found if each is not None]), parameter, unknown)


def _read(target: Target, place: Place, found: Sequence[WeightLayout]) -> Target:
    """Add to what the module of a parameter knows what only the graph does: its place, its parts, its other uses."""
    same = [each for each in found if replace(each, parts=target.layout.parts) == target.layout]
    also = tuple(each for each in found if each not in same and len(found) > 1)
    parts = target.layout.parts or next((each.parts for each in same), ())
    return replace(
        target, layout=replace(target.layout, parts=parts), place=replace(_merged(target.place, place), also=also)
    )


def _merged(own: Place, read: Place) -> Place:
    """Return a place with what its module knows, and what only the graph does."""
    known = {each.name: getattr(own, each.name) for each in fields(own) if getattr(own, each.name) not in (None, {})}
    return replace(read, **known)
