"""Conversion to 24 kHz: ratio from whole kHz, level kept."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.signal import cheby2, resample_poly, sosfilt

from hearlab.audio import rms
from hearlab.ear.resampling import (
    MODEL_RATE,
    matched_band_rms,
    resample_rationally,
    to_model_rate,
    whole_kilohertz,
)

# Edge effects of the resampling filters on one second.
LEVEL_TOLERANCE = 0.005


@pytest.mark.parametrize(("rate", "kilohertz"), [(44100, 44), (22050, 22), (11025, 11), (48000.0, 48), (400, 0)])
def test_rates_count_in_whole_kilohertz(rate, kilohertz):
    assert whole_kilohertz(rate) == kilohertz


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 32000, 44100, 48000, 96000, 192000])
def test_level_and_length(rate):
    time = np.arange(rate) / rate
    tone = 0.3 * np.sin(2 * np.pi * 1000 * time)
    resampled = to_model_rate(tone, rate)
    assert resampled.size == math.ceil(rate * 24 / round(rate / 1000))
    assert rms(resampled) == pytest.approx(rms(tone), rel=LEVEL_TOLERANCE)


def test_frequency_follows_the_rounded_ratio():
    tone = np.sin(2 * np.pi * 4400 * np.arange(44100) / 44100)
    resampled = to_model_rate(tone, 44100)
    peak = np.argmax(np.abs(np.fft.rfft(resampled, MODEL_RATE)))
    assert peak == round(4400 * 44000 / 44100)


def test_level_is_matched_below_the_band_edge_only():
    # 15 kHz is lost at 24 kHz; the level of what remains must not rise to make up for it.
    time = np.arange(48000) / 48000
    low = np.sin(2 * np.pi * 1000 * time)
    resampled = to_model_rate(low + np.sin(2 * np.pi * 15000 * time), 48000)
    assert rms(resampled) == pytest.approx(rms(low), rel=0.01)


def test_24_khz_is_left_alone():
    signal = np.random.RandomState(0).standard_normal(100)
    assert to_model_rate(signal, 24000) is signal
    assert to_model_rate(signal, 24400.0) is signal
    # Compiled loops read what follows in memory: one channel of a stereo signal, or a reversed one, becomes a copy.
    for view in (np.stack([signal, -signal], axis=1)[:, 0], signal[::-1]):
        copied = to_model_rate(view, 24000)
        assert copied.flags.c_contiguous
        np.testing.assert_array_equal(copied, view)


@pytest.mark.parametrize("rate", [16000, 48000])
def test_signal_too_faint_for_an_rms_stays_finite(rate):
    assert np.all(np.isfinite(to_model_rate(np.full(500, 1e-200), rate)))


@pytest.mark.parametrize("kilohertz", [1, 8, 11, 16, 17, 22, 32, 44, 48, 96, 1000])
@pytest.mark.parametrize("n", [1, 2, 17, 1001])
def test_resampling_is_scipys(kilohertz, n):
    signal = np.random.RandomState(0).standard_normal(n)
    expected = resample_poly(signal, 24, kilohertz)
    np.testing.assert_allclose(resample_rationally(signal, 24, kilohertz), expected, atol=1e-12)


@pytest.mark.parametrize("kilohertz", [24, 44, 48])
def test_matched_band_is_a_chebyshev_low_pass(kilohertz):
    signal = np.random.RandomState(0).standard_normal(3000)
    sections = cheby2(7, 30, 21 / kilohertz, output="sos")
    wanted = rms(sosfilt(sections, signal))
    # Two signals are filtered side by side, and the rest of the longer one alone.
    for other in (signal[:1], signal[:-7], np.tile(signal, 2)):
        found, beside = matched_band_rms((signal, kilohertz), (other, kilohertz))
        assert found == pytest.approx(wanted, rel=1e-12)
        assert beside == pytest.approx(rms(sosfilt(sections, other)), rel=1e-12, abs=1e-12)
        assert matched_band_rms((other, kilohertz), (signal, kilohertz)) == [beside, found]
