"""Recursive filters with constant coefficients over whole sequences."""

from __future__ import annotations

import numpy as np

from hearlab.arrays import Array
from hearlab.kernels.compiled import compiled
from hearlab.kernels.simd import broadcast, flush_tiny, fma, load, shift_in_one, store

# States below this become 0: a decay must not end in denormal numbers, which are slow.
FAINTEST = 1e-150
BLOCK = 512


@compiled
def filter_section(signal: Array, section: Array, out: Array) -> None:
    """One section of second order; `signal` and `out` may be the same array.

    Args:
        signal, out: shape (n,).
        section: b0, b1, b2, -a1, -a2.
    """
    first = second = 0.0
    for t in range(signal.size):
        value = signal[t]
        result = section[0] * value + first
        first = section[1] * value + section[3] * result + second
        second = section[2] * value + section[4] * result
        out[t] = result
        if t % BLOCK == 0:
            if abs(first) < FAINTEST:
                first = 0.0
            if abs(second) < FAINTEST:
                second = 0.0


@compiled
def filter_four_sections(signal: Array, sections: Array, out: Array) -> None:
    """Four sections of second order, one after the other.

    Each lane of a register is a section and works on what the one before put out a sample ago.

    Args:
        signal, out: shape (n,); they may be the same array.
        sections: b0 of all four, then their b1, b2, -a1 and -a2, shape (20,).
    """
    b0, b1, b2 = load(sections, 0), load(sections, 4), load(sections, 8)
    a1, a2 = load(sections, 12), load(sections, 16)
    result = first = second = broadcast(0.0)
    lanes = np.empty(4)
    n = signal.size
    for t in range(n + 3):
        value = shift_in_one(broadcast(signal[t] if t < n else 0.0), result)
        result = fma(b0, value, first)
        first = fma(a1, result, fma(b1, value, second))
        second = fma(a2, result, b2 * value)
        if t % BLOCK == 0:
            first, second = flush_tiny(first), flush_tiny(second)
        if t >= 3:
            store(lanes, 0, result)
            out[t - 3] = lanes[3]
