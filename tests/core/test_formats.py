"""Laws of the formats: what is read from a histogram is what casting the numbers themselves gives."""

from __future__ import annotations

import math

import numpy as np
import pytest

from justright.core.formats import (
    FORMATS,
    LossScaleWindow,
    headroom,
    loss_scale_window,
    share_over,
    share_subnormal,
    share_under,
)
from justright.core.profile import TensorStatistics

NARROW = [name for name in FORMATS if name != "float32"]


def statistics(values):
    """Statistics by their definition, in float64."""
    values = np.asarray(values, np.float64)
    finite = values[np.isfinite(values)]
    nonzero = np.abs(finite[finite != 0])
    exponents = np.clip(np.frexp(nonzero)[1] - 1, -149, 127)
    histogram = tuple((int(e), int(n)) for e, n in zip(*np.unique(exponents, return_counts=True), strict=True))
    size = values.size
    return TensorStatistics(
        size, 0.0, 1.0, 1.0,
        float(np.abs(values).max()) if size else math.nan,
        float(nonzero.min()) if nonzero.size else math.nan,
        float((values == 0).mean()) if size else math.nan,
        int(np.isnan(values).sum()), int(np.isposinf(values).sum()), int(np.isneginf(values).sum()), histogram,
    )  # fmt: skip


def cast(values, name):
    """Round to a format and back, by NumPy or PyTorch; what has no number there becomes nan or inf."""
    with np.errstate(over="ignore"):
        values = np.asarray(values, np.float32)
        if name == "float16":
            return values.astype(np.float16).astype(np.float32)
    torch = pytest.importorskip("torch", reason="rounds to the formats that NumPy lacks")
    return torch.from_numpy(values).to(getattr(torch, name)).to(torch.float32).numpy()


def beyond(values, stored, name):
    """Say which numbers lie above the format: they became infinite, nan or, in some versions, the largest number."""
    fmt = FORMATS[name]
    with np.errstate(invalid="ignore"):
        return ~np.isfinite(stored) | (np.abs(values) - np.abs(stored) > fmt.overflow - fmt.largest)


def lognormal(rng, center, width, size=20_000):
    """Numbers of float32 spread over many binades around 2**center; some may be infinite."""
    with np.errstate(over="ignore"):
        return np.float64(np.float32(np.exp2(rng.normal(center, width, size)) * rng.choice([-1, 1], size)))


@pytest.mark.parametrize("name", NARROW)
def test_the_ends_of_a_format_are_those_of_its_numbers(name):
    fmt = FORMATS[name]
    assert fmt.exponent_bits + fmt.mantissa_bits + 1 == (8 if "float8" in name else 16)
    for value in (fmt.largest, fmt.smallest_normal, fmt.smallest_subnormal):
        assert cast([value], name)[0] == value
    edge = np.float32(fmt.overflow)
    below = np.nextafter(edge, np.float32(0))
    assert cast([below], name)[0] == fmt.largest
    if fmt.overflow < 2.0**128:
        above = np.nextafter(edge, np.float32(np.inf))
        assert beyond(above, cast([above], name)[0], name)
    under = np.float32(fmt.underflow)
    assert cast([under], name)[0] == 0
    assert cast([np.nextafter(under, np.float32(1))], name)[0] == fmt.smallest_subnormal


def test_float16_and_float32_are_as_numpy_has_them():
    for name in ("float16", "float32"):
        info, fmt = np.finfo(name), FORMATS[name]
        assert (fmt.largest, fmt.smallest_normal) == (info.max, info.tiny)
        assert fmt.smallest_subnormal == info.smallest_subnormal
        assert fmt.mantissa_bits == info.nmant


@pytest.mark.parametrize("name", NARROW)
@pytest.mark.parametrize("end", ["largest", "smallest_normal", "smallest_subnormal"])
@pytest.mark.parametrize("scale", [1.0, 0.25, 64.0])
def test_the_shares_are_those_of_casting(rng, name, end, scale):
    fmt = FORMATS[name]
    center = max(math.log2(getattr(fmt, end) / scale), -118)  # keeps the numbers among float32's normal ones
    values = lognormal(rng, center, 3.0)
    values[:50] = 0
    known, stored = statistics(values), cast(values * scale, name)
    nonzero = values != 0
    over = beyond(values * scale, stored, name).mean()
    under = (stored[nonzero] == 0).mean()
    subnormal = ((stored != 0) & (np.abs(stored) < fmt.smallest_normal)).sum() / nonzero.sum()
    # Inside a bin the density of a normal of width 3 changes by at most a sixth of its peak, 0.133 a binade, so that
    # a straight line through its ends errs by at most 1/8 of that; two edges, and the sampling error of 0.5/√20000.
    tolerance = 2 * 0.133 / 6 / 8 + 5 * 0.5 / math.sqrt(values.size) / 5
    assert share_over(known, fmt, scale) == pytest.approx(over, abs=tolerance)
    assert share_under(known, fmt, scale) == pytest.approx(under, abs=tolerance)
    assert share_subnormal(known, fmt, scale) == pytest.approx(subnormal, abs=2 * tolerance)


@pytest.mark.parametrize("name", NARROW)
def test_equal_elements_and_two_values_are_judged_without_error(name):
    fmt = FORMATS[name]
    for edge in (fmt.overflow, fmt.underflow, fmt.smallest_normal):
        for factor in (0.9, 0.999, 1.001, 1.1):
            value = edge * factor
            stored = cast([value], name)[0]
            known = statistics([value] * 7)
            assert share_over(known, fmt) == beyond(value, stored, name)
            assert share_under(known, fmt) == (stored == 0)
            assert share_subnormal(known, fmt) == (0 < stored < fmt.smallest_normal)


@pytest.mark.parametrize("name", NARROW)
def test_one_outlier_shows(name):
    fmt = FORMATS[name]
    high = share_over(statistics([1.0] * 999 + [fmt.overflow * 1.01]), fmt)
    low = share_under(statistics([1.0] * 999 + [fmt.underflow * 0.99]), fmt)
    assert high == low == pytest.approx(1e-3)


def test_the_ends_of_the_bin_that_an_edge_cuts_are_elements():
    fmt = FORMATS["float16"]
    near = statistics([40_000.0] * 5 + [65_000.0, 65_521.0])  # all in [2^15, 2^16), the largest just over the edge
    assert 1 / 7 <= share_over(near, fmt) <= 6 / 7
    assert share_over(statistics([40_000.0, 65_503.0]), fmt) == 0


def test_what_is_not_finite_and_what_is_zero_is_counted():
    fmt = FORMATS["float16"]
    values = [0.0, 0.0, 1.0, 2.0**-30, math.inf, -math.inf, math.nan, 1e6]
    known = statistics(values)
    assert share_over(known, fmt) == 3 / 8
    assert share_under(known, fmt) == 1 / 6
    assert share_over(statistics([0.0, 0.0]), fmt) == share_under(statistics([0.0]), fmt) == 0
    assert share_over(statistics([]), fmt) == 0
    assert share_over(statistics([math.inf]), fmt) == 1


def test_without_a_histogram_nothing_is_claimed():
    bare = TensorStatistics(8, 0.0, 1.0, 1.0, 3.0, 0.1, 0.0)
    assert all(math.isnan(share(bare, FORMATS["float16"])) for share in (share_over, share_under, share_subnormal))


def test_headroom_is_counted_in_binades():
    fmt = FORMATS["float16"]
    assert headroom(statistics([fmt.largest / 8, fmt.smallest_subnormal * 4]), fmt) == (3.0, 2.0)
    assert headroom(statistics([fmt.largest * 2, fmt.smallest_subnormal / 2]), fmt) == (-1.0, -1.0)
    assert headroom(statistics([0.0]), fmt) == (math.inf, math.inf)
    assert headroom(statistics([math.inf, 1.0]), fmt)[0] == -math.inf
    assert math.isnan(headroom(statistics([math.nan]), fmt)[0])


@pytest.mark.parametrize("name", NARROW)
@pytest.mark.parametrize("lost", [0.0, 0.01, 0.2])
def test_the_window_is_the_scales_at_which_casting_keeps_the_gradients(rng, name, lost):
    fmt = FORMATS[name]
    middle = (math.log2(fmt.largest) + math.log2(fmt.smallest_subnormal)) / 2
    arrays = {"a": lognormal(rng, middle - 9, 0.8), "b": lognormal(rng, middle - 6, 0.8), "zero": np.zeros(5)}
    window = loss_scale_window({site: statistics(values) for site, values in arrays.items()}, fmt, lost)
    assert (window.low_site, window.high_site) == ("a", "b")
    # The smallest scale may differ by one power of two where the share at an edge is interpolated.
    inside = [k for k in range(-180, 180) if all(_kept(values, name, k, lost) for values in arrays.values())]
    assert window.high == inside[-1]
    assert abs(window.low - inside[0]) <= (0 if lost == 0 else 1)


def _kept(values, name, power, lost):
    scaled = values * 2.0**power
    stored = cast(scaled, name)
    nonzero = values != 0
    return not beyond(scaled, stored, name).any() and (stored[nonzero] == 0).sum() <= lost * nonzero.sum()


def test_a_window_may_be_empty_or_open():
    fmt = FORMATS["float8_e4m3fn"]
    wide = statistics([2.0**-13, 2.0**10])
    window = loss_scale_window({"fc": wide}, fmt)
    assert window.empty
    assert (window.low_site, window.high_site) == ("fc", "fc")
    assert loss_scale_window({"fc": statistics([0.0])}, fmt) == LossScaleWindow(-math.inf, math.inf)
    broken = loss_scale_window({"fc": statistics([1.0]), "head": statistics([math.nan, 1.0])}, fmt)
    assert (broken.empty, broken.high, broken.high_site) == (True, -math.inf, "head")
    assert loss_scale_window({"fc": statistics([math.inf])}, fmt).empty
    equal = loss_scale_window({"first": statistics([1.0]), "larger": statistics([1.1])}, fmt)
    assert equal.high_site == "larger"


def test_the_smallest_and_largest_doubles_have_a_window():
    window = loss_scale_window({"fc": statistics([5e-324, 5e-324])}, FORMATS["bfloat16"])
    assert math.ldexp(5e-324, int(window.low)) > FORMATS["bfloat16"].underflow
    assert math.ldexp(5e-324, int(window.low) - 1) <= FORMATS["bfloat16"].underflow
    assert not loss_scale_window({"fc": statistics([1.7e308])}, FORMATS["float16"]).empty


def test_what_rounding_leaves_of_a_zero_binds_no_scale():
    real = [2.0**-12] * 8
    noise = [2.0**-40] * 4  # below half a unit in the last place of the largest, in float32
    fmt = FORMATS["float16"]
    assert loss_scale_window({"bias": statistics(real + noise)}, fmt) == loss_scale_window(
        {"bias": statistics(real)}, fmt
    )
    small = [2.0**-30] * 4  # not below it
    assert loss_scale_window({"bias": statistics(real + small)}, fmt).low > 0
