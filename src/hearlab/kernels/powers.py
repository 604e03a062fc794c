"""Logarithms and powers of several numbers at once, as polynomials.

The coefficients interpolate at Chebyshev points (computed in extended precision); the polynomials are summed in a tree,
because a chain of multiplications would be waited for. Relative errors: 2e-16 of the
polynomials, 5e-16 with all roundings (tested); of the logarithm near 1 the absolute error is meant.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.extending import register_jitable

from hearlab.kernels.simd import broadcast, broadcast_octet, fma, ldexp, round_to_integer, split_exponent


@register_jitable
def log2(value: Any) -> Any:
    """Logarithm to the base 2 of a quad of positive, normal numbers."""
    exponent, mantissa = split_exponent(value)
    one = broadcast(1.0)
    # log((1 + s) / (1 - s)) is s times a polynomial of the square of s; |s| is below 0.172.
    s = (mantissa - one) / (mantissa + one)
    z = s * s
    z2 = z * z
    low = fma(z, broadcast(0.9617966939243349), broadcast(2.885390081777927))
    middle = fma(z, broadcast(0.41219840205422936), broadcast(0.5770780172462663))
    high = fma(z, broadcast(0.26144425535831806), broadcast(0.320616387854851))
    high = fma(z2, broadcast(0.24291603803230438), high)
    p = fma(z2 * z2, high, fma(z2, middle, low))
    return fma(s, p, exponent)


@register_jitable
def exp2(value: Any) -> Any:
    """2 to the power of a quad of numbers; the powers must be normal numbers (exponents from -1022 to 1023)."""
    whole = round_to_integer(value)
    r = value - whole
    r2 = r * r
    r4 = r2 * r2
    low = fma(r, broadcast(0.69314718055995), broadcast(1.0))
    low = fma(r2, fma(r, broadcast(0.055504108664447716), broadcast(0.24022650695910097)), low)
    middle = fma(r, broadcast(0.001333355823016538), broadcast(0.009618129107606982))
    middle = fma(r2, fma(r, broadcast(1.5252657260154878e-05), broadcast(0.00015403530441632557)), middle)
    high = fma(r, broadcast(1.0208690285818614e-07), broadcast(1.3215442633591105e-06))
    high = fma(r2, broadcast(7.072578846877522e-09), high)
    p = fma(r4, fma(r4, high, middle), low)
    return ldexp(p, whole)


@register_jitable
def octaves_and_rest(value: Any) -> Any:
    """Logarithm to the base 2 of an octet of positive, normal numbers: its whole part, and the rest (-1/2 to 1/2).

    Kept apart, the rest has an error of 6e-8; in their sum it would be lost.
    """
    one = broadcast_octet(np.float32(1.0))
    octaves, mantissa = split_exponent(value)
    s = (mantissa - one) / (mantissa + one)
    z = s * s
    low = fma(z, broadcast_octet(np.float32(0.9617988467216492)), broadcast_octet(np.float32(2.885390043258667)))
    high = fma(z, broadcast_octet(np.float32(0.4317176938056946)), broadcast_octet(np.float32(0.5767151713371277)))
    return octaves, s * fma(z * z, high, low)


@register_jitable
def power(value: Any, exponent: Any) -> Any:
    """An octet of positive, normal numbers to the power of an octet of exponents of at most 2 in magnitude.

    Powers must be normal numbers. The relative error is below 3e-7 (tested).
    """
    octaves, part = octaves_and_rest(value)
    # The whole part of the product is taken off before the rest is added.
    rest = exponent * part
    whole = round_to_integer(fma(exponent, octaves, rest))
    r = fma(exponent, octaves, broadcast_octet(np.float32(0.0)) - whole) + rest
    r2 = r * r
    low = fma(r, broadcast_octet(np.float32(0.6931472067028326)), broadcast_octet(np.float32(1.0)))
    middle = fma(r, broadcast_octet(np.float32(0.05550327226670302)), broadcast_octet(np.float32(0.24022650922288757)))
    high = fma(r, broadcast_octet(np.float32(0.0013400428177615929)), broadcast_octet(np.float32(0.009618056678524639)))
    high = fma(r2, broadcast_octet(np.float32(0.0001546144469856871)), high)
    return ldexp(fma(r2, fma(r2, high, middle), low), whole)
