"""The profile: forward and gradient statistics at every site of a graph, predicted or measured, in one schema."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any

from justright.core.data import DataRecord
from justright.core.edges import EdgeRecord
from justright.core.information import AttentionStatistics, RelationStatistics, RoutingStatistics

if TYPE_CHECKING:  # their modules import this one
    from justright.core.prediction import Predicted
    from justright.core.step import StepRecord

__all__ = [
    "ParameterRecord",
    "Profile",
    "Provenance",
    "SiteRecord",
    "TensorStatistics",
    "UnitStatistics",
]


class Provenance(IntEnum):
    """Where a number comes from; what is combined takes the weakest (largest)."""

    EXACT = 0
    ASYMPTOTIC = 1
    NUMERICAL = 2
    FITTED = 3
    MEASURED = 4
    UNKNOWN = 5


@dataclass(frozen=True, slots=True)
class TensorStatistics:
    """Statistics of one tensor; none leaves out an outlier or a value that is not finite.

    Parameters
    ----------
    count
        Number of elements.
    mean, rms, std, absmax
        Moments and largest magnitude; ``nan`` or ``inf`` when the tensor holds such values.
    min_nonzero
        Smallest magnitude above zero; ``nan`` if there is none.
    zeros
        Share of elements that are exactly zero.
    nan, positive_inf, negative_inf
        Numbers of elements that are not finite.
    histogram
        Counts by binary exponent: entry ``(e, n)`` says that n elements lie in ``[2**e, 2**(e+1))`` in magnitude.
    """

    count: int
    mean: float
    rms: float
    std: float
    absmax: float
    min_nonzero: float
    zeros: float
    nan: int = 0
    positive_inf: int = 0
    negative_inf: int = 0
    histogram: tuple[tuple[int, int], ...] = ()

    @property
    def nonfinite(self) -> int:
        """Number of elements that are not finite."""
        return self.nan + self.positive_inf + self.negative_inf

    def to_dict(self) -> dict[str, Any]:
        """Return plain data; values that JSON cannot hold become strings."""
        values = {name: getattr(self, name) for name in self.__slots__ if name != "histogram"}
        return {**{name: _plain(value) for name, value in values.items()}, "histogram": [*map(list, self.histogram)]}


@dataclass(frozen=True, slots=True)
class UnitStatistics:
    """Units of an elementwise nonlinearity over the batch, judged by the derivative of the whole function.

    Parameters
    ----------
    axis
        Axis of the tensor along which one index is one unit.
    units
        Number of units.
    dead
        Units that were off for every element of the batch: output and slope both (nearly) zero.
    saturated
        Units that were on a flat part of the function for nearly every element, and are not dead.
    share
        Share of all elements on a flat part.
    function
        The function, as operators: ``"multiply(x, sigmoid(x))"``.
    """

    axis: int
    units: int
    dead: int
    saturated: int
    share: float
    function: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {name: _plain(getattr(self, name)) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class SiteRecord:
    """What is known of one site.

    Parameters
    ----------
    name, op, module, source, shape, dtype
        The site and the operator that made it.
    role
        ``"input"``, ``"parameter"`` (what is made of parameters alone included), ``"buffer"``, ``"constant"``,
        ``"activation"``, or ``"byproduct"``: what an operator keeps for its backward beside its result.
    forward, gradient
        Statistics of the tensor and of the gradient of the loss with respect to it; ``None`` where there is none.
    units
        Dead and saturated units, where this is the input of an elementwise nonlinearity.
    gain
        RMS over that of the main floating-point input of its operator; ``nan`` for leaves.
    cumulative
        RMS over that of the first floating-point input of the model, ``nan`` if it has none.
    depth
        Number of weights before it on the longest path.
    edge
        How near it came to the edge of the domain of a function that reads it, where there is one.
    relation
        How far examples, positions and units differ, where weights read it or the network starts from it.
    attention
        How sharply it chooses, where this is a softmax over positions.
    routing
        Which experts it chooses, where these are a router's scores.
    predicted
        What was predicted of it, where it was.
    """

    name: str
    op: str
    module: str
    source: str
    shape: tuple[int, ...]
    dtype: str
    role: str
    forward: TensorStatistics | None = None
    gradient: TensorStatistics | None = None
    units: UnitStatistics | None = None
    gain: float = float("nan")
    cumulative: float = float("nan")
    depth: int = 0
    edge: EdgeRecord | None = None
    relation: RelationStatistics | None = None
    attention: AttentionStatistics | None = None
    routing: RoutingStatistics | None = None
    predicted: Predicted | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "name": self.name,
            "op": self.op,
            "module": self.module,
            "source": self.source,
            "shape": list(self.shape),
            "dtype": self.dtype,
            "role": self.role,
            "forward": self.forward.to_dict() if self.forward else None,
            "gradient": self.gradient.to_dict() if self.gradient else None,
            "units": self.units.to_dict() if self.units else None,
            "gain": _plain(self.gain),
            "cumulative": _plain(self.cumulative),
            "depth": self.depth,
            "edge": self.edge.to_dict() if self.edge else None,
            "relation": self.relation.to_dict() if self.relation else None,
            "attention": self.attention.to_dict() if self.attention else None,
            "routing": self.routing.to_dict() if self.routing else None,
            "predicted": self.predicted.to_dict() if self.predicted else None,
        }


@dataclass(frozen=True, slots=True)
class ParameterRecord:
    """What is known of one parameter.

    Parameters
    ----------
    name
        Its name, the first one if it is tied.
    trainable
        Whether the optimizer may change it.
    value, gradient
        Statistics of its values and of its gradient; no gradient is ``None``.
    opens_after
        For a gradient that is exactly zero: after how many steps of the other parameters it stops being zero;
        ``None`` if it never does, 0 if it was not zero to begin with.
    identical
        Groups of output units whose incoming weights, outgoing weights and gradients are all equal.
    units
        Number of output units that were compared; 0 if the layout is not known.
    same_as
        Name of the first other parameter that holds exactly these values, drawn ones; empty if there is none.
    """

    name: str
    trainable: bool
    value: TensorStatistics
    gradient: TensorStatistics | None = None
    opens_after: int | None = 0
    identical: tuple[tuple[int, ...], ...] = ()
    units: int = 0
    same_as: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "name": self.name,
            "trainable": self.trainable,
            "value": self.value.to_dict(),
            "gradient": self.gradient.to_dict() if self.gradient else None,
            "opens_after": self.opens_after,
            "identical_units": sum(len(group) for group in self.identical),
            "units": self.units,
            "same_as": self.same_as,
        }


@dataclass(frozen=True)
class Profile:
    """Forward and gradient statistics of one network on one batch.

    Parameters
    ----------
    sites
        One record for every floating-point site, in execution order.
    parameters
        One record for every parameter.
    loss
        Value of the loss; ``nan`` if there is none.
    provenance
        Whether these numbers are measured or predicted.
    data
        One record for every tensor of the batch, and for what a loss compares with.
    step
        What one step of an optimizer does; ``None`` if none was tried.
    """

    sites: tuple[SiteRecord, ...]
    parameters: tuple[ParameterRecord, ...] = ()
    loss: float = float("nan")
    provenance: Provenance = field(default=Provenance.MEASURED)
    data: tuple[DataRecord, ...] = ()
    step: StepRecord | None = None

    @cached_property
    def by_name(self) -> Mapping[str, SiteRecord]:
        """Records by site name."""
        return {record.name: record for record in self.sites}

    @cached_property
    def parameter(self) -> Mapping[str, ParameterRecord]:
        """Records of the parameters by name."""
        return {record.name: record for record in self.parameters}

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "provenance": self.provenance.name.lower(),
            "loss": _plain(self.loss),
            "sites": [record.to_dict() for record in self.sites],
            "parameters": [record.to_dict() for record in self.parameters],
            "data": [record.to_dict() for record in self.data],
            "step": self.step.to_dict() if self.step else None,
        }

    def to_pandas(self) -> Any:  # noqa: ANN401  pandas is optional, so its type cannot be named here
        """Return one row a site as a `pandas.DataFrame`; needs pandas."""
        import pandas

        return pandas.json_normalize(self.to_dict()["sites"])


def _plain(value: Any) -> Any:  # noqa: ANN401
    """Make a number that JSON can hold: nan and the infinities become strings."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
