"""Covariance of basilar-membrane motions in short segments (Kates and Arehart 2010, 2016).

How well the processed signal keeps the fine structure that the auditory nerve can follow.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from hearlab.ear.loss import centre_frequencies
from hearlab.ear.resampling import MODEL_RATE

# Segments of 16 ms under a von Hann window, half overlapped; those at the ends are halves.
SEGMENT = round(0.016 * MODEL_RATE)
HALF = SEGMENT // 2

# Delays sought in each segment, in samples (1 ms).
LAGS = round(0.001 * MODEL_RATE)

# Mean squares below this count as silence.
TINY = 1e-30

# Segments whose loudness averaged over bands, and tiles whose level, are not above this are left out (dB).
SILENCE_DB = 2.5

# The nerve follows the fine structure up to about this frequency: a Butterworth fall-off.
SYNCHRONY_HZ = 3500.0
SYNCHRONY_ORDER = 5


def segment_covariance(reference: NDArray[np.float64], processed: NDArray[np.float64]) -> NDArray[np.float64]:
    """Largest covariance of two motions within 1 ms, segment by segment, 0 to 1.

    Args:
        reference, processed: in one band, shape (n,), n >= 384.

    Returns:
        shape (segments,).
    """
    covariances = []
    tiles = zip(_segments(reference), _segments(processed), strict=True)
    for (one, window), (two, _) in tiles:
        size = window.size
        best = np.zeros(one.shape[0])
        for lag in range(-LAGS, LAGS + 1):
            early, late = slice(0, size - abs(lag)), slice(abs(lag), size)
            first, second = (late, early) if lag > 0 else (early, late)
            product = np.abs(np.einsum("st,st->s", one[:, first], two[:, second]))
            best = np.maximum(best, product / np.sum(window[first] * window[second]))
        powers = [np.sum(tile**2, axis=1) / np.sum(window**2) for tile in (one, two)]
        audible = np.minimum(*powers) > TINY
        norms = np.sqrt(np.where(audible, powers[0] * powers[1], 1.0))
        covariances.append(np.where(audible, np.minimum(best / norms, 1.0), 0.0))
    return np.concatenate(covariances)


def segment_levels(motion: NDArray[np.float64]) -> NDArray[np.float64]:
    """Level of a motion in each segment: RMS times the root of 2, in the motion's unit (dB), shape (segments,)."""
    powers = [np.sum(tiles**2, axis=1) / np.sum(window**2) for tiles, window in _segments(motion)]
    return np.sqrt(2 * np.concatenate(powers))


def mean_synchrony(covariances: NDArray[np.float64], levels: NDArray[np.float64]) -> float:
    """Covariance averaged over the audible tiles, weighted by how well the nerve follows each band.

    Args:
        covariances: shape (bands, segments).
        levels: of the reference in dB above threshold, shape (bands, segments).

    Returns:
        0 to 1; 0 when fewer than two segments are audible.
    """
    loudness = 20 * np.log10(np.mean(10 ** (levels / 20), axis=0))
    kept = np.flatnonzero(loudness > SILENCE_DB)
    if kept.size < 2:
        return 0.0
    weights = synchrony_weights()[:, None] * (levels[:, kept] > SILENCE_DB)
    return float(np.sum(weights * covariances[:, kept]) / np.sum(weights))


@lru_cache(maxsize=1)
def synchrony_weights() -> NDArray[np.float64]:
    """How well the nerve follows the fine structure of each band, shape (32,)."""
    weights = 1 / np.sqrt(1 + (centre_frequencies() / SYNCHRONY_HZ) ** (2 * SYNCHRONY_ORDER))
    weights.flags.writeable = False
    return weights


def _segments(motion: NDArray[np.float64]) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Windowed segments without their means, (segments, samples), and their window: first, whole ones, last."""
    window = np.hanning(SEGMENT)
    last = (motion.size - HALF) // HALF * HALF
    tiled = [(motion[None, :HALF], window[HALF:]), (motion[None, last : last + HALF], window[:HALF])]
    if last > HALF:  # shorter motions have no whole segment
        tiled.insert(1, (sliding_window_view(motion[HALF : last + HALF], SEGMENT)[::HALF], window))
    parts = []
    for tiles, shape in tiled:
        weighted = tiles * shape
        parts.append((weighted - np.mean(weighted, axis=1, keepdims=True), shape))
    return parts
