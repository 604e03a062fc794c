"""Alignment of signals and of envelopes."""

from __future__ import annotations

import numpy as np
import pytest

from hearlab.ear.alignment import (
    DISPERSION_MARGIN,
    ENVELOPE_RANGE,
    BroadbandAlignment,
    CorrelationPeak,
    EnvelopeAlignment,
    advance,
)


def noise(n: int, seed: int = 0) -> np.ndarray:
    return np.random.RandomState(seed).standard_normal(n)


def bursts(bands: int, n: int) -> np.ndarray:
    """Envelopes with silent pauses: the correlation of positive signals without pauses favours small lags."""
    window = np.hanning(n // 40)
    clicks = np.stack([noise(n, band) > 3.2 for band in range(bands)]).astype(float)
    return np.stack([np.convolve(band, window, "same") for band in clicks])


@pytest.mark.parametrize(
    ("samples", "expected"),
    [(0, [1, 2, 3, 4]), (1, [2, 3, 4, 0]), (-1, [0, 1, 2, 3]), (4, [0] * 4), (-4, [0] * 4), (9, [0] * 4)],
)
def test_advance(samples, expected):
    assert advance(np.array([1.0, 2.0, 3.0, 4.0]), samples).tolist() == expected


@pytest.mark.parametrize("n", [1, 2, 7, 100])
def test_correlation_peak_agrees_with_direct_correlation(n):
    reference, signal = noise(n, 1), noise(n, 2)
    direct = np.correlate(reference, signal, "full")  # entry k has lag k - (n - 1)
    peak = CorrelationPeak(reference[None], 1 - n, n - 1)
    assert peak.lags(signal[None])[0] == np.argmax(direct) - (n - 1)
    assert peak.lags(signal[None], absolute=True)[0] == np.argmax(np.abs(direct)) - (n - 1)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("delay", [-700, 0, 31, 2000])
def test_broadband_delay_is_undone_but_for_two_milliseconds(delay, sign):
    reference = noise(6000)
    aligned = BroadbandAlignment(reference).apply(sign * advance(reference, -delay))
    expected = sign * advance(reference, -DISPERSION_MARGIN)
    inside = slice(abs(delay) + DISPERSION_MARGIN, 6000 - abs(delay))
    np.testing.assert_array_equal(aligned[inside], expected[inside])


def test_silence_around_the_reference_is_cut_off():
    reference = np.concatenate([np.zeros(100), [1.0], np.zeros(50), [-0.5, 0.0009], np.zeros(30)])
    alignment = BroadbandAlignment(reference)
    assert alignment.active == slice(100, 152)
    assert alignment.apply(noise(reference.size)).size == 52


def test_envelopes_are_aligned_band_by_band():
    reference = bursts(4, 12000)
    delays = [0, 400, -300, ENVELOPE_RANGE - 1]
    late = np.stack([advance(band, -delay) for band, delay in zip(reference, delays, strict=True)])
    aligned = EnvelopeAlignment(reference).apply(late)
    inside = slice(ENVELOPE_RANGE, -ENVELOPE_RANGE)
    np.testing.assert_array_equal(aligned[:, inside], reference[:, inside])


def test_envelope_delays_beyond_100_ms_are_not_followed():
    n = 12000
    reference = np.zeros((1, n))
    reference[0, 5000:5100] = np.hanning(100)
    far = advance(reference, -3000)
    aligned = EnvelopeAlignment(reference).apply(far)
    assert abs(int(np.argmax(aligned)) - int(np.argmax(far))) <= ENVELOPE_RANGE
    assert np.argmax(aligned) != np.argmax(reference)


def test_envelopes_shorter_than_the_range():
    reference = bursts(2, 2000)
    aligned = EnvelopeAlignment(reference).apply(advance(reference, -20))
    np.testing.assert_array_equal(aligned[:, :-20], reference[:, :-20])
