"""Filtering long signals, against the sum of products."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hearlab.fitting.fir import MOST_TAPS, SHORT, TOGETHER, convolve
from hearlab.fitting.overlap_save import SIZE, filter_windows, spectrum, twiddle_factors, windows_step

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


@pytest.mark.parametrize("taps", [5, 221, MOST_TAPS])
@pytest.mark.parametrize("spare", [-1, 0, 1])
def test_whole_batches_of_transforms(taps: int, spare: int) -> None:
    x = np.random.RandomState(0).standard_normal(2 * TOGETHER * windows_step(taps) - taps + 1 + spare)
    assert x.size > SHORT
    fir = np.arange(1.0, taps + 1)
    wanted = np.convolve(x, fir)
    np.testing.assert_allclose(convolve(x, fir), wanted, rtol=0, atol=ROUNDING * np.max(np.abs(wanted)))


@pytest.mark.parametrize("taps", [1, 2, 221, MOST_TAPS])
def test_windows_are_as_exact_as_a_library(taps: int) -> None:
    rng = np.random.RandomState(taps)
    fir, x = rng.standard_normal(taps), rng.standard_normal(taps - 1 + windows_step(taps))
    found = np.empty(windows_step(taps))
    filter_windows(x, taps, spectrum(fir), *twiddle_factors(), found)
    wanted = np.fft.irfft(np.fft.rfft(x, 4 * SIZE) * np.fft.rfft(fir, 4 * SIZE))[taps - 1 : x.size]
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-15 * SIZE)


def test_filters_longer_than_a_window() -> None:
    rng = np.random.RandomState(5)
    x, fir = rng.standard_normal(2 * SHORT), rng.standard_normal(3 * SIZE + 1)
    wanted = np.convolve(x, fir)
    np.testing.assert_allclose(convolve(x, fir), wanted, rtol=0, atol=ROUNDING * np.max(np.abs(wanted)))


def test_the_result_goes_where_it_is_wanted() -> None:
    rng = np.random.RandomState(6)
    for size in (100, 2 * SHORT):
        x, fir, ears = rng.standard_normal(size), rng.standard_normal(221), np.full((size + 220, 2), np.nan)
        assert convolve(x, fir, ears[:, 1]).base is ears
        np.testing.assert_array_equal(ears[:, 1], convolve(x, fir))
        assert np.all(np.isnan(ears[:, 0]))


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
