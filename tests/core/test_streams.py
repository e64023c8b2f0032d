"""Laws of the random streams: known answers, the specification by another route, and any slice drawn alone."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from justright.core.quantiles import _pieces, quantile, to_normal, to_symmetric, to_truncated, to_uniform, window
from justright.core.streams import Stream, elements, philox

PAGE = (Path(__file__).parents[2] / "docs" / "streams.md").read_text(encoding="utf-8")
STREAM = Stream.of(0, "layers.0.weight")


def test_philox_gives_its_authors_answers():
    answers = {  # Random123, kat_vectors
        ((0, 0, 0, 0), (0, 0)): "6627e8d5 e169c58d bc57ac4c 9b00dbd8",
        ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2): "408f276d 41c83b0e a20bc7c6 6d5451fd",
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
        ): "d16cfe09 94fdcceb 5001e420 24126ea1",
    }
    for (counter, key), words in answers.items():
        found = philox(tuple(np.array([word], np.uint64) for word in counter), key)
        assert " ".join(f"{int(word[0]):08x}" for word in found) == words
        assert words in PAGE


def test_the_page_has_the_known_answers():
    words = [STREAM.words(0, 4), STREAM.words(62, 66), STREAM.words(2**40, 2**40 + 2), STREAM.beside(1).words(0, 2)]
    rows = [" ".join(f"{word:08x}" for word in row) for row in words]
    rows.append(" ".join(map(str, quantile(STREAM.words(0, 4)))))
    floats = [STREAM.uniform(0, 4), STREAM.normal(0, 4), to_truncated(STREAM.words(0, 4), -2.0, 2.0)]
    rows += [" ".join(float(x).hex().replace("p", "P").rstrip() for x in row) for row in floats]
    rows = [row if "P" not in row else " ".join(short(part) for part in row.split()) for row in rows]
    assert [row for row in rows if f"| {row} |" not in PAGE] == []
    assert f"{STREAM.key:016x}" in PAGE
    for seed, name in ((-7, "ä.weight"), (2**70, "")):
        assert f"| {Stream.of(seed, name).key:016x} |" in PAGE
    for digest in (
        b"".join(each.astype("<i4").tobytes() for each in _pieces()),
        Stream(0).normal(0, 100_000).tobytes(),
    ):
        assert hashlib.blake2b(digest, digest_size=8).hexdigest() in PAGE


def short(written):
    digits, power = written.split("P")
    return digits.rstrip("0") + "p" + power.replace("+", "")


def test_the_table_is_that_of_exact_quantiles(rng):
    mpmath = pytest.importorskip("mpmath")
    left, slope, bend = _pieces()
    for piece in [*rng.integers(0, 2048, 40).tolist(), 0, 2047]:
        octave, part = divmod(piece, 64)
        z = [floor_quantile(mpmath, octave, part + f) for f in (0, 0.5, 1)]
        assert left[piece] == z[0]
        assert slope[piece] == 4 * z[1] - 3 * z[0] - z[2]
        assert bend[piece] == 2 * (z[0] - 2 * z[1] + z[2])


def floor_quantile(mpmath, octave, part):
    with mpmath.workdps(40):
        tail = mpmath.mpf(2) ** (octave - 33) * (1 + mpmath.mpf(part) / 64)
        return int(mpmath.floor(mpmath.sqrt(2) * mpmath.erfinv(1 - 2 * tail) * 2**28))


def test_quantiles_are_near_exact_monotone_and_odd(rng):
    words = np.sort(np.concatenate([rng.integers(0, 2**32, 200_000), np.arange(5000), 2 ** np.arange(32)])).astype(
        np.uint32
    )
    fixed = quantile(words)
    lower = words < 2**31
    exact = stats.norm.ppf((2 * words[lower].astype(np.float64) + 1) / 2**33)
    assert np.abs(fixed[lower] / 2**28 - exact).max() < 4e-8
    assert np.all(np.diff(fixed.astype(np.int64)) >= 0)
    assert np.array_equal(quantile(~words), -fixed)
    ends = np.ldexp(1 + np.arange(64) / 64, np.arange(8, 31)[:, None]).astype(np.int64).ravel()[:, None] + np.arange(
        -40, 40
    )
    around = np.concatenate([ends.ravel(), 2**31 + np.arange(-50, 50), rng.integers(2**31) + np.arange(100_000)])
    assert np.all(np.diff(quantile(np.unique(around).astype(np.uint32)).astype(np.int64)) >= 0)


@pytest.mark.parametrize(
    ("start", "stop"), [(0, 1), (0, 64), (5, 130), (63, 65), (262_100, 262_200), (3, 3), (2**36, 2**36 + 7)]
)
def test_a_slice_of_the_whole_is_the_slice_alone(start, stop):
    begin = start - start % 64
    whole = STREAM.words(begin, stop)[start - begin :]
    assert np.array_equal(STREAM.words(start, stop), whole)
    assert np.array_equal(STREAM.words_at(np.arange(start, stop)), whole)


def test_an_element_has_its_counter_and_word_of_the_specification():
    for element in (0, 15, 16, 63, 64, 1000, 2**35 + 77):
        counter = 16 * (element // 64) + element % 16
        four = [np.array([word], np.uint64) for word in (counter & 0xFFFFFFFF, counter >> 32, 0, 0)]
        word = philox(tuple(four), (STREAM.key & 0xFFFFFFFF, STREAM.key >> 32))[element % 64 // 16]
        assert STREAM.words(element, element + 1)[0] == word[0]


def test_uniform_numbers_are_exact_symmetric_and_open():
    ends = np.array([0, 2**32 - 1], np.uint32)
    assert to_uniform(ends).tolist() == [2.0**-24, 1 - 2.0**-24]
    assert to_symmetric(ends).tolist() == [2.0**-23 - 1, 1 - 2.0**-23]
    words = STREAM.words(0, 10_000)
    assert np.array_equal(to_symmetric(~words), -to_symmetric(words))


@pytest.mark.parametrize("name", ["a", "b", "c"])
def test_numbers_have_their_distributions(name):
    stream = Stream.of(1, name)
    assert stats.kstest(stream.uniform(0, 200_000), "uniform").pvalue > 1e-5
    assert stats.kstest(stream.normal(0, 200_000).astype(np.float64), "norm").pvalue > 1e-5


@pytest.mark.parametrize(("low", "high"), [(-2.0, 2.0), (-1.0, 0.3), (0.5, np.inf), (-0.1, 0.1), (-8.0, 8.0)])
def test_truncated_numbers_have_their_distribution_and_stay_inside(low, high):
    ends = np.array([0, 2**32 - 1], np.uint32)
    numbers = to_truncated(np.concatenate([STREAM.words(0, 200_000), ends]), low, high).astype(np.float64)
    assert low <= numbers.min() <= numbers.max() <= high
    assert stats.kstest(numbers, stats.truncnorm(low, high).cdf).pvalue > 1e-5
    first, last = window(low, high)
    assert last - first == pytest.approx(2**32 * (stats.norm.cdf(high) - stats.norm.cdf(low)), abs=2)


def test_a_range_in_the_far_tail_is_refused():
    with pytest.raises(ValueError, match="levels"):
        to_truncated(STREAM.words(0, 4), 6.0, 7.0)


def test_streams_of_other_seeds_names_and_lanes_are_independent():
    streams = [STREAM, Stream.of(1, "layers.0.weight"), Stream.of(0, "layers.1.weight"), STREAM.beside(1)]
    correlation = np.corrcoef([to_normal(each.words(0, 50_000)) for each in streams])
    assert np.abs(correlation - np.eye(4)).max() < 4.5 / math.sqrt(50_000)


def test_elements_are_numbered_in_the_order_of_the_axes(rng):
    shape, order, part = (4, 5, 3), (2, 0, 1), (slice(1, 3), slice(None, None, 2), slice(2, 3))
    whole = elements(shape, order)
    assert np.array_equal(whole.transpose(order).ravel(), np.arange(60))
    assert np.array_equal(whole[part], elements(shape, order, part))
