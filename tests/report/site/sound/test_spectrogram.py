"""Spectrograms: frequencies and levels where they belong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hearlab.report.site.sound.spectrogram import (
    HIGHEST,
    LOWEST,
    MOST_FRAMES,
    ROWS,
    WINDOW,
    frequency_position,
    spectrogram,
    write_spectrogram,
)

DECIBEL = 0.1  # edges of bands cut the window's main lobe
CUT = 1.0  # dB: of a frame that is cut in half, a part of the energy lies outside of the picture's frequencies
SINGLE = 0.02  # dB: a band 50 dB below what else is in the frame, in single precision
COLUMN = 1.0  # an event at the border of two columns may be in either
RATES = [8000, 16000, 24000, 32000, 44100, 48000]


def sine(frequency: float, rate: int, seconds: float = 1.0) -> np.ndarray:
    return np.sin(2 * np.pi * frequency * np.arange(round(rate * seconds)) / rate)


def energy(levels: np.ndarray) -> np.ndarray:
    """Of each column."""
    return np.sum(10 ** (levels / 10), axis=0)


@pytest.mark.parametrize("rate", [24000, 32000, 44100])
@pytest.mark.parametrize("frequency", [250.0, 1000.0, 8000.0])
def test_a_sine_is_in_its_row_at_its_level(frequency: float, rate: int) -> None:
    levels = spectrogram(sine(frequency, rate), rate)
    row = int(levels.mean(axis=1).argmax())
    half_bin = np.log((frequency + rate / 2048) / frequency) / np.log(HIGHEST / LOWEST)
    assert abs((row + 0.5) / ROWS - frequency_position(frequency)) < half_bin + 1 / ROWS
    total = 10 * np.log10(np.sum(10 ** (levels / 10), axis=0))
    beside = 5  # columns whose frames reach out of the signal: what is cut spreads over all frequencies
    np.testing.assert_allclose(total[beside:-beside], -3.01, atol=DECIBEL)
    np.testing.assert_allclose(total, -3.01, atol=CUT)


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.3, 1.0, 4.9, 5.31, 5.5, 12.0, 37.3])
@pytest.mark.parametrize("rate", RATES)
def test_an_event_is_drawn_at_its_time(rate: int, seconds: float) -> None:
    """A burst, anywhere: np.array_split, which once made the columns, puts its larger groups first."""
    burst = np.random.default_rng(4).standard_normal(rate // 400)
    count = round(rate * seconds)
    for place in (0.0, 0.013, 0.25, 0.5, 9.385 / 12, 0.97, 1.0):
        signal = np.zeros(count)
        first = round(place * (count - burst.size))
        signal[first : first + burst.size] = burst
        levels = spectrogram(signal, rate)
        found = int(energy(levels).argmax()) + 0.5
        middle = (first + burst.size / 2) / count * levels.shape[1]
        assert abs(found - middle) <= COLUMN, (place, found, middle)


@pytest.mark.parametrize("minutes", [1, 4, 11])
def test_no_event_of_a_long_song_is_missed(minutes: int) -> None:
    rate, rng = 8000, np.random.default_rng(minutes)
    count = 60 * minutes * rate
    places = np.sort(rng.choice(np.arange(5, 895, 5), 100, replace=False)) + rng.uniform(0.1, 0.9, 100)
    signal = np.zeros(count)
    signal[(places / 900 * count).astype(int)] = 1
    loud = energy(spectrogram(signal, rate)) > 1e-9
    assert loud[places.astype(int)].all()
    assert loud.sum() <= 2 * places.size  # and there is nothing elsewhere, but in the column beside


@pytest.mark.parametrize("seconds", [3.0, 12.0, 30.0])
@pytest.mark.parametrize("rate", RATES)
def test_a_chirp_is_on_its_line(rate: int, seconds: float) -> None:
    """Frequencies from 200 Hz to 3 kHz, log-spaced in time: a straight line in the picture, in both axes."""
    times = np.arange(round(rate * seconds)) / rate
    octaves = np.log(3000 / 200) / seconds
    levels = spectrogram(np.sin(2 * np.pi * 200 * (np.exp(octaves * times) - 1) / octaves), rate)
    columns = np.arange(5, levels.shape[1] - 5)
    frequencies = 200 * np.exp(octaves * (columns + 0.5) * seconds / levels.shape[1])
    rows = np.array([frequency_position(frequency) for frequency in frequencies]) * ROWS - 0.5
    # Bins are this many rows wide at that frequency, and all rows within one have its level.
    length = 2 ** np.round(np.log2(0.046 * rate))
    width = np.log1p(rate / length / frequencies) / np.log(HIGHEST / LOWEST) * ROWS
    assert np.all(np.abs(levels[:, columns].argmax(axis=0) - rows) <= width + 0.5)


def in_double_precision(samples: np.ndarray, rate: int, columns: int) -> np.ndarray:
    """The same levels, from its description: a frame at a time."""
    count, channels = samples.shape
    length = 2 ** round(np.log2(WINDOW * rate))
    each = max(min(round(8 * count / columns / length), MOST_FRAMES), int(np.ceil(2 * count / columns / length)), 1)
    edges = np.geomspace(LOWEST, HIGHEST, ROWS + 1) * length / rate + 0.5
    window = np.hanning(length + 1)[:-1]
    padded = np.concatenate([np.zeros((length // 2, channels)), samples, np.zeros((length, channels))])
    inside = np.concatenate([np.zeros(length // 2), np.ones(count), np.zeros(length)])
    bands = np.zeros((ROWS, columns))
    for column in range(columns):
        for frame in range(each):
            first = int((column + (frame + 0.5) / each) * count / columns)
            powers = np.sum(np.abs(np.fft.rfft(padded[first : first + length] * window[:, None], axis=0)) ** 2, axis=1)
            energy = np.sum((window * inside[first : first + length]) ** 2)
            sums = np.interp(edges, np.arange(powers.size + 1), np.concatenate([[0.0], np.cumsum(powers)]))
            bands[::-1, column] += 2 * np.diff(sums) / (energy * each * channels * length)
    return 10 * np.log10(np.maximum(bands, 1e-12))


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize(("rate", "seconds"), [(8000, 0.4), (24000, 9.0), (44100, 0.05), (44100, 1.5), (48000, 8.0)])
def test_single_precision_is_enough(rate: int, seconds: float, channels: int) -> None:
    rng = np.random.default_rng(3)
    noise = rng.standard_normal((round(rate * seconds), channels))
    noise = np.cumsum(noise, axis=0) / 100 + 0.01 * noise  # of a falling spectrum
    levels = spectrogram(noise, rate, columns=60)
    np.testing.assert_allclose(levels, in_double_precision(noise, rate, levels.shape[1]), atol=SINGLE)


def test_channels_and_the_ends_of_a_signal() -> None:
    both = np.stack([sine(1000, 44100), np.zeros(44100)], axis=1)
    np.testing.assert_allclose(energy(spectrogram(both, 44100)), energy(spectrogram(both[:, 0], 44100)) / 2, rtol=1e-4)
    assert np.all(spectrogram(np.zeros((0, 2)), 44100) == -120)


def test_long_short_and_silent_signals() -> None:
    assert spectrogram(np.ones((10, 2)), 44100).shape == (ROWS, 1)
    assert spectrogram(np.random.default_rng(1).standard_normal(44100 * 60), 44100, columns=50).shape == (ROWS, 50)
    assert np.all(spectrogram(np.zeros(44100), 44100) == -120)


def test_the_picture_is_an_image_of_that_size(tmp_path: Path) -> None:
    write_spectrogram(tmp_path / "a.png", sine(1000, 44100), 44100, -3.0)
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == "P"
        assert image.size[1] == ROWS
        colours = np.asarray(image)
    assert colours.max() > 200  # the sine
    assert np.median(colours) == 0  # the rest
