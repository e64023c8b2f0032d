"""What to type next when the scale of signals or gradients is wrong."""

from __future__ import annotations

import math
from collections import Counter

from justright.diagnostics._trend import Trend
from justright.diagnostics.base import Case

__all__ = ["rescale"]

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

SKIP = (
    "add skip connections, x + block(x): batch normalization multiplies the gradient on its way back whatever the "
    "weights are, so rescaling them changes nothing"
)

RECURRENT = (
    "torch.nn.init.orthogonal_(cell.weight_hh) for the recurrent weight; for sequences this long, gates (LSTM, GRU) "
    "and torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)"
)

NONLINEARITIES = frozenset((*GAINS, "sigmoid", "gelu", "silu", "elu", "selu", "softplus", "mish", "hardtanh"))


def rescale(case: Case, trend: Trend, rate: float) -> str:
    """Say how to bring the growth back to zero, given the growth in nats a step in the direction of travel."""
    if trend.step != "layer":
        return RECURRENT
    usual = _usual_nonlinearity(case)
    if usual == "sigmoid" and rate < 0:
        return SIGMOID
    if rate > 0 and any(node.op == "batch_norm" for node in case.graph.nodes):
        return SKIP
    factor = math.exp(-rate)
    if usual in GAINS:
        return (
            f"{GAINS[usual]} for every layer of the stack (today's weights are off by a factor of about {factor:.3g})"
        )
    return (
        f"with torch.no_grad(): layer.weight.mul_({factor:.3g}) for every layer of the stack, or normalize between the "
        "layers (LayerNorm, BatchNorm)"
    )


def _usual_nonlinearity(case: Case) -> str:
    """Name of the elementwise nonlinearity that stands between the most layers; empty if there is none."""
    counts = Counter(node.op for node in case.graph.nodes if node.op in NONLINEARITIES)
    return counts.most_common(1)[0][0] if counts else ""
