"""Recursive filters with constant coefficients over whole sequences."""

from __future__ import annotations

from hearlab.arrays import Array
from hearlab.kernels.compiled import compiled

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
