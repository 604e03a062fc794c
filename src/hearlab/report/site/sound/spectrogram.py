"""Spectrograms on a logarithmic frequency axis, as numbers and as small PNG files."""

from __future__ import annotations

import functools
import math
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hearlab.arrays import Array32

Floats = NDArray[np.float64]

LOWEST, HIGHEST = 100.0, 10000.0  # Hz: where hearing aids work
WINDOW = 0.046  # s: harmonics of a voice are seen apart, syllables too
COLUMNS, ROWS = 900, 160
RANGE = (-60.0, 5.0)  # dB that the colours span, relative to the signal's loudness
DARKEST = "#000004"  # of the colours
FINE, COARSE = 8, 2  # frames that begin in the length of one: wanted, and at least (else events would be missed)
MOST_FRAMES = 6  # of a column, where COARSE does not ask for more
FLOOR = 1e-12


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
    return _levels(samples, rate, columns, rows).astype(np.float64)


def _levels(samples: Floats, rate: int, columns: int, rows: int) -> Array32:
    """The same in single precision."""
    # Compiled loops take longer to load than a page takes to write.
    from hearlab.report.site.sound.band_powers import LANES, SHORTEST, add_band_powers, to_decibels, transform_tables

    signal = samples[:, None] if samples.ndim == 1 else samples
    count, channels = signal.shape
    length = max(int(2 ** np.round(np.log2(WINDOW * rate))), SHORTEST)
    columns = min(columns, max(count * FINE // length, 1))
    width = max(count, 1) / columns
    each = max(min(round(width * FINE / length), MOST_FRAMES), math.ceil(width * COARSE / length), 1)
    groups = -(-columns // LANES)
    centres = (np.arange(columns * each) + 0.5) * (width / each)
    frames = np.zeros((groups * LANES, each), dtype=np.intp)
    # In the padded signal, whose first length / 2 samples are silence.
    frames[:columns] = np.floor(centres).reshape(columns, each)
    starts = np.ascontiguousarray(frames.reshape(groups, LANES, each).transpose(0, 2, 1))
    padded = np.zeros((channels + channels % 2, count + length + 1), dtype=np.float32)
    padded[:channels, length // 2 : length // 2 + count] = signal.T
    window = np.hanning(length + 1)[:-1].astype(np.float32)
    heard = np.concatenate([[0.0], np.cumsum(window.astype(np.float64) ** 2)])
    inside = np.minimum(count + length // 2 - starts, length)
    energies = heard[np.maximum(inside, 0)] - heard[np.maximum(length // 2 - starts, 0)]
    # Parseval for a windowed frame; a factor 2 for the negative frequencies is in what is added.
    scales = (1 / (np.maximum(energies, FLOOR) * (each * channels * length))).astype(np.float32)
    below, shares = _edges(length, rate, rows)
    bands = np.zeros((rows, groups * LANES), dtype=np.float32)
    for one, two in zip(padded[::2], padded[1::2], strict=True):
        add_band_powers(one, two, starts, scales, window, *transform_tables(length), below, shares, bands.ravel())
    to_decibels(bands.ravel(), 0.99 * FLOOR)
    return np.maximum(bands[:, :columns], np.float32(10 * math.log10(FLOOR)))  # which rounding does not give exactly


@functools.lru_cache(maxsize=8)
def _edges(length: int, rate: int, rows: int) -> tuple[NDArray[np.intp], Array32]:
    """Where the edges of bands lie among the bins of a transform: low bands are narrower than a bin.

    Returns:
        for each edge, shape (rows + 1,), the bin that it is in, and the share of that bin below it. Edges above half
        the sample rate are at the end of the last bin.
    """
    edges = np.geomspace(LOWEST, HIGHEST, rows + 1) * length / rate + 0.5  # bin k reaches from k - 1/2 to k + 1/2
    edges = np.minimum(edges, length // 2 + 1)
    places = np.minimum(edges.astype(np.intp), length // 2)
    return places, (edges - places).astype(np.float32)


def write_spectrogram(path: Path, samples: Floats, rate: int, loudness: float) -> None:
    """Write a spectrogram as an 8-bit PNG without axes; colours are relative to `loudness` (in dB of full scale).

    A file that is there is written over: this is for the folder of a unit of work, whose files are kept when all of it
    is done.
    """
    from PIL import Image  # takes longer to import than a page takes to write

    low, high = (level + (loudness if math.isfinite(loudness) else 0.0) for level in RANGE)
    indices = np.clip(
        (_levels(samples, rate, COLUMNS, ROWS) - np.float32(low)) * np.float32(255 / (high - low)), 0, 255
    ).astype(np.uint8)
    image = Image.fromarray(indices)
    image.putpalette(_palette())
    # Runs alone: a third of the time of a search for longer repetitions, which makes files 2 to 10 % smaller.
    image.save(path, format="PNG", compress_type=zlib.Z_RLE)


@functools.cache
def _palette() -> bytes:
    from matplotlib import colormaps  # takes a third of a second to import

    return (colormaps["magma"](np.arange(256))[:, :3] * 255).astype(np.uint8).tobytes()


def frequency_position(frequency: float) -> float:
    """Where a frequency in Hz lies on the picture: 0 at the top, 1 at the bottom."""
    return 1 - float(np.log(frequency / LOWEST) / np.log(HIGHEST / LOWEST))
