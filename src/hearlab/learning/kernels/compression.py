"""Two bands of a signal through filterbank and compression, and the way back: the filters run in reversed time.

The filters are those of `hearlab.ear.filterbank`: four equal low-pass filters on a carrier that starts anew in every
block. Real and imaginary part of both bands fill a quad. A gradient with respect to a complex number z holds the
derivatives with respect to its real and its imaginary part; a rotation of z rotates it, too.

All is in double precision; only rows that the caller keeps (envelopes, motions) may be in single precision.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.extending import register_jitable
from numpy.typing import NDArray

from hearlab.arrays import Array
from hearlab.ear.filterbank import filter_step, rotated
from hearlab.kernels.compiled import compiled
from hearlab.kernels.powers import exp2, log2
from hearlab.kernels.scan import one_pole_scan
from hearlab.kernels.simd import (
    broadcast,
    broadcast_pairs,
    fma,
    load,
    maximum,
    minimum,
    reduce_add,
    shift_in_one,
    sqrt,
    store,
    transpose_quads,
)

Real = NDArray[np.floating]

# Samples after which the carrier starts anew, as in `hearlab.ear.filterbank` (tested).
BLOCK = 128

# Powers of a path below this have no direction: their gradient is taken as zero.
NOTHING = 1e-280


@register_jitable
def _squares(one: Any, two: Any, three: Any, four: Any) -> Any:
    """Four samples of a path, each [real, imaginary] of both bands: the powers of both bands at these samples."""
    first, second, third, fourth = transpose_quads(one * one, two * two, three * three, four * four)
    return first + second, third + fourth


@register_jitable
def _raw_gain(power: Any, curve: Array, band: int) -> Any:
    """Gain of a band (0 or 1) at four samples, before the low-pass."""
    over_knee = power * broadcast(curve[4 * band])
    clipped = minimum(maximum(over_knee, broadcast(1.0)), broadcast(curve[4 * band + 1]))
    return exp2(broadcast(curve[4 * band + 2]) * log2(clipped)) * broadcast(curve[4 * band + 3])


@compiled
def _filter_paths(
    signal: Array, carriers: Array, turns: Array, wide_poles: Array, poles: Array, control: Array, path: Array
) -> None:
    """Outputs of control and signal path, a quad a sample each, in the frames of the blocks.

    `control` and `path` have room for a number of samples that is a multiple of 4; those after the last are 0.
    """
    wide, narrow, turn, swapped = load(wide_poles, 0), load(poles, 0), load(turns, 0), load(turns, 4)
    zero = broadcast(0.0)
    a = b = c = d = zero
    p = q = r = s = zero
    n = signal.size
    for start in range(0, n, BLOCK):
        for t in range(min(BLOCK, n - start)):
            value = broadcast_pairs(signal[start + t], signal[start + t]) * load(carriers, 4 * t)
            out, a, b, c, d = filter_step(wide, value, a, b, c, d)
            store(control, 4 * (start + t), out)
            out, p, q, r, s = filter_step(narrow, value, p, q, r, s)
            store(path, 4 * (start + t), out)
        a, b = rotated(a, turn, swapped), rotated(b, turn, swapped)
        c, d = rotated(c, turn, swapped), rotated(d, turn, swapped)
        p, q = rotated(p, turn, swapped), rotated(q, turn, swapped)
        r, s = rotated(r, turn, swapped), rotated(s, turn, swapped)
    control[4 * n :] = 0.0
    path[4 * n :] = 0.0


@compiled
def _gains_of_block(
    control: Array, place: int, count: int, curve: Array, scan: Array, states: Array, raw: Array, smooth: Array
) -> None:
    """Gains of both bands in a block, before and after the low-pass; `states` keeps what the next block needs."""
    one_raw, two_raw, one, two = load(states, 0), load(states, 4), load(states, 8), load(states, 12)
    for t in range(0, count, 4):
        k = 4 * (place + t)
        first, second = _squares(load(control, k), load(control, k + 4), load(control, k + 8), load(control, k + 12))
        now = _raw_gain(first, curve, 0)
        one = one_pole_scan(now + shift_in_one(one_raw, now), one, scan)
        one_raw = now
        store(raw, t, now)
        store(smooth, t, one)
        now = _raw_gain(second, curve, 1)
        two = one_pole_scan(now + shift_in_one(two_raw, now), two, scan)
        two_raw = now
        store(raw, BLOCK + t, now)
        store(smooth, BLOCK + t, two)
    store(states, 0, one_raw)
    store(states, 4, two_raw)
    store(states, 8, one)
    store(states, 12, two)


@compiled
def compress_pair(
    signal: Array,
    carriers: Array,
    turns: Array,
    wide_poles: Array,
    poles: Array,
    curve: Array,
    scan: Array,
    envelopes: Real,
    motions: Real,
    energies: Array,
) -> None:
    """Envelopes of two bands after compression, their motions, and the energies of the envelopes before compression.

    Args:
        signal: after the middle ear, shape (n,).
        carriers, turns: `hearlab.ear.filterbank.carrier` of the two bands.
        wide_poles, poles: of control and signal path, each twice, shape (4,).
        curve: of each band: factor of the control power, upper bound, exponent and factor, shape (8,).
        scan: of the gains' low-pass, shape (4,).
        envelopes, motions: shape (2, N), N a multiple of 4 and at least n; motions may have N = 0.
        energies: sums of squares without the filters' gain, shape (2,).
    """
    n = signal.size
    room = -(-n // 4) * 4
    control, path = np.empty(4 * room), np.empty(4 * room)
    _filter_paths(signal, carriers, turns, wide_poles, poles, control, path)
    states, raw, smooth = np.zeros(16), np.empty(2 * BLOCK), np.empty(2 * BLOCK)
    one_envelope, two_envelope, one_motion, two_motion = envelopes[0], envelopes[1], motions[0], motions[1]
    one_energy = two_energy = broadcast(0.0)
    for start in range(0, n, BLOCK):
        count = min(BLOCK, n - start)
        _gains_of_block(control, start, count, curve, scan, states, raw, smooth)
        for t in range(0, count, 4):
            k = 4 * (start + t)
            rows = load(path, k), load(path, k + 4), load(path, k + 8), load(path, k + 12)
            one, two = _squares(rows[0], rows[1], rows[2], rows[3])
            one_energy, two_energy = one_energy + one, two_energy + two
            one_gain, two_gain = load(smooth, t), load(smooth, BLOCK + t)
            store(one_envelope, start + t, one_gain * sqrt(one))
            store(two_envelope, start + t, two_gain * sqrt(two))
            if one_motion.size > 0:
                a, b, c, d = transpose_quads(
                    rows[0] * load(carriers, 4 * t),
                    rows[1] * load(carriers, 4 * t + 4),
                    rows[2] * load(carriers, 4 * t + 8),
                    rows[3] * load(carriers, 4 * t + 12),
                )
                store(one_motion, start + t, one_gain * (a + b))
                store(two_motion, start + t, two_gain * (c + d))
    energies[0], energies[1] = reduce_add(one_energy), reduce_add(two_energy)


@compiled
def compress_pair_backwards(
    signal: Array,
    carriers: Array,
    turns: Array,
    back_turns: Array,
    wide_poles: Array,
    poles: Array,
    curve: Array,
    scan: Array,
    envelope_gradients: Real,
    motion_gradients: Real,
    energy_gradients: Array,
    signal_gradient: Array,
    pole_gradients: Array,
    factor_gradients: Array,
) -> None:
    """The adjoint of `compress_pair`.

    Args:
        back_turns: `turns` of the conjugate turn.
        envelope_gradients, motion_gradients: shape (2, N), as the envelopes and motions.
        energy_gradients: shape (2,).
        signal_gradient: takes the sum of what it holds and the gradient, shape (n,).
        pole_gradients, factor_gradients: of the signal path's poles and of the curves' factors, shape (2,).
    """
    n = signal.size
    room = -(-n // 4) * 4
    control, path = np.empty(4 * room), np.empty(4 * room)
    _filter_paths(signal, carriers, turns, wide_poles, poles, control, path)
    raw, smooth = np.empty(2 * room), np.empty(2 * room)
    _all_gains(control, n, curve, scan, raw, smooth)
    # After this, `control` and `path` hold the gradients with respect to what they were.
    for band in range(2):
        _gradients_of_band(
            band,
            n,
            room,
            carriers,
            curve,
            scan[0],
            raw[band * room :],
            smooth[band * room :],
            envelope_gradients[band],
            motion_gradients[band],
            energy_gradients[band],
            control,
            path,
            factor_gradients,
        )
    sums = np.empty(4)
    _filter_back(signal, carriers, back_turns, wide_poles, poles, control, path, signal_gradient, sums)
    pole_gradients[0], pole_gradients[1] = sums[0] + sums[1], sums[2] + sums[3]


@compiled
def _all_gains(control: Array, n: int, curve: Array, scan: Array, raw: Array, smooth: Array) -> None:
    room = raw.size // 2
    states, raws, smooths = np.zeros(16), np.empty(2 * BLOCK), np.empty(2 * BLOCK)
    for start in range(0, n, BLOCK):
        count = min(BLOCK, room - start)
        _gains_of_block(control, start, count, curve, scan, states, raws, smooths)
        for band in range(2):
            raw[band * room + start : band * room + start + count] = raws[band * BLOCK : band * BLOCK + count]
            smooth[band * room + start : band * room + start + count] = smooths[band * BLOCK : band * BLOCK + count]


@compiled
def _gradients_of_band(
    band: int,
    n: int,
    room: int,
    carriers: Array,
    curve: Array,
    pole: float,
    raw: Array,
    smooth: Array,
    envelope_gradient: Real,
    motion_gradient: Real,
    energy_gradient: float,
    control: Array,
    path: Array,
    factor_gradients: Array,
) -> None:
    """Overwrite a band's lanes of both paths by the gradients with respect to them."""
    moving = motion_gradient.size > 0
    knee, upper, exponent = curve[4 * band], curve[4 * band + 1], curve[4 * band + 2]
    gradients = np.empty(BLOCK)
    later = 0.0  # gradient of the low-pass' output, all that depends on it included, one sample later
    factors = 0.0
    for start in range((n - 1) // BLOCK * BLOCK, -1, -BLOCK):
        count = min(BLOCK, n - start)
        for t in range(count):
            k, place = 4 * (start + t) + 2 * band, 4 * t + 2 * band
            real, imaginary = path[k], path[k + 1]
            gain, gradient = smooth[start + t], float(envelope_gradient[start + t])
            square = real * real + imaginary * imaginary
            size = np.sqrt(square)
            along = gradient * gain / size + 2 * energy_gradient if square > NOTHING else 2 * energy_gradient
            of_gain = gradient * size
            path[k], path[k + 1] = along * real, along * imaginary
            if moving:
                gradient = float(motion_gradient[start + t])
                of_gain += gradient * (real * carriers[place] + imaginary * carriers[place + 1])
                path[k] += gradient * gain * carriers[place]
                path[k + 1] += gradient * gain * carriers[place + 1]
            gradients[t] = of_gain
        for t in range(count - 1, -1, -1):
            total = gradients[t] + pole * later
            gradients[t] = total + later  # the low-pass adds two samples
            later = total
        for t in range(count):
            k = 4 * (start + t) + 2 * band
            real, imaginary = control[k], control[k + 1]
            square = real * real + imaginary * imaginary
            of_logarithm = gradients[t] * raw[start + t]
            factors += of_logarithm
            over_knee = square * knee
            inside = 1.0 < over_knee < upper
            along = 2 * exponent * of_logarithm / square if inside else 0.0
            control[k], control[k + 1] = along * real, along * imaginary
    factor_gradients[band] = factors / curve[4 * band + 3]


@compiled
def _filter_back(
    signal: Array,
    carriers: Array,
    back_turns: Array,
    wide_poles: Array,
    poles: Array,
    control: Array,
    path: Array,
    signal_gradient: Array,
    pole_sums: Array,
) -> None:
    """The filters in reversed time: gradients with respect to their outputs become those of signal and poles.

    The derivative of the output with respect to a pole is what one more stage gives, a sample late: with the output of
    k stages called A^k, the filter is 2.25 A^4 - 3 A^3 + A^2, and the derivative 9 A^5 - 9 A^4 + 2 A^3.
    """
    wide, narrow, turn, swapped = load(wide_poles, 0), load(poles, 0), load(back_turns, 0), load(back_turns, 4)
    zero, two, nine, minus_nine = broadcast(0.0), broadcast(2.0), broadcast(9.0), broadcast(-9.0)
    a = b = c = d = zero
    p = q = r = s = u = later = sums = zero
    n = signal.size
    for start in range((n - 1) // BLOCK * BLOCK, -1, -BLOCK):
        for t in range(min(BLOCK, n - start) - 1, -1, -1):
            wave = load(carriers, 4 * t)
            value = broadcast_pairs(signal[start + t], signal[start + t]) * wave
            sums = fma(value, later, sums)
            back, a, b, c, d = filter_step(wide, load(control, 4 * (start + t)), a, b, c, d)
            out, p, q, r, s = filter_step(narrow, load(path, 4 * (start + t)), p, q, r, s)
            u = fma(narrow, u, s)
            later = fma(nine, u, fma(minus_nine, s, two * r))
            signal_gradient[start + t] += reduce_add((back + out) * wave)
        a, b = rotated(a, turn, swapped), rotated(b, turn, swapped)
        c, d = rotated(c, turn, swapped), rotated(d, turn, swapped)
        p, q = rotated(p, turn, swapped), rotated(q, turn, swapped)
        r, s = rotated(r, turn, swapped), rotated(s, turn, swapped)
        u, later = rotated(u, turn, swapped), rotated(later, turn, swapped)
    store(pole_sums, 0, sums)


@compiled
def control_energy_backwards(
    signal: Array, carriers: Array, turns: Array, back_turns: Array, wide_poles: Array, slopes: Array, gradient: Array
) -> None:
    """Add to a signal's gradient that of the energies of the control path in two bands.

    Args:
        slopes: twice the gradients with respect to the energies, each of them twice, shape (4,).
        gradient: shape (n,).
    """
    wide, turn, swapped = load(wide_poles, 0), load(turns, 0), load(turns, 4)
    slope, zero = load(slopes, 0), broadcast(0.0)
    a = b = c = d = zero
    n = signal.size
    outputs = np.empty(4 * n)
    for start in range(0, n, BLOCK):
        for t in range(min(BLOCK, n - start)):
            value = broadcast_pairs(signal[start + t], signal[start + t]) * load(carriers, 4 * t)
            out, a, b, c, d = filter_step(wide, value, a, b, c, d)
            store(outputs, 4 * (start + t), out * slope)
        a, b = rotated(a, turn, swapped), rotated(b, turn, swapped)
        c, d = rotated(c, turn, swapped), rotated(d, turn, swapped)
    turn, swapped = load(back_turns, 0), load(back_turns, 4)
    a = b = c = d = zero
    for start in range((n - 1) // BLOCK * BLOCK, -1, -BLOCK):
        for t in range(min(BLOCK, n - start) - 1, -1, -1):
            out, a, b, c, d = filter_step(wide, load(outputs, 4 * (start + t)), a, b, c, d)
            gradient[start + t] += reduce_add(out * load(carriers, 4 * t))
        a, b = rotated(a, turn, swapped), rotated(b, turn, swapped)
        c, d = rotated(c, turn, swapped), rotated(d, turn, swapped)
