"""Higher-order ambisonics: rotation about the vertical axis and decoding to a pair of microphones.

Conventions: ACN channel order, N3D normalisation; axis -1 holds the (order + 1)^2 channels. A rotation about the
vertical axis leaves degree 0 alone and turns each pair (degree +m, degree -m) of an order by m theta: the special
case of Ivanic & Ruedenberg (1996) for this axis.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from hearlab.arrays import Array

MAX_ORDER = 6

# The published renderer reads rotations from matrices this far apart and interpolates linearly between two of them.
TABLE_STEP_DEGREES = 0.1
TABLE_ENTRIES = 3600

# Coefficients of a source straight ahead (ACN, N3D) with the digits of the published renderer, which decide the
# last bits of its anechoic reference. Its 49th value is 2.4209614 where the convention gives 2.4218246, and is kept;
# its table continues to order 7 and ends in a wrong 20.63472, which responses of order 6 never reach.
_STRAIGHT_AHEAD = {
    0: 1.0,
    3: 1.7320509,
    6: -1.1180342,
    8: 1.9364915,
    13: -1.6201853,
    15: 2.09165,
    20: 1.125,
    22: -1.6770511,
    24: 2.2185302,
    31: 1.6056539,
    33: -1.7343045,
    35: 2.326814,
    42: -1.1267347,
    44: 1.6327935,
    46: -1.7886358,
    48: 2.4209614,
}


def channel_count(order: int) -> int:
    """Number of ambisonic channels of an order."""
    return (order + 1) ** 2


def straight_ahead(order: int) -> Array:
    """Ambisonic coefficients, shape ((order + 1)^2,), of a plane wave from straight ahead."""
    vector = np.zeros(channel_count(MAX_ORDER))
    vector[list(_STRAIGHT_AHEAD)] = list(_STRAIGHT_AHEAD.values())
    return vector[: channel_count(order)]


@functools.cache
def _table(order: int) -> Array:
    """Cosine and sine of m theta at the table's angles, shape (2, order + 1, entries)."""
    angle = np.arange(order + 1)[:, None] * np.deg2rad(np.arange(TABLE_ENTRIES) * TABLE_STEP_DEGREES)
    return np.stack([np.cos(angle), np.sin(angle)])


def rotation_terms(theta: Array, order: int) -> tuple[Array, Array]:
    """Cosine and sine of m theta for the degrees m, interpolated as the published table is.

    Args:
        theta: angles in radians, shape (n,).
        order: ambisonic order.

    Returns:
        cos and sin, each of shape (order + 1, n).
    """
    position = (theta / np.pi * 180) / TABLE_STEP_DEGREES
    lower = np.floor(position)
    index = lower.astype(np.intp)
    table = _table(order)
    below, above = table[:, :, index % TABLE_ENTRIES], table[:, :, (index + 1) % TABLE_ENTRIES]
    cos, sin = below + (position - lower) * (above - below)
    return cos, sin


def rotate(signals: NDArray[np.inexact], cos: Array, sin: Array, order: int, axis: int = 0) -> None:
    """Rotate ambisonic signals (or spectra) in place: a source at azimuth a is moved to a + theta.

    Args:
        signals: channels along `axis`. If that is 0, shape (channels, n), each of n samples has an angle of its own.
        cos, sin: of `rotation_terms`, shape (order + 1, n), or (order + 1, 1) for one angle.
        order: ambisonic order.
        axis: where the channels are.
    """
    channels = np.moveaxis(signals, axis, 0)
    for n in range(1, order + 1):
        for m in range(1, n + 1):
            plus, minus = channels[n * n + n + m], channels[n * n + n - m]
            moved = plus * sin[m] + minus * cos[m]
            plus *= cos[m]
            plus -= minus * sin[m]
            minus[...] = moved


def decoding_filters(responses: Array, selected: NDArray[np.bool_], matrix: Array, order: int) -> Array:
    """Filters from ambisonic channels to the two microphones of a pair.

    Decoding to virtual loudspeakers (pseudo-inverse of the spherical harmonics at their directions) and the
    head-related responses of these loudspeakers are both linear, so they are combined once.

    Args:
        responses: head-related impulse responses, shape (taps, directions, 2).
        selected: which directions are loudspeakers, shape (directions,).
        matrix: spherical harmonics at the selected directions, shape (loudspeakers, channels).
        order: ambisonic order.

    Returns:
        filters of shape (taps, (order + 1)^2, 2).
    """
    decoder = np.linalg.pinv(matrix[:, : channel_count(order)])
    return np.einsum("cl,tle->tce", decoder, responses[:, selected, :], optimize=True)
