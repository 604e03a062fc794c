"""Inner hair cells in double precision, of a band that is shifted and delayed on the way, and the adjoint.

What `hearlab.ear.adaptation.adapt` computes. A row is read some samples early (zeros come in from beyond its end, or
its beginning), envelope and motion each by its own number, and what comes out is written late, cut off at the end.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.extending import register_jitable
from numpy.typing import NDArray

from hearlab.arrays import Array
from hearlab.kernels.compiled import compiled
from hearlab.kernels.powers import log2
from hearlab.kernels.scan import one_pole_scan
from hearlab.kernels.simd import broadcast, flush_tiny, fma, load, maximum, store

Real = NDArray[np.floating]

# As in `hearlab.ear.adaptation` (tested).
TINY = 1e-30

BLOCK = 256


@compiled
def _read(row: Real, first: int, samples: int, part: Array, count: int) -> None:
    """The samples from `first` on, with zeros outside of the row's `samples`, into a buffer."""
    begin, end = min(max(-first, 0), count), max(min(count, samples - first), 0)
    part[:begin] = 0.0
    if begin < end:
        source, target = row[first + begin : first + end], part[begin:end]
        for t in range(target.size):
            target[t] = source[t]
    part[max(begin, end) : count] = 0.0


@register_jitable
def _levels(linear: Any, slope: Any, offset: Any) -> Any:
    return maximum(fma(log2(linear + broadcast(1e-30)), slope, offset), broadcast(0.0))


@compiled
def adapt_band(
    envelope: Real,
    motion: Real,
    samples: int,
    early: int,
    motion_early: int,
    late: int,
    constants: Array,
    firing: Real,
    moved: Real,
) -> None:
    """The firing of the nerve in a band, and its motion with the firing as envelope.

    Args:
        envelope, motion: shape (N,); the motion may have N = 0.
        samples: number n of them that count.
        early, motion_early, late: see above; `late` is at least 0.
        constants: dB per octave; level above threshold of an amplitude of 1 in dB; weights of the input and of both
            one-pole filters; scans of these, four powers each. Shape (13,).
        firing, moved: zeros, overwritten from `late` to n; shape (N,).
    """
    slope, offset = broadcast(constants[0]), broadcast(constants[1])
    direct, one_weight, two_weight = broadcast(constants[2]), broadcast(constants[3]), broadcast(constants[4])
    zero = broadcast(0.0)
    first = second = zero
    linear, currents, moves = np.zeros(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    moving = motion.size > 0
    for start in range(0, samples - late, BLOCK):
        count = min(BLOCK, samples - late - start)
        _read(envelope, start + early, samples, linear, -(-count // 4) * 4)
        for t in range(0, count, 4):
            level = _levels(load(linear, t), slope, offset)
            first, second = one_pole_scan(level, first, constants, 5), one_pole_scan(level, second, constants, 9)
            current = fma(direct, level, fma(one_weight, first, two_weight * second))
            store(currents, t, maximum(current, zero))
        first, second = flush_tiny(first), flush_tiny(second)
        out = firing[late + start : late + start + count]
        for t in range(count):
            out[t] = currents[t]
        if moving:
            _read(motion, start + motion_early, samples, moves, count)
            out = moved[late + start : late + start + count]
            for t in range(count):
                out[t] = moves[t] * ((currents[t] + TINY) / (linear[t] + TINY))


@compiled
def adapt_band_backwards(
    envelope: Real,
    motion: Real,
    samples: int,
    early: int,
    motion_early: int,
    late: int,
    constants: Array,
    firing_gradient: Real,
    moved_gradient: Real,
    envelope_gradient: Real,
    motion_gradient: Real,
) -> None:
    """The adjoint of `adapt_band`; the gradients of envelope and motion are zeros where none arrives."""
    n = samples - late
    if n <= 0:
        return
    room = -(-n // 4) * 4
    linear, levels, currents = np.zeros(room), np.empty(room), np.empty(room)
    slope, offset = broadcast(constants[0]), broadcast(constants[1])
    direct, one_weight, two_weight = broadcast(constants[2]), broadcast(constants[3]), broadcast(constants[4])
    first = second = broadcast(0.0)
    _read(envelope, early, samples, linear, room)
    for t in range(0, n, 4):
        level = _levels(load(linear, t), slope, offset)
        first, second = one_pole_scan(level, first, constants, 5), one_pole_scan(level, second, constants, 9)
        store(levels, t, level)
        store(currents, t, fma(direct, level, fma(one_weight, first, two_weight * second)))
        if t % BLOCK == 0:
            first, second = flush_tiny(first), flush_tiny(second)
    moving = motion.size > 0
    one = two = 0.0
    one_pole, two_pole = constants[5], constants[9]
    per_unit = constants[0] / np.log(2.0)  # dB per relative change
    for t in range(n - 1, -1, -1):
        place = t + early
        inside = 0 <= place < samples
        current = max(currents[t], 0.0)
        gradient, of_linear = float(firing_gradient[late + t]), 0.0
        if moving and 0 <= t + motion_early < samples:
            arriving, move, here = float(moved_gradient[late + t]), float(motion[t + motion_early]), linear[t] + TINY
            gradient += arriving * move / here
            motion_gradient[t + motion_early] = arriving * (current + TINY) / here
            of_linear = -arriving * (move / here) * ((current + TINY) / here)
        if currents[t] <= 0.0:
            # The motion is then next to nothing, whatever the envelope is: it hangs on TINY alone, as steeply as 1e30.
            gradient = of_linear = 0.0
        one = gradient + one_pole * one
        two = gradient + two_pole * two
        if inside:
            if levels[t] > 0.0:
                of_level = constants[2] * gradient + constants[3] * one + constants[4] * two
                of_linear += of_level * per_unit / (linear[t] + TINY)
            envelope_gradient[place] = of_linear
        if abs(one) < 1e-150:
            one = 0.0
        if abs(two) < 1e-150:
            two = 0.0
