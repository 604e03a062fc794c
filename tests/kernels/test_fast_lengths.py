"""Lengths of fast transforms."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from scipy.fft import next_fast_len

from hearlab.kernels.fast_lengths import fast_length


@given(st.integers(1, 10_000_000))
def test_equals_scipy_s(least: int) -> None:
    # For real transforms, scipy, too, looks for products of 2, 3 and 5.
    assert fast_length(least) == next_fast_len(least, real=True)


def test_small_ones() -> None:
    assert [fast_length(n) for n in range(1, 12)] == [1, 2, 3, 4, 5, 6, 8, 8, 9, 10, 12]
