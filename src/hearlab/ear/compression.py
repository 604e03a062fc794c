"""Outer hair cells: filters widen and gain falls as the level rises (Kates 2013)."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, lfilter

from hearlab.ear.loss import UPPER_KNEE_DB, LossParameters
from hearlab.ear.resampling import MODEL_RATE

# Levels in dB SPL between which the filters widen from their low-level bandwidth to the widest.
NARROW_BELOW_DB = 50.0
WIDEST_ABOVE_DB = 100.0

# The gain reacts with a delay of 0.2 ms: a one-pole low-pass (Zhang et al. 2001).
GAIN_LOW_PASS_HZ = 800.0

# Keeps the logarithm finite in silence.
TINY = 1e-30


def level_dependent_bandwidth(control_rms: float, narrow: float, widest: float, level: float) -> float:
    """Relative bandwidth for the whole signal, from the RMS of the band's control envelope.

    Args:
        control_rms: linear.
        narrow: bandwidth at 50 dB SPL and below.
        widest: bandwidth at 100 dB SPL and above.
        level: dB SPL of an RMS of 1.
    """
    if control_rms == 0:
        return narrow
    control_db = 20 * np.log10(control_rms) + level
    part = (control_db - NARROW_BELOW_DB) / (WIDEST_ABOVE_DB - NARROW_BELOW_DB)
    return float(narrow + np.clip(part, 0.0, 1.0) * (widest - narrow))


def compress(
    envelope: NDArray[np.float64],
    control: NDArray[np.float64],
    *,
    attenuation: float,
    lower_knee: float,
    ratio: float,
    level: float,
) -> NDArray[np.float64]:
    """Compress one band's envelope by a gain that follows the control envelope.

    Args:
        envelope: linear, shape (n,).
        control: envelope of the control path (the widest filters), shape (n,).
        attenuation: gain in dB lost with outer hair cells.
        lower_knee: dB SPL up to which the gain is constant; it is constant again from 100 dB SPL.
        ratio: compression ratio between the knees.
        level: dB SPL of an RMS of 1.

    Returns:
        the compressed envelope, linear, shape (n,).
    """
    gain = compressive_gain(control, attenuation=attenuation, lower_knee=lower_knee, ratio=ratio, level=level)
    gain *= envelope
    return gain


def compressive_gain(
    control: NDArray[np.float64], *, attenuation: float, lower_knee: float, ratio: float, level: float
) -> NDArray[np.float64]:
    """The linear gain of `compress`, shape (n,)."""
    knee = 10 ** ((lower_knee - level) / 20)
    upper = 10 ** ((UPPER_KNEE_DB - level) / 20)
    # A gain in dB that is linear in the level in dB is a power of the amplitude.
    gain = np.clip(control, knee, upper)
    gain /= knee
    np.power(gain, 1 / ratio - 1, out=gain)
    gain *= 10 ** (-attenuation / 20)
    return lfilter(*_gain_low_pass(), gain)


def compressed_level(
    envelope_rms: NDArray[np.float64], control_rms: NDArray[np.float64], loss: LossParameters, level: float
) -> NDArray[np.float64]:
    """Long-term level of every band in dB above threshold, at least 0, shape (32,).

    Args:
        envelope_rms: RMS of the envelopes before compression, linear, shape (32,).
        control_rms: RMS of the control envelopes, shape (32,).
        loss: the ear.
        level: dB SPL of an RMS of 1.
    """
    control_db = np.clip(level + _decibels(control_rms), loss.lower_knee, UPPER_KNEE_DB)
    gain = -loss.outer_attenuation - (control_db - loss.lower_knee) * (1 - 1 / loss.compression_ratio)
    return np.maximum(np.maximum(level + _decibels(envelope_rms), 0.0) + gain - loss.inner_attenuation, 0.0)


def _decibels(amplitudes: NDArray[np.float64]) -> NDArray[np.float64]:
    return 20 * np.log10(np.maximum(amplitudes, TINY))


@lru_cache(maxsize=1)
def _gain_low_pass() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return butter(1, GAIN_LOW_PASS_HZ, fs=MODEL_RATE)
