"""Middle ear and gammatone filterbank.

The gammatone is the impulse-invariant fourth-order filter of Cooke (1993): the signal is demodulated with the centre
frequency and passed through four equal one-pole low-pass filters.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, lfilter

from hearlab.ear.alignment import advance
from hearlab.ear.loss import centre_frequencies, equivalent_bandwidth
from hearlab.ear.resampling import MODEL_RATE

MIDDLE_EAR_LOW_PASS_HZ = 5000.0
MIDDLE_EAR_HIGH_PASS_HZ = 350.0

# Decay rate of a fourth-order gammatone relative to its equivalent rectangular bandwidth (Patterson et al. 1992).
DECAY_PER_BANDWIDTH = 1.019

# Numerator and denominator of a filter.
Coefficients = tuple[NDArray[np.float64], NDArray[np.float64]]

# The carrier is a product of two short tables (samples in a block, blocks): fewer sines, and no drift.
CARRIER_BLOCK = 256


def middle_ear(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Middle ear at 24 kHz: one-pole low-pass at 5 kHz, two-pole high-pass at 350 Hz (Butterworth)."""
    low_pass, high_pass = _middle_ear_filters()
    return lfilter(*high_pass, lfilter(*low_pass, signal))


def demodulate(signal: NDArray[np.float64], frequency: float) -> NDArray[np.float64]:
    """Shift `frequency` (Hz) to zero: the real and the imaginary part of signal * exp(-i w t), shape (2, n)."""
    n = signal.size
    shift = _carrier(n, frequency)
    baseband = np.empty((2, n))
    np.multiply(signal, shift.real, out=baseband[0])
    np.multiply(signal, shift.imag, out=baseband[1])
    return baseband


def gammatone_envelope(baseband: NDArray[np.float64], frequency: float, bandwidth: float) -> NDArray[np.float64]:
    """Envelope of one band.

    Args:
        baseband: the demodulated signal, shape (2, n).
        frequency: centre frequency in Hz.
        bandwidth: relative to the normal ear.

    Returns:
        the envelope at 24 kHz, shape (n,); a sine at the centre frequency has its amplitude.
    """
    filtered, gain = _gammatone(baseband, frequency, bandwidth)
    np.square(filtered, out=filtered)
    envelope = np.sqrt(filtered[0] + filtered[1])
    envelope *= gain
    return envelope


def gammatone_motion(
    baseband: NDArray[np.float64], frequency: float, bandwidth: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Envelope (see `gammatone_envelope`) and motion of the basilar membrane in one band, shape (n,) each."""
    filtered, gain = _gammatone(baseband, frequency, bandwidth)
    shift = _carrier(filtered.shape[1], frequency)
    motion = gain * (filtered[0] * shift.real + filtered[1] * shift.imag)
    return gain * np.hypot(filtered[0], filtered[1]), motion


def group_delays(bandwidths: NDArray[np.float64]) -> NDArray[np.int64]:
    """Group delay of each band's envelope in samples at 24 kHz (at the centre frequency, rounded), shape (bands,)."""
    poles = np.array([_pole(f, b) for f, b in zip(centre_frequencies(), bandwidths, strict=True)])
    zeros_delay = (4 * poles + 8 * poles**2) / (1 + 4 * poles + 4 * poles**2)
    poles_delay = 4 * poles / (1 - poles)
    return np.rint(zeros_delay + poles_delay).astype(np.int64)


def compensate_group_delays(envelopes: NDArray[np.float64], delays: NDArray[np.int64]) -> NDArray[np.float64]:
    """Delay every band to that of the slowest, so that an onset lies at one time in all; shape (bands, n)."""
    late = np.max(delays) - delays
    return np.stack([advance(band, -int(samples)) for band, samples in zip(envelopes, late, strict=True)])


@lru_cache(maxsize=1)
def _middle_ear_filters() -> tuple[Coefficients, Coefficients]:
    low_pass = butter(1, MIDDLE_EAR_LOW_PASS_HZ, fs=MODEL_RATE)
    high_pass = butter(2, MIDDLE_EAR_HIGH_PASS_HZ, "highpass", fs=MODEL_RATE)
    return low_pass, high_pass


def _carrier(n: int, frequency: float) -> NDArray[np.complex128]:
    """exp(-i w t) for n samples."""
    step = -2j * np.pi * frequency / MODEL_RATE
    within = np.exp(step * np.arange(CARRIER_BLOCK))
    blocks = np.exp(step * CARRIER_BLOCK * np.arange(-(-n // CARRIER_BLOCK)))
    return np.multiply.outer(blocks, within).ravel()[:n]


def _gammatone(baseband: NDArray[np.float64], frequency: float, bandwidth: float) -> tuple[NDArray[np.float64], float]:
    pole = _pole(frequency, bandwidth)
    numerator = np.array([1.0, 4 * pole, 4 * pole**2])
    denominator = np.array([1.0, -4 * pole, 6 * pole**2, -4 * pole**3, pole**4])
    return lfilter(numerator, denominator, baseband), float(2 * np.sum(denominator) / np.sum(numerator))


def _pole(frequency: float, bandwidth: float) -> float:
    decay = DECAY_PER_BANDWIDTH * bandwidth * equivalent_bandwidth(frequency)
    return float(np.exp(-2 * np.pi * decay / MODEL_RATE))
