"""What to type next when the scale of signals or gradients is wrong."""

from __future__ import annotations

import math
from collections import Counter

from justright.diagnostics.base import Case

__all__ = ["cause", "rescale", "usual_nonlinearity"]

GAINS = {
    "relu": 'torch.nn.init.kaiming_normal_(layer.weight, nonlinearity="relu"); torch.nn.init.zeros_(layer.bias)',
    "leaky_relu": 'torch.nn.init.kaiming_normal_(layer.weight, a=slope, nonlinearity="leaky_relu")',
    "tanh": "torch.nn.init.xavier_normal_(layer.weight); torch.nn.init.zeros_(layer.bias)",
}
"""Initializers under which a deep network of this nonlinearity keeps its scale (He 2015, Glorot 2010)."""

SIGMOID = (
    "replace the sigmoid by torch.nn.ReLU(), with "
    'torch.nn.init.kaiming_normal_(layer.weight, nonlinearity="relu"); '
    "a sigmoid's slope is at most 1/4, so no reasonable weight keeps a deep stack of them alive"
)


def usual_nonlinearity(case: Case) -> str:
    """Name of the elementwise nonlinearity that stands between the most layers; empty if there is none."""
    known = {*GAINS, "sigmoid", "gelu", "silu", "elu", "selu", "softplus", "mish", "hardtanh"}
    counts = Counter(node.op for node in case.graph.nodes if node.op in known)
    return counts.most_common(1)[0][0] if counts else ""


def rescale(case: Case, rate: float) -> str:
    """Say how to bring the growth back to zero, given the growth in nats a layer."""
    usual = usual_nonlinearity(case)
    if usual == "sigmoid" and rate < 0:
        return SIGMOID
    factor = math.exp(-rate)
    scaled = f"with torch.no_grad(): layer.weight.mul_({factor:.3g}) for every layer of the stack"
    if usual in GAINS:
        return f"{GAINS[usual]} for every layer of the stack (today's weights are off by a factor of about {factor:.3g})"
    return f"{scaled}, or normalize between the layers (LayerNorm, BatchNorm)"


def cause(changes: dict[str, float], rate: float) -> str:
    """Say which operators cause a gradient's growth per layer, `rate` in nats towards the input."""
    parts = [(name, change) for name, change in changes.items() if change * rate > 0][:2]
    if not parts:
        return "no single kind of operator stands out"
    told = ", ".join(f"{name} by {math.exp(change):.3g}" for name, change in parts)
    return f"on its way back through one layer the gradient's norm is multiplied by {told}"
