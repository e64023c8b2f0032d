"""What belongs to a parametrization beside the weights: factors on outputs and on the step size, as data."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ONES", "Multipliers"]


@dataclass(frozen=True, slots=True)
class Multipliers:
    """Factors on what the network of the base width, and the base depth, was tuned with.

    Parameters
    ----------
    learning_rate
        On Adam's step size for this parameter.
    output
        On the output of the layer in the forward pass.
    branch
        On the output of the residual branch that the layer lies in.
    epsilon
        On Adam's epsilon.
    weight_decay
        On decoupled weight decay, which is multiplied by the step size as AdamW does.
    """

    learning_rate: float = 1.0
    output: float = 1.0
    branch: float = 1.0
    epsilon: float = 1.0
    weight_decay: float = 1.0


ONES = Multipliers()
"""Nothing changes with width or depth."""
