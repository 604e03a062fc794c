"""Intervals of sums of convolutions, against the whole convolution."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hearlab.scenes.interval_convolution import convolve_interval, transform_plan

# Rounding of transforms, relative to the largest sample of the sum.
ROUNDING = 1e-13


def interval(sources: list[tuple[np.ndarray, int, np.ndarray]], start: int, stop: int) -> np.ndarray:
    summed = np.zeros((sources[0][2].shape[0], stop - start))
    convolve_interval(sources, start, summed)
    return summed


def whole(sources: list[tuple[np.ndarray, int, np.ndarray]], length: int) -> np.ndarray:
    summed = np.zeros((sources[0][2].shape[0], length))
    for signal, delay, responses in sources:
        for output, response in enumerate(responses):
            full = np.convolve(signal, response)[: max(length - delay, 0)]
            summed[output, delay : delay + full.size] += full
    return summed


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.integers(1, 3000), st.integers(0, 700)), min_size=1, max_size=3),
    st.integers(1, 400),
    st.integers(1, 5),
    st.integers(0, 3000),
    st.integers(1, 4000),
    st.integers(0, 2**31),
)
def test_an_interval_of_a_sum(
    lengths: list[tuple[int, int]], taps: int, outputs: int, start: int, length: int, seed: int
) -> None:
    rng = np.random.RandomState(seed)
    sources = [
        # Responses need not be equally long.
        (rng.standard_normal(size), delay, rng.standard_normal((outputs, max(1, taps - 7 * index))))
        for index, (size, delay) in enumerate(lengths)
    ]
    wanted = whole(sources, start + length)[:, start:]
    found = interval(sources, start, start + length)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=ROUNDING * max(1.0, float(np.max(np.abs(wanted)))) * taps)


def test_silence_before_and_after_the_sound() -> None:
    source = (np.ones(10), 100, np.ones((2, 5)))
    assert not np.any(interval([source], 0, 100))
    assert not np.any(interval([source], 114, 300))
    found = interval([source], 50, 150)
    assert not np.any(found[:, :50])
    assert not np.any(found[:, 64:])
    np.testing.assert_allclose(found[:, 50:64], np.tile(np.convolve(np.ones(10), np.ones(5)), (2, 1)), atol=1e-14)


def test_the_interval_is_added() -> None:
    rng = np.random.RandomState(6)
    source = (rng.standard_normal(50), 3, rng.standard_normal((3, 9)))
    before = rng.standard_normal((3, 40))
    summed = before.copy()
    convolve_interval([source], 10, summed)
    np.testing.assert_allclose(summed, before + interval([source], 10, 50), atol=1e-13)


def test_in_many_transforms_as_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    from hearlab.scenes import interval_convolution

    rng = np.random.RandomState(0)
    source = (rng.standard_normal(900), 0, rng.standard_normal((3, 40)))
    found = []
    for count, size in ((1, 939), (9, 139), (900, 40)):
        monkeypatch.setattr(interval_convolution, "transform_plan", lambda *_, plan=(size, count): plan)
        found.append(interval([source], 0, 900))
    np.testing.assert_allclose(found[1], found[0], atol=1e-12)
    np.testing.assert_allclose(found[2], found[0], atol=1e-12)


@given(st.integers(1, 400000), st.integers(1, 40000), st.integers(1, 4), st.integers(1, 8))
def test_plans_hold_the_whole_interval(length: int, taps: int, sources: int, outputs: int) -> None:
    size, count = transform_plan(length, taps, sources, outputs)
    assert count * (size - taps + 1) >= length


def test_a_long_interval_is_divided() -> None:
    # One transform of the whole would be twice the work here: 52 transforms of half the size against 26.
    size, count = transform_plan(187232, 26715, 2, 8)
    assert count > 1
    assert size < 187232
    assert transform_plan(10000, 26715, 2, 8)[1] == 1
