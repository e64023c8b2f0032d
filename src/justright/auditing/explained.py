"""Which known schemes would have drawn numbers of this distribution and this variance into a parameter.

The schemes are those of the catalogue: each declares for a parameter which distribution and which variance it gives it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any, Final

from justright.core.layout import Kind
from justright.core.recognized import Recognized
from justright.initializers.base import INITIALIZERS, Declared, Elementwise, Initializer, SchemeError, Target
from justright.initializers.laws import Normal, Truncated, Uniform
from justright.initializers.parsing import scheme

__all__ = ["Explained", "Explanation", "explain"]

FIXED: Final = (
    "normal(std=0.02)",  # language models [Radford2019]
    "truncated_normal(std=0.02)",  # vision transformers
    "normal(std=1.0)",  # torch's tables of embeddings
)
"""Recipes that state a number, beside every scheme of the catalogue with its own defaults."""

REFERENCES: Final = {"lecun": "lecun_normal", "he": "he_normal", "xavier": "xavier_normal"}
"""Whose variances the variance is compared with, for weights with fans."""

STRUCTURES: Final = {
    "orthogonal": {"orthogonal"},
    "unitary": {"orthogonal"},
    "delta": {"delta", "delta_orthogonal"},
    "identity": {"identity", "dirac", "signs"},
    "sparse": {"sparse"},
    "upsampling": {"repeated", "bilinear"},
    "state space": {"hippo", "sequence"},
}
"""Structures that schemes declare, and the families that they are recognized as."""

LAWS: Final = {Uniform: "uniform", Normal: "normal", Truncated: "truncated_normal"}

CONSTANTS: Final = {"zeros", "ones", "constant"}

ERRORS: Final = 4.0  # standard errors: of sixteen thousand true schemes, one is missed

FINEST: Final = 2.0**-8  # relative: rounding to bfloat16 moves a variance by less

SIMPLE: Final = 12  # the largest denominator of a ratio that is shown as a fraction


@dataclass(frozen=True, slots=True)
class Explanation:
    """A scheme that explains the numbers.

    Parameters
    ----------
    scheme
        As it is written.
    ratio
        Variance of the numbers over the variance that the scheme declares; one for constants.
    errors
        Distance of the ratio from one in standard errors.
    """

    scheme: str
    ratio: float
    errors: float


@dataclass(frozen=True, slots=True)
class Explained:
    """Where the variance of a parameter may come from.

    Parameters
    ----------
    schemes
        Those that would have drawn such numbers, the likeliest first; schemes of one variance in the order of the
        catalogue.
    relative
        Variance over those of LeCun's, He's and Xavier's rules, for weights with fans.
    error
        Relative standard error of the variance.
    times_fan_in, times_fan_out, times_fan_avg
        Variance times a fan, for weights with fans.
    text
        In words, such as ``"torch_default; 1/3 of lecun's variance, 1/6 of he's, 1/3 of xavier's"``.
    """

    schemes: tuple[Explanation, ...]
    relative: dict[str, float]
    error: float
    times_fan_in: float | None
    times_fan_out: float | None
    times_fan_avg: float | None
    text: str

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name, with the schemes as dictionaries."""
        return asdict(self)

    def __str__(self) -> str:
        """Return the words."""
        return self.text


def explain(found: Recognized, target: Target) -> Explained:
    """Return the schemes that would have drawn numbers like those of a parameter.

    The variance of n numbers has the relative standard error ``sqrt((kurtosis + 2) / n)``, of which a scheme's may be
    four away. Structures have no such error: their variance follows from the shape.

    Parameters
    ----------
    found
        What the numbers look like.
    target
        The parameter: its layout, and what is known of its place.

    Examples
    --------
    >>> import numpy as np
    >>> from justright.core.layout import WeightLayout
    >>> from justright.core.recognized import recognize
    >>> layout = WeightLayout.dense((256, 64))
    >>> values = np.random.default_rng(0).uniform(-0.125, 0.125, layout.shape)
    >>> print(explain(recognize(values, layout), Target("weight", layout)))
    torch_default; 1/3 of lecun's variance, 1/6 of he's, 5/6 of xavier's
    """
    variance = found.std**2
    error = math.sqrt(max(found.kurtosis + 2.0, 0.0) / max(found.size, 1))
    schemes = tuple(sorted(_explanations(found, target, error), key=_rank))
    relative = {name: variance / declared for name, declared in _references(target).items() if declared}
    fans = target.layout.fans if relative else None
    return Explained(
        schemes, relative, error,
        variance * fans.fan_in if fans else None,
        variance * fans.fan_out if fans else None,
        variance * 0.5 * (fans.fan_in + fans.fan_out) if fans else None,
        _words(found, schemes, relative, error),
    )  # fmt: skip


def _explanations(found: Recognized, target: Target, error: float) -> Iterator[Explanation]:
    for name in (*INITIALIZERS, *FIXED):
        declared = _declared(name, target, found)
        if declared is None or not _same_family(found, declared):
            continue
        if found.family in CONSTANTS:
            if declared.mean == found.mean:
                yield Explanation(name, 1.0, 0.0)
        elif declared.variance:
            ratio = (found.std**2 + (found.mean - declared.mean) ** 2) / declared.variance
            errors = abs(ratio - 1.0) / max(error, FINEST)
            if errors <= ERRORS:
                yield Explanation(name, ratio, errors)


def _declared(name: str, target: Target, found: Recognized | None = None) -> Declared | None:
    """Return what a scheme declares for a parameter, unless it needs more than is known or is of another structure."""
    try:
        candidate = scheme(name)
        return candidate.declared(target) if found is None or _possible(candidate, found) else None
    except SchemeError:
        return None


def _possible(candidate: Initializer, found: Recognized) -> bool:
    """Say whether it is worth asking: some structures are computed in full before anything is declared."""
    independent = found.family in CONSTANTS or found.family in LAWS.values()
    return not independent or isinstance(candidate, Elementwise)


def _same_family(found: Recognized, declared: Declared) -> bool:
    if declared.structure == "constant":
        return found.family in CONSTANTS
    if declared.structure == "elementwise":
        return any(isinstance(declared.law, law) and found.family == family for law, family in LAWS.items())
    return found.family in STRUCTURES.get(declared.structure, ())


def _rank(found: Explanation) -> tuple[float, bool, bool]:
    """Order by the distance; of equals, what frameworks do by themselves first, what states a number last."""
    return round(found.errors, 6), "(" in found.scheme, not found.scheme.endswith("_default")


def _references(target: Target) -> dict[str, float]:
    if target.layout.kind is not Kind.MATRIX or not target.size:
        return {}
    found = {short: _declared(name, target) for short, name in REFERENCES.items()}
    return {short: declared.variance for short, declared in found.items() if declared is not None}


def _words(found: Recognized, schemes: tuple[Explanation, ...], relative: dict[str, float], error: float) -> str:
    alike = [each.scheme for each in schemes if each.errors <= schemes[0].errors + 1e-6]  # what rounding of sums leaves
    first = " or ".join(alike[:3]) or "no known scheme"
    if not relative or found.family in CONSTANTS or not math.isfinite(found.std):
        return first
    shares = [f"{_share(ratio, error)} {name}'s" for name, ratio in relative.items()]
    return f"{first}; {shares[0]} variance" + "".join(f", {share}" for share in shares[1:])


def _share(ratio: float, error: float) -> str:
    """Return a ratio in words: a simple fraction where it is one within the error of the variance."""
    simple = Fraction(ratio).limit_denominator(SIMPLE)
    near = abs(float(simple) / ratio - 1.0) <= ERRORS * max(error, FINEST)
    if near and simple == 1:
        return "equal to"
    if near and (simple < 1 or simple.denominator == 1):
        return f"{simple} of" if simple < 1 else f"{simple} times"
    return f"{ratio:.3g} times"
