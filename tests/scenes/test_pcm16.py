"""Mixing and 16-bit samples, against the published operations one after the other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hearlab.scenes.pcm16 import BLOCK, converted, mixed


def published(signal: np.ndarray, norm: float) -> tuple[np.ndarray, int]:
    scaled = signal / norm
    clipped = int(np.sum(np.abs(scaled) > 1))
    return (32767 * np.clip(scaled, -1, 1)).astype(np.int16), clipped


@settings(deadline=None, max_examples=30)
@given(
    st.sampled_from([1, 2, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 7]),
    st.floats(0.01, 30),
    st.sampled_from([12.0, 3.0, 0.3]),
    st.integers(0, 2**31),
)
def test_the_published_order_of_operations_to_the_last_bit(length: int, gain: float, norm: float, seed: int) -> None:
    rng = np.random.RandomState(seed)
    target, interferer = rng.standard_normal((2, length, 2))
    noise = interferer * gain
    found = list(mixed(target, interferer, gain, norm))
    assert len(found) == 3
    for (samples, clipped), signal in zip(found, (target, noise, target + noise), strict=True):
        wanted, wanted_clipped = published(signal, norm)
        np.testing.assert_array_equal(samples, wanted)
        assert samples.dtype == np.int16
        assert samples.flags.c_contiguous
        assert clipped == wanted_clipped


def test_channel_major_memory_gives_the_same_samples() -> None:
    signal = np.random.RandomState(0).standard_normal((2, 1000)) / 5
    for layout in (signal.T, np.ascontiguousarray(signal.T)):
        samples, clipped = converted(layout, 1.0)
        np.testing.assert_array_equal(samples, (32767 * signal.T).astype(np.int16))
        assert clipped == 0


@pytest.mark.parametrize(
    ("value", "wanted", "clips"), [(1.0, 32767, 0), (-1.0, -32767, 0), (1.01, 32767, 1), (-7.0, -32767, 1)]
)
def test_full_scale(value: float, wanted: int, clips: int) -> None:
    samples, clipped = converted(np.full((1, 1), value), 1.0)
    assert samples[0, 0] == wanted
    assert clipped == clips


def test_nothing_is_changed() -> None:
    target, interferer = np.random.RandomState(1).standard_normal((2, 50, 2))
    kept = target.copy(), interferer.copy()
    list(mixed(target, interferer, 0.5, 3.0))
    converted(target, 3.0)
    np.testing.assert_array_equal(target, kept[0])
    np.testing.assert_array_equal(interferer, kept[1])
