"""Filtering long signals, against the sum of products."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hearlab.fitting.fir import SHORT, TOGETHER, convolve, transform_size

# Rounding of transforms, relative to the largest output; demanded of the whole hearing aid are 1e-9.
ROUNDING = 1e-13


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 4 * SHORT), st.integers(1, 700), st.integers(0, 2**31))
def test_equals_the_sum_of_products(length: int, taps: int, seed: int) -> None:
    rng = np.random.RandomState(seed)
    x, fir = rng.standard_normal(length), rng.standard_normal(taps)
    wanted = np.convolve(x, fir)
    found = convolve(x, fir)
    assert found.shape == (length + taps - 1,)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=ROUNDING * taps * np.max(np.abs(wanted)))


@pytest.mark.parametrize("spare", [-1, 0, 1])
def test_whole_batches_of_transforms(spare: int) -> None:
    taps = 5
    hop = transform_size(taps) - taps + 1
    x = np.random.RandomState(0).standard_normal(8 * TOGETHER * hop - taps + 1 + spare)
    assert x.size > SHORT
    fir = np.arange(1.0, taps + 1)
    np.testing.assert_allclose(convolve(x, fir), np.convolve(x, fir), atol=1e-11)


def test_silence_stays_silence_and_channels_of_an_array_work() -> None:
    fir = np.random.RandomState(1).standard_normal(221)
    assert not np.any(convolve(np.zeros(3 * SHORT), fir))
    pair = np.random.RandomState(2).standard_normal((2 * SHORT, 2))
    np.testing.assert_array_equal(convolve(pair[:, 1], fir), convolve(pair[:, 1].copy(), fir))


def test_a_signal_does_not_depend_on_what_came_before_it() -> None:
    fir = np.random.RandomState(3).standard_normal(30)
    x = np.random.RandomState(4).standard_normal(2 * SHORT)
    first = convolve(x, fir)
    convolve(1e6 * x, fir)
    np.testing.assert_array_equal(convolve(x, fir), first)
