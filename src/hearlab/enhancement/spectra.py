"""Short-time spectra with a delay of 4.4 ms: long windows to look back, of which only the end is heard.

The analysis window of 768 samples (17 ms at 44.1 kHz) rises slowly and falls in its last 96 samples; output is taken
from the last 192 samples. So a sample of the output depends on nothing that comes 192 samples (4.4 ms) or more after
it. Two windows of different lengths: Mauler & Martin (2007), "A low delay, variable resolution, perfect reconstruction
spectral analysis-synthesis system for speech enhancement".
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from hearlab.arrays import Array

RATE = 44100  # Hz
WINDOW = 768  # samples
HOP = 96
HEARD = 2 * HOP  # the last samples of a window, which are heard: the algorithmic delay
BINS = WINDOW // 2 + 1
HELD = 2  # frames for which the gains of one are held

Spectra = NDArray[np.complex128]


@functools.cache
def windows() -> tuple[Array, Array]:
    """The windows of analysis, (WINDOW,), and of synthesis, (HEARD,); overlapping products of both add up to 1."""
    rise = np.sqrt(0.5 - 0.5 * np.cos(np.pi * (np.arange(WINDOW - HOP) + 0.5) / (WINDOW - HOP)))
    fall = np.sqrt(0.5 + 0.5 * np.cos(np.pi * (np.arange(HOP) + 0.5) / HOP))
    analysis = np.concatenate([rise, fall])
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(HEARD) + 0.5) / HEARD)
    synthesis = hann / analysis[-HEARD:]
    for window in (analysis, synthesis):
        window.flags.writeable = False
    return analysis, synthesis


def frame_count(samples: int) -> int:
    """Frames that cover a signal: the last ends HOP samples or more after it."""
    return -(-samples // HOP) + 1


def analysed(signal: Array, step: int = 1) -> Spectra:
    """Spectra of a signal.

    Args:
        signal: shape (n, channels).
        step: take one frame of so many, the last of each group.

    Returns:
        shape (frames, BINS, channels); frame k ends before sample (k + 1) * HOP, with silence before the signal.
    """
    frames = frame_count(signal.shape[0])
    padded = np.zeros((WINDOW - HOP + frames * HOP, signal.shape[1]))
    padded[WINDOW - HOP : WINDOW - HOP + signal.shape[0]] = signal
    views = np.lib.stride_tricks.sliding_window_view(padded, WINDOW, axis=0)[step * HOP - HOP :: step * HOP]
    return np.fft.rfft(views * windows()[0], axis=2).transpose(0, 2, 1)


def synthesised(spectra: Spectra, samples: int) -> Array:
    """The signal of spectra (frames, BINS, channels) of hop HOP, shape (samples, channels)."""
    heard = np.fft.irfft(spectra, WINDOW, axis=1)[:, -HEARD:] * windows()[1][None, :, None]
    frames, _, channels = heard.shape
    signal = np.zeros(((frames + 1) * HOP, channels))
    # Frame k is heard from sample (k - 1) * HOP on; what is heard of the first is silence before the signal, in part.
    signal[: frames * HOP] += heard[:, :HOP].reshape(-1, channels)
    signal[HOP:] += heard[:, HOP:].reshape(-1, channels)
    return signal[HOP : HOP + samples]


@functools.cache
def band_positions(bands: int) -> Array:
    """Where each bin is among the bands, from 0 to bands - 1: equal steps on the ERB-rate scale, shape (BINS,)."""
    frequencies = np.arange(BINS) * RATE / WINDOW
    rates, edges = (21.4 * np.log10(1 + 0.00437 * f) for f in (frequencies, np.array([100.0, 0.49 * RATE])))
    positions: Array = np.clip((rates - edges[0]) / (edges[1] - edges[0]) * (bands - 1), 0, bands - 1)
    positions.flags.writeable = False
    return positions


@functools.cache
def band_weights(bands: int) -> Array:
    """Triangular bands, equal on the ERB-rate scale (Glasberg & Moore 1990), shape (bands, BINS); they add up to 1."""
    weights = np.maximum(0, 1 - np.abs(band_positions(bands) - np.arange(bands)[:, None]))
    weights.flags.writeable = False
    return weights


def applied(spectra: Spectra, gains: Array, samples: int) -> Array:
    """The signal of spectra with gains in bands, shape (samples, channels).

    Args:
        spectra: shape (frames, BINS, channels).
        gains: found from every HELD-th frame (the second, the fourth, ...) and used in it and in the next; shape
            (frames // HELD, channels, bands). In the first frame nothing is known and nothing heard.
        samples: length of the signal.
    """
    frames, _, channels = spectra.shape
    held = np.zeros((frames, channels, gains.shape[2]))
    later = np.repeat(gains, HELD, axis=0)[: frames - HELD + 1]
    held[HELD - 1 : HELD - 1 + later.shape[0]] = later
    weights = band_weights(gains.shape[2])
    heard = np.empty_like(spectra)
    for channel in range(channels):
        heard[..., channel] = spectra[..., channel] * np.einsum("tb,bf->tf", held[:, channel], weights)
    return synthesised(heard, samples)
