"""Vector registers in compiled functions, against numpy."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from hearlab.kernels.compiled import compiled
from hearlab.kernels.simd import (
    broadcast,
    broadcast_last,
    broadcast_octet,
    broadcast_pairs,
    flush_tiny,
    fma,
    in_unit_interval,
    ldexp,
    load,
    load_columns,
    load_octet,
    maximum,
    minimum,
    narrow,
    pairwise_add,
    reduce_add,
    reverse,
    round_to_integer,
    shift_in_four,
    shift_in_one,
    shift_in_two,
    split_exponent,
    sqrt,
    store,
    swap_pairs,
    transpose_octets,
    transpose_quads,
    widen,
)

A = np.array([1.5, -2.0, 3.25, 0.1])
B = np.array([0.5, 4.0, -1.0, 7.0])
OCTETS = np.arange(16, dtype=np.float32) - 4.5


@compiled
def quads(a, b, out):
    one, two = load(a, 0), load(b, 0)
    for value in (
        one + two,
        one - two,
        one * two,
        one / two,
        fma(one, two, one),
        maximum(one, two),
        minimum(one, two),
        pairwise_add(one, two),
        swap_pairs(one),
        shift_in_one(one, two),
        shift_in_two(one, two),
        broadcast_last(one),
        round_to_integer(one),
        broadcast(2.5),
        broadcast_pairs(1.0, 2.0),
        sqrt(two * two),
    ):
        store(out, 0, value)
        out = out[4:]
    return reduce_add(one)


def test_quads():
    out = np.zeros(64)
    assert quads(A, B, out) == (A[0] + A[1]) + (A[2] + A[3])
    expected = [
        A + B,
        A - B,
        A * B,
        A / B,
        A * B + A,
        np.maximum(A, B),
        np.minimum(A, B),
        [A[0] + A[1], B[0] + B[1], A[2] + A[3], B[2] + B[3]],
        A[[1, 0, 3, 2]],
        [A[3], B[0], B[1], B[2]],
        [A[2], A[3], B[0], B[1]],
        [A[3]] * 4,
        np.rint(A),
        [2.5] * 4,
        [1, 1, 2, 2],
        np.abs(B),
    ]
    # A fused multiplication and addition is rounded once.
    np.testing.assert_allclose(out.reshape(16, 4), expected, rtol=1e-15)


@compiled
def octets(a, out):
    one, two = load_octet(a, 0), load_octet(a, 8)
    for value in (
        one + two,
        one - two,
        one * two,
        one / two,
        fma(one, two, one),
        maximum(one, two),
        minimum(one, two),
        shift_in_one(one, two),
        shift_in_two(one, two),
        shift_in_four(one, two),
        broadcast_last(one),
        reverse(one),
        round_to_integer(one),
        broadcast_octet(np.float32(2.5)),
        sqrt(two * two),
        narrow(*widen(one)),
    ):
        store(out, 0, value)
        out = out[8:]
    return reduce_add(one)


def test_octets():
    out = np.zeros(128, dtype=np.float32)
    assert octets(OCTETS, out) == np.sum(OCTETS[:8])
    a, b = OCTETS[:8], OCTETS[8:]
    expected = [
        a + b,
        a - b,
        a * b,
        a / b,
        a * b + a,
        np.maximum(a, b),
        np.minimum(a, b),
        OCTETS[7:15],
        OCTETS[6:14],
        OCTETS[4:12],
        [a[7]] * 8,
        a[::-1],
        np.rint(a),
        [2.5] * 8,
        b,
        a,
    ]
    np.testing.assert_allclose(out.reshape(16, 8), expected, rtol=1e-6)


@compiled
def squares(a, four, b, eight, columns):
    place = 0
    for row in transpose_quads(load(a, 0), load(a, 4), load(a, 8), load(a, 12)):
        store(four, place, row)
        place += 4
    rows = (
        load_octet(b, 0),
        load_octet(b, 8),
        load_octet(b, 16),
        load_octet(b, 24),
        load_octet(b, 32),
        load_octet(b, 40),
        load_octet(b, 48),
        load_octet(b, 56),
    )
    place = 0
    for row in transpose_octets(*rows):
        store(eight, place, row)
        place += 8
    place = 0
    for column in load_columns(b, 3):
        store(columns, place, column)
        place += 8


def test_squares_are_transposed():
    a, b = np.arange(16.0), np.arange(64, dtype=np.float32)
    four, eight, columns = np.zeros(16), np.zeros(64, dtype=np.float32), np.zeros(32, dtype=np.float32)
    squares(a, four, b, eight, columns)
    np.testing.assert_array_equal(four.reshape(4, 4), a.reshape(4, 4).T)
    np.testing.assert_array_equal(eight.reshape(8, 8), b.reshape(8, 8).T)
    np.testing.assert_array_equal(columns.reshape(4, 8), b[3:35].reshape(8, 4).T)


@compiled
def parts(a, exponents, mantissas, again):
    exponent, mantissa = split_exponent(load(a, 0))
    store(exponents, 0, exponent)
    store(mantissas, 0, mantissa)
    store(again, 0, ldexp(mantissa, exponent))


@compiled
def octet_parts(a, exponents, mantissas, again):
    exponent, mantissa = split_exponent(load_octet(a, 0))
    store(exponents, 0, exponent)
    store(mantissas, 0, mantissa)
    store(again, 0, ldexp(mantissa, exponent))


@pytest.mark.parametrize(
    ("function", "values"),
    [
        (parts, np.array([1.0, 3e-300, 1.4142135, 5e301])),
        (octet_parts, np.array([1.0, 3e-37, 1.41421, 5e37, 0.7072, 0.7070, 8.0, 1e-5], dtype=np.float32)),
    ],
)
def test_exponent_and_mantissa(function, values):
    exponents, mantissas, again = (np.zeros_like(values) for _ in range(3))
    function(values, exponents, mantissas, again)
    np.testing.assert_array_equal(exponents, np.rint(exponents))
    assert np.all((mantissas > 0.70710) & (mantissas < 1.41422))
    np.testing.assert_array_equal(again, values)
    np.testing.assert_array_equal(mantissas * 2.0**exponents, values)


@compiled
def choices(a, out):
    store(out, 0, flush_tiny(load(a, 0)))
    store(out, 4, in_unit_interval(load(a, 4)))


def test_what_is_too_faint_becomes_zero_and_what_is_inside_the_circle_counts():
    out = np.zeros(8)
    choices(np.array([1e-149, -1e-151, 0.0, -3.0, 0.0, 0.5, 1.0, 1.5]), out)
    assert out.tolist() == [1e-149, 0, 0, -3, 0, 1, 0, 0]


@compiled
def converted(a, out):
    store(out, 1, load(a, 2))


def test_quads_are_read_from_and_written_to_single_precision():
    a, out = np.arange(8, dtype=np.float32), np.zeros(6, dtype=np.float32)
    converted(a, out)
    assert out.tolist() == [0, 2, 3, 4, 5, 0]


@pytest.mark.slow
def test_fma_rounds_once_where_the_processor_has_none(tmp_path):
    """(1 + e)(1 - e) - 1 is -e^2; rounded twice it is 0. Code for a processor of 2008 gives it, too."""
    program = (
        "import numpy as np; from hearlab.kernels.compiled import compiled; from hearlab.kernels.simd import *\n"
        "@compiled\ndef f(a, b, c, out): store(out, 0, fma(load(a, 0), load(b, 0), load(c, 0)))\n"
        "e = 2.0**-30; out = np.empty(4)\n"
        "f(np.full(4, 1 + e), np.full(4, 1 - e), np.full(4, -1.0), out); print(*out / e**2)"
    )
    (tmp_path / "once.py").write_text(program)
    old = {"NUMBA_CPU_NAME": "nehalem", "NUMBA_CPU_FEATURES": "+cx16,+popcnt,+sse,+sse2,+sse3,+sse4.1,+sse4.2,+ssse3"}
    for settings in ({}, old):
        done = subprocess.run(
            [sys.executable, "once.py"],
            cwd=tmp_path,
            env={**os.environ, **settings},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.split() == ["-1.0"] * 4
