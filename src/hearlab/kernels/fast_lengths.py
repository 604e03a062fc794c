"""Lengths whose Fourier transforms are fast.

`scipy.fft.next_fast_len(n, real=True)` finds the same (tested), but importing scipy.fft takes 0.3 s, a third of the
time to the first score of a process.
"""

from __future__ import annotations

import functools


@functools.lru_cache(maxsize=1024)
def fast_length(least: int) -> int:
    """The smallest product of powers of 2, 3 and 5 that is not below `least` (one or more)."""
    best = 1 << max(least - 1, 0).bit_length()
    five = 1
    while five < best:
        odd = five
        while odd < best:
            # The smallest power of two that brings `odd` to `least`.
            best = min(best, odd << max(-(-least // odd) - 1, 0).bit_length())
            odd *= 3
        five *= 5
    return best
