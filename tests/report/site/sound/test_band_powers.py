"""Transforms of eight frames of two signals at once: the powers that numpy finds, in bands between any two edges."""

from __future__ import annotations

import numpy as np
import pytest

from hearlab.report.site.sound.band_powers import LANES, add_band_powers, to_decibels, transform_tables

# Of the power of white noise in a bin: single precision in ten steps, and sums of up to a thousand bins.
SINGLE = 3e-6


def wanted(signals: np.ndarray, starts: np.ndarray, window: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Powers of both signals in bands, in double precision; shape (bands, frames)."""
    frames = np.stack([[signal[first : first + window.size] for first in starts] for signal in signals])
    powers = 2 * np.sum(np.abs(np.fft.rfft(frames * window, axis=2)) ** 2, axis=0)
    sums = np.concatenate([np.zeros((1, starts.size)), np.cumsum(powers, axis=1).T])
    places = np.arange(sums.shape[0])
    return np.diff([[np.interp(edge, places, column) for column in sums.T] for edge in edges], axis=0)


@pytest.mark.parametrize("each", [1, 3])
@pytest.mark.parametrize("length", [32, 64, 128, 1024, 2048, 4096])
def test_powers_are_those_of_numpy(length: int, each: int) -> None:
    rng = np.random.default_rng(length + each)
    signals = rng.standard_normal((2, 5 * length)).astype(np.float32)
    window = np.hanning(length + 1)[:-1].astype(np.float32)
    edges = np.sort(rng.uniform(0, length // 2 + 1, 12))
    edges[-1] = length // 2 + 1  # the last bin belongs to the last band
    starts = rng.integers(0, 4 * length, (2, each, LANES))
    scales = rng.uniform(0.5, 2, starts.shape).astype(np.float32)
    below = np.minimum(edges.astype(np.intp), length // 2)
    shares = (edges - below).astype(np.float32)
    bands = np.zeros((11, 2 * LANES), dtype=np.float32)
    add_band_powers(*signals, starts, scales, window, *transform_tables(length), below, shares, bands.ravel())
    powers = wanted(signals, starts.ravel(), window, below + shares) * scales.ravel()
    columns = powers.reshape(11, 2, each, LANES).sum(axis=2).reshape(11, 2 * LANES)
    np.testing.assert_allclose(bands[::-1], columns, rtol=0, atol=SINGLE * powers.sum(axis=0).max())


@pytest.mark.parametrize("length", [32, 64, 2048])
@pytest.mark.parametrize("first", [0, 1])
def test_a_bin_of_a_tone_is_found_alone(length: int, first: int) -> None:
    """Each bin by itself, the first and the last one included: a table of places that is wrong mixes them up."""
    bins = np.unique(np.linspace(first, length // 2, 17).astype(np.intp))
    below = np.arange(length // 2 + 1)
    window, starts = np.ones(length, dtype=np.float32), np.zeros((1, 1, LANES), dtype=np.intp)
    for k in bins:
        tone = np.cos(2 * np.pi * k * np.arange(length) / length).astype(np.float32)
        bands = np.zeros(length // 2 * LANES, dtype=np.float32)
        arguments = window, *transform_tables(length), below, np.zeros(below.size, dtype=np.float32), bands
        add_band_powers(tone, 0 * tone, starts, np.ones((1, 1, LANES), dtype=np.float32), *arguments)
        found = bands.reshape(-1, LANES)[::-1]
        assert (found == found[:, :1]).all()
        if k < length // 2:
            assert found[:, 0].argmax() == k
            assert found[:, 0].sum() == pytest.approx(found[k, 0], rel=SINGLE)
        else:
            assert found.max() < SINGLE * length**2


def test_levels_are_logarithms() -> None:
    powers = (10 ** np.linspace(-14, 6, 50 * LANES)).astype(np.float32)
    wanted = 10 * np.log10(np.maximum(powers, 1e-12, dtype=np.float64))
    to_decibels(powers, 1e-12)
    np.testing.assert_allclose(powers, wanted, atol=1e-5)  # 120 in single precision
