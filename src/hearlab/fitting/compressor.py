"""A broadband dynamic range compressor that follows the short-time level, as in the Clarity and Cadenza baselines."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from hearlab.errors import InputError

Array = NDArray[np.float64]

POWER_FLOOR = 1e-8  # added to the mean power


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile with numba, and keep the result on the disk where a place for it can be written."""
    compiled: Callable[..., Any]
    try:
        compiled = numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # neither the installation nor the user's cache folder is writable
        compiled = numba.njit(nogil=True)(function)
    return compiled


@_compiled
def _follow(level: Array, threshold: float, attenuation: float, attack: float, release: float) -> Array:
    gains = np.empty_like(level)
    gain = 1.0
    for index in range(level.size):
        if level[index] > threshold:
            target = level[index] * attenuation + (1.0 - attenuation) * threshold
            gain = gain * (1.0 - attack) + target * attack
        else:
            gain = release + gain * (1.0 - release)
        gains[index] = gain
    return gains


class Compressor:
    """Reduces the gain while the level is above a threshold.

    The level is the RMS over the last `rms_buffer_size` seconds (silence before the first sample). Above the threshold
    the gain moves towards `attenuation * level + (1 - attenuation) * threshold`, below it towards 1, by a fixed
    share of the way in each sample. Both formulas are those of the published baseline and kept on purpose: the
    gain's aim *rises* with the level (above a level of (1 - (1 - attenuation) * threshold) / attenuation, 6.85
    for the default values, loud sound is amplified), and the share is 1000 / (time * rate).

    Args:
        rate: sample rate in Hz.
        attack, release: times in ms, at least one sample long.
        threshold: RMS above which the gain is reduced, full scale is 1.
        attenuation: 0 to 1.
        rms_buffer_size: length of the level's window in seconds.
        makeup_gain: linear factor on the output.

    Raises:
        InputError: a value is not a number or out of range.
    """

    def __init__(
        self,
        rate: float,
        *,
        attack: float = 50.0,
        release: float = 1000.0,
        threshold: float = 0.35,
        attenuation: float = 0.1,
        rms_buffer_size: float = 0.064,
        makeup_gain: float = 1.0,
    ) -> None:
        self.rate = _number("rate", rate, above=0)
        shortest = 1000.0 / self.rate
        self.attack = _number("attack", attack, least=shortest, unit="ms")
        self.release = _number("release", release, least=shortest, unit="ms")
        self.threshold = _number("threshold", threshold, above=0)
        self.attenuation = _number("attenuation", attenuation, least=0, most=1)
        self.rms_buffer_size = _number("rms_buffer_size", rms_buffer_size, above=0, unit="s")
        self.makeup_gain = _number("makeup_gain", makeup_gain, above=0)
        self.window = int(self.rms_buffer_size * self.rate)  # samples
        if self.window < 1:
            raise InputError(
                "compressor",
                "is shorter than one sample",
                field="rms_buffer_size",
                found=f"{self.rms_buffer_size:g} s",
                wanted=f"{1 / self.rate:g} s or more",
            )

    def gains(self, x: Array) -> Array:
        """The gain (without the make-up gain) at each sample of `x`, shape (n,)."""
        level = np.sqrt(running_sum(np.square(x), self.window) / self.window + POWER_FLOOR)
        # The published order of operations: 1 / seconds / rate.
        attack = 1.0 / (self.attack / 1000.0) / self.rate
        release = 1.0 / (self.release / 1000.0) / self.rate
        gains: Array = _follow(level, self.threshold, self.attenuation, attack, release)
        return gains

    def apply(self, x: Array) -> Array:
        """Compress samples (n,), or (n, channels) with each channel on its own; the same shape comes back.

        Raises:
            InputError: another number of axes, or a sample that is not finite.
        """
        x = np.asarray(x, dtype=np.float64)
        if x.ndim not in (1, 2):
            raise InputError("compressor", "wrong shape", field="x", found=x.shape, wanted="(n,) or (n, channels)")
        if not np.all(np.isfinite(x)):
            raise InputError("compressor", "has samples that are not finite", field="x")
        if x.ndim == 1:
            return x * self.gains(x) * self.makeup_gain
        compressed = np.empty_like(x)
        for channel in range(x.shape[1]):
            compressed[:, channel] = self.apply(np.ascontiguousarray(x[:, channel]))
        return compressed


def running_sum(values: Array, window: int) -> Array:
    """Sum over the last `window` values at each index; zeros stand before the first value. Shape (n,).

    Nothing is subtracted: a sum is the tail of one block of `window` values and the head of the next, so that a quiet
    part after a loud burst is as exact as it would be alone, and no error grows with time.
    """
    blocks = -(-values.size // window) + 1
    padded = np.zeros(blocks * window)
    padded[window : window + values.size] = values
    table = padded.reshape(blocks, window)
    heads = np.cumsum(table, axis=1)
    tails = np.cumsum(table[:, ::-1], axis=1)[:, ::-1]
    sums = heads[1:].copy()
    sums[:, :-1] += tails[:-1, 1:]
    return sums.ravel()[: values.size]


def _number(
    field: str,
    value: Any,
    *,
    above: float = -math.inf,
    least: float = -math.inf,
    most: float = math.inf,
    unit: str = "",
) -> float:
    is_number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if is_number and math.isfinite(value) and above < value and least <= value <= most:
        return float(value)
    limits = {"above ": above, "at least ": least, "at most ": most}
    wanted = " and ".join(f"{word}{limit:.6g}" for word, limit in limits.items() if math.isfinite(limit))
    raise InputError(
        "compressor", "wrong value", field=field, found=repr(value), wanted=f"a number {wanted} {unit}".rstrip()
    )
