"""A Fourier transform of 16,384 complex numbers in single precision, for correlation in blocks.

The numbers form a square of 128 rows and columns: transforms of 128 go down the columns, the square is transposed, and
transforms of 128 go down again, eight columns at once in vector registers and within the fastest cache. Two signals
to be correlated go through as real and imaginary part.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numba.extending import register_jitable

from hearlab.arrays import Array32
from hearlab.kernels.simd import broadcast_octet, fma, load_octet, store, transpose_octets

SIDE = 128
SIZE = SIDE * SIDE

# Complex numbers are kept as an array of real parts with the imaginary parts this far behind them. (Not a multiple of
# 4096 bytes, at which addresses are mistaken for each other.)
PLANE = SIZE + 80
STRIP = 8 * SIDE + 48

_ROOT_HALF = np.float32(np.sqrt(0.5))


@lru_cache(maxsize=1)
def twiddle_factors() -> tuple[Array32, Array32]:
    """What `transform` multiplies by.

    Returns:
        the twiddles between the two rounds, exp(-2 pi i row * column / 16384), shape (2 * PLANE,); and those within a
        transform of 128, [real, imaginary] for the second to fourth input of each group, shape (240,).
    """
    waves = np.exp(-2j * np.pi * np.arange(SIZE) / SIZE)
    square = waves[np.outer(np.arange(SIDE), np.arange(SIDE)).ravel()]
    twiddles = np.zeros(2 * PLANE, dtype=np.float32)
    twiddles[:SIZE], twiddles[PLANE : PLANE + SIZE] = square.real, square.imag
    inner_twiddles = np.concatenate(
        [waves[SIDE * step * np.outer(np.arange(32 // step), (1, 2, 3)).ravel()] for step in (1, 4)]
    )
    return twiddles, np.stack([inner_twiddles.real, inner_twiddles.imag], axis=1).ravel().astype(np.float32)


@register_jitable
def transform(numbers: Array32, work: Array32, strips: Array32, twiddles: Array32, inner_twiddles: Array32) -> None:
    """Transform `numbers` in place.

    Args:
        numbers, work: shape (2 * PLANE,).
        strips: for intermediate results, shape (4 * STRIP,).
        twiddles, inner_twiddles: `twiddle_factors`.
    """
    for column in range(0, SIDE, 8):
        _columns(numbers, column, PLANE, SIDE, strips, inner_twiddles)
        _radix_eight(strips, 2 * STRIP, strips, 0, STRIP, 8)
        for row in range(0, SIDE, 8):
            _twiddle_and_transpose(strips, 8 * row, twiddles, SIDE * row + column, work, SIDE * column + row)
    for column in range(0, SIDE, 8):
        _columns(work, column, PLANE, SIDE, strips, inner_twiddles)
        _radix_eight(strips, 2 * STRIP, numbers, column, PLANE, SIDE)


@register_jitable
def _columns(source: Array32, place: int, plane: int, row: int, strips: Array32, inner_twiddles: Array32) -> None:
    """All but the last step of the transforms of eight columns; what comes out lies in the second half of `strips`."""
    _radix_four(source, place, plane, row, strips, 0, inner_twiddles, 0, 32, 1)
    _radix_four(strips, 0, STRIP, 8, strips, 2 * STRIP, inner_twiddles, 192, 8, 4)


@register_jitable
def four(x0: Any, y0: Any, x1: Any, y1: Any, x2: Any, y2: Any, x3: Any, y3: Any) -> Any:
    """Fourier transform of four complex numbers, real and imaginary parts in turn: numbers or vector registers."""
    even_x, even_y, odd_x, odd_y = x0 + x2, y0 + y2, x1 + x3, y1 + y3
    less_x, less_y, turned_x, turned_y = x0 - x2, y0 - y2, y1 - y3, x3 - x1
    return (
        even_x + odd_x,
        even_y + odd_y,
        less_x + turned_x,
        less_y + turned_y,
        even_x - odd_x,
        even_y - odd_y,
        less_x - turned_x,
        less_y - turned_y,
    )


@register_jitable
def _store_twiddled(target: Array32, place: int, x: Any, y: Any, u: Any, v: Any) -> None:
    store(target, place, x * u - y * v)
    store(target, place + STRIP, fma(x, v, y * u))


@register_jitable
def _radix_four(
    source: Array32,
    place: int,
    plane: int,
    row: int,
    strips: Array32,
    goal: int,
    inner_twiddles: Array32,
    first: int,
    groups: int,
    stride: int,
) -> None:
    """One step of transforms of 4 * groups * stride = 128 numbers (Stockham); rows of the source lie `row` apart."""
    hop = groups * stride * row
    for group in range(groups):
        turn = first + 6 * group
        u1, v1 = broadcast_octet(inner_twiddles[turn]), broadcast_octet(inner_twiddles[turn + 1])
        u2, v2 = broadcast_octet(inner_twiddles[turn + 2]), broadcast_octet(inner_twiddles[turn + 3])
        u3, v3 = broadcast_octet(inner_twiddles[turn + 4]), broadcast_octet(inner_twiddles[turn + 5])
        for k in range(stride):
            at = place + (stride * group + k) * row
            x0, y0, x1, y1, x2, y2, x3, y3 = four(
                load_octet(source, at),
                load_octet(source, at + plane),
                load_octet(source, at + hop),
                load_octet(source, at + hop + plane),
                load_octet(source, at + 2 * hop),
                load_octet(source, at + 2 * hop + plane),
                load_octet(source, at + 3 * hop),
                load_octet(source, at + 3 * hop + plane),
            )
            to = goal + 8 * (4 * stride * group + k)
            store(strips, to, x0)
            store(strips, to + STRIP, y0)
            _store_twiddled(strips, to + 8 * stride, x1, y1, u1, v1)
            _store_twiddled(strips, to + 16 * stride, x2, y2, u2, v2)
            _store_twiddled(strips, to + 24 * stride, x3, y3, u3, v3)


@register_jitable
def _radix_eight(strips: Array32, place: int, target: Array32, goal: int, plane: int, row: int) -> None:
    """The last step: 16 transforms of eight numbers; rows of the target lie `row` apart."""
    half = broadcast_octet(_ROOT_HALF)
    hop = 8 * 16
    for k in range(16):
        at = place + 8 * k
        a0, b0, a1, b1, a2, b2, a3, b3 = four(
            load_octet(strips, at),
            load_octet(strips, at + STRIP),
            load_octet(strips, at + 2 * hop),
            load_octet(strips, at + 2 * hop + STRIP),
            load_octet(strips, at + 4 * hop),
            load_octet(strips, at + 4 * hop + STRIP),
            load_octet(strips, at + 6 * hop),
            load_octet(strips, at + 6 * hop + STRIP),
        )
        c0, d0, c1, d1, c2, d2, c3, d3 = four(
            load_octet(strips, at + hop),
            load_octet(strips, at + hop + STRIP),
            load_octet(strips, at + 3 * hop),
            load_octet(strips, at + 3 * hop + STRIP),
            load_octet(strips, at + 5 * hop),
            load_octet(strips, at + 5 * hop + STRIP),
            load_octet(strips, at + 7 * hop),
            load_octet(strips, at + 7 * hop + STRIP),
        )
        # Odd inputs are turned by an eighth of a circle more for each output.
        _store_pair(target, goal + k * row, 64 * row, plane, a0, b0, c0, d0)
        _store_pair(target, goal + (k + 16) * row, 64 * row, plane, a1, b1, half * (c1 + d1), half * (d1 - c1))
        _store_pair(target, goal + (k + 32) * row, 64 * row, plane, a2, b2, d2, broadcast_octet(np.float32(0)) - c2)
        _store_pair(
            target,
            goal + (k + 48) * row,
            64 * row,
            plane,
            a3,
            b3,
            half * (d3 - c3),
            broadcast_octet(-_ROOT_HALF) * (c3 + d3),
        )


@register_jitable
def _store_pair(target: Array32, goal: int, hop: int, plane: int, a: Any, b: Any, c: Any, d: Any) -> None:
    store(target, goal, a + c)
    store(target, goal + plane, b + d)
    store(target, goal + hop, a - c)
    store(target, goal + hop + plane, b - d)


@register_jitable
def _twiddle_and_transpose(
    strips: Array32, place: int, twiddles: Array32, turn: int, target: Array32, goal: int
) -> None:
    """Eight rows of a strip, turned, become eight columns of the target."""
    x0, y0 = _twiddled(strips, place, twiddles, turn)
    x1, y1 = _twiddled(strips, place + 8, twiddles, turn + SIDE)
    x2, y2 = _twiddled(strips, place + 16, twiddles, turn + 2 * SIDE)
    x3, y3 = _twiddled(strips, place + 24, twiddles, turn + 3 * SIDE)
    x4, y4 = _twiddled(strips, place + 32, twiddles, turn + 4 * SIDE)
    x5, y5 = _twiddled(strips, place + 40, twiddles, turn + 5 * SIDE)
    x6, y6 = _twiddled(strips, place + 48, twiddles, turn + 6 * SIDE)
    x7, y7 = _twiddled(strips, place + 56, twiddles, turn + 7 * SIDE)
    row = goal
    for column in transpose_octets(x0, x1, x2, x3, x4, x5, x6, x7):
        store(target, row, column)
        row += SIDE
    row = goal + PLANE
    for column in transpose_octets(y0, y1, y2, y3, y4, y5, y6, y7):
        store(target, row, column)
        row += SIDE


@register_jitable
def _twiddled(strips: Array32, place: int, twiddles: Array32, turn: int) -> Any:
    x, y = load_octet(strips, place), load_octet(strips, place + STRIP)
    u, v = load_octet(twiddles, turn), load_octet(twiddles, turn + PLANE)
    return x * u - y * v, fma(x, v, y * u)
