"""Conversion of any sample rate to the 24 kHz of the ear model, with the level of the input kept."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import cheby2, resample_poly, sosfilt

from hearlab.audio import rms

# The filters of the ear model are designed for this rate, whatever the rate of the input.
MODEL_RATE = 24000

# Levels are compared below this frequency when the rate goes down: the filterbank ends not far below it.
MATCHED_BAND_HZ = 10500.0
MATCHED_BAND_ORDER = 7
MATCHED_BAND_ATTENUATION_DB = 30.0


def whole_kilohertz(rate: float) -> int:
    """The rate in kHz, rounded: conversion ratios are formed from it, so 44.1 kHz counts as 44 and 22.05 as 22."""
    return int(np.round(rate / 1000))


def to_model_rate(signal: NDArray[np.float64], rate: float) -> NDArray[np.float64]:
    """Resample to 24 kHz and restore the level of the input.

    The ratio comes from the rate in whole kHz (as published), so 44.1 kHz is resampled by 24/44: time runs 0.2 %
    slow, for reference and processed signal alike. Going up, the RMS of the whole signal is kept; going down, the RMS
    below 10.5 kHz.

    Args:
        signal: shape (n,).
        rate: in Hz; at least 1 kHz after rounding.

    Returns:
        the signal at 24 kHz; the same array if the rate in whole kHz is 24.
    """
    source, target = whole_kilohertz(rate), MODEL_RATE // 1000
    if source == target:
        return signal
    resampled = resample_poly(signal, target, source)
    if source < target:
        before, after = rms(signal), rms(resampled)
    else:
        before, after = rms(_matched_band(signal, source)), rms(_matched_band(resampled, target))
    # A signal so faint that its square is zero has no RMS to match.
    return resampled * (before / after) if after > 0 else resampled


def _matched_band(signal: NDArray[np.float64], kilohertz: int) -> NDArray[np.float64]:
    """The part of the signal below 10.5 kHz, through a Chebyshev type 2 low-pass."""
    cutoff = 2 * MATCHED_BAND_HZ / 1000 / kilohertz
    return sosfilt(cheby2(MATCHED_BAND_ORDER, MATCHED_BAND_ATTENUATION_DB, cutoff, output="sos"), signal)
