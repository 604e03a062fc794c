"""The transform of 16,384 numbers, against numpy's."""

from __future__ import annotations

import numpy as np
import pytest

from hearlab.kernels.compiled import compiled
from hearlab.kernels.transform import PLANE, SIZE, STRIP, transform, twiddle_factors

# Root mean square error relative to the result's, in single precision.
SINGLE = 3e-7


@compiled
def transformed(numbers, twiddles, inner_twiddles):
    work = np.empty(2 * PLANE, dtype=np.float32)
    strips = np.empty(4 * STRIP, dtype=np.float32)
    transform(numbers, work, strips, twiddles, inner_twiddles)


def through(values: np.ndarray) -> np.ndarray:
    numbers = np.zeros(2 * PLANE, dtype=np.float32)
    numbers[:SIZE], numbers[PLANE : PLANE + SIZE] = values.real, values.imag
    transformed(numbers, *twiddle_factors())
    return numbers[:SIZE] + 1j * numbers[PLANE : PLANE + SIZE]


@pytest.mark.slow
def test_random_numbers():
    random = np.random.RandomState(0)
    values = random.standard_normal(SIZE) + 1j * random.standard_normal(SIZE)
    expected = np.fft.fft(values)
    error = np.sqrt(np.mean(np.abs(through(values) - expected) ** 2) / np.mean(np.abs(expected) ** 2))
    assert error < SINGLE


@pytest.mark.parametrize("place", [0, 1, 8, 127, 128, 129, 5000, SIZE - 1])
def test_single_impulse_and_single_frequency(place):
    impulse = np.zeros(SIZE, dtype=np.complex128)
    impulse[place] = 1
    wave = np.exp(-2j * np.pi * place * np.arange(SIZE) / SIZE)
    np.testing.assert_allclose(through(impulse), wave, atol=5e-6)
    np.testing.assert_allclose(through(wave.conj()) / SIZE, impulse, atol=1e-6)
