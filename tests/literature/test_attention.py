"""Attention: participation ratios of softmax (Giorlandino & Goldt 2025), uniform attention with skips (Noci 2022)."""

from __future__ import annotations

import numpy as np
import pytest

from justright.core.contraction import contract
from justright.core.graph import Node, Operand
from justright.core.moments import Moments
from justright.core.participation import participation
from justright.core.signals import Signal, signal
from justright.core.sources import Source
from justright.ops.rule import RULES, Call


def _weights(variance, shape, visible=None):
    """Softmax over independent logits."""
    x = signal(Source(Moments.independent(shape, 0.0, variance)))
    x = Signal("hidden", lambda u: u, (x,), x.moments, line=x.line, visible=visible)
    node = Node(0, "softmax", "aten._softmax", (Operand("input", 0),), {"dim": -1}, (1,))
    return RULES["softmax"].forward(Call(node, (x,), (shape,), (shape,))).moments


@pytest.mark.parametrize("variance", ["1.0", "0.25", "27.7259"])
def test_participation_of_1024_keys(variance, holds):
    """E sum a² as the exact integral at finite length, and the same from the rule of softmax."""
    holds(f"attn.softmax.Y2.s2={variance}.T=1024", participation(float(variance), 1024).squares)
    holds(f"attn.softmax.Y2.s2={variance}.T=1024", 1024 * _weights(float(variance), (8, 1024)).second_moment)


def test_attention_of_which_logits_do_not_vary(holds):
    """Logits over the width instead of its root: neural-tangents' kernel is that of fixed weights."""
    x = np.sin(np.arange(64.0)).reshape(2, 4, 8)
    kernel = np.einsum("aic,bjc->abij", x, x) / 8.0
    weights = [np.exp(kernel[at, at]) / np.exp(kernel[at, at]).sum(axis=1, keepdims=True) for at in (0, 1)]
    mixed = [float((weights[a] @ kernel[a, b] @ weights[b].T).mean()) for a, b in ((0, 0), (0, 1))]
    trained = 3.0  # values, outputs and the last layer each add the kernel once to the tangent kernel
    holds("nt.Attn(linear_scaling)/SOFTMAX", [*mixed, *(trained * each for each in mixed)])


@pytest.mark.parametrize("length", [256, 1024, 16384])
def test_far_from_the_limit_of_many_keys(rng, length):
    """With variance 4 ln T the limit of many keys is 1 - 2^(-1/2) = 0.2929; at real lengths it is more by a third."""
    variance = 4 * np.log(length)
    raised = np.exp(np.sqrt(variance) * rng.normal(size=(2**22 // length, length)))
    sampled = (raised**2).sum(axis=1) / raised.sum(axis=1) ** 2
    found = float(participation(variance, length).squares)
    assert abs(found - sampled.mean()) < 5 * sampled.std() / len(sampled) ** 0.5
    assert found > 1.3 * (1 - 2**-0.5)


def test_small_logits():
    """E sum a² is exp(v) / T for small logits and many keys."""
    assert participation(0.01, 2**16).squares * 2**16 == pytest.approx(np.exp(0.01), rel=1e-5)


def test_one_key_gets_all_of_large_logits():
    """1 - E sum a² falls as one over the spread: at twice the spread it is half."""
    left = 1 - participation([1e4, 4e4], 32).squares
    assert left[1] / left[0] == pytest.approx(0.5, rel=0.02)


def test_causal_uniform_attention():
    """Position t averages t values; over 1,024 positions the variance is H_1024 / 1024 = 0.0073332 on average."""
    visible = np.tril(np.ones((1024, 1024)))
    weights = _weights(0.0, (1024, 1024), visible)
    values = Moments.independent((1024, 1), 0.0, 1.0)
    harmonic = np.sum(1.0 / np.arange(1, 1025)) / 1024
    assert harmonic == pytest.approx(0.0073332, abs=1e-7)
    assert contract(weights, values, "qk,ko->qo").second_moment == pytest.approx(harmonic, rel=1e-9)


@pytest.mark.parametrize(
    ("layers", "branch", "tokens", "correlation"), [(10, 1.0, 16, 0.98460), (100, 0.01, 16, 0.09629)]
)
def test_uniform_attention_with_skip(layers, branch, tokens, correlation, holds):
    """Oracle attn.uniform.L10.alpha1 and its 1/L twin: correlation of tokens after uniform attention with skip."""
    weights = _weights(0.0, (tokens, tokens))
    x = Moments.independent((tokens, 64), 0.0, 1.0)
    mixing = Moments.independent((64, 64), 0.0, branch / 64)
    for _ in range(layers):
        x = x.plus(contract(contract(weights, x, "qk,ki->qi"), mixing, "qi,io->qo"))
    found = x.pairs[1, 0] / x.pairs[0, 0]
    grown = (1 + branch) ** layers - 1
    assert found == pytest.approx(grown / tokens / (1 + grown / tokens), rel=1e-12)
    assert found == pytest.approx(correlation, abs=1e-5)
    if layers == 10:
        holds("attn.uniform.L10.alpha1", found)


@pytest.mark.parametrize("variance", [0.3, 2.0])
def test_what_attention_does_to_values(variance):
    """q' = k + (q - k) E sum a², k' = k: only the participation ratio enters."""
    tokens, q, k = 64, 1.5, 0.6
    values = Moments.independent((tokens, 8), 0.0, q)
    values = values.with_values(values.mean, values.pairs + np.array([[0, 0], [k, 0]]))
    mixed = contract(_weights(variance, (tokens, tokens)), values, "qk,ki->qi")
    assert mixed.pairs[0, 0] == pytest.approx(k + (q - k) * participation(variance, tokens).squares, rel=1e-4)
    assert mixed.pairs[1, 0] == pytest.approx(k + (q - k) / tokens, rel=1e-9)  # independent queries: 1 / T at finite T
