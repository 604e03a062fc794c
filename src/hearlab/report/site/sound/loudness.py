"""Loudness of recordings after ITU-R BS.1770-4, by which versions of a scene or song are set to the same level."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

BLOCK, OVERLAP = 0.4, 0.75  # s, and the share of a block that the next one repeats
ABSOLUTE_GATE = -70.0  # LUFS
RELATIVE_GATE = -10.0  # LU below the mean of what passes the absolute gate
OFFSET = -0.691  # dB: the K weighting of a 997 Hz sine

# Analogue prototypes of the two filters; the standard gives their coefficients at 48 kHz only, these give the same
# there to its printed digits and serve other rates (see De Man 2014, "Evaluation of implementations of the EBU R128").
SHELF = (1681.974450955533, 3.999843853973347, 0.7071752369554196)  # Hz, dB, Q
HIGH_PASS = (38.13547087602444, 0.5003270373238773)  # Hz, Q


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


def weighted_energy(samples: NDArray[np.float64], rate: int) -> NDArray[np.float64]:
    """What a signal of shape (n, channels) has of energy before each sample, and in all, after the K weighting."""
    from hearlab.report.site.sound.weighting import energy_of_two  # compiled loops take long to load

    last = samples.shape[1] - 1
    contiguous = np.ascontiguousarray(samples)
    return functools.reduce(
        np.add, [energy_of_two(contiguous, one, min(one + 1, last), k_weighting(rate)) for one in range(0, last + 1, 2)]
    )


def loudness(samples: NDArray[np.float64], rate: int) -> float:
    """Gated loudness in LUFS of a signal of shape (n, channels); -inf for silence.

    A signal shorter than a block of 0.4 s is taken as one block.
    """
    if not samples.size:
        return -math.inf
    count = samples.shape[0]
    length = min(round(BLOCK * rate), count)
    step = max(round(length * (1 - OVERLAP)), 1)
    energy = weighted_energy(samples, rate)
    starts = np.arange(0, count - length + 1, step)
    powers = np.maximum((energy[starts + length] - energy[starts]) / length, 0.0)
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
