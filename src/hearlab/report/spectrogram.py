"""Spectrograms on a logarithmic frequency axis, as numbers and as small PNG files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hearlab.files import atomic_path

Floats = NDArray[np.float64]

LOWEST, HIGHEST = 100.0, 10000.0  # Hz: where hearing aids work
WINDOW = 0.046  # s: harmonics of a voice are seen apart, syllables too
COLUMNS, ROWS = 900, 160
FRAMES_PER_COLUMN = 6  # at most: a song of minutes is sampled, not read frame by frame
RANGE = (-60.0, 5.0)  # dB that the colours span, relative to the signal's loudness
FLOOR = 1e-12


def spectrogram(samples: Floats, rate: int, *, columns: int = COLUMNS, rows: int = ROWS) -> Floats:
    """Levels in dB of bands between LOWEST and HIGHEST, equally wide in log frequency.

    Args:
        samples: shape (n,) or (n, channels); the powers of channels are averaged.
        rate: in Hz.
        columns, rows: of the result at most; a short signal has fewer columns.

    Returns:
        shape (rows, columns), the highest frequency first. A sine of amplitude 1 is near -3 dB in its row; rows above
        half the sample rate are at the floor of -120 dB.
    """
    signal = samples[:, None] if samples.ndim == 1 else samples
    length = max(int(2 ** np.round(np.log2(WINDOW * rate))), 16)
    if signal.shape[0] < length:
        signal = np.pad(signal, ((0, length - signal.shape[0]), (0, 0)))
    wanted = min(columns * FRAMES_PER_COLUMN, max((signal.shape[0] - length) // (length // 8), 1))
    columns = min(columns, wanted)
    starts = np.linspace(0, signal.shape[0] - length, wanted).astype(np.int64)
    window = np.hanning(length + 1)[:-1]
    bands = np.empty((columns, rows))
    for column, own in enumerate(np.array_split(starts, columns)):
        frames = signal[own[:, None] + np.arange(length)] * window[:, None]
        powers = np.mean(np.abs(np.fft.rfft(frames, axis=1)) ** 2, axis=(0, 2))
        bands[column] = _bands(powers, rate / length, rows)
    # Parseval for a windowed frame; the factor 2 is for the negative frequencies.
    powers = 2 * bands.T[::-1] / (length * np.sum(window**2))
    decibels: Floats = 10 * np.log10(np.maximum(powers, FLOOR))
    return decibels


def _bands(powers: Floats, spacing: float, rows: int) -> Floats:
    """Sums of powers between the edges of bands, from their integral over frequency, so that narrow bands work too."""
    edges = np.geomspace(LOWEST, HIGHEST, rows + 1)
    integral = np.concatenate([[0.0], np.cumsum(powers)])
    at = (np.arange(integral.size) - 0.5) * spacing  # bin k reaches from k - 1/2 to k + 1/2
    return np.diff(np.interp(edges, at, integral))


def write_spectrogram(path: Path, samples: Floats, rate: int, loudness: float) -> None:
    """Write a spectrogram as an 8-bit PNG without axes; colours are relative to `loudness` (in dB of full scale)."""
    from matplotlib import colormaps  # these take longer to import than a page takes to write
    from PIL import Image

    levels = spectrogram(samples, rate) - (loudness if np.isfinite(loudness) else 0.0)
    low, high = RANGE
    indices = np.clip((levels - low) / (high - low) * 255, 0, 255).astype(np.uint8)
    palette = (colormaps["magma"](np.arange(256))[:, :3] * 255).astype(np.uint8)
    image = Image.fromarray(indices)
    image.putpalette(palette.tobytes())
    with atomic_path(path) as temporary:
        image.save(temporary, format="PNG")


def frequency_position(frequency: float) -> float:
    """Where a frequency in Hz lies on the picture: 0 at the top, 1 at the bottom."""
    return 1 - float(np.log(frequency / LOWEST) / np.log(HIGHEST / LOWEST))
