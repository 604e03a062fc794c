"""Logarithms and powers by polynomials: the errors that are stated."""

from __future__ import annotations

import numpy as np
import pytest

from hearlab.kernels.compiled import compiled
from hearlab.kernels.powers import exp2, log2, octaves_and_rest, power
from hearlab.kernels.simd import broadcast_octet, load, load_octet, store

# Relative errors in double precision: three units in the last place.
DOUBLE = 7e-16
# Relative error of a power in single precision.
SINGLE = 3e-7


@compiled
def logarithms(values, out):
    for t in range(0, values.size, 4):
        store(out, t, log2(load(values, t)))


@compiled
def exponentials(values, out):
    for t in range(0, values.size, 4):
        store(out, t, exp2(load(values, t)))


@compiled
def powers_of(values, exponent, out):
    for t in range(0, values.size, 8):
        store(out, t, power(load_octet(values, t), broadcast_octet(exponent)))


@compiled
def split_logarithms(values, octaves, rests):
    for t in range(0, values.size, 8):
        whole, rest = octaves_and_rest(load_octet(values, t))
        store(octaves, t, whole)
        store(rests, t, rest)


def numbers(low: float, high: float) -> np.ndarray:
    return np.random.RandomState(0).uniform(low, high, 40000)


def test_logarithm():
    values = np.exp(numbers(-600, 600))
    found = np.empty_like(values)
    logarithms(values, found)
    np.testing.assert_allclose(found, np.log2(values), rtol=DOUBLE)


def test_logarithm_near_one_keeps_its_relative_error():
    values = 1 + np.sign(numbers(-1, 1)) * np.exp(numbers(-18, -1))
    found = np.empty_like(values)
    logarithms(values, found)
    exact = np.log1p((values - 1).astype(np.longdouble)) / np.log(np.longdouble(2))
    np.testing.assert_allclose(found, exact.astype(np.float64), rtol=DOUBLE)


@pytest.mark.parametrize("largest", [0.5, 20, 1000])
def test_exponential(largest):
    values = numbers(-largest, largest)
    found = np.empty_like(values)
    exponentials(values, found)
    np.testing.assert_allclose(found, np.exp2(values), rtol=DOUBLE)


@pytest.mark.parametrize("exponent", [-0.4, -0.02, 0.0, 0.5])
@pytest.mark.parametrize("largest", [0.3, 23.3])
def test_power_in_single_precision(exponent, largest):
    values = np.exp2(numbers(0, largest)).astype(np.float32)
    exponent = np.float32(exponent)
    found = np.empty_like(values)
    powers_of(values, exponent, found)
    np.testing.assert_allclose(found, values.astype(np.float64) ** np.float64(exponent), rtol=SINGLE)


def test_logarithm_of_single_precision_in_two_parts():
    values = np.exp2(numbers(-120, 120)).astype(np.float32)
    octaves, rests = np.empty_like(values), np.empty_like(values)
    split_logarithms(values, octaves, rests)
    np.testing.assert_array_equal(octaves, np.rint(octaves))
    np.testing.assert_allclose(octaves.astype(np.float64) + rests, np.log2(values.astype(np.float64)), atol=1e-7)
