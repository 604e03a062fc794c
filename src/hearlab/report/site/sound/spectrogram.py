"""Spectrograms on a logarithmic frequency axis, as numbers and as small PNG files."""

from __future__ import annotations

import functools
import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hearlab.files import atomic_path

Floats = NDArray[np.float64]

LOWEST, HIGHEST = 100.0, 10000.0  # Hz: where hearing aids work
WINDOW = 0.046  # s: harmonics of a voice are seen apart, syllables too
COLUMNS, ROWS = 900, 160
RANGE = (-60.0, 5.0)  # dB that the colours span, relative to the signal's loudness
DARKEST = "#000004"  # of the colours
FINE, COARSE = 8, 2  # frames that begin in the length of one: wanted, and at least (else events would be missed)
MOST_FRAMES = 6  # of a column, where COARSE does not ask for more
FLOOR = 1e-12
BATCH = 128  # frames that are transformed at a time, about: of more, memory goes back and forth between them


def spectrogram(samples: Floats, rate: int, *, columns: int = COLUMNS, rows: int = ROWS) -> Floats:
    """Levels in dB of bands between LOWEST and HIGHEST, equally wide in log frequency.

    Column c of k is the signal from c / k to (c + 1) / k of its length: the mean of frames whose centres lie in it, at
    equal distances. Outside of the signal is silence; what a frame has of it is left out of its mean power.

    Args:
        samples: shape (n,) or (n, channels); the powers of channels are averaged.
        rate: in Hz.
        columns, rows: of the result at most; a short signal has fewer columns.

    Returns:
        shape (rows, columns), the highest frequency first. The rows that a sine of amplitude 1 spreads over sum to
        -3 dB; rows above half the sample rate are at the floor of -120 dB.
    """
    from scipy.fft import rfft  # takes longer to import than a page takes to write; a fifth of numpy's time at float32

    signal = samples[:, None] if samples.ndim == 1 else samples
    count, channels = signal.shape
    length = max(int(2 ** np.round(np.log2(WINDOW * rate))), 16)
    columns = min(columns, max(count * FINE // length, 1))
    width = max(count, 1) / columns
    each = max(min(math.ceil(width * FINE / length), MOST_FRAMES), math.ceil(width * COARSE / length))
    centres = (np.arange(columns * each) + 0.5) * (width / each)
    starts = np.floor(centres).astype(np.int64)  # in the padded signal, whose first length / 2 samples are silence
    padded = np.zeros((channels, count + length + 1), dtype=np.float32)
    padded[:, length // 2 : length // 2 + count] = signal.T
    window = np.hanning(length + 1)[:-1].astype(np.float32)
    heard = np.concatenate([[0.0], np.cumsum(window.astype(np.float64) ** 2)])
    inside = np.minimum(count + length // 2 - starts, length)
    energies = heard[np.maximum(inside, 0)] - heard[np.maximum(length // 2 - starts, 0)]
    first_bin, below, share = _edges(length, rate, rows)
    bins = slice(first_bin, first_bin + int(below[-1]) + 1)
    bands = np.empty((columns, rows))
    step = max(BATCH // each, 1)
    for first in range(0, columns, step):
        own = slice(first * each, min(first + step, columns) * each)
        powers = np.zeros((starts[own].size, bins.stop - bins.start), dtype=np.float32)
        for channel in padded:
            frames = np.lib.stride_tricks.sliding_window_view(channel, length)[starts[own]]
            spectra = rfft(frames * window, axis=1, overwrite_x=True)[:, bins]
            powers += spectra.real**2 + spectra.imag**2
        powers /= np.maximum(energies[own, None], FLOOR).astype(np.float32)
        means = powers.reshape(-1, each, powers.shape[1]).mean(axis=1, dtype=np.float64)
        # A band is what the sum over frequency gains between its edges: in double precision, since it is a difference.
        sums = np.zeros((means.shape[0], means.shape[1] + 1))
        np.cumsum(means, axis=1, out=sums[:, 1:])
        at_edges = sums[:, below] + share * means[:, below]
        bands[first : first + step] = np.diff(at_edges, axis=1)
    # Parseval for a windowed frame; the factor 2 is for the negative frequencies.
    powers_in_time = 2 * bands.T[::-1] / (channels * length)
    decibels: Floats = 10 * np.log10(np.maximum(powers_in_time, FLOOR))
    return decibels


@functools.lru_cache(maxsize=8)
def _edges(length: int, rate: int, rows: int) -> tuple[int, NDArray[np.intp], Floats]:
    """Where the edges of bands lie among the bins of a transform: low bands are narrower than a bin.

    Returns:
        the first bin that a band has something of; for each edge, shape (rows + 1,), the bin that it is in, counted
        from there, and the share of that bin below it. Edges above half the sample rate are at the end of the last bin.
    """
    edges = np.geomspace(LOWEST, HIGHEST, rows + 1) * length / rate + 0.5  # bin k reaches from k - 1/2 to k + 1/2
    edges = np.minimum(edges, length // 2 + 1)
    places = np.minimum(edges.astype(np.intp), length // 2)
    return int(places[0]), places - places[0], edges - places


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
