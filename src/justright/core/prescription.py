"""A prescription: for every parameter of a network the scheme that it is to be filled by, with the reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, Final

from justright.core.layout import Kind, WeightLayout
from justright.core.place import NOWHERE, Place
from justright.errors import InputError

__all__ = ["Line", "Prescription"]

VERSION: Final = 1
"""Of the plain form; a plan of another version is refused."""

LISTS: Final = ("outputs", "inputs", "spatial", "copies", "parts", "stride")


@dataclass(frozen=True)
class Line:
    """What one parameter is to get.

    Parameters
    ----------
    name
        Of the parameter, by the first name it has in the model.
    shape
        As stored.
    scheme
        As it is written, ``"normal(std=0.05)"``; empty where the parameter is left as it is.
    because
        The reason.
    layout, place
        How the network uses the parameter, so that the scheme needs no trace of the network again.
    std
        Standard deviation that the scheme declares.
    """

    name: str
    shape: tuple[int, ...]
    scheme: str = ""
    because: str = ""
    layout: WeightLayout | None = None
    place: Place = NOWHERE
    std: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, without what is the default."""
        plain: dict[str, Any] = {"shape": list(self.shape), "scheme": self.scheme or None, "because": self.because}
        if self.scheme and self.layout is not None:
            plain["layout"] = _layout_to_dict(self.layout)
            place = _place_to_dict(self.place)
            plain.update({"place": place} if place else {})
        return plain

    @classmethod
    def from_dict(cls, name: str, plain: Mapping[str, Any]) -> Line:
        """Return a line from plain data, or raise `InputError` if that is none."""
        _known(plain, {"shape", "scheme", "because", "layout", "place"}, name)
        if "shape" not in plain:
            raise InputError("no shape", where=f"plan, {name}", expected="the shape of the parameter")
        shape = tuple(int(length) for length in plain["shape"])
        scheme, because = str(plain.get("scheme") or ""), str(plain.get("because", ""))
        layout = plain.get("layout")
        read = None if layout is None else _layout_from_dict(shape, layout, name)
        return cls(name, shape, scheme, because, read, _place_from_dict(plain.get("place", {}), name))


@dataclass(frozen=True)
class Prescription:
    """What all parameters of a network are to get.

    Parameters
    ----------
    scheme
        By which it was made.
    lines
        One for each parameter, in the order of the model.
    said
        What holds for the whole.
    """

    scheme: str
    lines: tuple[Line, ...]
    said: tuple[str, ...] = field(default=())

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        parameters = {line.name: line.to_dict() for line in self.lines}
        return {"version": VERSION, "scheme": self.scheme, "said": list(self.said), "parameters": parameters}

    @classmethod
    def from_dict(cls, plain: Any) -> Prescription:  # noqa: ANN401  whatever a file holds
        """Return a prescription from plain data, or raise `InputError` if that is none.

        Examples
        --------
        >>> plan = Prescription("zeros", (Line("0.bias", (3,), "zeros", "a bias"),))
        >>> Prescription.from_dict(plan.to_dict()) == plan
        True
        """
        if not isinstance(plain, Mapping) or not isinstance(plain.get("parameters"), Mapping):
            raise InputError(type(plain).__name__, where="plan", expected="a mapping with version, scheme, parameters")
        _known(plain, {"version", "scheme", "said", "parameters"}, "the whole")
        if plain.get("version") != VERSION:
            raise InputError(f"version {plain.get('version')!r}", where="plan", expected=f"version {VERSION}")
        lines = tuple(Line.from_dict(str(name), each) for name, each in plain["parameters"].items())
        return cls(str(plain.get("scheme", "")), lines, tuple(map(str, plain.get("said", ()))))

    def __str__(self) -> str:
        """Return a line for every parameter: scheme and reason."""
        width = max((len(line.name) for line in self.lines), default=0)
        wide = max((len(line.scheme) for line in self.lines), default=0)
        rows = [f"{line.name:<{width}}  {line.scheme or '-':<{wide}}  {line.because}".rstrip() for line in self.lines]
        return "\n".join([*rows, *self.said])


def _known(plain: Mapping[str, Any], keys: set[str], where: str) -> None:
    unknown = sorted(set(map(str, plain)) - keys)
    if unknown:
        raise InputError(
            f"the key {unknown[0]!r}", where=f"plan, {where}", expected=f"one of {', '.join(sorted(keys))}"
        )


def _layout_to_dict(layout: WeightLayout) -> dict[str, Any]:
    plain: dict[str, Any] = {name: list(getattr(layout, name)) for name in LISTS if getattr(layout, name)}
    plain.update({"kind": layout.kind.value} if layout.kind is not Kind.MATRIX else {})
    plain.update({"groups": layout.groups} if layout.groups != 1 else {})
    plain.update({"transposed": True} if layout.transposed else {})
    return plain


def _layout_from_dict(shape: tuple[int, ...], plain: Mapping[str, Any], where: str) -> WeightLayout:
    _known(plain, {*LISTS, "kind", "groups", "transposed"}, f"{where}, layout")
    found: dict[str, Any] = {name: tuple(int(each) for each in plain[name]) for name in LISTS if name in plain}
    axes = [axis for name in ("outputs", "inputs", "spatial", "copies") for axis in found.get(name, ())]
    if any(not 0 <= axis < len(shape) for axis in axes) or len(set(axes)) < len(axes):
        raise InputError(f"axes {axes}", where=f"plan, {where}, layout", expected=f"axes of the shape {list(shape)}")
    kind = Kind(plain.get("kind", Kind.MATRIX.value))
    groups, transposed = int(plain.get("groups", 1)), bool(plain.get("transposed", False))
    return WeightLayout(shape, **found, kind=kind, groups=groups, transposed=transposed)


def _place_to_dict(place: Place) -> dict[str, Any]:
    """Return what is known of a place in plain numbers and words; functions and other layouts are left out."""
    known = {each.name: getattr(place, each.name) for each in fields(place)}
    plain: dict[str, Any] = {name: value for name, value in known.items() if isinstance(value, str | int | float)}
    plain.update({"attributes": dict(place.attributes)} if place.attributes else {})
    plain.update({"gates": list(place.gates)} if place.gates else {})
    plain.update(
        {"weight": {"shape": list(place.weight.shape), **_layout_to_dict(place.weight)}} if place.weight else {}
    )
    return plain


def _place_from_dict(plain: Mapping[str, Any], where: str) -> Place:
    names = {each.name for each in fields(Place)} - {"also"}
    _known(plain, names, f"{where}, place")
    found = dict(plain)
    if "gates" in found:
        found["gates"] = tuple(found["gates"])
    if "attributes" in found:
        found["attributes"] = MappingProxyType(dict(found["attributes"]))
    if "weight" in found:
        weight = dict(found["weight"])
        shape = tuple(int(length) for length in weight.pop("shape"))
        found["weight"] = _layout_from_dict(shape, weight, f"{where}, place, weight")
    return Place(**found)
