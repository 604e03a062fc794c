"""Covariance of basilar-membrane motions."""

from __future__ import annotations

import numpy as np
import pytest
from segments import noise, row, segments_of

from hearlab.ear.loss import centre_frequencies
from hearlab.metrics.covariance import mean_synchrony, segment_covariances, synchrony_weights

# Sums of 384 products in single precision.
SINGLE = 2e-6


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
