"""A one-pole filter over several samples at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.extending import register_jitable

from hearlab.arrays import Array
from hearlab.kernels.simd import (
    broadcast,
    broadcast_last,
    broadcast_octet,
    fma,
    load,
    load_octet,
    shift_in_four,
    shift_in_one,
    shift_in_two,
)


def scan_coefficients(pole: float, lanes: int = 4) -> Array:
    """What a scan of so many samples needs of a pole: its first powers, shape (lanes,)."""
    return pole ** np.arange(1.0, lanes + 1)


@register_jitable
def one_pole_scan(values: Any, before: Any, powers: Any, offset: int = 0) -> Any:
    """Four outputs y[t] = x[t] + pole * y[t - 1].

    Args:
        values: quad of the four inputs.
        before: quad of the four outputs before.
        powers: array that holds `scan_coefficients` of the pole from `offset` on.
    """
    zero = broadcast(0.0)
    values = fma(broadcast(powers[offset]), shift_in_one(zero, values), values)
    values = fma(broadcast(powers[offset + 1]), shift_in_two(zero, values), values)
    return fma(load(powers, offset), broadcast_last(before), values)


@register_jitable
def one_pole_scan_of_octet(values: Any, before: Any, powers: Any) -> Any:
    """`one_pole_scan` of eight samples in single precision."""
    zero = broadcast_octet(np.float32(0.0))
    values = fma(broadcast_octet(powers[0]), shift_in_one(zero, values), values)
    values = fma(broadcast_octet(powers[1]), shift_in_two(zero, values), values)
    values = fma(broadcast_octet(powers[3]), shift_in_four(zero, values), values)
    return fma(load_octet(powers, 0), broadcast_last(before), values)
