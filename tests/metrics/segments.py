"""What the tests of steps between the ear and the score share."""

from __future__ import annotations

import numpy as np


def noise(n: int, seed: int = 0) -> np.ndarray:
    return np.random.RandomState(seed).standard_normal(n)


def row(signal: np.ndarray) -> np.ndarray:
    return signal.astype(np.float32)


def segments_of(n: int, size: int) -> list[tuple[int, np.ndarray]]:
    """First sample and window of each segment: a half at the beginning, whole ones from there on, a half at the end."""
    window, half = np.hanning(size), size // 2
    whole = [(start, window) for start in range(half, n - size + 1, half)]
    last = whole[-1][0] + half if whole else half
    return [(0, window[half:]), *whole, (last, window[:half])]
