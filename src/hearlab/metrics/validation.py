"""Checks of what users hand to a metric; every failure is one line that says what to do.

The metrics share these, so that all of them refuse the same things in the same words.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hearlab.arrays import Array
from hearlab.ear.loss import AUDIOMETRIC_FREQUENCIES
from hearlab.ear.resampling import whole_kilohertz
from hearlab.errors import InputError
from hearlab.listeners import Audiogram, Listener

EARS = ("left", "right")

# Far above any converter; a filter for an absurd rate would take all memory.
HIGHEST_RATE = 1e6

# No sampled sound comes near this; the squares of larger numbers could overflow.
LARGEST_SAMPLE = 1e9


def monaural(name: str, signal: ArrayLike, *, silence: bool = False) -> Array:
    """A signal of one ear as float64, shape (n,).

    Args:
        name: what to call the signal in an error.
        signal: floating-point samples, shape (n,).
        silence: whether zeros only, or no samples at all, are allowed.

    Raises:
        InputError: another shape, integers, a sample that is no finite number, silence where it is not allowed.
    """
    samples = _floating(name, signal)
    if samples.ndim != 1:
        advice = "hand over one channel" if samples.ndim == 2 else None
        raise InputError(
            name, "has the wrong shape", found=f"shape {samples.shape}", wanted="shape (n,)", advice=advice
        )
    _check_samples(name, samples, None, silence=silence)
    return samples


def binaural(name: str, signal: ArrayLike) -> Array:
    """Signals of both ears as float64, shape (n, 2), left first; errors as in `monaural`, with the ear named."""
    samples = _floating(name, signal)
    if samples.ndim != 2 or samples.shape[1] != 2:
        advice = None
        if samples.ndim == 2 and samples.shape[0] == 2:
            advice = "transpose it"
        elif samples.ndim == 1:
            advice = "one channel has no better ear"
        raise InputError(
            name, "has the wrong shape", found=f"shape {samples.shape}", wanted="shape (n, 2)", advice=advice
        )
    for channel, ear in enumerate(EARS):
        _check_samples(name, samples[:, channel], f"{ear} ear")
    return samples


def sound_within(name: str, signal: NDArray[np.floating], rate: float) -> None:
    """Raise an InputError when a signal, cut to what it shares with the processed one, is silent."""
    if not np.any(signal):
        raise InputError(
            name,
            "is silent as long as the processed signal lasts",
            found=f"{signal.size / rate:.3f} s of zeros",
            advice="check that the two belong together and start together",
        )


def sample_rate(name: str, rate: float) -> float:
    """A sample rate in Hz.

    Raises:
        InputError: not a number, above 1 MHz, or below 1 kHz when rounded to whole kHz (in which metrics convert).
    """
    if not _is_number(rate) or rate > HIGHEST_RATE or whole_kilohertz(rate) < 1:
        kilohertz = _is_number(rate) and 1 <= rate < 1000
        raise InputError(
            name,
            "is no sample rate",
            found=repr(rate)[:80],
            wanted="a rate in Hz from 1000 to 1000000",
            advice="give it in Hz, not in kHz" if kilohertz else None,
        )
    return float(rate)


def presentation_level(level: float) -> float:
    """The level in dB SPL of an RMS of 1.

    Raises:
        InputError: not a finite number.
    """
    if not _is_number(level):
        raise InputError("level", "is no level", found=repr(level)[:80], wanted="dB SPL of a signal whose RMS is 1")
    return float(level)


def basal_shift(shift: float) -> float:
    """The shift of the filters that control compression, as a part of their distance from the apex.

    Raises:
        InputError: not a number from 0 to 0.1 (beyond, filters come to half the sample rate of the model).
    """
    if not _is_number(shift) or not 0 <= shift <= 0.1:
        raise InputError(
            "basal_shift", "is no shift", found=repr(shift)[:80], wanted="0 (as published) to 0.1; MATLAB's is 0.02"
        )
    return float(shift)


def hearing_loss(name: str, audiogram: Audiogram) -> Array:
    """Hearing loss in dB HL at the model's audiometric frequencies, shape (6,).

    Raises:
        InputError: not an Audiogram, or one that does not reach from 250 to 6000 Hz.
    """
    if not isinstance(audiogram, Audiogram):
        raise InputError(
            name,
            "is no audiogram",
            found=type(audiogram).__name__,
            wanted="hearlab.listeners.Audiogram",
            advice="make one with Audiogram(levels, frequencies)",
        )
    try:
        return audiogram.at(AUDIOMETRIC_FREQUENCIES)
    except InputError as error:
        raise InputError(name, error.problem, field=error.field, found=error.found, wanted=error.wanted) from None


def both_ears(listener: Listener) -> dict[str, Audiogram]:
    """The audiograms of a listener by ear, left first.

    Raises:
        InputError: not a Listener.
    """
    if not isinstance(listener, Listener):
        raise InputError(
            "listener", "is no listener", found=type(listener).__name__, wanted="hearlab.listeners.Listener"
        )
    return dict(zip(EARS, (listener.left, listener.right), strict=True))


def _is_number(value: Any) -> bool:
    number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    return number and math.isfinite(value)


def _floating(name: str, signal: ArrayLike) -> Array:
    try:
        samples = np.asarray(signal)
    except ValueError:  # lists of unequal length
        samples = np.asarray(None)
    if samples.dtype.kind in "iu":
        raise InputError(
            name,
            "has integer samples",
            found=samples.dtype,
            wanted="floating-point samples, full scale 1",
            advice="divide 16-bit samples by 32768",
        )
    if samples.dtype.kind != "f":
        raise InputError(name, "is no array of samples", found=samples.dtype, wanted="floating-point samples")
    return samples.astype(np.float64, copy=False)


def _check_samples(name: str, samples: Array, channel: str | None, *, silence: bool = False) -> None:
    if samples.size == 0:
        if silence:
            return
        raise InputError(name, "is empty", field=channel, found="0 samples")
    least, most = np.min(samples), np.max(samples)
    if not (least >= -LARGEST_SAMPLE and most <= LARGEST_SAMPLE):  # NaN is in no range
        first = int(np.argmin(np.abs(samples) <= LARGEST_SAMPLE))
        place = f"sample {first}" if channel is None else f"{channel}, sample {first}"
        if np.isfinite(samples[first]):
            raise InputError(
                name, "is far beyond full scale", field=place, found=samples[first], wanted="samples around -1 to 1"
            )
        raise InputError(name, "is not a finite number", field=place, found=samples[first], wanted="finite samples")
    if not silence and least == most == 0:
        raise InputError(name, "is silent", field=channel, found=f"{samples.size} samples, all zero")
