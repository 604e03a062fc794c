"""Inner hair cells: level above threshold, and rapid and short-term adaptation (Kates 2013)."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from hearlab.arrays import Array
from hearlab.ear.filter_design import one_pole_parts
from hearlab.ear.resampling import MODEL_RATE
from hearlab.kernels.compiled import compiled
from hearlab.kernels.powers import octaves_and_rest
from hearlab.kernels.rows import Row, inside
from hearlab.kernels.scan import one_pole_scan, scan_coefficients
from hearlab.kernels.simd import broadcast, broadcast_octet, flush_tiny, fma, load, load_octet, maximum, store, widen

# An onset overshoots its steady state by this factor.
OVERSHOOT = 2.0
RAPID_TIME_S = 0.002
SHORT_TERM_TIME_S = 0.060

# Keeps the logarithm finite where the envelope is zero.
TINY = 1e-30

DECIBELS_PER_OCTAVE = 20 * float(np.log10(2))

# Samples that are processed together, in short loops one after the other. After each block the states of the filters
# are flushed to zero where they are tiny, before they become denormal numbers.
BLOCK = 256


def adapt(envelope: Row, attenuation: float, level: float, motion: Row | None = None) -> None:
    """Turn a compressed envelope into the firing of the nerve: adapted, in dB above threshold, at least 0. In place.

    Args:
        envelope: linear, a row.
        attenuation: loss in dB at the inner hair cells.
        level: dB SPL of an RMS of 1; the threshold of the normal ear is 0 dB SPL.
        motion: of the basilar membrane, a row; it is given the same envelope. In place.
    """
    moving = np.empty(0, dtype=np.float32) if motion is None else inside(motion)
    _adapt(inside(envelope), moving, level - attenuation, *_adaptation_modes())


@lru_cache(maxsize=1)
def adaptation_filter() -> tuple[Array, Array]:
    """Numerator and denominator at 24 kHz of the adaptation, which is linear apart from the floor at 0 dB.

    The model is a circuit: the input voltage u feeds, through R1, a node with capacitor C1 at voltage v, and this,
    through R2, a node with C2 at voltage w, which R3 connects to ground. The output is the current through R1.
    Derivatives are backward differences; eliminating the voltages leaves a filter with two poles.
    """
    r1 = 1 / OVERSHOOT
    r2 = r3 = (1 - r1) / 2
    c1 = RAPID_TIME_S * (r1 + r2) / (r1 * r2)
    c2 = SHORT_TERM_TIME_S / ((r1 + r2) * r3)
    # Charge kept from one sample to the next; node equations A [v, w] = K [v, w] one sample before + [r2 u, 0].
    kept = np.array([r1 * r2 * c1, r2 * r3 * c2]) * MODEL_RATE
    nodes = np.array([[r1 + r2 + kept[0], -r1], [-r3, r2 + r3 + kept[1]]])
    inverse = np.linalg.inv(nodes)
    transition = inverse * kept
    drive = inverse[:, 0] * r2
    # v / u = (numerator of v) / denominator, by Cramer's rule on (I - transition z^-1) [v, w] = drive u.
    denominator = np.array([1.0, -np.trace(transition), np.linalg.det(transition)])
    node = np.array([drive[0], transition[0, 1] * drive[1] - transition[1, 1] * drive[0], 0.0])
    return (denominator - node) / r1, denominator


@lru_cache(maxsize=1)
def _adaptation_modes() -> tuple[Array, Array]:
    """The adaptation as two one-pole filters side by side: their scans, and the weights of the input and of both."""
    residues, poles, direct = one_pole_parts(*adaptation_filter())
    return np.concatenate([scan_coefficients(pole) for pole in poles]), np.array([direct, *residues])


@compiled
def _adapt(envelope: Row, motion: Row, offset: float, scans: Array, weights: Array) -> None:
    zero, slope, threshold = broadcast(0.0), broadcast(DECIBELS_PER_OCTAVE), broadcast(offset)
    direct, first_weight, second_weight = broadcast(weights[0]), broadcast(weights[1]), broadcast(weights[2])
    tiny = broadcast_octet(np.float32(TINY))
    first = second = zero
    decibels, adapted = np.empty(BLOCK), np.empty(BLOCK, dtype=np.float32)
    for start in range(0, envelope.size, BLOCK):
        count = min(BLOCK, envelope.size - start)
        for t in range(0, count, 8):
            octaves, rest = octaves_and_rest(load_octet(envelope, start + t) + tiny)
            whole, next_whole = widen(octaves)
            part, next_part = widen(rest)
            store(decibels, t, maximum(fma(whole, slope, fma(part, slope, threshold)), zero))
            store(decibels, t + 4, maximum(fma(next_whole, slope, fma(next_part, slope, threshold)), zero))
        for t in range(0, count, 4):
            level = load(decibels, t)
            first, second = one_pole_scan(level, first, scans), one_pole_scan(level, second, scans, 4)
            current = fma(direct, level, fma(first_weight, first, second_weight * second))
            store(adapted, t, maximum(current, zero))
        first, second = flush_tiny(first), flush_tiny(second)
        for t in range(0, count, 8):
            current = load_octet(adapted, t)
            if motion.size > 0:
                linear = load_octet(envelope, start + t) + tiny
                store(motion, start + t, load_octet(motion, start + t) * ((current + tiny) / linear))
            store(envelope, start + t, current)
