"""The coverage ledger: whatever was not traced, not measured or not judged, with the reason.

Silence in a report means "checked and healthy"; this is where everything else is said.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["Coverage", "Gap", "Ran"]


@dataclass(frozen=True, slots=True)
class Gap:
    """One kind of thing that was left out.

    Parameters
    ----------
    what
        Short name of what is missing: ``"operator aten.foo"``, ``"gradient"``.
    reason
        Why, in a few words.
    count
        How many sites, parameters or operators it concerns.
    where
        The first of them.
    codes
        Codes of the diagnostics that could not judge it, ``("JR101", "JR102")``; empty where none said so.
    """

    what: str
    reason: str
    count: int = 1
    where: str = ""
    codes: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Say it on one line."""
        times = f" ({self.count:,} times)" if self.count != 1 else ""
        return f"{self.what}{times}: {self.reason}" + (f"; first at {self.where}" if self.where else "")

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "what": self.what,
            "reason": self.reason,
            "count": self.count,
            "where": self.where,
            "codes": list(self.codes),
        }


@dataclass(frozen=True, slots=True)
class Ran:
    """One diagnostic that looked at the network, whether or not it found something.

    Parameters
    ----------
    code, name
        Which one: ``"JR103"``, ``"vanishing-gradient"``.
    seconds
        Time that it took.
    """

    code: str
    name: str
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {"code": self.code, "name": self.name, "seconds": self.seconds}


@dataclass(frozen=True, slots=True)
class Coverage:
    """What was covered, and every gap.

    Parameters
    ----------
    nodes
        Operators in the graph, and of them those with a canonical name.
    named
        Operators with a canonical name.
    sites
        Floating-point sites of the graph.
    forward
        Those with forward statistics.
    differentiable
        Those a gradient could reach.
    gradient
        Those with gradient statistics.
    parameters
        Trainable parameters.
    parameters_with_gradient
        Those that got a gradient.
    gaps
        What is missing, with reasons.
    assumptions
        What was chosen on the user's behalf: a loss, random inputs, a mode.
    diagnostics
        Diagnostics that ran, by code; what they could not judge is among the gaps.
    """

    nodes: int = 0
    named: int = 0
    sites: int = 0
    forward: int = 0
    differentiable: int = 0
    gradient: int = 0
    parameters: int = 0
    parameters_with_gradient: int = 0
    gaps: tuple[Gap, ...] = ()
    assumptions: tuple[str, ...] = field(default=())
    diagnostics: tuple[Ran, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        counts = {
            name: getattr(self, name)
            for name in (
                "nodes",
                "named",
                "sites",
                "forward",
                "differentiable",
                "gradient",
                "parameters",
                "parameters_with_gradient",
            )
        }
        return {
            **counts,
            "gaps": [gap.to_dict() for gap in self.gaps],
            "assumptions": list(self.assumptions),
            "diagnostics": [each.to_dict() for each in self.diagnostics],
        }
