"""Newman 1986: Lyapunov exponents of products of Gaussian matrices."""

from __future__ import annotations

import math

import pytest

from justright.core.formats import FORMATS
from justright.core.products import lyapunov_exponents


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_exponents_of_four_by_four_matrices(order, holds):
    holds(f"newman.n4.{order}", lyapunov_exponents(4)[order - 1])


def test_a_vector_overflows_half_precision_after_twenty_of_them(holds):
    holds("newman.n4.fp16.steps", math.log(FORMATS["float16"].largest) / lyapunov_exponents(4)[0])


@pytest.mark.parametrize("n", [512, 1024])
def test_scaled_by_the_width_the_largest_is_just_below_zero(n, holds):
    holds(f"newman.he.n{n}.top", lyapunov_exponents(n, n**-0.5)[0])
