"""Laws of the streaming statistics; the oracle is plain NumPy in float64, or a Python loop."""

from __future__ import annotations

import ctypes.util
import itertools
import math
import os
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from justright.core.zones import Zones
from justright.errors import InputError
from justright.statistics import (
    HIGHEST_EXPONENT,
    LOWEST_EXPONENT,
    Summary,
    UnitCounts,
    summarize,
    summarize_bfloat16,
    summarize_memory,
    summarize_units,
)
from justright.statistics import reference as plain
from justright.statistics.rows import identical_rows
from justright.statistics.traversal import pieces

DTYPES = (np.float16, np.float32, np.float64)
RELU = Zones(flat=((-math.inf, 0.0),), off=((-math.inf, 0.0),))
CLAMP = Zones(flat=((-math.inf, 0.0), (0.7, math.inf)), off=((-math.inf, 0.0),))
SPECIAL = [0.0, -0.0, math.nan, math.inf, -math.inf, 1e-45, -1e-40, 6e-8, 1.0, -1.5, 65504.0, 3e38]
COUNTS = ("count", "zeros", "nan", "positive_inf", "negative_inf", "min_nonzero")


def reference(values: np.ndarray) -> Summary:
    """Summarize by NumPy, in the order of the array."""
    return plain.scan(values.ravel())[0] if values.size else Summary.empty()


def assert_same(found: Summary, expected: Summary, loss: float = 1e5) -> None:
    """Compare; moments up to `loss` units of rounding of the largest magnitude in float64, all else exactly."""
    for name in COUNTS:
        assert getattr(found, name) == getattr(expected, name), name
    np.testing.assert_equal(found.absmax, expected.absmax)
    np.testing.assert_array_equal(found.histogram, expected.histogram)
    rounding = loss * np.finfo(np.float64).eps
    scale = expected.absmax if math.isfinite(expected.absmax) else 0.0
    np.testing.assert_allclose(found.mean, expected.mean, rtol=0, atol=rounding * scale)
    spread = math.sqrt(expected.m2 / expected.count) if expected.count else 0.0
    std = math.sqrt(found.m2 / found.count) if found.count else 0.0
    np.testing.assert_allclose(std, spread, rtol=rounding, atol=rounding * scale)


def normal(shape: int | tuple[int, ...], seed: int = 0, dtype: type[np.generic] = np.float32) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


# Kernel and reference


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [1, 7, 8, 4095, 4096, 4097, 12345, 300_001])
def test_kernel_is_reference(dtype, size):
    values = normal(size, size, dtype)
    values[size // 3 :: 7] = 0
    assert_same(summarize(values), reference(values))


@pytest.mark.parametrize("dtype", DTYPES)
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_kernel_is_reference_on_special_values(dtype, data):
    with np.errstate(over="ignore", under="ignore"):
        special = np.array(SPECIAL).astype(dtype)
    shape = data.draw(hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=9))
    finite = hnp.from_dtype(np.dtype(dtype), min_value=-1e4, max_value=1e4, allow_subnormal=True)
    values = data.draw(hnp.arrays(dtype, shape, elements=st.one_of(st.sampled_from(list(special)), finite)))
    assert_same(summarize(values), reference(values))


@pytest.mark.parametrize("position", [0, 5, 4095, 4096, 9999])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e-45, -3e-39])
def test_one_element_anywhere_is_seen(position, value):
    values = normal(10_000)
    values[position] = value
    found = summarize(values)
    assert_same(found, reference(values))
    assert (found.nan, found.positive_inf, found.negative_inf) == (
        int(math.isnan(value)),
        int(value == math.inf),
        int(value == -math.inf),
    )
    assert math.isfinite(found.finish().rms) == math.isfinite(value)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("mean", "std"), [(100, 0.01), (-1e4, 0.5), (0, 1e-30), (1e30, 1e28), (3, 0)])
def test_shifted_data_keep_their_spread(dtype, mean, std):
    values = (mean + std * np.random.default_rng(1).standard_normal(50_000)).astype(dtype)
    wide = values.astype(np.float64)
    found = summarize(values).finish()
    assert found.mean == pytest.approx(wide.mean(), rel=1e-12, abs=1e-12 * std)
    assert found.std == pytest.approx(wide.std(), rel=1e-9, abs=1e-15 * abs(mean))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("value", [0.1, -7.0, 1e-7, 0.0])
def test_constant_tensor_has_no_spread(dtype, value):
    values = np.full(10_001, value, dtype)
    found = summarize(values)
    assert (found.mean, found.m2) == (float(values[0]), 0.0)
    assert found.finish().rms == abs(float(values[0]))


def test_outlier_does_not_hide_in_any_block():
    values = np.full(20_000, 1e-3, np.float32)
    values[0] = values[15_000] = 1e6
    assert_same(summarize(values), reference(values))
    assert summarize(values).absmax == 1e6


def test_all_half_patterns():
    bits = np.arange(1 << 16, dtype=np.uint16)
    assert_same(summarize(bits.view(np.float16)), reference(bits.view(np.float16)))
    brain = (bits.astype(np.uint32) << 16).view(np.float32)
    assert_same(summarize_bfloat16(bits), reference(brain))
    finite = bits[np.isfinite(brain)]
    assert_same(summarize_bfloat16(finite), reference(brain[np.isfinite(brain)]))


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_complex_is_its_two_parts(dtype):
    values = (normal((40, 30), 1, np.float64) + 1j * normal((40, 30), 2, np.float64)).astype(dtype)
    assert_same(summarize(values.T[::2]), reference(np.stack([values.T[::2].real, values.T[::2].imag])))


def test_float64_beyond_float32_counts_in_the_end_bins():
    found = summarize(np.array([1e-300, -5e-324, 1e300, 1e100, 0.0]))
    assert found.histogram[0] == 2
    assert found.histogram[-1] == 2
    assert (found.absmax, found.min_nonzero) == (1e300, 5e-324)


def test_moments_beyond_float64_are_not_silently_finite():
    found = summarize(np.array([1e200, -1e200, 1.0])).merge(summarize(np.array([1e180]))).finish()
    assert not math.isfinite(found.std)
    assert not math.isfinite(found.rms)
    assert found.absmax == 1e200


# Layout


def layouts(values: np.ndarray) -> dict[str, np.ndarray]:
    """Arrays of the same elements in other places of memory."""
    padded = np.full([2 * size + 1 for size in values.shape], np.nan, values.dtype)
    strided = padded[tuple(slice(1, 2 * size + 1, 2) for size in values.shape)]
    strided[...] = values
    cut = np.full([*values.shape[:-1], values.shape[-1] + 3], np.nan, values.dtype)[..., 1:-2]
    cut[...] = values
    raw = np.zeros(values.nbytes + 1, np.uint8)[1:].view(values.dtype).reshape(values.shape)
    raw[...] = values
    frozen = values.copy()
    frozen.flags.writeable = False
    flipped = np.flip(np.flip(values).copy())
    orders = {
        f"order {order}": values.transpose(order).copy().transpose(np.argsort(order))
        for order in itertools.permutations(range(values.ndim))
    }
    swapped = values.astype(values.dtype.newbyteorder())
    return {
        "strided": strided,
        "cut": cut,
        "unaligned": raw,
        "read-only": frozen,
        "flipped": flipped,
        "swapped": swapped,
        **orders,
    }


@pytest.mark.parametrize("dtype", DTYPES)
def test_layout_changes_nothing(dtype, monkeypatch):
    monkeypatch.setattr("justright.statistics.traversal.PIECE", 50)  # so that small arrays are split too
    values = normal((6, 5, 7), 3, dtype)
    values[0, 0, :3] = [np.nan, np.inf, 0]
    expected, counts = summarize_units(values, 0, CLAMP)
    assert_same(expected, reference(values))
    for name, array in layouts(values).items():
        assert np.array_equal(array, values, equal_nan=True), name
        assert_same(summarize(array), expected)
        found, units = summarize_units(array, 0, CLAMP)
        assert_same(found, expected)
        np.testing.assert_array_equal(units.flat, counts.flat, err_msg=name)


@pytest.mark.parametrize("dtype", DTYPES)
def test_pieces_are_what_the_kernels_ask_for(dtype):
    for name, array in layouts(normal((6, 5, 7), 3, dtype)).items():
        parts = [piece.flat for piece in pieces(array, 0)]
        for flat in parts:
            assert flat.flags.aligned, name
            assert flat.flags.c_contiguous, name
            assert flat.dtype.isnative, name
        assert sorted(np.concatenate(parts).tolist()) == sorted(array.ravel().tolist())


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_dense_arrays_are_read_in_place(order):
    values = normal((3, 4, 5))
    for array in (values.transpose(order), values[::-1, :, ::-1].transpose(order)):
        (piece,) = pieces(array)
        assert np.shares_memory(piece.flat, values)
        assert piece.flat.size == 60


def test_copies_are_bounded(monkeypatch):
    monkeypatch.setattr("justright.statistics.traversal.PIECE", 50)
    values = normal((6, 50, 7))[:, ::2]
    assert max(piece.flat.size for piece in pieces(values)) <= 50
    assert sum(piece.flat.size for piece in pieces(values)) == values.size


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_broadcast_is_its_elements_repeated(axis):
    values = np.broadcast_to(normal((4, 1, 5)), (3, 4, 6, 5))[:, :, :, :]
    assert_same(summarize(values), reference(values.copy()))
    found, units = summarize_units(values, axis, RELU)
    assert_same(found, reference(values.copy()))
    same = summarize_units(values.copy(), axis, RELU)[1]
    assert units.elements == same.elements
    np.testing.assert_array_equal(units.off, same.off)


@pytest.mark.parametrize("shape", [(0,), (3, 0), (0, 4, 2)])
@pytest.mark.parametrize("dtype", [*DTYPES, np.complex64])
def test_empty_array_is_the_identity(shape, dtype):
    assert_same(summarize(np.zeros(shape, dtype)), Summary.empty())
    assert math.isnan(summarize(np.zeros(shape, dtype)).finish().rms)


def test_scalar():
    statistics = summarize(np.float32(-3.0)).finish()
    assert (statistics.count, statistics.mean, statistics.rms, statistics.std) == (1, -3.0, 3.0, 0.0)


@pytest.mark.parametrize("values", [np.arange(3), np.array([True]), np.array(["a"]), np.zeros(2, np.uint16)])
def test_other_types_are_refused(values):
    with pytest.raises(InputError, match="float32"):
        summarize(values)


@pytest.mark.parametrize("axis", [2, -3])
def test_missing_axis_is_refused(axis):
    with pytest.raises(InputError, match="axis"):
        summarize_units(np.zeros((2, 2)), axis, RELU)


# Merging

samples = hnp.arrays(
    np.float32, st.integers(0, 200), elements=st.one_of(st.sampled_from(SPECIAL[:11]), st.floats(-9, 9, width=32))
)


@settings(deadline=None, max_examples=100)
@given(values=samples, data=st.data())
def test_merge_of_parts_is_the_whole(values, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, values.size), max_size=5)))
    whole = Summary.empty()
    for part in np.split(values, cuts):
        whole = whole.merge(summarize(part))
    assert_same(whole, summarize(values))


@settings(deadline=None, max_examples=60)
@given(samples, samples, samples)
def test_merge_is_associative_and_commutative(a, b, c):
    x, y, z = map(summarize, (a, b, c))
    assert_same(x.merge(y).merge(z), x.merge(y.merge(z)))
    assert_same(x.merge(y), y.merge(x))
    assert_same(x.merge(Summary.empty()), x)
    assert_same(Summary.empty().merge(x), x)


@settings(deadline=None, max_examples=60)
@given(samples, st.randoms(use_true_random=False))
def test_order_does_not_matter(values, random):
    order = list(range(values.size))
    random.shuffle(order)
    assert_same(summarize(values[order]), summarize(values))


@given(samples, st.integers(0, 5))
def test_scaled_count_is_repetition(values, times):
    assert_same(summarize(values).scaled_count(times), summarize(np.tile(values, times)))


@pytest.fixture
def splitting(monkeypatch):
    """Let any scan be split, among threads of Python's own unless an OpenMP runtime is joined."""
    threads = pytest.importorskip("justright.statistics.threads")
    monkeypatch.setattr(threads, "_teams", threads._teams[:1])
    monkeypatch.setattr(threads.Pool, "least", 0)
    monkeypatch.setattr(threads.OpenMP, "least", 0)
    return threads


def openmp() -> str:
    """Path of the OpenMP runtime that came with PyTorch."""
    torch = pytest.importorskip("torch")
    found = sorted((Path(torch.__file__).parent / "lib").glob("libgomp*"))
    return str(found[0]) if found else pytest.skip("no OpenMP runtime")


@pytest.mark.parametrize("runtime", ["pool", "openmp"])
def test_number_of_threads_changes_no_bit(monkeypatch, splitting, runtime):
    assert runtime == "pool" or splitting.join(openmp())
    values = normal(400_000, 4)
    values[::1000] = 0
    results = []
    for count in (1, 2, 3, 7):
        monkeypatch.setattr(type(splitting.team()), "threads", lambda _self, n=count: n)
        summary, counts = summarize_units(values.reshape(-1, 50), 1, CLAMP)
        results.append((summary.finish(), counts.flat.tolist(), counts.off.tolist()))
    assert results.count(results[0]) == len(results)


def test_a_scan_waits_for_its_slowest_thread(monkeypatch, splitting):
    call = splitting._call
    begun = threading.Event()
    ran = set()

    def slow(*arguments):
        ran.add(threading.get_ident())
        if threading.current_thread() is threading.main_thread():
            assert begun.wait(timeout=30)
        else:
            begun.set()
            time.sleep(0.05)
        call(*arguments)

    values = normal(300_000, 9)
    expected = summarize(values)
    monkeypatch.setattr(splitting.Pool, "threads", lambda _self: 2)
    monkeypatch.setattr(splitting, "_call", slow)
    assert_same(summarize(values), expected)
    assert len(ran) == 2


def test_no_two_threads_share_counters(monkeypatch, splitting):
    """Lost updates would show: many threads, small shares, and every element in the same counter."""
    assert splitting.join(openmp())
    parallel = pytest.importorskip("justright.statistics.parallel")
    monkeypatch.setattr(splitting.OpenMP, "threads", lambda _self: 16)
    for turn in range(40):
        monkeypatch.setattr(parallel, "FEWEST", [1, 8, 40][turn % 3])  # also with more threads than counters
        summary, counts = summarize_units(np.full((3000, 100), -1.0, np.float32), 1, RELU)
        assert summary.histogram.tolist().count(0) == summary.histogram.size - 1
        assert summary.histogram.sum() == summary.count == 300_000
        assert set(counts.flat.tolist()) == set(counts.off.tolist()) == {3000}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_has_threads_of_its_own():
    code = (
        "import os, sys, numpy as np\n"
        "from justright.statistics import summarize, threads\n"
        f"assert threads.join({openmp()!r})\n"
        "threads.OpenMP.threads = lambda self: 2\n"
        "values = np.ones(1 << 22, np.float32)\n"
        "summarize(values)\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    threads.Pool.threads = lambda self: 2\n"
        "    os._exit(summarize(values).count != values.size)\n"
        "sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=120, check=False).returncode == 0


def test_a_library_without_the_entry_points_is_not_joined(splitting):
    assert not splitting.join("no-such-library.so")
    assert not splitting.join(ctypes.util.find_library("c") or "libc.so.6")
    assert isinstance(splitting.team(), splitting.Pool)


def test_layouts_compile_nothing_new():
    tasks = pytest.importorskip("justright.statistics.tasks")
    for dtype in DTYPES:
        summarize(normal(5, 3, dtype))
    compiled = tasks.entry.cache_info().misses
    for dtype in DTYPES:
        for array in layouts(normal((6, 5, 7), 3, dtype)).values():
            summarize_units(array, 0, CLAMP)
    assert tasks.entry.cache_info().misses == compiled


def test_memory_is_summarized_as_the_array():
    for dtype in DTYPES:
        values = normal(5000, 3, dtype)
        assert_same(summarize_memory(values.ctypes.data, values.size, values.dtype, values), summarize(values), 0)


WIDE = {"narrow": (-3, 3), "window": (-30, 30), "wide": (-140, 120), "tiny": (-150, -100), "huge": (60, 128)}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scales", WIDE)
@pytest.mark.parametrize("start", [0, 5000, 70_000])
def test_blocks_of_any_scales_are_counted_alike(dtype, scales, start):
    """Blocks that span few binades are counted in pairs, others singly; a first block of zeros sets nothing."""
    generator = np.random.default_rng(start)
    exponents = generator.integers(*WIDE[scales], size=40)
    with np.errstate(all="ignore"):
        values = (generator.standard_normal(40 * 4096) * np.repeat(np.ldexp(1.0, exponents), 4096)).astype(dtype)
    values[:start] = 0
    values[100_000:100_100] = 0
    assert_same(summarize(values), reference(values))
    assert_same(summarize(values[:-1]), reference(values[:-1]))


# Identical rows


def groups_of(values: np.ndarray, slopes: np.ndarray, axis: int) -> set[tuple[int, ...]]:
    """Group by Python's equality of lists; the oracle."""
    units = range(values.shape[axis])
    keys = [(values.take(i, axis).tolist(), slopes.take(i, axis).tolist()) for i in units]
    return {group for i in units if len(group := tuple(j for j in units if keys[j] == keys[i])) > 1}


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_identical_rows_are_those_equal_in_value_and_slope(data):
    shape = tuple(data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=4)))
    few = st.sampled_from([0.0, -0.0, 1.0, 1.0 + 1e-12, -1.0, 1e300, 2e300, math.inf])
    values = data.draw(hnp.arrays(np.float64, shape, elements=few))
    slopes = data.draw(hnp.arrays(np.float64, shape, elements=st.sampled_from([0.0, 1.0])))
    axis = data.draw(st.integers(0, len(shape) - 1))
    assert set(identical_rows(values, slopes, axis)) == groups_of(values, slopes, axis)


# Finished statistics


def finite_part(values: np.ndarray) -> np.ndarray:
    return np.abs(values[np.isfinite(values)].astype(np.float64))


@settings(deadline=None, max_examples=100)
@given(samples)
def test_histogram_holds_every_finite_nonzero_element(values):
    summary = summarize(values)
    statistics = summary.finish()
    zeros = int((values == 0).sum())
    assert sum(n for _, n in statistics.histogram) == statistics.count - statistics.nonfinite - zeros
    magnitude = finite_part(values)
    nonzero = magnitude[magnitude > 0]
    for exponent, n in statistics.histogram:
        assert n == ((nonzero >= 2.0**exponent) & (nonzero < 2.0 ** (exponent + 1))).sum()
    if nonzero.size:
        top, low = statistics.histogram[-1][0], statistics.histogram[0][0]
        assert 2.0**top <= nonzero.max() < 2.0 ** (top + 1)
        assert 2.0**low <= nonzero.min() < 2.0 ** (low + 1)


def test_every_exponent_has_its_bin():
    exponents = np.arange(LOWEST_EXPONENT, HIGHEST_EXPONENT + 1)
    for dtype in (np.float32, np.float64):
        histogram = summarize(np.ldexp(1.0, exponents).astype(dtype)).finish().histogram
        assert histogram == tuple((int(exponent), 1) for exponent in exponents)


@pytest.mark.parametrize(
    ("values", "mean", "rms", "std", "absmax"),
    [
        ([1, math.nan], math.nan, math.nan, math.nan, math.nan),
        ([1, math.inf], math.inf, math.inf, math.nan, math.inf),
        ([1, -math.inf], -math.inf, math.inf, math.nan, math.inf),
        ([math.inf, -math.inf], math.nan, math.inf, math.nan, math.inf),
        ([math.inf, math.nan], math.nan, math.nan, math.nan, math.nan),
    ],
)
def test_what_is_not_finite_shows(values, mean, rms, std, absmax):
    array = np.array(values, np.float32)
    with np.errstate(invalid="ignore"):
        oracle = (array.mean(), np.sqrt(np.mean(array**2)), array.std(), np.abs(array).max())
    np.testing.assert_equal(oracle, (mean, rms, std, absmax))
    parts = summarize(array[:1]).merge(summarize(array[1:])).finish()
    for found in (summarize(array).finish(), parts):
        np.testing.assert_equal((found.mean, found.rms, found.std, found.absmax), (mean, rms, std, absmax))


def test_smallest_magnitude_of_zeros_and_nan_is_none():
    assert math.isnan(summarize(np.array([0.0, -0.0, math.nan])).finish().min_nonzero)
    assert summarize(np.array([0.0, math.inf])).finish().min_nonzero == math.inf


def test_normal_samples_have_the_moments_of_their_law():
    n, keep = 1_000_000, 0.7
    generator = np.random.default_rng(7)
    values = generator.standard_normal(n).astype(np.float32)
    values[generator.random(n) >= keep] = 0
    found = summarize(values).finish()
    errors = 5  # standard errors: missed once in 1.7 million fixed seeds
    assert abs(found.mean) < errors * math.sqrt(keep / n)
    # the square has mean p and fourth moment 3 p; the standard error of the root follows by the delta method
    assert abs(found.rms - math.sqrt(keep)) < errors * math.sqrt((3 * keep - keep**2) / n) / (2 * math.sqrt(keep))
    assert abs(found.zeros - (1 - keep)) < errors * math.sqrt(keep * (1 - keep) / n)
    share = dict(found.histogram)[0] / n
    expected = keep * (math.erf(2 / math.sqrt(2)) - math.erf(1 / math.sqrt(2)))
    assert abs(share - expected) < errors * math.sqrt(expected / n)


# Units


def brute_force(values: np.ndarray, axis: int, intervals) -> list[int]:
    """Count by a Python loop over exact numbers."""
    counts = [0] * values.shape[axis]
    for index in np.ndindex(values.shape):
        counts[index[axis]] += any(low <= float(values[index]) <= high for low, high in intervals)
    return counts


@pytest.mark.parametrize("dtype", DTYPES)
@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_units_are_counted_as_by_hand(dtype, data):
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=4, max_side=6))
    ends = [-math.inf, -1.0, 0.0, 0.1, 0.5, math.inf]
    elements = st.sampled_from([dtype(v) for v in (*ends, math.nan, -0.0, 0.09, 0.11, 2.0)])
    values = data.draw(hnp.arrays(dtype, shape, elements=elements))
    order = data.draw(st.permutations(range(values.ndim)))
    array = values.transpose(order).copy().transpose(np.argsort(order))
    intervals = st.lists(
        st.tuples(st.sampled_from(ends), st.sampled_from(ends)).map(lambda p: (min(p), max(p))), max_size=3
    )
    zones = Zones(tuple(data.draw(intervals)), tuple(data.draw(intervals)))
    axis = data.draw(st.integers(-values.ndim, values.ndim - 1))
    summary, units = summarize_units(array, axis, zones)
    assert_same(summary, reference(values))
    assert units.elements == values.size // values.shape[axis]
    assert units.flat.tolist() == brute_force(values, axis, zones.flat)
    assert units.off.tolist() == brute_force(values, axis, zones.off)


@pytest.mark.parametrize("shape", [(3, 5000), (5000, 3), (2, 7, 999), (1, 9000), (9000, 1), (70, 2, 80)])
@pytest.mark.parametrize("scan", ["kernel", "reference"])
def test_units_reach_over_blocks(shape, scan, monkeypatch):
    if scan == "reference":
        monkeypatch.setattr("justright.statistics.compute._scan", lambda: plain.scan)
        monkeypatch.setattr(plain, "CHUNK", 777)
    values = normal(shape, 5)
    for axis in range(values.ndim):
        others = tuple(i for i in range(values.ndim) if i != axis)
        _, units = summarize_units(values, axis, CLAMP)
        inside = (values <= 0) | (values.astype(np.float64) >= 0.7)
        np.testing.assert_array_equal(units.flat, inside.sum(axis=others))
        np.testing.assert_array_equal(units.off, (values <= 0).sum(axis=others))


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("end", [0.1, 0.3, -0.7, 1 / 3, 1e-50, 1e300, -1e300])
def test_ends_are_compared_exactly(dtype, end):
    with np.errstate(over="ignore", under="ignore"):
        middle = np.array(end).astype(np.float32)
    values = np.array([np.nextafter(middle, np.float32(-np.inf)), middle, np.nextafter(middle, np.float32(np.inf))])
    with np.errstate(over="ignore", under="ignore"):
        values = values.astype(dtype)
    exact = [float(value) for value in values]
    _, below = summarize_units(values.reshape(1, 3), 1, Zones(((-math.inf, end),), ()))
    _, above = summarize_units(values.reshape(1, 3), 1, Zones(((end, math.inf),), ()))
    assert below.flat.tolist() == [value <= end for value in exact]
    assert above.flat.tolist() == [value >= end for value in exact]


def test_bfloat16_units():
    values = normal((30, 20), 6).view(np.uint32) & np.uint32(0xFFFF0000)
    _, expected = summarize_units(values.view(np.float32), 1, CLAMP)
    summary, found = summarize_units((values >> 16).astype(np.uint16), 1, CLAMP)
    assert_same(summary, reference(values.view(np.float32)))
    np.testing.assert_array_equal(found.flat, expected.flat)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_units_dead_under_relu_are_those_never_positive(axis):
    shape = [6 if i == axis else 4 for i in range(3)]
    shift = np.linspace(-1, 5, 6, dtype=np.float32)  # from units that are on to units that are off
    values = normal(tuple(shape), 8) - shift.reshape([6 if i == axis else 1 for i in range(3)])
    others = tuple(i for i in range(3) if i != axis)
    never = (values <= 0).all(axis=others)
    assert 0 < never.sum() < never.size
    _, units = summarize_units(values, axis, RELU)
    finished = units.finish(axis, "relu(x)")
    assert (finished.dead, finished.units) == (never.sum(), values.shape[axis])
    assert finished.share == pytest.approx((values <= 0).mean())


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.floats(-2, 2))
def test_more_batches_only_revive_units(seed, shift):
    first, second = (normal((3, 16), seed + i) + np.float32(shift) for i in range(2))
    a, b = (summarize_units(batch, 1, RELU)[1] for batch in (first, second))
    both = a.merge(b)
    dead = both.off == both.elements
    assert not (dead & (a.off < a.elements)).any()
    assert both.finish(1, "").dead == ((first <= 0).all(axis=0) & (second <= 0).all(axis=0)).sum()
    np.testing.assert_array_equal(both.flat, summarize_units(np.concatenate([first, second]), 1, RELU)[1].flat)


@pytest.mark.parametrize(
    ("flat", "off", "expected"),
    [(20, 20, (1, 0)), (19, 0, (0, 1)), (18, 18, (0, 0)), (20, 19, (0, 1)), (20, 0, (0, 1)), (0, 0, (0, 0))],
)
def test_dead_and_saturated_exclude_each_other(flat, off, expected):
    finished = UnitCounts(20, np.array([flat]), np.array([off])).finish(0, "f(x)")
    assert (finished.dead, finished.saturated) == expected


def test_units_without_elements_are_neither():
    _, units = summarize_units(np.zeros((0, 3), np.float32), 1, RELU)
    finished = units.finish(1, "relu(x)")
    assert (finished.units, finished.dead, finished.saturated) == (3, 0, 0)
    assert math.isnan(finished.share)
    assert summarize_units(np.zeros((2, 0), np.float32), 1, RELU)[1].finish(1, "relu(x)").units == 0


def test_units_of_other_number_do_not_merge():
    a, b = (UnitCounts(1, np.zeros(n, np.int64), np.zeros(n, np.int64)) for n in (2, 3))
    with pytest.raises(InputError, match="3 units"):
        a.merge(b)


def test_import_brings_no_numba():
    code = "import sys, justright.statistics; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_numpy_takes_over_without_numba():
    code = (
        "import sys; sys.modules['numba'] = None; import numpy as np; from justright.statistics import *;"
        "x = np.arange(5.0); s = summarize(x); t = summarize_memory(x.ctypes.data, x.size, x.dtype, x);"
        "sys.exit(not (backend() == 'numpy' and s.mean == t.mean == 2.0))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
