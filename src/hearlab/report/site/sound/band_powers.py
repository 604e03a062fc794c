"""Levels of bands in many windowed frames of two signals, by transforms of eight frames at once in single precision.

Each lane of a register is a frame. The two signals go through one transform as real and imaginary part: what it holds
at a frequency and at the negative one are, added, the powers of both. A library's transforms of one real frame at a
time, and numpy's passes over all their bins, take six times as long.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numba.extending import register_jitable
from numpy.typing import NDArray

from hearlab.arrays import Array32
from hearlab.kernels.compiled import compiled
from hearlab.kernels.powers import octaves_and_rest
from hearlab.kernels.simd import broadcast_octet, fma, load_octet, maximum, store, transpose_octets
from hearlab.kernels.transform import four

Places = NDArray[np.intp]

LANES = 8
SHORTEST = 32  # points of a frame
# Between real and imaginary parts. (Not a multiple of 4096 bytes, at which addresses are mistaken for each other.)
GAP = 80
# Points of eight frames that stay in the fastest cache (32 kB of it) for all steps that are left.
NEAR = 512


@lru_cache(maxsize=8)
def transform_tables(length: int) -> tuple[Array32, Places]:
    """What `add_band_powers` needs for frames of `length` points, a power of two.

    Returns:
        factors of each step in turn: for each group of four the second to fourth one, real and imaginary part; and
        where bin k and the one half the length behind it are before the last step, shape (length / 2,).
    """
    factors, places, size, stride = [], np.zeros(length // 2, dtype=np.intp), length, 1
    bins = np.arange(length // 2)
    while size > 2:
        radix = 4 if size >= 8 else 2
        if radix == 4:
            waves = np.exp(-2j * np.pi / size * np.outer(np.arange(size // 4), (1, 2, 3)).ravel())
            factors.append(np.stack([waves.real, waves.imag], axis=1).ravel())
        size //= radix
        places += bins // stride % radix * size
        stride *= radix
    return np.concatenate(factors).astype(np.float32), places


@compiled
def add_band_powers(
    real: Array32,
    imaginary: Array32,
    starts: Places,
    scales: Array32,
    window: Array32,
    factors: Array32,
    places: Places,
    below: Places,
    shares: Array32,
    bands: Array32,
) -> None:
    """Add the powers of both signals in bands to `bands`.

    Args:
        real, imaginary: the signals, shape (n,).
        starts: first samples of frames, shape (groups, each, LANES): lane l of group g gets the frames of column
            LANES * g + l.
        scales: factors for the powers of the frames, of the same shape.
        window: shape (length,), a power of two, at least SHORTEST.
        factors, places: `transform_tables(length)`.
        below: for each edge of a band, the bin that it is in, shape (rows + 1,), rising, at most length / 2.
        shares: the share of that bin that is below the edge.
        bands: shape (rows * LANES * groups,), a row for each band, the highest one first.
    """
    length, rows, width = window.size, below.size - 1, LANES * starts.shape[0]
    plane = LANES * length + GAP
    numbers = np.empty(2 * plane, dtype=np.float32)
    strip = np.empty(8 * LANES * LANES, dtype=np.float32)
    first, half = below[0], length // 2
    powers = np.empty(LANES * (below[rows] - first + 1), dtype=np.float32)
    scale = np.empty(LANES, dtype=np.float32)
    for group in range(starts.shape[0]):
        for frame in range(starts.shape[1]):
            turn = _first_step(real, imaginary, starts[group, frame], window, strip, numbers, plane, factors)
            _other_steps(numbers, length, plane, factors, turn)
            for k in range(first, below[rows] + 1):
                one = _last_step(numbers, LANES * places[k % half], plane, k < half)
                other = _last_step(numbers, LANES * places[(half - k) % half], plane, k == 0 or k > half)
                store(powers, LANES * (k - first), one + other)
            for lane in range(LANES):
                scale[lane] = scales[group, frame, lane]
            factor = load_octet(scale, 0)
            for row in range(rows):
                low, high = below[row], below[row + 1]
                at = LANES * (low - first)
                if low == high:
                    band = broadcast_octet(shares[row + 1] - shares[row]) * load_octet(powers, at)
                else:
                    band = broadcast_octet(np.float32(1.0) - shares[row]) * load_octet(powers, at)
                    for _ in range(low + 1, high):
                        at += LANES
                        band = band + load_octet(powers, at)
                    band = fma(broadcast_octet(shares[row + 1]), load_octet(powers, at + LANES), band)
                goal = (rows - 1 - row) * width + LANES * group
                store(bands, goal, fma(factor, band, load_octet(bands, goal)))


@compiled
def to_decibels(powers: Array32, floor: float) -> None:
    """Put levels in dB in the place of powers, shape (n,), a multiple of LANES; those below `floor` count as that.

    numpy's logarithm takes several times as long where its arithmetic is fixed (`hearlab.kernels.arithmetic`).
    """
    lowest = broadcast_octet(np.float32(floor))
    octave = broadcast_octet(np.float32(10 * np.log10(2)))
    for k in range(0, powers.size, LANES):
        octaves, rest = octaves_and_rest(maximum(load_octet(powers, k), lowest))
        store(powers, k, octave * (octaves + rest))


@register_jitable
def _first_step(
    real: Array32,
    imaginary: Array32,
    starts: Places,
    window: Array32,
    strip: Array32,
    numbers: Array32,
    plane: int,
    factors: Array32,
) -> int:
    """Take windowed frames from the signals, and groups of four of their points through the first step.

    Returns:
        how many numbers of `factors` are used.
    """
    length = window.size
    quarter, square = length // 4, LANES * LANES
    turn = 0
    for first in range(0, quarter, LANES):
        for part in range(4):
            _gather(real, starts, window, first + part * quarter, strip, part * square)
            _gather(imaginary, starts, window, first + part * quarter, strip, (4 + part) * square)
        for point in range(LANES):
            at = LANES * point
            x0, y0, x1, y1, x2, y2, x3, y3 = four(
                load_octet(strip, at),
                load_octet(strip, at + 4 * square),
                load_octet(strip, at + square),
                load_octet(strip, at + 5 * square),
                load_octet(strip, at + 2 * square),
                load_octet(strip, at + 6 * square),
                load_octet(strip, at + 3 * square),
                load_octet(strip, at + 7 * square),
            )
            goal, hop = LANES * (first + point), LANES * quarter
            store(numbers, goal, x0)
            store(numbers, goal + plane, y0)
            _store_turned(numbers, goal + hop, plane, x1, y1, factors, turn)
            _store_turned(numbers, goal + 2 * hop, plane, x2, y2, factors, turn + 2)
            _store_turned(numbers, goal + 3 * hop, plane, x3, y3, factors, turn + 4)
            turn += 6
    return turn


@register_jitable
def _gather(signal: Array32, starts: Places, window: Array32, first: int, strip: Array32, goal: int) -> None:
    """Eight points of each frame from its point `first` on: point t of lane l comes to `goal` + LANES * t + l."""
    points = transpose_octets(
        load_octet(signal, starts[0] + first),
        load_octet(signal, starts[1] + first),
        load_octet(signal, starts[2] + first),
        load_octet(signal, starts[3] + first),
        load_octet(signal, starts[4] + first),
        load_octet(signal, starts[5] + first),
        load_octet(signal, starts[6] + first),
        load_octet(signal, starts[7] + first),
    )
    for place, point in enumerate(points):
        store(strip, goal + LANES * place, broadcast_octet(window[first + place]) * point)


@register_jitable
def _other_steps(numbers: Array32, length: int, plane: int, factors: Array32, turn: int) -> None:
    """All steps but the first and the last one, in place: what comes out is in the order of `transform_tables`."""
    size = length // 4
    while size > NEAR:
        turn = _step(numbers, 0, length, size, plane, factors, turn)
        size //= 4
    for begin in range(0, length, size):
        part, own = size, turn
        while part >= 8:
            own = _step(numbers, begin, begin + size, part, plane, factors, own)
            part //= 4
        if part == 4:
            _step_of_two(numbers, begin, begin + size, plane)


@register_jitable
def _step(numbers: Array32, begin: int, end: int, size: int, plane: int, factors: Array32, turn: int) -> int:
    """One step of the transforms of `size` points between `begin` and `end`."""
    hop = LANES * (size // 4)
    for point in range(size // 4):
        for first in range(begin, end, size):
            at = LANES * (first + point)
            x0, y0, x1, y1, x2, y2, x3, y3 = four(
                load_octet(numbers, at),
                load_octet(numbers, at + plane),
                load_octet(numbers, at + hop),
                load_octet(numbers, at + hop + plane),
                load_octet(numbers, at + 2 * hop),
                load_octet(numbers, at + 2 * hop + plane),
                load_octet(numbers, at + 3 * hop),
                load_octet(numbers, at + 3 * hop + plane),
            )
            store(numbers, at, x0)
            store(numbers, at + plane, y0)
            _store_turned(numbers, at + hop, plane, x1, y1, factors, turn)
            _store_turned(numbers, at + 2 * hop, plane, x2, y2, factors, turn + 2)
            _store_turned(numbers, at + 3 * hop, plane, x3, y3, factors, turn + 4)
        turn += 6
    return turn


@register_jitable
def _step_of_two(numbers: Array32, begin: int, end: int, plane: int) -> None:
    """The first of two steps of the transforms of four points between `begin` and `end`."""
    hop = 2 * LANES
    for at in range(LANES * begin, LANES * end, 4 * LANES):
        a, b = load_octet(numbers, at), load_octet(numbers, at + plane)
        c, d = load_octet(numbers, at + hop), load_octet(numbers, at + hop + plane)
        store(numbers, at, a + c)
        store(numbers, at + plane, b + d)
        store(numbers, at + hop, a - c)
        store(numbers, at + hop + plane, b - d)
        other = at + LANES
        a, b = load_octet(numbers, other), load_octet(numbers, other + plane)
        c, d = load_octet(numbers, other + hop), load_octet(numbers, other + hop + plane)
        store(numbers, other, a + c)
        store(numbers, other + plane, b + d)
        # Turned by a quarter of a circle.
        store(numbers, other + hop, b - d)
        store(numbers, other + hop + plane, c - a)


@register_jitable
def _store_turned(target: Array32, place: int, plane: int, x: Any, y: Any, factors: Array32, turn: int) -> None:
    u, v = broadcast_octet(factors[turn]), broadcast_octet(factors[turn + 1])
    store(target, place, x * u - y * v)
    store(target, place + plane, fma(x, v, y * u))


@register_jitable
def _last_step(numbers: Array32, at: int, plane: int, lower: bool) -> Any:
    """The power of one bin: of the sum of two numbers for those of the lower half, else of their difference."""
    a, b = load_octet(numbers, at), load_octet(numbers, at + plane)
    c, d = load_octet(numbers, at + LANES), load_octet(numbers, at + LANES + plane)
    if lower:
        a, b = a + c, b + d
    else:
        a, b = a - c, b - d
    return fma(a, a, b * b)
