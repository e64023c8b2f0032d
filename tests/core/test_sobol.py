"""Laws of the points that integrals are summed over."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import qmc

from justright.core.sobol import MOST_DIMENSIONS, sobol


@pytest.mark.parametrize("dimensions", range(1, MOST_DIMENSIONS + 1))
def test_points_are_those_of_scipy(dimensions):
    assert np.array_equal(sobol(dimensions, 256), qmc.Sobol(dimensions, seed=0).random(256))


def test_every_slice_of_a_coordinate_holds_as_many_points():
    points = sobol(MOST_DIMENSIONS, 512)
    counts = [np.histogram(column, np.linspace(0.0, 1.0, 513))[0] for column in points.T]
    assert np.all(np.stack(counts) == 1)
