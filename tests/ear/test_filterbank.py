"""Middle ear and gammatone filters."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import group_delay, lfilter

from hearlab.ear.filterbank import (
    compensate_group_delays,
    demodulate,
    gammatone_envelope,
    group_delays,
    middle_ear,
)
from hearlab.ear.loss import BANDS, centre_frequencies, equivalent_bandwidth
from hearlab.ear.resampling import MODEL_RATE


def tone(frequency: float, seconds: float = 0.5) -> np.ndarray:
    return np.sin(2 * np.pi * frequency * np.arange(round(seconds * MODEL_RATE)) / MODEL_RATE)


def impulse(n: int) -> np.ndarray:
    signal = np.zeros(n)
    signal[0] = 1
    return signal


def response(signal: np.ndarray, frequency: float) -> float:
    """Gain at one frequency of a filter whose impulse response is `signal`."""
    return abs(np.sum(signal * np.exp(-2j * np.pi * frequency / MODEL_RATE * np.arange(signal.size))))


def test_middle_ear_is_a_band_pass_of_350_to_5000_hz():
    heard = middle_ear(impulse(24000))
    half_power = np.sqrt(0.5)
    assert response(heard, 1500) == pytest.approx(1, abs=0.05)
    assert response(heard, 350) == pytest.approx(half_power, abs=0.01)
    assert response(heard, 5000) == pytest.approx(half_power, abs=0.01)
    assert response(heard, 0) < 1e-9
    assert response(heard, 35) == pytest.approx(0.01, rel=0.02)  # second order: 40 dB per decade


@pytest.mark.parametrize("n", [1, 255, 256, 257, 5000])
def test_demodulation_shifts_the_spectrum(n):
    signal = np.random.RandomState(0).standard_normal(n)
    expected = signal * np.exp(-2j * np.pi * 440 / MODEL_RATE * np.arange(n))
    baseband = demodulate(signal, 440.0)
    np.testing.assert_allclose(baseband[0] + 1j * baseband[1], expected, atol=1e-9)


@pytest.mark.parametrize("frequency", [80.0, 500.0, 2000.0, 8000.0])
@pytest.mark.parametrize("bandwidth", [1.0, 2.5])
def test_a_tone_at_the_centre_has_its_amplitude(frequency, bandwidth):
    envelope = gammatone_envelope(demodulate(0.2 * tone(frequency), frequency), frequency, bandwidth)
    # The image at twice the frequency leaves a ripple in the lowest band.
    assert np.mean(envelope[-MODEL_RATE // 8 :]) == pytest.approx(0.2, rel=1e-3)


def test_filter_is_four_equal_poles():
    frequency, bandwidth = 1000.0, 1.3
    signal = np.random.RandomState(1).standard_normal(4000)
    decay = 1.019 * bandwidth * equivalent_bandwidth(frequency)
    pole = np.exp(-2 * np.pi * decay / MODEL_RATE)
    # The impulse response n^3 a^n, which impulse invariance samples, has these zeros and poles.
    filtered = demodulate(signal, frequency)
    filtered = filtered[0] + 1j * filtered[1]
    for _ in range(4):
        filtered = lfilter([1], [1, -pole], filtered)
    filtered = lfilter([1, 4 * pole, 4 * pole**2], [1], filtered)
    expected = np.abs(filtered) * 2 * (1 - pole) ** 4 / (1 + 2 * pole) ** 2
    found = gammatone_envelope(demodulate(signal, frequency), frequency, bandwidth)
    np.testing.assert_allclose(found, expected, atol=1e-9)


@pytest.mark.parametrize("frequency", [300.0, 1000.0, 4000.0])
def test_bandwidth_is_the_equivalent_rectangular_one(frequency):
    pole_response = np.zeros((2, 24000))
    pole_response[0, 0] = 1
    # With one real impulse at the input the envelope is the impulse response itself.
    shape = gammatone_envelope(pole_response, frequency, 1.0)
    power = np.abs(np.fft.rfft(shape)) ** 2
    measured = 2 * np.sum(power) / power[0]  # both sides, in Hz because one second was analysed
    assert measured == pytest.approx(equivalent_bandwidth(frequency), rel=0.05)


def test_group_delays():
    bandwidths = np.linspace(1.0, 3.0, BANDS)
    delays = group_delays(bandwidths)
    for band in (5, 16, 31):
        pole = np.exp(-2 * np.pi * 1.019 * bandwidths[band] * equivalent_bandwidth(centre_frequencies()[band]) / 24000)
        numerator = [1, 4 * pole, 4 * pole**2]
        _, expected = group_delay((numerator, np.poly([pole] * 4)), w=[0.0])
        assert delays[band] == round(expected[0])
    assert np.all(np.diff(delays) < 0)


def test_compensation_aligns_the_bands():
    bandwidths = np.ones(BANDS)
    click = impulse(6000)
    envelopes = np.stack([gammatone_envelope(demodulate(click, f), f, 1.0) for f in centre_frequencies()])
    centroids = compensate_group_delays(envelopes, group_delays(bandwidths)) @ np.arange(6000)
    centroids /= np.sum(envelopes, axis=1)
    before = envelopes @ np.arange(6000) / np.sum(envelopes, axis=1)
    assert np.ptp(before) > 300
    assert np.ptp(centroids) < 1.5  # rounding to whole samples
