"""The K weighting of a signal, in one pass over its samples."""

from __future__ import annotations

import numpy as np

from hearlab.arrays import Array
from hearlab.kernels.compiled import compiled

# States below this become 0: a decay must not end in denormal numbers, which are slow.
FAINTEST = 1e-150
BLOCK = 512


@compiled
def energy_of_two(samples: Array, one: int, two: int, sections: Array) -> Array:
    """Energy of two channels up to each sample after two recursive filters of second order.

    Args:
        samples: shape (n, channels).
        one, two: the channels; the second one does not count if it is the first.
        sections: b0, b1, b2, 1, a1, a2 of each filter, shape (2, 6).

    Returns:
        shape (n + 1,): the sum of both channels' weighted squares before each sample, and of all.
    """
    energy = np.empty(samples.shape[0] + 1)
    share = 1.0 if two != one else 0.0
    b0, b1, b2, a1, a2 = sections[0, 0], sections[0, 1], sections[0, 2], -sections[0, 4], -sections[0, 5]
    d0, d1, d2, c1, c2 = sections[1, 0], sections[1, 1], sections[1, 2], -sections[1, 4], -sections[1, 5]
    p1 = p2 = p3 = p4 = q1 = q2 = q3 = q4 = 0.0
    total = 0.0
    for t in range(samples.shape[0]):
        energy[t] = total
        x, y = samples[t, one], samples[t, two]
        u = b0 * x + p1
        v = b0 * y + q1
        p1 = (b1 * x + p2) + a1 * u
        q1 = (b1 * y + q2) + a1 * v
        p2 = b2 * x + a2 * u
        q2 = b2 * y + a2 * v
        f = d0 * u + p3
        g = d0 * v + q3
        p3 = (d1 * u + p4) + c1 * f
        q3 = (d1 * v + q4) + c1 * g
        p4 = d2 * u + c2 * f
        q4 = d2 * v + c2 * g
        total += f * f + share * (g * g)
        if t % BLOCK == 0:
            p1, p2, p3, p4 = _faded(p1), _faded(p2), _faded(p3), _faded(p4)
            q1, q2, q3, q4 = _faded(q1), _faded(q2), _faded(q3), _faded(q4)
    energy[samples.shape[0]] = total
    return energy


@compiled
def _faded(state: float) -> float:
    return state if abs(state) > FAINTEST else 0.0
