"""One-pole filters over several samples at once, against scipy's filter."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from hearlab.kernels.compiled import compiled
from hearlab.kernels.scan import one_pole_scan, one_pole_scan_of_octet, scan_coefficients
from hearlab.kernels.simd import broadcast, broadcast_octet, load, load_octet, store


@compiled
def quads(values, powers, out):
    before = broadcast(0.0)
    for t in range(0, values.size, 4):
        before = one_pole_scan(load(values, t), before, powers, 3)
        store(out, t, before)


@compiled
def octets(values, powers, out):
    before = broadcast_octet(np.float32(0.0))
    for t in range(0, values.size, 8):
        before = one_pole_scan_of_octet(load_octet(values, t), before, powers)
        store(out, t, before)


@pytest.mark.parametrize("pole", [0.0, 0.3, 0.81, 0.9993, -0.5])
def test_scan_is_the_filter(pole):
    values = np.random.RandomState(0).standard_normal(800)
    expected = lfilter([1], [1, -pole], values)
    out = np.empty(800)
    # The coefficients may stand anywhere in an array.
    quads(values, np.concatenate([np.full(3, np.nan), scan_coefficients(pole)]), out)
    np.testing.assert_allclose(out, expected, atol=1e-12 * np.max(np.abs(expected)))
    single = np.empty(800, dtype=np.float32)
    octets(values.astype(np.float32), scan_coefficients(pole, 8).astype(np.float32), single)
    np.testing.assert_allclose(single, expected, atol=2e-6 * np.max(np.abs(expected)))
