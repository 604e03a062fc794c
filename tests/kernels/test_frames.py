"""Sums under a moving window, against numpy."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from hearlab.kernels.frames import windowed_sums


@pytest.mark.parametrize("taps", [4, 8, 52, 192])
@pytest.mark.parametrize("step", [1, 9, 96])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_windowed_sums(taps, step, dtype):
    random = np.random.RandomState(0)
    signal = random.standard_normal(taps + 7 * step).astype(dtype)
    window = random.standard_normal(taps)
    expected = sliding_window_view(signal.astype(np.float64), taps)[::step] @ window
    np.testing.assert_allclose(windowed_sums(signal, window, step, 8), expected, atol=1e-12)


def test_no_window_at_all():
    assert windowed_sums(np.zeros(3), np.ones(4), 1, 0).size == 0
