"""FIR filters by overlap-save in transforms of 1024 points, in double precision.

Two windows of a signal go through one transform as real and imaginary part; as the filter is real, they come back as
the real and imaginary part of the product with its spectrum. The points form a square of 32 rows and columns, so that a
transform is one of 32 down the columns, a turn, and once more: four columns at once in vector registers, all of it in
the fastest cache. A library's transforms of one real window at a time take four times as long.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numba.extending import register_jitable

from hearlab.arrays import Array
from hearlab.kernels.compiled import compiled
from hearlab.kernels.simd import broadcast, fma, load, store, transpose_quads
from hearlab.kernels.transform import four

SIDE = 32
SIZE = SIDE * SIDE

# Complex numbers are kept as an array of real parts with the imaginary parts this far behind them. (Not a multiple of
# 4096 bytes, at which addresses are mistaken for each other.)
PLANE = SIZE + 40
STRIP = 4 * SIDE + 8

_ROOT_HALF = float(np.sqrt(0.5))


def spectrum(fir: Array) -> Array:
    """What `filter_windows` multiplies by: real parts, then imaginary parts, shape (2 * PLANE,)."""
    planes = np.zeros((2, PLANE))
    values = np.fft.fft(fir, SIZE) / SIZE
    planes[0, :SIZE], planes[1, :SIZE] = values.real, values.imag
    return planes.ravel()


@lru_cache(maxsize=1)
def twiddle_factors() -> tuple[Array, Array]:
    """What a transform multiplies by.

    Returns:
        the twiddles between the two rounds, exp(-2 pi i row * column / 1024), shape (2 * PLANE,); and those within a
        transform of 32, [real, imaginary] for the second to fourth input of each group, shape (48,).
    """
    waves = np.exp(-2j * np.pi * np.arange(SIZE) / SIZE)
    planes = np.zeros((2, PLANE))
    square = waves[np.outer(np.arange(SIDE), np.arange(SIDE)).ravel()]
    planes[0, :SIZE], planes[1, :SIZE] = square.real, square.imag
    inner = waves[SIDE * np.outer(np.arange(SIDE // 4), (1, 2, 3)).ravel()]
    return planes.ravel(), np.stack([inner.real, inner.imag], axis=1).ravel()


@compiled
def filter_windows(x: Array, taps: int, spectrum: Array, twiddles: Array, inner_twiddles: Array, out: Array) -> None:
    """Convolution where the whole filter meets samples.

    Args:
        x: samples, shape (taps - 1 + n,).
        taps: of the filter, fewer than SIZE.
        spectrum: of the filter, see `spectrum`.
        twiddles, inner_twiddles: `twiddle_factors`.
        out: takes the convolution, shape (n,), a multiple of `windows_step(taps)`.
    """
    numbers, work, strips = np.empty(2 * PLANE), np.empty(2 * PLANE), np.empty(4 * STRIP)
    before = taps - 1
    hop = SIZE - before
    for start in range(0, out.size, 2 * hop):
        source, real, imaginary, goal = x, start, start + hop, 0
        for inverse in range(2):
            _transform(source, real, imaginary, work, numbers, goal, PLANE - goal, strips, twiddles, inner_twiddles)
            if inverse == 0:
                for k in range(0, SIZE, 4):
                    a, b = load(numbers, k), load(numbers, PLANE + k)
                    c, d = load(spectrum, k), load(spectrum, PLANE + k)
                    store(numbers, k, a * c - b * d)
                    store(numbers, PLANE + k, fma(a, d, b * c))
                # With real and imaginary parts exchanged, before and after, it is the inverse transform.
                source, real, imaginary, goal = numbers, PLANE, 0, PLANE
        # Circular wrapping spoils the samples before these.
        one, two = out[start : start + hop], out[start + hop : start + 2 * hop]
        for t in range(hop):
            one[t], two[t] = numbers[before + t], numbers[PLANE + before + t]


def windows_step(taps: int) -> int:
    """Samples that two windows give."""
    return 2 * (SIZE - taps + 1)


@register_jitable
def _transform(
    source: Array,
    real: int,
    imaginary: int,
    work: Array,
    target: Array,
    goal: int,
    imaginary_goal: int,
    strips: Array,
    twiddles: Array,
    inner_twiddles: Array,
) -> None:
    """Transform the numbers at two places of the source; the target may be the source."""
    for column in range(0, SIDE, 4):
        _columns(source, real + column, imaginary + column, strips, inner_twiddles)
        _radix_eight(strips, strips, 2 * STRIP, 3 * STRIP, 4)
        for row in range(0, SIDE, 4):
            _twiddle_and_transpose(strips, 4 * row, twiddles, SIDE * row + column, work, SIDE * column + row)
    for column in range(0, SIDE, 4):
        _columns(work, column, PLANE + column, strips, inner_twiddles)
        _radix_eight(strips, target, goal + column, imaginary_goal + column, SIDE)


@register_jitable
def _columns(source: Array, real: int, imaginary: int, strips: Array, inner_twiddles: Array) -> None:
    """The first step of the transforms of four columns: eight transforms of four numbers, turned."""
    hop = SIDE // 4 * SIDE
    for group in range(SIDE // 4):
        at, other = real + SIDE * group, imaginary + SIDE * group
        x0, y0, x1, y1, x2, y2, x3, y3 = four(
            load(source, at),
            load(source, other),
            load(source, at + hop),
            load(source, other + hop),
            load(source, at + 2 * hop),
            load(source, other + 2 * hop),
            load(source, at + 3 * hop),
            load(source, other + 3 * hop),
        )
        to = 16 * group
        store(strips, to, x0)
        store(strips, to + STRIP, y0)
        _store_turned(strips, to + 4, x1, y1, inner_twiddles, 6 * group)
        _store_turned(strips, to + 8, x2, y2, inner_twiddles, 6 * group + 2)
        _store_turned(strips, to + 12, x3, y3, inner_twiddles, 6 * group + 4)


@register_jitable
def _store_turned(strips: Array, place: int, x: Any, y: Any, inner_twiddles: Array, turn: int) -> None:
    u, v = broadcast(inner_twiddles[turn]), broadcast(inner_twiddles[turn + 1])
    store(strips, place, x * u - y * v)
    store(strips, place + STRIP, fma(x, v, y * u))


@register_jitable
def _radix_eight(strips: Array, target: Array, goal: int, imaginary_goal: int, row: int) -> None:
    """The last step: four transforms of eight numbers; rows of the target lie `row` apart."""
    half, minus_half = broadcast(_ROOT_HALF), broadcast(-_ROOT_HALF)
    for k in range(4):
        at = 4 * k
        a0, b0, a1, b1, a2, b2, a3, b3 = four(
            load(strips, at),
            load(strips, at + STRIP),
            load(strips, at + 32),
            load(strips, at + 32 + STRIP),
            load(strips, at + 64),
            load(strips, at + 64 + STRIP),
            load(strips, at + 96),
            load(strips, at + 96 + STRIP),
        )
        c0, d0, c1, d1, c2, d2, c3, d3 = four(
            load(strips, at + 16),
            load(strips, at + 16 + STRIP),
            load(strips, at + 48),
            load(strips, at + 48 + STRIP),
            load(strips, at + 80),
            load(strips, at + 80 + STRIP),
            load(strips, at + 112),
            load(strips, at + 112 + STRIP),
        )
        # Odd inputs are turned by an eighth of a circle more for each output.
        c1, d1 = half * (c1 + d1), half * (d1 - c1)
        c3, d3 = half * (d3 - c3), minus_half * (c3 + d3)
        to, other, hop = goal + k * row, imaginary_goal + k * row, 4 * row
        store(target, to, a0 + c0)
        store(target, other, b0 + d0)
        store(target, to + hop, a1 + c1)
        store(target, other + hop, b1 + d1)
        store(target, to + 2 * hop, a2 + d2)
        store(target, other + 2 * hop, b2 - c2)
        store(target, to + 3 * hop, a3 + c3)
        store(target, other + 3 * hop, b3 + d3)
        store(target, to + 4 * hop, a0 - c0)
        store(target, other + 4 * hop, b0 - d0)
        store(target, to + 5 * hop, a1 - c1)
        store(target, other + 5 * hop, b1 - d1)
        store(target, to + 6 * hop, a2 - d2)
        store(target, other + 6 * hop, b2 + c2)
        store(target, to + 7 * hop, a3 - c3)
        store(target, other + 7 * hop, b3 - d3)


@register_jitable
def _twiddle_and_transpose(strips: Array, place: int, twiddles: Array, turn: int, target: Array, goal: int) -> None:
    """Four rows of a strip, turned, become four columns of the target."""
    x0, y0 = _twiddled(strips, place, twiddles, turn)
    x1, y1 = _twiddled(strips, place + 4, twiddles, turn + SIDE)
    x2, y2 = _twiddled(strips, place + 8, twiddles, turn + 2 * SIDE)
    x3, y3 = _twiddled(strips, place + 12, twiddles, turn + 3 * SIDE)
    row = goal
    for column in transpose_quads(x0, x1, x2, x3):
        store(target, row, column)
        row += SIDE
    row = goal + PLANE
    for column in transpose_quads(y0, y1, y2, y3):
        store(target, row, column)
        row += SIDE


@register_jitable
def _twiddled(strips: Array, place: int, twiddles: Array, turn: int) -> Any:
    x, y = load(strips, 2 * STRIP + place), load(strips, 3 * STRIP + place)
    u, v = load(twiddles, turn), load(twiddles, turn + PLANE)
    return x * u - y * v, fma(x, v, y * u)
