"""Kernels of a causal post-norm transformer of infinite width: Yang's "Gaussian processes for any architecture".

Queries, keys and values share one weight and logits are divided by the width, so that they do not vary; a residual
block of rectifiers follows, and both sums are normalized.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from justright.core.gaussian import dual
from justright.meanfield.activation import activation_of

TOKENS = 4


def normalized(kernel):
    scale = np.sqrt(np.diag(kernel))
    return kernel / np.outer(scale, scale)


def rectified(kernel):
    made, q = activation_of("relu"), np.diag(kernel)
    return dual(made.f, made.f, q[:, None], q[None, :], kernel, kinks_f=made.kinks, kinks_g=made.kinks)


def layer(kernel):
    logits = np.where(np.tril(np.ones((TOKENS, TOKENS))) > 0, kernel, -math.inf)
    weights = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    mixed = np.eye(TOKENS) + weights
    kernel = normalized(mixed @ kernel @ mixed.T)
    return normalized(kernel + 2.0 * rectified(2.0 * kernel))


@pytest.mark.parametrize("depth", [1, 8])
def test_kernels_of_a_transformer(depth, holds):
    kernel = (np.eye(TOKENS) + 1.0) / 2.0
    for _ in range(depth):
        kernel = layer(kernel)
    holds(f"gp4a.transformer.d{depth}", kernel[0, 1:])
