"""A one-pole filter over several samples at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.extending import register_jitable
from numpy.typing import NDArray

from hearlab.kernels.simd import (
    all_last,
    all_last_of_octet,
    every,
    every_single,
    fma,
    last_four_of_octets,
    last_of_octets,
    last_one_of,
    last_two_of,
    last_two_of_octets,
    load,
    load_octet,
)


def scan_coefficients(pole: float, lanes: int = 4) -> NDArray[np.float64]:
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
    zero = every(0.0)
    values = fma(every(powers[offset]), last_one_of(zero, values), values)
    values = fma(every(powers[offset + 1]), last_two_of(zero, values), values)
    return fma(load(powers, offset), all_last(before), values)


@register_jitable
def one_pole_scan_of_octet(values: Any, before: Any, powers: Any) -> Any:
    """`one_pole_scan` of eight samples in single precision."""
    zero = every_single(np.float32(0.0))
    values = fma(every_single(powers[0]), last_of_octets(zero, values), values)
    values = fma(every_single(powers[1]), last_two_of_octets(zero, values), values)
    values = fma(every_single(powers[3]), last_four_of_octets(zero, values), values)
    return fma(load_octet(powers, 0), all_last_of_octet(before), values)
