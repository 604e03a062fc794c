"""A broadband dynamic range compressor that follows the short-time level, as in the Clarity and Cadenza baselines."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from hearlab.arrays import Array
from hearlab.errors import InputError
from hearlab.kernels.compiled import compiled
from hearlab.kernels.retained_memory import keep_freed_memory

POWER_FLOOR = 1e-8  # added to the mean power


@compiled
def window_sums(part: Array, before: Array, tails: Array, sums: Array) -> None:
    """Sums of squares over the last window at each sample of `part`, one window of a signal (less at its end).

    Nothing is subtracted: a sum is the tail of the window before and the head of this one, so that a quiet part after a
    loud burst is as exact as it would be alone, and no error grows with time.

    Args:
        part: shape (n,).
        before: element i is the sum from sample i of the window before to its end; one element longer than a window.
        tails: output, those of `part` for the next window.
        sums: output.
    """
    head = tail = 0.0
    last = part.size - 1
    # Two sums that do not wait for each other: 0.35 ms for 6.5 s, one after the other 0.66 ms.
    for index in range(part.size):
        head += part[index] * part[index]
        sums[index] = head + before[index + 1]
        tail += part[last - index] * part[last - index]
        tails[last - index] = tail


@compiled
def _follow(x: Array, out: Array, decay: Array, settings: tuple[float, float, float, float], factor: float) -> float:
    """Gains of each channel times its samples and `factor`, or the gains alone if that is 0.

    Args:
        x: samples, shape (n, channels).
        out: output, of the same shape; may be `x`.
        decay: (1 - release)^(i + 1) for each sample i of a window.
        settings: threshold, attenuation, and the fraction of its distance that the gain moves in a sample at attack
            and at release.

    Returns:
        the sum of all squares: not finite if a sample is not.
    """
    samples, channels = x.shape
    window = decay.size
    total = 0.0
    kept, found = np.empty(window), np.empty(window)
    tails, before, gains = np.zeros((2, channels, window + 1)), 0, np.ones(channels)
    # Channels lie between each other in memory, so a window of all of them comes before the next window.
    for start in range(0, samples, window):
        count = min(window, samples - start)
        part, sums = kept[:count], found[:count]
        for channel in range(channels):
            source, target = x[start : start + count, channel], out[start : start + count, channel]
            for index in range(count):
                part[index] = source[index]
            window_sums(part, tails[before, channel], tails[1 - before, channel], sums)
            total += tails[1 - before, channel, 0]
            gains[channel] = _gains_of_levels(sums, gains[channel], decay, settings)
            if factor != 0.0:
                for index in range(count):
                    target[index] = part[index] * sums[index] * factor
            else:
                for index in range(count):
                    target[index] = sums[index]
        before = 1 - before
    return total


@compiled
def _gains_of_levels(sums: Array, gain: float, decay: Array, settings: tuple[float, float, float, float]) -> float:
    """The sums of squares of a window become its gains, in place.

    Args:
        sums: shape (n,).
        gain: the one before the window.
        decay, settings: as of `_follow`.

    Returns:
        the last gain.
    """
    threshold, attenuation, attack, release = settings
    window = decay.size
    # The sum of squares in a window below which the level is certainly not above the threshold.
    quiet = window * (threshold * threshold - POWER_FLOOR) * (1.0 - 1e-12)
    loud = 0
    for index in range(sums.size):
        loud += sums[index] > quiet
    if loud == 0:
        # The gain's distance to 1 shrinks by the same factor in each sample: no sample waits for the one before.
        distance = 1.0 - gain
        for index in range(sums.size):
            sums[index] = 1.0 - distance * decay[index]
        return sums[sums.size - 1]
    for index in range(sums.size):
        level = np.sqrt(sums[index] / window + POWER_FLOOR)
        if level > threshold:
            target = level * attenuation + (1.0 - attenuation) * threshold
            gain = gain * (1.0 - attack) + target * attack
        else:
            gain = release + gain * (1.0 - release)
        sums[index] = gain
    return gain


class Compressor:
    """Reduces the gain while the level is above a threshold.

    The level is the RMS over the last `rms_buffer_size` seconds (silence before the first sample). Above the threshold
    the gain moves towards `attenuation * level + (1 - attenuation) * threshold`, below it towards 1, by a fixed
    fraction of the distance in each sample. Both formulas are those of the published baseline and kept on purpose: the
    target gain *rises* with the level (above a level of (1 - (1 - attenuation) * threshold) / attenuation, 6.85
    for the default values, loud sound is amplified), and the fraction is 1000 / (time * rate).

    Args:
        rate: sample rate in Hz.
        attack, release: times in ms, at least one sample long.
        threshold: RMS above which the gain is reduced, full scale is 1.
        attenuation: 0 to 1.
        rms_buffer_size: length of the level's window in seconds.
        makeup_gain: linear factor on the output.

    Raises:
        InputError: a value is not a number or out of range.

    Examples:
        >>> import numpy as np
        >>> loud = np.full(4410, 0.9)
        >>> Compressor(44100, attack=5).apply(loud).round(2)[[0, -1]].tolist()
        [0.9, 0.36]
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

        # The published order of operations: 1 / seconds / rate.
        attack, release = (1.0 / (time / 1000.0) / self.rate for time in (self.attack, self.release))
        self._settings = (self.threshold, self.attenuation, attack, release)
        self._decay = np.cumprod(np.full(self.window, 1.0 - release))

    def gains(self, x: Array) -> Array:
        """The gains (without the make-up gain) at each sample of `x`, of the same shape.

        Raises:
            InputError: as `apply`.
        """
        return self._run(x, 0.0)

    def apply(self, x: Array, out: Array | None = None) -> Array:
        """Compress samples (n,), or (n, channels) with each channel on its own; the same shape comes back.

        Args:
            x: the samples.
            out: takes the result, if given, and is returned: a contiguous array of float64; it may be `x` itself.

        Raises:
            InputError: another number of axes, a sample that is not finite, or an `out` of another kind.
        """
        return self._run(x, self.makeup_gain, out)

    def _run(self, x: Array, factor: float, out: Array | None = None) -> Array:
        x = np.ascontiguousarray(x, dtype=np.float64) if np.ndim(x) else np.asarray(x)
        if x.ndim not in (1, 2):
            raise InputError("compressor", "wrong shape", field="x", found=x.shape, wanted="(n,) or (n, channels)")
        if out is None:
            keep_freed_memory()
            out = np.empty(x.shape)
        elif out.shape != x.shape or out.dtype != np.float64 or not out.flags.c_contiguous:
            found, wanted = f"{out.shape} {out.dtype}", f"{x.shape} float64, contiguous"
            raise InputError("compressor", "wrong shape", field="out", found=found, wanted=wanted)
        columns = x.shape if x.ndim == 2 else (x.size, 1)
        total = _follow(x.reshape(columns), out.reshape(columns), self._decay, self._settings, factor)
        # A sample that is finite may have a square that is not.
        if not math.isfinite(total) and not np.all(np.isfinite(x)):
            raise InputError("compressor", "has samples that are not finite", field="x")
        return out


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
