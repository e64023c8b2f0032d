"""Spectra of products of random matrices, in closed form: growth, largest singular values, how they scatter.

A gradient is a product of Jacobians. For Gaussian and orthogonal weights the growth of such a product per factor, its
fluctuations and the edge of its spectrum are known exactly; `justright` holds what it measures against them.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import digamma, gammaln, polygamma

from justright.core.axes import Array

__all__ = [
    "bernoulli_edge",
    "gaussian_edge",
    "gaussian_moments",
    "lyapunov_exponents",
    "rectifier_edge",
    "rectifier_log_growth",
    "smallest_singular_value_cdf",
    "smooth_edge",
]


def lyapunov_exponents(n: int, std: float = 1.0) -> Array:
    """Return the Lyapunov exponents of a product of Gaussian matrices, the largest first, in nats per factor.

    ``(ln 2 + psi((n - i + 1) / 2)) / 2 + ln std`` for i = 1 … n [Newman1986].

    Parameters
    ----------
    n
        Rows and columns of every matrix, one or more.
    std
        Standard deviation of the entries, above zero.

    Examples
    --------
    >>> lyapunov_exponents(4).round(4).tolist()  # a product of a hundred has a norm of about exp(56)
    [0.558, 0.3648, 0.058, -0.6352]
    """
    return np.asarray((math.log(2.0) + digamma((n - np.arange(n)) / 2.0)) / 2.0 + math.log(std))


def gaussian_moments(layers: int, order: int) -> Array:
    """Return E tr (J Jᵀ)^k / n for k = 1 … order of a product of wide Gaussian matrices of variance 1 / n.

    The Fuss-Catalan numbers ``C((L + 1) k, k) / (L k + 1)`` [Pennington2018].

    Parameters
    ----------
    layers
        Number of matrices.
    order
        Number of moments.

    Examples
    --------
    >>> gaussian_moments(2, 4).tolist()
    [1.0, 3.0, 12.0, 55.0]
    """
    k = np.arange(1.0, order + 1.0)
    logs = gammaln((layers + 1) * k + 1) - gammaln(k + 1) - gammaln(layers * k + 1)
    return np.asarray(np.rint(np.exp(logs)) / (layers * k + 1))


def gaussian_edge(layers: int) -> float:
    """Return the largest eigenvalue of J Jᵀ for a product of wide Gaussian matrices of variance 1 / n.

    ``(L + 1)^(L + 1) / L^L`` [Pennington2018].

    Examples
    --------
    >>> gaussian_edge(1)
    4.0
    """
    return float((layers + 1) * (1.0 + 1.0 / layers) ** layers)


def rectifier_edge(layers: int, *, orthogonal: bool = False) -> float:
    """Return the largest eigenvalue of J Jᵀ for wide layers of rectifiers at ``sigma_w² = 2``.

    At z where the derivative of ``(1 + z) / z · (1 + 2 z)^L`` is zero for Gaussian weights, ``L^L / (L - 1)^(L - 1)``
    for orthogonal ones: neither is bounded in depth [Pennington2018].

    Parameters
    ----------
    layers
        Two or more for orthogonal weights, one or more for Gaussian ones.
    orthogonal
        Whether the weights are orthogonal instead of Gaussian.

    Examples
    --------
    >>> rectifier_edge(3, orthogonal=True)
    6.75
    """
    if orthogonal:
        return float(layers * (1.0 + 1.0 / (layers - 1)) ** (layers - 1))
    z = (1.0 - layers + math.sqrt((layers - 1.0) ** 2 + 2.0 * layers)) / (2.0 * layers)
    return (1.0 + z) / z * (1.0 + 2.0 * z) ** layers


def bernoulli_edge(spread: float) -> float:
    """Return the largest singular value of a deep critical network whose slopes are zero or one, at any depth.

    The variance of the squared singular values is kept at `spread` by letting the slopes tend to one with depth: hard
    tanh and shifted rectifiers with orthogonal weights. ``s sqrt(e)`` above ``s² = 1``, ``exp(s² / 2)`` up to there
    [Pennington2018].

    Parameters
    ----------
    spread
        Variance s² of the squared singular values, above zero.

    Examples
    --------
    >>> round(bernoulli_edge(0.25), 6)
    1.133148
    """
    return math.sqrt(spread * math.e) if spread > 1.0 else math.exp(spread / 2.0)


def smooth_edge(spread: float) -> float:
    """Return the largest singular value of a deep critical network with smooth slopes, at any depth.

    ``(sqrt(s² + 4) + s) / 2 · exp((s sqrt(s² + 4) - s²) / 4)``: tanh and error functions with orthogonal weights
    [Pennington2018].

    Parameters
    ----------
    spread
        Variance s² of the squared singular values, above zero.

    Examples
    --------
    >>> round(smooth_edge(0.5), 6)
    1.815886
    """
    s, root = math.sqrt(spread), math.sqrt(spread + 4.0)
    return (root + s) / 2.0 * math.exp((s * root - spread) / 4.0)


def rectifier_log_growth(n: int) -> tuple[float, float]:
    """Return mean and variance of ln(|h|² / |x|²) over one layer of n rectifiers by He's rule, if any unit is active.

    The ratio is ``2 / n`` times a chi squared number of K degrees of freedom, K binomial: exact at any width. To
    leading order they are -5 / (2 n) and 5 / n, and sums of them over layers are what depth costs [Hanin2018].

    Parameters
    ----------
    n
        Units of the layer, one or more.

    Examples
    --------
    >>> [round(each, 4) for each in rectifier_log_growth(64)]
    [-0.0401, 0.083]
    """
    k = np.arange(1, n + 1)
    logs = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1) - n * math.log(2.0)
    shares = np.exp(logs) / np.exp(logs).sum()
    means = digamma(k / 2.0) + math.log(4.0 / n)
    mean = float(shares @ means)
    return mean, float(shares @ (polygamma(1, k / 2.0) + (means - mean) ** 2))


def smallest_singular_value_cdf(value: float) -> float:
    """Return the probability that sqrt(n) times the smallest singular value of a Gaussian matrix is at most a value.

    ``1 - exp(-x² / 2 - x)`` for wide square matrices of standard normal entries [Edelman1988].

    Examples
    --------
    >>> round(smallest_singular_value_cdf(0.5447635291914069), 9)
    0.5
    """
    return -math.expm1(-(value**2) / 2.0 - value)
