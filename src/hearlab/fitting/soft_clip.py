"""The soft clip: a hyperbolic tangent, four samples at once.

numpy's, in the version that all processors have (docs/notes/same-bytes.md), takes longer than NAL-R and compressor
together, and is the C library's.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.extending import register_jitable

from hearlab.arrays import Array
from hearlab.kernels.compiled import compiled
from hearlab.kernels.simd import broadcast, fma, ldexp, load, maximum, minimum, round_to_integer, store


def soft_clip(samples: Array) -> Array:
    """The hyperbolic tangent of each sample, in place.

    Args:
        samples: finite float64, contiguous, any shape.

    Returns:
        the same array, from -1 to 1; relative errors are below 1e-15 (tested).

    Raises:
        ValueError: another type, or not contiguous: a copy would be clipped.
    """
    if samples.dtype != np.float64 or not samples.flags.c_contiguous:
        raise ValueError("soft_clip: samples are not contiguous float64")
    flat = samples.reshape(-1)
    whole = flat.size - flat.size % 4
    _clip(flat[:whole])
    if whole < flat.size:
        rest = np.zeros(4)
        rest[: flat.size - whole] = flat[whole:]
        _clip(rest)
        flat[whole:] = rest[: flat.size - whole]
    return samples


@compiled
def _clip(samples: Array) -> None:
    """In place; their number is a multiple of 4."""
    for t in range(0, samples.size, 4):
        store(samples, t, _tanh(load(samples, t)))


@register_jitable
def _tanh(value: Any) -> Any:
    """(e - 1) / (e + 1) for e = exp(2 value), with e - 1 as accurate near 0 as elsewhere."""
    one = broadcast(1.0)
    # From 20 on it is 1 to the last bit.
    octaves = maximum(minimum(value, broadcast(20.0)), broadcast(-20.0)) * broadcast(2.8853900817779268)  # 2 / log(2)
    whole = round_to_integer(octaves)
    r = octaves - whole
    r2 = r * r
    r4 = r2 * r2
    # 2**r - 1 by its Taylor series: log(2)**k / k! for k from 1 to 13, of which the next term is below 1e-17.
    a = fma(r, broadcast(0.2402265069591007), broadcast(0.6931471805599453))
    b = fma(r, broadcast(0.009618129107628477), broadcast(0.055504108664821576))
    c = fma(r, broadcast(0.00015403530393381606), broadcast(0.0013333558146428441))
    d = fma(r, broadcast(1.3215486790144305e-06), broadcast(1.5252733804059838e-05))
    e = fma(r, broadcast(7.054911620801121e-09), broadcast(1.0178086009239696e-07))
    f = fma(r, broadcast(2.5678435993488196e-11), broadcast(4.44553827187081e-10))
    f = fma(r2, broadcast(1.3691488853904128e-12), f)
    low, middle, high = fma(r2, b, a), fma(r2, d, c), fma(r2, f, e)
    part = r * fma(r4, fma(r4, high, middle), low)
    scale = ldexp(one, whole)
    less_one = fma(scale, part, scale - one)
    return less_one / (less_one + broadcast(2.0))
