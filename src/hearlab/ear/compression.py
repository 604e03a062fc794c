"""Outer hair cells: filters widen and gain falls as the level rises (Kates 2013)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numba.extending import register_jitable

from hearlab.arrays import Array, Array32
from hearlab.ear.filter_design import butterworth
from hearlab.ear.filterbank import (
    BLOCK,
    Channels,
    carrier,
    control_filters,
    filter_gains,
    filter_poles,
    filter_step,
    rotated,
)
from hearlab.ear.loss import UPPER_KNEE_DB, LossParameters
from hearlab.ear.resampling import MODEL_RATE
from hearlab.kernels.compiled import compiled
from hearlab.kernels.powers import power
from hearlab.kernels.rows import MARGIN, Row, inside
from hearlab.kernels.scan import one_pole_scan_of_octet, scan_coefficients
from hearlab.kernels.simd import (
    broadcast,
    broadcast_octet,
    broadcast_pairs,
    load,
    load_columns,
    load_octet,
    maximum,
    minimum,
    pairwise_add,
    reduce_add,
    shift_in_one,
    sqrt,
    store,
)

# Levels in dB SPL between which the filters widen from their low-level bandwidth to the widest.
NARROW_BELOW_DB = 50.0
WIDEST_ABOVE_DB = 100.0

# The gain reacts with a delay of 0.2 ms: a one-pole low-pass (Zhang et al. 2001).
GAIN_LOW_PASS_HZ = 800.0

# Keeps the logarithm finite in silence.
TINY = 1e-30

# Unit in which the powers of the signal path are stored, relative to the RMS of the control path: the RMS becomes 1e28,
# the highest power (of a click) in ten minutes stays below 3e38.
FAINTEST = 1e-14


def level_dependent_bandwidths(control_rms: Array, narrow: Array, widest: Array, level: float) -> Array:
    """Relative bandwidth of each band for the whole signal, from the RMS of the band's control envelope.

    Args:
        control_rms: linear.
        narrow: bandwidths at 50 dB SPL and below.
        widest: bandwidths at 100 dB SPL and above.
        level: dB SPL of an RMS of 1.
    """
    part = (_decibels(control_rms) + level - NARROW_BELOW_DB) / (WIDEST_ABOVE_DB - NARROW_BELOW_DB)
    return narrow + np.clip(part, 0.0, 1.0) * (widest - narrow)


class Compression(NamedTuple):
    """What channels are filtered and compressed with, an entry for each.

    Attributes:
        poles, control_poles: of the filters of the signal and of the control path.
        units: in which the powers of both paths are computed.
        gains: of the filters, times the units.
        curves: of the compression, shape (channels, 4); single precision.
    """

    poles: Array
    control_poles: Array
    units: Array
    gains: Array
    curves: Array32


def compression(
    bands: Sequence[int],
    bandwidths: Array,
    control_rms: Array,
    loss: LossParameters,
    level: float,
    basal_shift: float = 0.0,
) -> Compression:
    """The compression of channels whose gains follow the control path (the widest filters).

    Args:
        bands: of the channels.
        bandwidths: relative to the normal ear, shape (channels,).
        control_rms: of the control envelopes, shape (channels,).
        loss: of the ear.
        level: dB SPL of an RMS of 1.
        basal_shift: of the control path.
    """
    bands = list(bands)
    poles = filter_poles(bands, bandwidths)
    control_poles, control_gains = control_filters(tuple(bands), basal_shift)
    gains = filter_gains(poles)
    input_gain, _ = _gain_low_pass()
    # A gain in dB that is linear in the level in dB is a power of the amplitude. The signals are scaled so that their
    # powers fill the range of single precision: envelopes that decay below 1e-30 of the mean still count, where the
    # motion is divided by them.
    units = np.where(control_rms > 0, control_rms / control_gains, 1.0) * FAINTEST
    knees = loss.lower_knee[bands]
    lower = (10 ** ((knees - level) / 20) / control_gains / units) ** 2
    upper = 10 ** ((UPPER_KNEE_DB - knees) / 10)
    slopes = (1 / loss.compression_ratio[bands] - 1) / 2
    # The filters' own gains, the loss of gain and that of the low-pass are constant factors.
    factors = 10 ** (-loss.outer_attenuation[bands] / 20) * gains * input_gain * units
    curves = np.stack([1 / lower, upper, slopes, factors], axis=1).astype(np.float32)
    return Compression(poles, control_poles, units, gains * units, curves)


def compress(channels: Channels, how: Compression, envelopes: Array32, motions: Array32 | None = None) -> Array:
    """Filter and compress two channels.

    Args:
        channels: the signals after the middle ear, and their bands.
        how: of the two channels.
        envelopes: two rows that take the compressed envelopes, linear.
        motions: two rows that take the compressed motion of the basilar membrane, if that is wanted.

    Returns:
        RMS of the envelopes before compression, shape (2,).
    """
    n = channels.signals[0].size
    waves, turns = carrier(channels.bands)
    beside, beside_turns = carrier(channels.bands, channels.basal_shift) if channels.basal_shift else (waves, turns)
    units = np.repeat(how.units, 2)
    _, scan = _gain_low_pass()
    energies = np.zeros(2)
    _compress(
        *channels.signals,
        waves,
        (waves.reshape(-1, 4) / units).ravel(),
        (beside.reshape(-1, 4) / units).ravel() if channels.basal_shift else np.empty(0),
        turns,
        beside_turns,
        np.repeat(how.control_poles, 2),
        np.repeat(how.poles, 2),
        how.curves,
        scan,
        *inside(envelopes),
        *(np.empty((2, 0), dtype=np.float32) if motions is None else inside(motions)),
        energies,
    )
    for rows in (envelopes, motions):
        if rows is not None:
            rows[:, MARGIN + n : -MARGIN] = 0  # leftovers of the last block
    return how.gains * np.sqrt(energies / n)


def compressed_level(envelope_rms: Array, control_rms: Array, loss: LossParameters, level: float) -> Array:
    """Long-term level of every band in dB above threshold, at least 0, shape (32,).

    Args:
        envelope_rms: RMS of the envelopes before compression, linear, shape (32,).
        control_rms: RMS of the control envelopes, shape (32,).
        loss: the ear.
        level: dB SPL of an RMS of 1.
    """
    control_db = np.clip(level + _decibels(control_rms), loss.lower_knee, UPPER_KNEE_DB)
    gain = -loss.outer_attenuation - (control_db - loss.lower_knee) * (1 - 1 / loss.compression_ratio)
    return np.maximum(np.maximum(level + _decibels(envelope_rms), 0.0) + gain - loss.inner_attenuation, 0.0)


def _decibels(amplitudes: Array) -> Array:
    return 20 * np.log10(np.maximum(amplitudes, TINY))


@lru_cache(maxsize=1)
def _gain_low_pass() -> tuple[float, Array32]:
    """The low-pass of the gain, which averages two samples and then decays: its gain, and the scan of its pole."""
    numerator, denominator = butterworth(1, GAIN_LOW_PASS_HZ, MODEL_RATE)
    return float(numerator[0]), scan_coefficients(-denominator[1], 8).astype(np.float32)


@register_jitable
def _gains(power_of_control: Any, curve: Any, channel: int) -> Any:
    """Gain of a channel at eight samples, before the low-pass."""
    over_knee = power_of_control * broadcast_octet(curve[channel, 0])
    clipped = minimum(maximum(over_knee, broadcast_octet(np.float32(1.0))), broadcast_octet(curve[channel, 1]))
    return power(clipped, broadcast_octet(curve[channel, 2])) * broadcast_octet(curve[channel, 3])


@register_jitable
def _smooth(gains: Row, count: int, raw: Any, smooth: Any, scan: Row) -> Any:
    """Low-pass a block of gains: it averages two samples, then decays. Its state is returned."""
    for t in range(0, count, 8):
        now = load_octet(gains, t)
        smooth = one_pole_scan_of_octet(now + shift_in_one(raw, now), smooth, scan)
        raw = now
        store(gains, t, smooth)
    return raw, smooth


@compiled
def _compress(
    first: Array,
    second: Array,
    carriers: Array,
    scaled_carriers: Array,
    control_carriers: Array,
    turns: Array,
    control_turns: Array,
    wide_poles: Array,
    poles: Array,
    curve: Array32,
    scan: Array32,
    one_envelope: Row,
    two_envelope: Row,
    one_motion: Row,
    two_motion: Row,
    energies: Array,
) -> None:
    """The filters run in double precision; gains, whose errors do not add up, are found in single precision.

    Short loops over a block follow each other: in one long loop too few samples would be worked on at a time, each
    waiting for its own results.
    """
    wide, narrow, turn, swapped = load(wide_poles, 0), load(poles, 0), load(turns, 0), load(turns, 4)
    control_turn, control_swapped = load(control_turns, 0), load(control_turns, 4)
    moving, shifted = one_motion.size > 0, control_carriers.size > 0
    zero, none = broadcast(0.0), broadcast_octet(np.float32(0.0))
    a = b = c = d = zero  # stages of the control path
    p = q = r = s = zero  # stages of the signal path
    one_raw = two_raw = one_smooth = two_smooth = none
    # Of each sample of a block: powers of control and signal path of both channels, and motions of both; gains.
    powers, moves = np.zeros(4 * BLOCK, dtype=np.float32), np.zeros(4 * BLOCK, dtype=np.float32)
    one_gains, two_gains = np.zeros(BLOCK, dtype=np.float32), np.zeros(BLOCK, dtype=np.float32)
    for start in range(0, first.size, BLOCK):
        count = min(BLOCK, first.size - start)
        for t in range(count):
            sample = broadcast_pairs(first[start + t], second[start + t])
            value = sample * load(scaled_carriers, 4 * t)
            beside = sample * load(control_carriers, 4 * t) if shifted else value
            control, a, b, c, d = filter_step(wide, beside, a, b, c, d)
            out, p, q, r, s = filter_step(narrow, value, p, q, r, s)
            store(powers, 4 * t, pairwise_add(control * control, out * out))
            if moving:
                store(moves, 4 * t, pairwise_add(out * load(carriers, 4 * t), zero))
        for t in range(count, -(-count // 8) * 8):
            store(powers, 4 * t, zero)
        one_energy = two_energy = none
        for t in range(0, count, 8):
            one_control, one_power, two_control, two_power = load_columns(powers, 4 * t)
            one_energy, two_energy = one_energy + one_power, two_energy + two_power
            store(one_gains, t, _gains(one_control, curve, 0))
            store(two_gains, t, _gains(two_control, curve, 1))
            store(one_envelope, start + t, sqrt(one_power))
            store(two_envelope, start + t, sqrt(two_power))
        energies[0] += reduce_add(one_energy)
        energies[1] += reduce_add(two_energy)
        one_raw, one_smooth = _smooth(one_gains, count, one_raw, one_smooth, scan)
        two_raw, two_smooth = _smooth(two_gains, count, two_raw, two_smooth, scan)
        for t in range(0, count, 8):
            one, two = load_octet(one_gains, t), load_octet(two_gains, t)
            store(one_envelope, start + t, one * load_octet(one_envelope, start + t))
            store(two_envelope, start + t, two * load_octet(two_envelope, start + t))
            if moving:
                one_move, _, two_move, _ = load_columns(moves, 4 * t)
                store(one_motion, start + t, one * one_move)
                store(two_motion, start + t, two * two_move)
        a, b = rotated(a, control_turn, control_swapped), rotated(b, control_turn, control_swapped)
        c, d = rotated(c, control_turn, control_swapped), rotated(d, control_turn, control_swapped)
        p, q = rotated(p, turn, swapped), rotated(q, turn, swapped)
        r, s = rotated(r, turn, swapped), rotated(s, turn, swapped)
