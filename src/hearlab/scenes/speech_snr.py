"""The better-ear signal-to-noise ratio of CEC2, measured through a speech-weighting filter."""

from __future__ import annotations

import functools
import json
from importlib import resources

import numpy as np

from hearlab.arrays import Array
from hearlab.kernels.fast_lengths import fast_length


@functools.cache
def speech_weighting() -> Array:
    """Taps of the 512-tap speech-weighting filter at 44.1 kHz (source: see the data file)."""
    text = resources.files("hearlab.data").joinpath("speech_weighting_fir.json").read_text(encoding="utf-8")
    return np.array(json.loads(text)["taps"])


def better_ear_ratio(target: Array, interferer: Array) -> float:
    """Larger of the two ears' ratios of speech-weighted RMS, as a linear factor.

    Args:
        target, interferer: shape (n, 2) at 44.1 kHz.

    Returns:
        the ratio; infinity or NaN where the interferer is silent.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.sqrt(_weighted_energy(target) / _weighted_energy(interferer))
    return float(np.max(ratio))


def _weighted_energy(signal: Array) -> Array:
    taps = speech_weighting()
    length = fast_length(signal.shape[0] + taps.size - 1)
    spectrum, weight = np.fft.rfft(signal.T, length), np.fft.rfft(taps, length)
    # Parseval: no transform back is needed. The bins between 0 and Nyquist stand for two.
    weights = 2 * (weight.real**2 + weight.imag**2) / length
    weights[0] /= 2
    if length % 2 == 0:
        weights[-1] /= 2
    return np.sum((spectrum.real**2 + spectrum.imag**2) * weights, axis=1)
