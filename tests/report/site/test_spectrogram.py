"""Spectrograms: frequencies and levels where they belong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hearlab.report.site.spectrogram import HIGHEST, LOWEST, ROWS, frequency_position, spectrogram, write_spectrogram

DECIBEL = 0.1  # edges of bands cut the window's main lobe


def sine(frequency: float, rate: int, seconds: float = 1.0) -> np.ndarray:
    return np.sin(2 * np.pi * frequency * np.arange(round(rate * seconds)) / rate)


@pytest.mark.parametrize("rate", [24000, 32000, 44100])
@pytest.mark.parametrize("frequency", [250.0, 1000.0, 8000.0])
def test_a_sine_is_in_its_row_at_its_level(frequency: float, rate: int) -> None:
    levels = spectrogram(sine(frequency, rate), rate)
    row = int(levels.mean(axis=1).argmax())
    half_bin = np.log((frequency + rate / 2048) / frequency) / np.log(HIGHEST / LOWEST)
    assert abs((row + 0.5) / ROWS - frequency_position(frequency)) < half_bin + 1 / ROWS
    total = 10 * np.log10(np.sum(10 ** (levels / 10), axis=0))
    np.testing.assert_allclose(total, -3.01, atol=DECIBEL)


def test_a_click_is_in_its_column() -> None:
    signal = np.zeros(44100)
    signal[11025] = 1
    columns = spectrogram(signal, 44100).mean(axis=0)
    assert columns.argmax() / columns.size == pytest.approx(0.25, abs=0.02)


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
