"""The axes of pictures that matplotlib draws: an event stands over its time, a tone beside its frequency."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from hearlab.lab.picture import _spectrogram as draw_trial_row
from hearlab.listeners import Audiogram, Listener
from hearlab.report.site.audiogram import draw_audiogram
from hearlab.report.site.picture import _draw_version as draw_version
from hearlab.report.site.picture import _Measured as Measured
from hearlab.report.site.picture import envelope
from hearlab.report.site.sound.spectrogram import HIGHEST, LOWEST, spectrogram

RATE, SECONDS, AT, HERTZ = 32000, 12.0, 9.385, 2500.0
PIXEL = 1.5  # of the picture, and a half on each side
BIN = 16  # Hz: a half of a bin of 1024 samples


def burst() -> np.ndarray:
    """40 ms of a tone, as a mono signal of 12 s."""
    times = np.arange(round(RATE * SECONDS)) / RATE
    return np.where(np.abs(times - AT) < 0.02, np.sin(2 * np.pi * HERTZ * times), 0.0)


def drawn(figure: Figure, axes: Any) -> np.ndarray:
    """Brightness of the pixels inside of an axes, shape (rows, columns), the top first."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3].sum(axis=2).astype(float)
    box = axes.get_window_extent()
    height = pixels.shape[0]
    inside = np.round([height - box.y1, height - box.y0, box.x0, box.x1]).astype(int)
    found = pixels[inside[0] : inside[1], inside[2] : inside[3]]
    frame = 2  # the line around it
    found[:frame] = found[-frame:] = found[:, :frame] = found[:, -frame:] = np.median(found)
    return found


def check_spectrogram(figure: Figure, axes: Any) -> None:
    inside = drawn(figure, axes)
    bright = inside > 0.9 * inside.max()
    (low, high), width = axes.get_xlim(), inside.shape[1]
    column = float(np.mean(np.flatnonzero(bright.any(axis=0)))) + 0.5
    assert low + column / width * (high - low) == pytest.approx(AT, abs=PIXEL * (high - low) / width)
    row = 1 - (float(np.mean(np.flatnonzero(bright.any(axis=1)))) + 0.5) / inside.shape[0]
    ticks = dict(zip(axes.get_yticks(), [text.get_text() for text in axes.get_yticklabels()], strict=True))
    first, last = sorted(ticks)[0], sorted(ticks)[-1]
    hertz = [float(ticks[place].replace("k", "")) * (1000 if "k" in ticks[place] else 1) for place in (first, last)]
    bottom, top = axes.get_ylim()
    position = bottom + row * (top - bottom)
    found = hertz[0] * (hertz[1] / hertz[0]) ** ((position - first) / (last - first))
    rows = np.log(HIGHEST / LOWEST) / inside.shape[0]
    assert found == pytest.approx(HERTZ, rel=PIXEL * rows + BIN / HERTZ)


@pytest.mark.parametrize("longest", [SECONDS, 15.0])
def test_the_picture_of_a_scene(longest: float) -> None:
    """With a longer version beside it, too: only the last row has numbers on its time axis."""
    figure = Figure(figsize=(12, 1.6), dpi=110, layout="constrained")
    axes = figure.subplots(1, 2)
    mono = burst()
    draw_version(axes, "a burst", Measured(mono, SECONDS, -30.0, spectrogram(mono, RATE) + 30), longest)
    check_spectrogram(figure, axes[1])
    assert axes[0].get_xlim() == axes[1].get_xlim() == (0, longest)
    wave = drawn(figure, axes[0])
    inked = wave[: wave.shape[0] // 3] < 0.9 * np.median(wave)  # above the line of silence
    column = float(np.mean(np.flatnonzero(inked.any(axis=0)))) + 0.5
    assert column / wave.shape[1] * longest == pytest.approx(AT, abs=PIXEL * longest / wave.shape[1])


def test_the_picture_of_a_trial() -> None:
    figure = Figure(figsize=(9, 1.8), dpi=110, layout="constrained")
    axes = figure.subplots()
    draw_trial_row(axes, "a burst", burst()[:, None], RATE)
    check_spectrogram(figure, axes)


@pytest.mark.parametrize("count", [3, 1199, 1200, 1201, 441000, 529200])
def test_waveforms(count: int) -> None:
    for place in (0, count // 3, count - 1):
        mono = np.zeros(count)
        mono[place] = 1
        times, lowest, highest = envelope(mono, 12.0)
        assert np.abs(times[highest.argmax()] - 12.0 * (place + 0.5) / count) <= 6.0 / min(count, 1200) + 1e-9
        assert count < 2400 or not lowest.any()  # else a column may be a single sample
    assert [part.size for part in envelope(np.zeros(0), 0.0)] == [0, 0, 0]


def test_an_audiogram_holds_every_frequency_and_level() -> None:
    wide = Audiogram(np.array([-20.0, 10.0, 130.0]), np.array([125.0, 1000.0, 16000.0]))
    axes = Figure().subplots()
    draw_audiogram(axes, Listener("wide", wide, wide))
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    assert left < 125 < 16000 < right
    assert top < -20 < 130 < bottom
    assert [line.get_marker() for line in axes.lines] == ["o", "x"]  # right O, left X
