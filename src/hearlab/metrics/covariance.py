"""Covariance of basilar-membrane motions in short segments (Kates and Arehart 2010, 2016).

How well the processed signal keeps the fine structure that the auditory nerve can follow.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from hearlab.arrays import Array, Array32
from hearlab.ear.loss import centre_frequencies
from hearlab.ear.resampling import MODEL_RATE
from hearlab.kernels.compiled import compiled
from hearlab.kernels.rows import Row
from hearlab.kernels.simd import broadcast_octet, fma, load_octet, reduce_add, store
from hearlab.metrics.loudness import loudness

# Segments of 16 ms under a von Hann window, half overlapped; those at the ends are halves.
SEGMENT = round(0.016 * MODEL_RATE)
HALF = SEGMENT // 2

# Delays sought in each segment, in samples (1 ms).
LAGS = round(0.001 * MODEL_RATE)

# Lags done at once, from -LAGS on, in seven octets; those above LAGS come out for nothing.
SLIDES = 56

# Mean squares below this count as silence.
TINY = 1e-30

# Segments whose loudness averaged over bands, and tiles whose level, are not above this are left out (dB).
SILENCE_DB = 2.5

# The nerve follows the fine structure up to about this frequency: a Butterworth fall-off.
SYNCHRONY_HZ = 3500.0
SYNCHRONY_ORDER = 5


def segment_covariances(reference: Row, processed: Row, samples: int) -> tuple[Array, Array]:
    """Covariance of two motions, the largest within 1 ms, and level of the first one, segment by segment.

    Args:
        reference, processed: in one band, shape (n, or more).
        samples: their number n, at least 384.

    Returns:
        covariances, 0 to 1, and levels (RMS times the root of 2) in the motions' unit, shape (segments,) each.
    """
    window = _window()
    count = 1 + samples // SEGMENT + (samples - HALF) // SEGMENT
    covariances, powers = np.empty(count), np.empty(count)
    last = (count - 1) * HALF
    half, whole = window_shares(HALF), window_shares(SEGMENT)
    _covariances(reference, processed, window[HALF:], half, covariances[:1], powers[:1])
    _covariances(reference[HALF:], processed[HALF:], window, whole, covariances[1:-1], powers[1:-1])
    _covariances(reference[last:], processed[last:], window[:HALF], half, covariances[-1:], powers[-1:])
    return covariances, np.sqrt(2 * powers)


def mean_synchrony(covariances: Array, levels: Array) -> float:
    """Covariance averaged over the audible tiles, weighted by how well the nerve follows each band.

    Args:
        covariances: shape (bands, segments).
        levels: of the reference in dB above threshold, shape (bands, segments).

    Returns:
        0 to 1; 0 when fewer than two segments are audible.
    """
    kept = np.flatnonzero(loudness(levels.T) > SILENCE_DB)
    if kept.size < 2:
        return 0.0
    weights = synchrony_weights()[:, None] * (levels[:, kept] > SILENCE_DB)
    return float(np.sum(weights * covariances[:, kept]) / np.sum(weights))


@lru_cache(maxsize=1)
def synchrony_weights() -> Array:
    """How well the nerve follows the fine structure of each band, shape (32,)."""
    weights = 1 / np.sqrt(1 + (centre_frequencies() / SYNCHRONY_HZ) ** (2 * SYNCHRONY_ORDER))
    weights.flags.writeable = False
    return weights


@lru_cache(maxsize=1)
def _window() -> Array32:
    return np.hanning(SEGMENT).astype(np.float32)


@lru_cache(maxsize=2)
def window_shares(taps: int) -> Array:
    """One by the energy that the window (or half of it) shares with itself at each lag from -LAGS to LAGS."""
    window = np.hanning(SEGMENT)[:taps]
    shared = np.correlate(window, window, "full")[taps - 1 - LAGS : taps + LAGS]
    shares = 1 / shared
    shares.flags.writeable = False
    return shares


@compiled
def _covariances(
    reference: Row, processed: Row, window: Array32, shares: Array, covariances: Array, powers: Array
) -> None:
    taps = window.size
    # Zeros around the one segment let the other slide; its first sample lies at LAGS.
    fixed, sliding = np.zeros(taps, dtype=np.float32), np.zeros(taps + LAGS + SLIDES, dtype=np.float32)
    products = np.empty(SLIDES, dtype=np.float32)
    for segment in range(covariances.size):
        place = segment * HALF
        power = _cut(reference, place, window, sliding, LAGS) * shares[LAGS]
        other = _cut(processed, place, window, fixed, 0) * shares[LAGS]
        _slide(sliding, fixed, products)
        highest = 0.0
        for lag in range(2 * LAGS + 1):
            highest = max(highest, abs(products[lag] * shares[lag]))
        covariances[segment] = min(highest / np.sqrt(power * other), 1.0) if power > TINY and other > TINY else 0.0
        powers[segment] = power


@compiled
def _cut(motion: Row, place: int, window: Array32, segment: Row, first: int) -> float:
    """Write a windowed segment without its mean; its energy."""
    sums = broadcast_octet(np.float32(0.0))
    for t in range(0, window.size, 8):
        part = load_octet(motion, place + t) * load_octet(window, t)
        store(segment, first + t, part)
        sums = sums + part
    mean = broadcast_octet(reduce_add(sums) / np.float32(window.size))
    energy = broadcast_octet(np.float32(0.0))
    for t in range(0, window.size, 8):
        part = load_octet(segment, first + t) - mean
        store(segment, first + t, part)
        energy = fma(part, part, energy)
    return reduce_add(energy)


@compiled
def _slide(sliding: Row, fixed: Row, products: Row) -> None:
    """products[lag] = sum of sliding[t + lag] * fixed[t], all of them in registers.

    Four samples of the one that lie eight apart share what is read of the other. Its length is a multiple of 32.
    """
    a = b = c = d = e = f = g = broadcast_octet(np.float32(0.0))
    for block in range(0, fixed.size, 32):
        for t in range(block, block + 8):
            p, q = broadcast_octet(fixed[t]), broadcast_octet(fixed[t + 8])
            r, s = broadcast_octet(fixed[t + 16]), broadcast_octet(fixed[t + 24])
            x = load_octet(sliding, t)
            a = fma(x, p, a)
            x = load_octet(sliding, t + 8)
            b, a = fma(x, p, b), fma(x, q, a)
            x = load_octet(sliding, t + 16)
            c, b, a = fma(x, p, c), fma(x, q, b), fma(x, r, a)
            x = load_octet(sliding, t + 24)
            d, c, b, a = fma(x, p, d), fma(x, q, c), fma(x, r, b), fma(x, s, a)
            x = load_octet(sliding, t + 32)
            e, d, c, b = fma(x, p, e), fma(x, q, d), fma(x, r, c), fma(x, s, b)
            x = load_octet(sliding, t + 40)
            f, e, d, c = fma(x, p, f), fma(x, q, e), fma(x, r, d), fma(x, s, c)
            x = load_octet(sliding, t + 48)
            g, f, e, d = fma(x, p, g), fma(x, q, f), fma(x, r, e), fma(x, s, d)
            x = load_octet(sliding, t + 56)
            g, f, e = fma(x, q, g), fma(x, r, f), fma(x, s, e)
            x = load_octet(sliding, t + 64)
            g, f = fma(x, r, g), fma(x, s, f)
            g = fma(load_octet(sliding, t + 72), s, g)
    place = 0
    for slide in (a, b, c, d, e, f, g):
        store(products, place, slide)
        place += 8
