"""Real spherical harmonics, as the room responses and the decoding matrix of the demo data need them."""

from __future__ import annotations

import math

import numpy as np

from hearlab.arrays import Array

# N3D coefficients are orthonormal ones times this.
N3D_GAIN = math.sqrt(4 * math.pi)


def real_spherical_harmonics(order: int, directions: Array) -> Array:
    """Orthonormal real spherical harmonics in ACN order, without the Condon-Shortley phase.

    They are evaluated as polynomials of the direction cosines (products and sums only), so they have the same bits
    on every machine: the decoder inverts a matrix of them that lacks full rank, and must not depend on rounding.

    Args:
        order: highest order.
        directions: unit vectors (x to the front, y, z), shape (n, 3).

    Returns:
        shape (n, (order + 1)^2); times `N3D_GAIN` they are N3D.
    """
    x, y, z = np.ascontiguousarray(directions.T)
    result = np.empty(((order + 1) ** 2, x.size))
    # cosine and sine stand for cos(m azimuth) and sin(m azimuth) times cos(elevation)^m.
    cosine, sine = np.ones_like(x), np.zeros_like(x)
    double_factorial = 1.0
    for m in range(order + 1):
        if m:
            cosine, sine = x * cosine - y * sine, x * sine + y * cosine
            double_factorial *= 2 * m - 1
        before, legendre = np.zeros_like(z), np.full_like(z, double_factorial)
        for n in range(m, order + 1):
            if n > m:
                before, legendre = legendre, ((2 * n - 1) * z * legendre - (n + m - 1) * before) / (n - m)
            norm = math.sqrt((2 * n + 1) / (4 * math.pi) * math.factorial(n - m) / math.factorial(n + m))
            middle = n * n + n
            if m == 0:
                result[middle] = norm * legendre
            else:
                norm *= math.sqrt(2)
                result[middle + m] = norm * legendre * cosine
                result[middle - m] = norm * legendre * sine
    return result.T
