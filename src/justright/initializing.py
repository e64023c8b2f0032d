"""Initializing a network: every parameter by a named scheme, the same numbers wherever they are drawn."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from fnmatch import fnmatchcase
from typing import Any

from justright.adapters.base import adapter_of
from justright.adapters.placed import placed
from justright.core.layout import Kind, WeightLayout
from justright.core.streams import Stream
from justright.errors import InputError, ModelError
from justright.initializers.base import Initializer
from justright.initializers.multipliers import ONES, Multipliers
from justright.initializers.parsing import scheme as parsed
from justright.initializers.target import SchemeError, Target

__all__ = ["Filled", "Initialized", "Planned", "initialize", "planned"]

Scheme = str | Initializer

PLAIN: Mapping[Kind, str] = {Kind.SHIFT: "zeros", Kind.SCALE: "ones"}
"""What biases and gains get where a scheme is for weights: the identity of what they do."""


USES: Mapping[Kind, str] = {
    Kind.MATRIX: "a weight",
    Kind.LOOKUP: "a table",
    Kind.SHIFT: "a bias",
    Kind.SCALE: "a factor",
    Kind.OTHER: "something else",
}
"""How a parameter is used, in words."""


@dataclass(frozen=True, slots=True)
class Filled:
    """What became of one parameter.

    Parameters
    ----------
    name
        Of the parameter.
    shape
        As stored.
    scheme
        What it was filled by; empty where it was left as it was.
    std
        Standard deviation that the scheme declares.
    left
        Why it was left.
    notes
        What should be known of this parameter under its scheme.
    multipliers
        Factors on its output and its step size that belong to the scheme: training must apply them.
    """

    name: str
    shape: tuple[int, ...]
    scheme: str = ""
    std: float = 0.0
    left: str = ""
    notes: tuple[str, ...] = ()
    multipliers: Multipliers = ONES


@dataclass(frozen=True)
class Initialized:
    """What became of every parameter of a model.

    Parameters
    ----------
    rows
        One a parameter; a tied one is there once.
    seed
        Of the random numbers.
    """

    rows: tuple[Filled, ...]
    seed: int

    @property
    def left(self) -> Mapping[str, str]:
        """Parameters that were left as they were, with the reasons."""
        return {row.name: row.left for row in self.rows if row.left}

    def __str__(self) -> str:
        """Return a line for every parameter."""
        width = max((len(row.name) for row in self.rows), default=0)
        return "\n".join(
            f"{row.name:<{width}}  " + (f"left: {row.left}" if row.left else _said(row)) for row in self.rows
        )


def _said(row: Filled) -> str:
    factors = [(each.name, getattr(row.multipliers, each.name)) for each in fields(row.multipliers)]
    changed = [f"{name} x {value:.4g}" for name, value in factors if value != 1.0]
    return "; ".join([f"{row.scheme}  (std {row.std:.4g})", *changed, *row.notes])


def initialize(
    model: Any,  # noqa: ANN401
    scheme: Scheme | Mapping[str, Scheme],
    *,
    seed: int = 0,
    exclude: Iterable[str] = (),
    batch: Any = None,  # noqa: ANN401
) -> Initialized:
    """Set every parameter of a model by a scheme of the catalogue, in place.

    The numbers depend on the seed, the name of the parameter and the place of an element in it, and on nothing else:
    they are the same on every device, in every order and in every framework. Nothing is written before all is checked.

    Parameters
    ----------
    model
        A `torch.nn.Module`. A tied parameter is set once; one without ``requires_grad`` is left.
    scheme
        Name of a scheme, as ``"he_normal"`` or ``"truncated_normal(std=0.02)"`` (``justright initializers`` lists
        them), or an initializer; or a mapping from patterns of parameter names (``"*.mlp.*"``) to these, of which the
        first that matches counts. Where a scheme is for weights, biases become zero and gains of normalizations one.
    seed
        Of the random numbers.
    exclude
        Patterns of names of parameters to leave as they are.
    batch
        Data that the model runs on, in any form that `justright.check` takes, ``"8,512"`` included. From the operators
        that it passes follows where each parameter stands: which activation comes after it, in which residual branch
        it lies, and how parameters of modules that are not PyTorch's own are used.

    Returns
    -------
    Initialized
        What became of every parameter, and of those left alone why.

    Raises
    ------
    CatalogueError
        If the catalogue has no such scheme; the message suggests near ones.
    SchemeError
        If a scheme cannot serve a weight, or none of the parameters that it was named for.
    InputError
        If a pattern matches no parameter.
    ModelError
        If the model is none that is known, or a parameter has no values.

    Examples
    --------
    >>> import torch, justright as jr
    >>> model = torch.nn.Sequential(torch.nn.Linear(64, 256), torch.nn.ReLU(), torch.nn.Linear(256, 10))
    >>> print(jr.initialize(model, {"2.*": "zeros", "*": "he_normal"}, seed=1))
    0.weight  he_normal  (std 0.1768)
    0.bias    zeros  (std 0)
    2.weight  zeros  (std 0)
    2.bias    zeros  (std 0)
    """
    adapter = adapter_of(model)
    jobs = planned(adapter.holders(model) if batch is None else placed(adapter, model, batch), scheme, exclude)
    for job in jobs:
        if job.target is not None and job.made is not None:
            adapter.fill(job.parameter, job.made.sample(job.target, Stream.of(seed, job.target.name)))
    return Initialized(tuple(job.row for job in jobs), seed)


def planned(
    found: Iterable[tuple[str, Any]], scheme: Scheme | Mapping[str, Scheme], exclude: Iterable[str] = ()
) -> list[Planned]:
    """Return what each parameter is to be filled by, without doing so.

    Parameters
    ----------
    found
        Names with what is to be filled, the parameter, and why that is not known if it is not.
    scheme, exclude
        As for `initialize`.
    """
    rules = {pattern: parsed(each) for pattern, each in _mapping(scheme).items()}
    jobs = list(_jobs(found, rules, tuple(exclude)))
    patterns = [*(scheme if isinstance(scheme, Mapping) else ()), *exclude]
    _check_patterns(patterns, [job.row.name for job in jobs])
    return jobs


def _mapping(scheme: Scheme | Mapping[str, Scheme]) -> Mapping[str, Scheme]:
    return scheme if isinstance(scheme, Mapping) else {"*": scheme}


@dataclass(frozen=True, slots=True)
class Planned:
    """A parameter, and what it is to be filled by if it is."""

    row: Filled
    parameter: Any
    made: Initializer | None = None
    target: Target | None = None


def _jobs(
    found: Iterable[tuple[str, Any]], rules: Mapping[str, Initializer], exclude: tuple[str, ...]
) -> Iterator[Planned]:
    refusals: dict[str, SchemeError] = {}
    served: set[str] = set()
    for name, (read, parameter, unknown) in found:
        row = Filled(name, tuple(parameter.shape))
        pattern = next((each for each in rules if fnmatchcase(name, each)), None)
        target = _unread(name, parameter) if read is None and pattern == name else read
        left = _left(name, parameter, pattern is not None, exclude) or ("" if target else unknown)
        if left or pattern is None or target is None:
            yield Planned(replace(row, left=left), parameter)
            continue
        made, std, refusal = _serving(rules[pattern], target, named=name == pattern)
        served.update(() if refusal else (pattern,))
        refusals.update({} if refusal is None else {pattern: refusal})
        notes = (*made.notes(target), *(f"used as {USES[each.kind]} too" for each in target.place.also))
        said = replace(row, notes=notes, multipliers=made.multipliers(target))
        yield Planned(replace(said, scheme=str(made), std=std), parameter, made, target)
    for pattern, refusal in refusals.items():
        if pattern not in served:  # a scheme for what is not there is a mistake, not a matter of biases
            raise refusal


def _unread(name: str, parameter: Any) -> Target:  # noqa: ANN401
    """Return a parameter that is named in full and whose use is not known: schemes that need no layout may fill it."""
    layout = WeightLayout(tuple(parameter.shape), kind=Kind.OTHER)
    return Target(name, layout, str(parameter.dtype).rpartition(".")[2])


def _left(name: str, parameter: Any, matched: bool, exclude: tuple[str, ...]) -> str:  # noqa: ANN401
    """Say why a parameter is left as it is; empty if it is not."""
    if any(fnmatchcase(name, pattern) for pattern in exclude):
        return "excluded"
    if not matched:
        return "no pattern matches it"
    if not parameter.requires_grad:
        return "frozen"
    if parameter.is_meta:
        raise ModelError("a parameter without values", where=name, expected="a model that is not on the meta device")
    return ""


def _serving(rule: Initializer, target: Target, *, named: bool) -> tuple[Initializer, float, SchemeError | None]:
    """Return the scheme that fills a target, and the refusal of the one asked for where it is the usual one instead."""
    try:
        return rule, rule.declared(target).std, None
    except SchemeError as refusal:
        plain = PLAIN.get(target.layout.kind)
        if plain is None or named:
            raise
        made = parsed(plain)
        return made, made.declared(target).std, refusal


def _check_patterns(patterns: Iterable[str], names: list[str]) -> None:
    unmatched = [each for each in patterns if not any(fnmatchcase(name, each) for name in names)]
    if unmatched:
        raise InputError(
            f"{', '.join(map(repr, unmatched))}, which matches no parameter", where="pattern",
            expected=f"a pattern of names such as {names[0] if names else '0.weight'!r}", try_='"*"',
        )  # fmt: skip
