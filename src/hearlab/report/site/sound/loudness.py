"""Loudness of recordings after ITU-R BS.1770-4, by which versions of a scene or song are set to the same level."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hearlab.kernels.fast_lengths import fast_length

BLOCK, OVERLAP = 0.4, 0.75  # s, and the share of a block that the next one repeats
ABSOLUTE_GATE = -70.0  # LUFS
RELATIVE_GATE = -10.0  # LU below the mean of what passes the absolute gate
OFFSET = -0.691  # dB: the K weighting of a 997 Hz sine

# Analogue prototypes of the two filters; the standard gives their coefficients at 48 kHz only, these give the same
# there to its printed digits and serve other rates (see De Man 2014, "Evaluation of implementations of the EBU R128").
SHELF = (1681.974450955533, 3.999843853973347, 0.7071752369554196)  # Hz, dB, Q
HIGH_PASS = (38.13547087602444, 0.5003270373238773)  # Hz, Q
RINGING = 0.25  # s, after which what rings of the weighting is below 1e-24


def k_weighting(rate: int) -> NDArray[np.float64]:
    """The K weighting as two second-order sections, shape (2, 6)."""
    frequency, gain, quality = SHELF
    k = math.tan(math.pi * frequency / rate)
    high = 10 ** (gain / 20)
    band = high**0.4996667741545416
    a0 = 1 + k / quality + k * k
    shelf = [
        (high + band * k / quality + k * k) / a0,
        2 * (k * k - high) / a0,
        (high - band * k / quality + k * k) / a0,
        1.0,
        2 * (k * k - 1) / a0,
        (1 - k / quality + k * k) / a0,
    ]
    frequency, quality = HIGH_PASS
    k = math.tan(math.pi * frequency / rate)
    a0 = 1 + k / quality + k * k
    return np.array([shelf, [1.0, -2.0, 1.0, 1.0, 2 * (k * k - 1) / a0, (1 - k / quality + k * k) / a0]])


def weighted(samples: NDArray[np.float64], rate: int) -> NDArray[np.float64]:
    """A signal of shape (n, channels) after the K weighting, by overlap-save: scipy.signal takes a second to import."""
    size, before = fast_length(2 * rate), round(RINGING * rate)
    response = _response(rate, size)
    padded = np.zeros((samples.shape[1], before + samples.shape[0] + size))
    padded[:, before : before + samples.shape[0]] = samples.T
    parts = [
        np.fft.irfft(np.fft.rfft(padded[:, first : first + size]) * response, size)[:, before:]
        for first in range(0, samples.shape[0], size - before)
    ]
    whole: NDArray[np.float64] = np.concatenate(parts, axis=1)[:, : samples.shape[0]].T
    return whole


@functools.lru_cache(maxsize=4)
def _response(rate: int, size: int) -> NDArray[np.complex128]:
    """Of the K weighting at the bins of a transform of `size` samples."""
    delay = np.exp(-2j * np.pi * np.arange(size // 2 + 1) / size)
    sections = k_weighting(rate)
    numerators, denominators = (
        np.polynomial.polynomial.polyval(delay, part.T) for part in (sections[:, :3], sections[:, 3:])
    )
    response: NDArray[np.complex128] = np.prod(numerators / denominators, axis=0)
    return response


def loudness(samples: NDArray[np.float64], rate: int) -> float:
    """Gated loudness in LUFS of a signal of shape (n, channels); -inf for silence.

    A signal shorter than a block of 0.4 s is taken as one block.
    """
    if not samples.size:
        return -math.inf
    squares = np.sum(weighted(samples, rate) ** 2, axis=1)
    length = min(round(BLOCK * rate), squares.size)
    step = max(round(length * (1 - OVERLAP)), 1)
    integral = np.concatenate([[0.0], np.cumsum(squares)])
    starts = np.arange(0, squares.size - length + 1, step)
    powers = np.maximum((integral[starts + length] - integral[starts]) / length, 0.0)
    powers = powers[powers > 10 ** ((ABSOLUTE_GATE - OFFSET) / 10)]
    if not powers.size:
        return -math.inf
    powers = powers[powers > np.mean(powers) * 10 ** (RELATIVE_GATE / 10)]
    return OFFSET + 10 * math.log10(float(np.mean(powers)))


def matching_gains(levels: Sequence[float]) -> list[float]:
    """Factors, at most 1, that bring signals of these loudnesses (LUFS) to that of the quietest; 1 for silence."""
    heard = [level for level in levels if math.isfinite(level)]
    target = min(heard, default=0.0)
    return [10 ** ((target - level) / 20) if math.isfinite(level) else 1.0 for level in levels]
