"""The speech-weighted better-ear SNR."""

from __future__ import annotations

import numpy as np
import pytest

from hearlab.scenes.speech_snr import better_ear_ratio, speech_weighting


def weighted_rms(signal: np.ndarray) -> float:
    return float(np.sqrt(np.sum(np.convolve(signal, speech_weighting()) ** 2)))


def test_equals_the_definition_for_odd_and_even_lengths() -> None:
    rng = np.random.RandomState(0)
    for length in (3000, 3001):
        target, noise = rng.standard_normal((2, length, 2)) * [1.0, 0.5]
        noise[:, 1] *= 3
        ratios = [weighted_rms(target[:, ear]) / weighted_rms(noise[:, ear]) for ear in (0, 1)]
        assert better_ear_ratio(target, noise) == pytest.approx(max(ratios), rel=1e-12)


def test_the_better_ear_counts() -> None:
    rng = np.random.RandomState(1)
    target, noise = rng.standard_normal((2, 2000, 2))
    worse = noise * [1.0, 100.0]
    assert better_ear_ratio(target, worse) == pytest.approx(better_ear_ratio(target[:, [0, 0]], noise[:, [0, 0]]))


def test_level_of_the_target_scales_the_ratio() -> None:
    rng = np.random.RandomState(2)
    target, noise = rng.standard_normal((2, 2000, 2))
    assert better_ear_ratio(10 * target, noise) == pytest.approx(10 * better_ear_ratio(target, noise))


def test_silent_interferer() -> None:
    assert better_ear_ratio(np.ones((100, 2)), np.zeros((100, 2))) == np.inf


def test_the_weighting_passes_speech_and_stops_rumble() -> None:
    response = np.abs(np.fft.rfft(speech_weighting(), 44100))
    assert speech_weighting().shape == (512,)
    assert response[20] < 0.1 * response[500]
