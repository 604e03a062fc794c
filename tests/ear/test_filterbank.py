"""Middle ear and gammatone filters."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import butter, group_delay, lfilter

from hearlab.ear.filterbank import (
    BLOCK,
    Channels,
    carrier,
    compensating_delays,
    control_rms,
    filter_gains,
    filter_poles,
    group_delays,
    middle_ear,
)
from hearlab.ear.loss import BANDS, centre_frequencies, equivalent_bandwidth, widest_bandwidth
from hearlab.ear.resampling import MODEL_RATE


def impulse(n: int) -> np.ndarray:
    signal = np.zeros(n)
    signal[0] = 1
    return signal


def noise(n: int, seed: int = 0) -> np.ndarray:
    return np.random.RandomState(seed).standard_normal(n)


def response(signal: np.ndarray, frequency: float) -> float:
    """Gain at one frequency of a filter whose impulse response is `signal`."""
    return abs(np.sum(signal * np.exp(-2j * np.pi * frequency / MODEL_RATE * np.arange(signal.size))))


def gammatone(signal: np.ndarray, band: int, bandwidth: float, basal_shift: float = 0.0) -> np.ndarray:
    """The demodulated output of a band, complex, as Cooke (1993) has it."""
    frequency = centre_frequencies(basal_shift)[band]
    pole = np.exp(-2 * np.pi * 1.019 * bandwidth * equivalent_bandwidth(frequency) / MODEL_RATE)
    filtered = signal * np.exp(-2j * np.pi * frequency / MODEL_RATE * np.arange(signal.size))
    for _ in range(4):
        filtered = lfilter([1], [1, -pole], filtered)
    zeros = [1, 4 * pole, 4 * pole**2]
    return lfilter(zeros, [1], filtered) * 2 * (1 - pole) ** 4 / np.sum(zeros)


def test_middle_ear_is_a_band_pass_of_350_to_5000_hz():
    heard = middle_ear(impulse(24000))
    half_power = np.sqrt(0.5)
    assert response(heard, 1500) == pytest.approx(1, abs=0.05)
    assert response(heard, 350) == pytest.approx(half_power, abs=0.01)
    assert response(heard, 5000) == pytest.approx(half_power, abs=0.01)
    assert response(heard, 0) < 1e-9
    assert response(heard, 35) == pytest.approx(0.01, rel=0.02)  # second order: 40 dB per decade


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_middle_ear_is_two_butterworth_filters(dtype):
    signal = noise(3000).astype(dtype)
    signal[1000:2500] = 0
    low = lfilter(*butter(1, 5000, fs=24000), signal.astype(np.float64))
    expected = lfilter(*butter(2, 350, "highpass", fs=24000), low)
    np.testing.assert_allclose(middle_ear(signal), expected, atol=1e-13)


# Less than a block, whole blocks, and more.
@pytest.mark.parametrize("n", [5, BLOCK, 3 * BLOCK, 1000])
@pytest.mark.parametrize("bands", [(0, 1), (12, 13), (30, 31), (7, 7)])
@pytest.mark.parametrize("basal_shift", [0.0, 0.02])
def test_control_path_is_the_widest_gammatone(n, bands, basal_shift):
    signals = noise(n, 1), noise(n, 2)
    expected = [
        np.sqrt(np.mean(np.abs(gammatone(signal, band, widest_bandwidth()[band], basal_shift)) ** 2))
        for signal, band in zip(signals, bands, strict=True)
    ]
    np.testing.assert_allclose(control_rms(Channels(signals, bands, basal_shift)), expected, rtol=1e-10)


def test_silence_decays_without_a_trace():
    signal = np.concatenate([noise(2000), np.zeros(200000)])
    expected = np.sqrt(np.mean(np.abs(gammatone(signal, 3, widest_bandwidth()[3])) ** 2))
    np.testing.assert_allclose(control_rms(Channels((signal, signal), (3, 20)))[0], expected, rtol=1e-10)


def test_a_tone_at_the_centre_has_its_amplitude():
    gains = filter_gains(filter_poles((4, 20), np.array([1.0, 2.5])))
    for gain, band, bandwidth in zip(gains, (4, 20), (1.0, 2.5), strict=True):
        pole = filter_poles([band], np.array([bandwidth]))[0]
        # At zero frequency, where half of a demodulated sine of amplitude 1 lies, a quarter of the zeros' sum counts.
        assert gain * (1 + 2 * pole) ** 2 / 4 / (1 - pole) ** 4 / 2 == pytest.approx(1)


def test_carriers_start_anew_and_lose_no_phase():
    table, turns = carrier((3, 25))
    waves = table.reshape(BLOCK, 2, 2)
    for channel, band in enumerate((3, 25)):
        step = 2 * np.pi * centre_frequencies()[band] / MODEL_RATE
        expected = np.exp(-1j * step * np.arange(BLOCK))
        np.testing.assert_allclose(waves[:, channel, 0] + 1j * waves[:, channel, 1], expected, atol=1e-13)
        turn = np.exp(1j * step * BLOCK)
        np.testing.assert_allclose(turns[2 * channel], turn.real, atol=1e-13)
        np.testing.assert_allclose(turns[4 + 2 * channel : 6 + 2 * channel], [-turn.imag, turn.imag], atol=1e-13)


@pytest.mark.parametrize("band", [8, 16, 25])
def test_bandwidth_is_the_equivalent_rectangular_one(band):
    shape = gammatone(impulse(24000), band, 1.0)
    power = np.abs(np.fft.fft(shape)) ** 2
    measured = np.sum(power) / np.max(power)  # in Hz because one second was analysed
    assert measured == pytest.approx(equivalent_bandwidth(centre_frequencies()[band]), rel=0.05)


def test_group_delays():
    bandwidths = np.linspace(1.0, 3.0, BANDS)
    delays = group_delays(bandwidths)
    for band in (5, 16, 31):
        pole = filter_poles([band], bandwidths[[band]])[0]
        numerator = [1, 4 * pole, 4 * pole**2]
        _, expected = group_delay((numerator, np.poly([pole] * 4)), w=[0.0])
        assert delays[band] == round(expected[0])
    assert np.all(np.diff(delays) < 0)
    np.testing.assert_array_equal(compensating_delays(bandwidths), delays[0] - delays)


def test_compensation_aligns_the_bands():
    envelopes = np.stack([np.abs(gammatone(impulse(6000), band, 1.0)) for band in range(BANDS)])
    centroids = envelopes @ np.arange(6000) / np.sum(envelopes, axis=1)
    assert np.ptp(centroids) > 300
    assert np.ptp(centroids + compensating_delays(np.ones(BANDS))) < 1.5  # rounding to whole samples
