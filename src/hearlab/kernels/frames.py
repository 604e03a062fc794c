"""Envelopes at lower rates: sums under a window that moves in steps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hearlab.arrays import Array
from hearlab.kernels.compiled import compiled
from hearlab.kernels.simd import broadcast, fma, load, reduce_add


@compiled
def windowed_sums(signal: NDArray[np.floating], window: Array, step: int, count: int) -> Array:
    """Sums of a signal under a window that begins at its first sample and moves on by `step`, shape (count,).

    Args:
        signal: shape (n,), n >= (count - 1) * step + taps.
        window: shape (taps,), a multiple of 4.
    """
    sums = np.empty(count)
    taps = window.size
    for frame in range(count):
        place = frame * step
        one = two = broadcast(0.0)
        for tap in range(0, taps - 4, 8):
            one = fma(load(signal, place + tap), load(window, tap), one)
            two = fma(load(signal, place + tap + 4), load(window, tap + 4), two)
        if taps % 8:
            one = fma(load(signal, place + taps - 4), load(window, taps - 4), one)
        sums[frame] = reduce_add(one + two)
    return sums
