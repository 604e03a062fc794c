"""The steps of HASPI between the ear and the score."""

from __future__ import annotations

import numpy as np
import pytest

from hearlab.metrics.cepstra import cepstral_basis
from hearlab.metrics.frame_cepstra import TOGETHER, dithered
from hearlab.metrics.haspi import (
    FRAME_RATE,
    MODULATION_RATES,
    WINDOW_BEFORE,
    intelligibility,
    modulation_correlations,
    modulation_filter_lengths,
    modulation_filters,
    smoothed,
    smoothed_cepstra,
)
from hearlab.metrics.loudness import loudness


@pytest.mark.parametrize("n", [52, 1000, 1001, 1008, 1009])
def test_smoothing_is_a_convolution_read_at_every_ninth_sample(n):
    envelopes = np.random.RandomState(0).random_sample((32, n)).astype(np.float32)
    window = np.sin(np.pi * np.arange(1, 53) / 53) ** 2
    expected = [np.convolve(band, window / window.sum())[26 : 26 + n : 9] for band in envelopes.astype(np.float64)]
    rows = np.pad(envelopes, ((0, 0), (WINDOW_BEFORE, 60)))
    found = [smoothed(row, n) for row in rows]
    np.testing.assert_allclose(found, expected, atol=1e-12)
    cepstra = smoothed_cepstra(rows, n, loudness=True)
    frames = np.transpose(expected)
    np.testing.assert_allclose(cepstra.values.T, frames @ cepstral_basis(), atol=1e-12)
    np.testing.assert_allclose(cepstra.loudness(), loudness(frames), atol=1e-12)


@pytest.mark.parametrize("count", [1, TOGETHER, 4000])
def test_cepstra_are_those_of_dithered_frames_and_without_mean(count):
    frames = 30 + np.random.RandomState(0).random_sample((count, 32))
    random, published = np.random.RandomState(1), np.random.RandomState(1)
    found = dithered((frames @ cepstral_basis()).T, random, 0.1)
    wanted = ((frames + 0.1 * published.standard_normal((count, 32))) @ cepstral_basis()).T
    np.testing.assert_allclose(found, wanted - np.mean(wanted, axis=1, keepdims=True), atol=1e-12)
    assert random.standard_normal() == published.standard_normal()


def test_modulation_filter_lengths():
    # 0.24 s at 2560 Hz for the three slowest, constant Q above.
    assert modulation_filter_lengths() == [614, 614, 614, 384, 244, 152, 96, 60, 38, 24]


def test_modulation_filters_pass_their_rate():
    for rate, taps in zip(MODULATION_RATES, modulation_filters(), strict=True):
        np.testing.assert_allclose(taps, taps[::-1], atol=1e-15)
        rates = np.arange(0, 400, 0.5)
        gains = np.abs(np.exp(-2j * np.pi * np.outer(rates, np.arange(taps.size)) / FRAME_RATE) @ taps)
        if rate == 2:
            assert np.argmax(gains) == 0
            assert gains[0] == pytest.approx(1)
        else:
            assert rates[np.argmax(gains)] == pytest.approx(rate, rel=0.05)
            assert np.max(gains) == pytest.approx(1, abs=0.15)


def test_modulation_filter_is_demodulation_low_pass_and_modulation():
    signal = np.random.RandomState(0).standard_normal(900)
    number, rate = 4, 25
    length = modulation_filter_lengths()[number]
    window = np.hanning(length + 1) / np.sum(np.hanning(length + 1))
    carrier = np.sqrt(2) * np.exp(2j * np.pi * rate * np.arange(1, 901) / FRAME_RATE)
    low_pass = np.convolve(signal * carrier.conj(), window)[length // 2 : length // 2 + 900]
    expected = np.real(low_pass * carrier)
    found = np.convolve(signal, modulation_filters()[number])[length // 2 : length // 2 + 900]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_correlation_of_equal_opposite_and_unrelated_cepstra():
    random = np.random.RandomState(0)
    one, two = random.standard_normal((2, 6, 20000))
    np.testing.assert_allclose(modulation_correlations(one, 3 * one), 1, rtol=1e-12)
    np.testing.assert_allclose(modulation_correlations(one, -one), 1, rtol=1e-12)
    assert np.all(modulation_correlations(one, two) < 0.2)
    np.testing.assert_array_equal(modulation_correlations(one, np.zeros_like(one)), 0)


def test_correlation_of_one_modulation_appears_in_its_band():
    time = np.arange(6000) / FRAME_RATE
    random = np.random.RandomState(0)
    tone = np.tile(np.sin(2 * np.pi * 40 * time), (6, 1))
    one, two = (tone + random.standard_normal(tone.shape) for _ in range(2))
    assert np.argmax(modulation_correlations(one, two)) == MODULATION_RATES.index(40)


def test_first_basis_function_takes_no_part():
    random = np.random.RandomState(0)
    one = random.standard_normal((6, 3000))
    other = one.copy()
    other[0] = random.standard_normal(3000)
    np.testing.assert_array_equal(modulation_correlations(one, other), modulation_correlations(one, one))


def test_intelligibility_spans_nothing_to_all():
    assert intelligibility(np.zeros(10)) < 0.01
    assert intelligibility(np.ones(10)) == pytest.approx(1, abs=0.01)


def test_intelligibility_is_the_published_answer_to_published_features():
    # Left ear of listener L0064, scene S06001, unprocessed, by pyclarity 0.9.0.
    features = np.array(
        [
            0.34187711826232886,
            0.2937540921979921,
            0.23229118492415082,
            0.20233277943851197,
            0.1921702477492176,
            0.15920534858200963,
            0.12661284906970632,
            0.0629382279952517,
            0.2073562781187399,
            0.2529551983201826,
        ]
    )
    assert intelligibility(features) == pytest.approx(0.06617532711730784, abs=1e-12)
