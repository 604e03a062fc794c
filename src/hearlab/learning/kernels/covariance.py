"""Covariance of motions in short segments in double precision, and its adjoint; see `hearlab.metrics.covariance`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hearlab.arrays import Array
from hearlab.kernels.compiled import compiled
from hearlab.kernels.simd import broadcast, fma, load, store

Real = NDArray[np.floating]

# Lags to each side, and those done at once, in 13 quads; as in `hearlab.metrics.covariance` (tested).
LAGS = 24
SLIDES = 52
TINY = 1e-30


@compiled
def segment_covariances(
    reference: Real,
    processed: Real,
    samples: int,
    window: Array,
    half_shares: Array,
    shares: Array,
    covariances: Array,
    powers: Array,
    best: NDArray[np.int64],
) -> None:
    """Covariances, powers of the reference and, as indices into the shares, the lags of the covariances.

    Args:
        reference, processed: shape (N,); `samples` of them count.
        window: von Hann, of even length; segments lie half of it apart, the first and last one have half of it.
        half_shares, shares: `hearlab.metrics.covariance.window_shares` of half windows and of whole ones.
        covariances, powers, best: shape (segments,).
    """
    half, last = window.size // 2, covariances.size - 1
    fixed, sliding = np.zeros(window.size), np.zeros(window.size + LAGS + SLIDES)
    products = np.empty(SLIDES)
    for segment in range(last + 1):
        size = half if segment in (0, last) else window.size
        first = half if segment == 0 else 0
        share = shares if size == window.size else half_shares
        sliding[LAGS + size :] = 0.0
        part = window[first : first + size]
        power = _cut(reference, segment * half, samples, part, sliding[LAGS : LAGS + size]) * share[LAGS]
        other = _cut(processed, segment * half, samples, part, fixed[:size]) * share[LAGS]
        _slide(sliding, fixed[:size], products)
        highest, lag = 0.0, 0
        for k in range(2 * LAGS + 1):
            value = abs(products[k] * share[k])
            if value > highest:
                highest, lag = value, k
        audible = power > TINY and other > TINY
        covariances[segment] = min(highest / np.sqrt(power * other), 1.0) if audible else 0.0
        powers[segment], best[segment] = power, lag


@compiled
def segment_covariances_backwards(
    reference: Real,
    processed: Real,
    samples: int,
    window: Array,
    half_shares: Array,
    shares: Array,
    best: NDArray[np.int64],
    gradients: Array,
    result: Real,
) -> None:
    """Add the gradient with respect to the processed motion, from those of the covariances."""
    half, last = window.size // 2, best.size - 1
    fixed, other = np.zeros(window.size), np.zeros(window.size)
    back = np.empty(window.size)
    for segment in range(last + 1):
        gradient = gradients[segment]
        if gradient == 0.0:
            continue
        size = half if segment in (0, last) else window.size
        first = half if segment == 0 else 0
        share = shares if size == window.size else half_shares
        part, place = window[first : first + size], segment * half
        power = _cut(reference, place, samples, part, other[:size]) * share[LAGS]
        energy = _cut(processed, place, samples, part, fixed[:size])
        if not (power > TINY and energy * share[LAGS] > TINY):
            continue
        shift = best[segment] - LAGS
        product = 0.0
        for t in range(max(0, -shift), min(size, size - shift)):
            product += other[t + shift] * fixed[t]
        norm = np.sqrt(power * energy * share[LAGS])
        signed = product * share[best[segment]] / norm
        if abs(signed) >= 1.0:  # it is cut to 1
            continue
        along = gradient * (1.0 if signed > 0 else -1.0)
        mean = 0.0
        for t in range(size):
            back[t] = -along * signed / energy * fixed[t]
            if 0 <= t + shift < size:
                back[t] += along * share[best[segment]] / norm * other[t + shift]
            mean += back[t]
        mean /= size
        for t in range(min(size, samples - place)):
            result[place + t] += (back[t] - mean) * part[t]


@compiled
def _cut(motion: Real, place: int, samples: int, window: Array, segment: Array) -> float:
    """Write a windowed segment without its mean, zeros being after the motion's samples; its energy."""
    total = 0.0
    for t in range(window.size):
        value = motion[place + t] * window[t] if place + t < samples else 0.0
        segment[t] = value
        total += value
    mean, energy = total / window.size, 0.0
    for t in range(window.size):
        segment[t] -= mean
        energy += segment[t] * segment[t]
    return energy


@compiled
def _slide(sliding: Array, fixed: Array, products: Array) -> None:
    """products[lag] = sum of sliding[t + lag] * fixed[t], all of them in registers."""
    a = b = c = d = e = f = g = h = i = j = k = m = o = broadcast(0.0)
    for t in range(fixed.size):
        x = broadcast(fixed[t])
        a, b = fma(load(sliding, t), x, a), fma(load(sliding, t + 4), x, b)
        c, d = fma(load(sliding, t + 8), x, c), fma(load(sliding, t + 12), x, d)
        e, f = fma(load(sliding, t + 16), x, e), fma(load(sliding, t + 20), x, f)
        g, h = fma(load(sliding, t + 24), x, g), fma(load(sliding, t + 28), x, h)
        i, j = fma(load(sliding, t + 32), x, i), fma(load(sliding, t + 36), x, j)
        k, m = fma(load(sliding, t + 40), x, k), fma(load(sliding, t + 44), x, m)
        o = fma(load(sliding, t + 48), x, o)
    place = 0
    for slide in (a, b, c, d, e, f, g, h, i, j, k, m, o):
        store(products, place, slide)
        place += 4
