"""The steps of HAAQI between the ear and the score."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import firwin

from hearlab.ear.loss import centre_frequencies
from hearlab.metrics.covariance import mean_synchrony, segment_covariances, synchrony_weights
from hearlab.metrics.haaqi import spectral_likeness
from hearlab.metrics.haspi import cepstral_basis
from hearlab.metrics.modulation import cepstral_correlation, modulation_filters, smoothed_segments

# Sums of 384 products in single precision.
SINGLE = 2e-6


def noise(n: int, seed: int = 0) -> np.ndarray:
    return np.random.RandomState(seed).standard_normal(n)


def row(signal: np.ndarray) -> np.ndarray:
    return signal.astype(np.float32)


def segments_of(n: int, size: int) -> list[tuple[int, np.ndarray]]:
    """First sample and window of each segment: a half at the beginning, whole ones from there on, a half at the end."""
    window, half = np.hanning(size), size // 2
    whole = [(start, window) for start in range(half, n - size + 1, half)]
    last = whole[-1][0] + half if whole else half
    return [(0, window[half:]), *whole, (last, window[:half])]


def plain_covariance(one: np.ndarray, two: np.ndarray, window: np.ndarray) -> tuple[float, float]:
    one, two = one * window, two * window
    one, two = one - np.mean(one), two - np.mean(two)
    middle = window.size - 1
    lags = slice(middle - 24, middle + 25)
    shared = np.correlate(window, window, "full")
    best = np.max(np.abs(np.correlate(one, two, "full")[lags] / shared[lags]))
    powers = [np.sum(part**2) / np.sum(window**2) for part in (one, two)]
    covariance = min(best / np.sqrt(powers[0] * powers[1]), 1.0) if min(powers) > 1e-30 else 0.0
    return covariance, np.sqrt(2 * powers[0])


@pytest.mark.parametrize("n", [384, 385, 575, 576, 767, 768, 3000])
def test_covariances_segment_by_segment(n):
    reference = noise(n) * (10 + 9 * np.sin(np.arange(n) / 200)) + 3
    processed = np.roll(reference, 5) + 5 * noise(n, 1)
    processed[1200:1800] = 0
    expected = [
        plain_covariance(reference[start : start + window.size], processed[start : start + window.size], window)
        for start, window in segments_of(n, 384)
    ]
    found = segment_covariances(row(reference), row(processed), n)
    for values, wanted in zip(found, np.transpose(expected), strict=True):
        np.testing.assert_allclose(values, wanted, rtol=SINGLE, atol=SINGLE)


@pytest.mark.parametrize(("late", "found"), [(0, True), (24, True), (-24, True), (40, False)])
def test_delays_up_to_a_millisecond_are_forgiven(late, found):
    signal = noise(4000)
    covariances, _ = segment_covariances(row(signal), row(np.roll(signal, late)), 4000)
    assert (np.mean(covariances[1:-1]) > 0.85) == found


def test_synchrony_counts_audible_tiles_and_low_bands():
    covariances = np.full((32, 10), 0.5)
    levels = np.full((32, 10), 40.0)
    covariances[:, 5:] = 1.0
    levels[:, 5:] = 0.0  # silent segments
    covariances[3, :5], levels[3, :5] = 0.1, 2.0  # silent tiles of audible segments
    assert mean_synchrony(covariances, levels) == pytest.approx(0.5)
    covariances[:8, :5] = 1.0
    weights = synchrony_weights()
    audible = np.delete(np.arange(32), 3)
    expected = 0.5 + 0.5 * np.sum(weights[np.setdiff1d(np.arange(8), [3])]) / np.sum(weights[audible])
    assert mean_synchrony(covariances, levels) == pytest.approx(expected)
    assert mean_synchrony(covariances[:, 4:], levels[:, 4:]) == 0
    assert mean_synchrony(covariances, np.zeros((32, 10))) == 0


def test_the_nerve_follows_up_to_a_few_kilohertz():
    frequencies, weights = centre_frequencies(), synchrony_weights()
    assert np.all(weights[frequencies < 2000] > 0.99)
    assert np.interp(3500, frequencies, weights) == pytest.approx(np.sqrt(0.5), abs=0.01)
    assert weights[-1] == pytest.approx((3500 / 8000) ** 5, rel=0.01)


@pytest.mark.parametrize("n", [192, 287, 288, 383, 384, 3000])
def test_averages_of_the_envelope(n):
    envelope = noise(n) + 20
    expected = [
        np.sum(envelope[start : start + window.size] * window) / np.sum(window) for start, window in segments_of(n, 192)
    ]
    np.testing.assert_allclose(smoothed_segments(row(envelope), n), expected, rtol=1e-6)


def test_modulation_filters_are_neighbouring_bands():
    rates = np.arange(0, 125.5, 0.5)
    gains = [
        np.abs(np.exp(-2j * np.pi * np.outer(rates, np.arange(129)) / 250) @ taps) for taps in modulation_filters()
    ]
    for gain, low, high in zip(gains, (20, 32, 50, 80), (32, 50, 80, 125), strict=True):
        assert np.all(gain[(rates > low + 2) & (rates < high - 2)] > 0.9)
        assert np.all(gain[(rates < low - 3) | (rates > high + 3)] < 0.01)


def test_cepstral_correlation_step_by_step():
    reference = 30 + 10 * np.random.RandomState(0).standard_normal((300, 32))
    processed = reference + 8 * np.random.RandomState(1).standard_normal((300, 32))
    reference[100:120] = 0  # silent
    kept = np.r_[:100, 120:300]
    correlations = []
    for edges in ((20, 32), (32, 50), (50, 80), (80,)):
        taps = firwin(129, edges, fs=250, window="hann", pass_zero="highpass" if len(edges) == 1 else "bandpass")
        for basis in cepstral_basis().T[1:]:
            pair = []
            for signal in (reference, processed):
                coefficients = signal[kept] @ basis
                filtered = np.convolve(coefficients - np.mean(coefficients), taps)[64:-64]
                pair.append(filtered - np.mean(filtered))
            correlations.append(abs(pair[0] @ pair[1]) / np.sqrt((pair[0] @ pair[0]) * (pair[1] @ pair[1])))
    found, segments = cepstral_correlation(reference, processed)
    assert found == pytest.approx(np.mean(correlations), abs=1e-12)
    assert segments == 280


def test_cepstral_correlation_wants_two_audible_segments():
    reference = np.zeros((50, 32))
    reference[7] = 40
    assert cepstral_correlation(reference, reference) == (0.0, 0)
    assert cepstral_correlation(reference, 0 * reference) == (0.0, 0)


def test_spectral_likeness():
    levels = 40 + noise(32)
    assert spectral_likeness(levels, levels) == (1.0, 1.0)
    # A change of level alone changes little: thresholds apart, spectra are compared at the same loudness.
    assert spectral_likeness(levels, levels + 6) == pytest.approx((1.0, 1.0))
    other = 40 + 3 * noise(32, 1)
    one, two = (10 ** (values / 20) / np.sum(10 ** (values / 20)) for values in (levels, other))
    expected = 1 - 32 * np.std(one - two) / 2.5, 1 - 32 * np.std((one - two) / (one + two)) / 25
    assert spectral_likeness(levels, other) == pytest.approx(expected)
    alone = np.zeros(32)
    alone[3] = 120
    assert spectral_likeness(alone, np.full(32, 60.0))[0] == 0
