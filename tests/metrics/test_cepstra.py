"""Spectral shapes over time."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import firwin
from segments import noise, row, segments_of

from hearlab.metrics import cepstra as module
from hearlab.metrics.cepstra import (
    audible_cepstra,
    cepstral_basis,
    correlations,
    filtered_correlations,
    smoothed_segments,
)
from hearlab.metrics.haaqi import modulation_correlation, modulation_filters
from hearlab.metrics.hasqi import cepstral_correlation
from hearlab.metrics.loudness import loudness


def test_basis_is_half_cosines_of_unit_norm():
    basis = cepstral_basis()
    assert basis.shape == (32, 6)
    np.testing.assert_allclose(np.sum(basis**2, axis=0), 1)
    np.testing.assert_allclose(basis[:, 0], 32**-0.5)
    # Function k crosses zero k times.
    assert [int(np.sum(np.diff(np.sign(column)) != 0)) for column in basis.T] == [0, 1, 2, 3, 4, 5]


def test_loudness_is_the_level_of_the_mean_amplitude():
    frames = np.zeros((2, 32))
    frames[1] = 20
    frames[1, 16:] = 40
    np.testing.assert_allclose(loudness(frames), [0, 20 * np.log10((10 + 100) / 2)], atol=1e-12)


@pytest.mark.parametrize("size", [192, 384])
@pytest.mark.parametrize("more", [0, 95, 96, 191, 192, 2808])
def test_averages_of_the_envelope(more, size):
    n = size + more
    envelope = noise(n) + 20
    expected = [
        np.sum(envelope[start : start + window.size] * window) / np.sum(window)
        for start, window in segments_of(n, size)
    ]
    np.testing.assert_allclose(smoothed_segments(row(envelope), n, size), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("metric", "bands"),
    [(modulation_correlation, ((20, 32), (32, 50), (50, 80), (80,))), (cepstral_correlation, ((),))],
)
def test_correlation_of_spectral_shapes_step_by_step(metric, bands):
    reference = 30 + 10 * np.random.RandomState(0).standard_normal((300, 32))
    processed = reference + 8 * np.random.RandomState(1).standard_normal((300, 32))
    reference[100:120] = 0  # silent
    kept = np.r_[:100, 120:300]
    expected = []
    for edges in bands:
        kind = "highpass" if len(edges) == 1 else "bandpass"
        taps = firwin(129, edges, fs=250, window="hann", pass_zero=kind) if edges else np.eye(1, 129, 64)[0]
        for basis in cepstral_basis().T[1:]:
            pair = []
            for signal in (reference, processed):
                coefficients = signal[kept] @ basis
                filtered = np.convolve(coefficients - np.mean(coefficients), taps)[64:-64]
                pair.append(filtered - np.mean(filtered))
            expected.append(abs(pair[0] @ pair[1]) / np.sqrt((pair[0] @ pair[0]) * (pair[1] @ pair[1])))
    cepstra = audible_cepstra(reference, processed)
    assert cepstra.shape == (2, 5, 280)
    assert metric(cepstra) == pytest.approx(np.mean(expected), abs=1e-12)


@pytest.mark.parametrize("audible", [0, 1, 2])
def test_segments_are_audible_in_the_reference(audible):
    reference = np.zeros((50, 32))
    reference[7 : 7 + audible] = 40
    for processed in (reference, 0 * reference, reference + 40):
        assert audible_cepstra(reference, processed).shape == (2, 5, audible)


def test_correlations_are_absolute_and_0_without_energy():
    one = noise(300).reshape(3, 100)
    other = np.stack([-2 * one[0] + 5, np.full(100, 3.0), one[1]])
    found = correlations(np.stack([one, other]))
    np.testing.assert_allclose(found[:2], [1, 0], atol=1e-12)
    assert 0 < found[2] < 0.3


def test_long_signals_are_filtered_one_function_at_a_time(monkeypatch):
    pair = np.random.RandomState(0).standard_normal((2, 5, 700))
    wanted = filtered_correlations(pair, modulation_filters())
    monkeypatch.setattr(module, "MOST_FRAMES", 699)
    np.testing.assert_array_equal(filtered_correlations(pair, modulation_filters()), wanted)
