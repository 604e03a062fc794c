"""Loudness after ITU-R BS.1770-4, and gains that make versions equally loud."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.signal import sosfilt

from hearlab.report.site.sound.loudness import k_weighting, loudness, matching_gains, weighted_energy

# Table 1 and 2 of ITU-R BS.1770-4 (48 kHz): the denominators and the shelf's numerator.
PUBLISHED = (
    (1.53512485958697, -2.69169618940638, 1.19839281085285, 1.0, -1.69065929318241, 0.73248077421585),
    (1.0, -2.0, 1.0, 1.0, -1.99004745483398, 0.99007225036621),
)
PRINTED_DIGITS = 1e-11  # the formulas behind the table are known to about this
LU = 0.01
ROUNDING = 1e-12  # of sums over seconds, relative to all of the energy
WARPED = 0.03  # the weighting at 1 kHz moves so far with the sample rate


def sine(rate: int, seconds: float = 2.0, amplitude: float = 1.0) -> np.ndarray:
    return amplitude * np.sin(2 * np.pi * 997 * np.arange(round(rate * seconds)) / rate)[:, None]


def test_k_weighting_is_the_published_one_at_48_khz() -> None:
    np.testing.assert_allclose(k_weighting(48000), PUBLISHED, atol=PRINTED_DIGITS)


@pytest.mark.parametrize("rate", [24000, 32000, 44100, 48000])
def test_a_full_scale_sine_has_the_published_loudness(rate: int) -> None:
    assert loudness(sine(rate), rate) == pytest.approx(-3.01, abs=LU if rate == 48000 else WARPED)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("rate", [8000, 44100, 96000])
@pytest.mark.parametrize("seconds", [0.0001, 0.3, 1.75, 5.0003])
def test_the_weighting_is_that_of_the_recursive_filter(rate: int, seconds: float, channels: int) -> None:
    noise = (
        np.random.RandomState(1).randn(max(round(rate * seconds), 1), 4)[:, :channels]
        * [1.0, 0.01, 2.0, 0.3][:channels]
    )
    squares = np.sum(sosfilt(k_weighting(rate), noise, axis=0) ** 2, axis=1)
    energy = weighted_energy(noise, rate)
    assert energy[0] == 0
    np.testing.assert_allclose(energy[1:], np.cumsum(squares), rtol=0, atol=ROUNDING * squares.sum())


def test_a_decay_ends() -> None:
    """States that become denormal numbers would take 20 times as long; what is left of them is nothing."""
    click = np.zeros((3 * 44100, 2))
    click[0] = 1e-140
    energy = weighted_energy(click, 44100)
    assert energy[-1] == energy[44100] < 1e-270


def test_two_channels_add_and_levels_follow() -> None:
    both = np.repeat(sine(48000, amplitude=0.1), 2, axis=1)
    assert loudness(both, 48000) == pytest.approx(-20.0, abs=LU)


def test_silence_around_a_sound_does_not_count() -> None:
    sound = sine(48000, 4.0)
    padded = np.concatenate([np.zeros_like(sound), sound, np.zeros_like(sound)])
    # Blocks that hold the sound's edges pass the gate: a few tenths of a dB.
    assert loudness(padded, 48000) == pytest.approx(loudness(sound, 48000), abs=0.4)


def test_silence_and_short_signals() -> None:
    assert loudness(np.zeros((48000, 2)), 48000) == -math.inf
    assert loudness(np.zeros((0, 2)), 48000) == -math.inf
    assert loudness(sine(48000, 0.1), 48000) == pytest.approx(-3.01, abs=0.2)  # K weighting settles meanwhile


def test_matching_gains_bring_all_to_the_quietest() -> None:
    assert matching_gains([-20.0, -26.0206, -math.inf]) == pytest.approx([0.5, 1.0, 1.0], abs=1e-5)
    assert matching_gains([]) == []
