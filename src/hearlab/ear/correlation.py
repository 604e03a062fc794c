"""The lag at which two signals correlate most."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from hearlab.ear.compiled import compiled
from hearlab.ear.simd import every, every_single, fma, load, load_octet, reversed_octet, store, total
from hearlab.ear.transform import PLANE, SIZE, STRIP, factors, transform

# Error of the correlations of signals of unit energy in single precision; found are up to 3e-7.
SINGLE_PRECISION = 1e-6

# More lags than this close to the peak are no longer tried one by one, but by transforms in double precision of blocks
# of so many samples.
MOST_CANDIDATES = 48
PRECISE_BLOCK = 1 << 16

# The tables of a transform of this many samples take 4 MiB.
LONG_TRANSFORM = 1 << 20

Signal = NDArray[np.float32]


def highest_lag(reference: NDArray[np.floating], signal: NDArray[np.floating]) -> int:
    """The lag of the highest absolute correlation of two signals without their means, shape (n,) each, among all lags.

    At lag k, reference[t + k] meets signal[t]; of equal correlations the lowest lag counts. Transforms are in single
    precision; the lags that come close to the highest value are then tried in double precision.
    """
    n = reference.size
    means = float(np.mean(reference, dtype=np.float64)), float(np.mean(signal, dtype=np.float64))
    norms = [np.sqrt(_centred_product(x, x, 0, mean, mean)) for x, mean in zip((reference, signal), means, strict=True)]
    if min(norms) == 0:
        return 1 - n
    size = _transform_size(2 * n - 1)
    spectrum = scipy.fft.rfft(_centred(signal, means[1], norms[1], size))
    np.conjugate(spectrum, out=spectrum)
    spectrum *= scipy.fft.rfft(_centred(reference, means[0], norms[0], size))
    correlation = scipy.fft.irfft(spectrum, size, overwrite_x=True)
    del spectrum
    np.abs(correlation, out=correlation)
    # Circular correlation holds negative lags at its end; those from n on are zeros.
    near = np.flatnonzero(correlation >= np.max(correlation) - SINGLE_PRECISION)
    candidates = np.sort(np.where(near < n, near, near - size))
    candidates = candidates[np.abs(candidates) < n]
    if candidates.size > MOST_CANDIDATES:
        return _precise_lag(reference - means[0], signal - means[1], 1 - n, n - 1, absolute=True)
    products = [abs(_centred_product(reference, signal, int(lag), *means)) for lag in candidates]
    return int(candidates[np.argmax(products)])


def near_lags(references: Sequence[Signal], signals: Sequence[Signal], first: int, last: int) -> list[int]:
    """The lag of the highest correlation of signals with their references, among a few lags.

    Correlations are summed over blocks in single precision; the lags that come close to the highest value are then
    tried in double precision.

    Args:
        references, signals: two of each, shape (n,).
        first, last: lags to search, both included; at lag k, reference[t + k] meets signal[t]. Fewer than 16,384.

    Returns:
        for each pair the lag; the lowest one of equals.
    """
    norms = [
        np.sqrt([_product(signal, signal, 0) for signal in pair]) for pair in zip(references, signals, strict=True)
    ]
    count = last - first + 1
    correlations = np.empty((2, count), dtype=np.float32)
    scales = np.array([[1 / norm if norm > 0 else 0.0 for norm in pair] for pair in norms], dtype=np.float32)
    _correlate(*references, *signals, scales, first, *factors(), *correlations)
    lags = []
    for reference, signal, correlation in zip(references, signals, correlations, strict=True):
        candidates = np.flatnonzero(correlation >= np.max(correlation) - SINGLE_PRECISION)
        if candidates.size == 1 or not np.any(correlation):
            lags.append(int(candidates[0]) + first)
        elif candidates.size <= MOST_CANDIDATES:
            products = [_product(reference, signal, int(lag) + first) for lag in candidates]
            lags.append(int(candidates[np.argmax(products)]) + first)
        else:
            lags.append(_precise_lag(reference, signal, first, last))
    return lags


def _transform_size(least: int) -> int:
    """Number of samples of a fast transform; few different ones for long signals, whose tables the library keeps."""
    if least > LONG_TRANSFORM:
        return 1 << (least - 1).bit_length()
    return int(scipy.fft.next_fast_len(least, real=True))


def _precise_lag(
    reference: NDArray[np.floating], signal: NDArray[np.floating], first: int, last: int, *, absolute: bool = False
) -> int:
    """The lag of the highest (absolute) correlation, in double precision, by a library's transforms of blocks."""
    n = signal.size
    block = max(PRECISE_BLOCK, last - first + 1)
    size = int(scipy.fft.next_fast_len(block + last - first, real=True))
    spectrum = np.zeros(size // 2 + 1, dtype=np.complex128)
    for start in range(0, n, block):
        window = np.zeros(size)
        begin, end = max(start + first, 0), min(start + first + size, n)
        if begin < end:
            window[begin - start - first : end - start - first] = reference[begin:end]
        part = scipy.fft.rfft(signal[start : start + block].astype(np.float64), size)
        spectrum += scipy.fft.rfft(window) * np.conjugate(part)
    correlation = scipy.fft.irfft(spectrum, size)[: last - first + 1]
    return int(np.argmax(np.abs(correlation) if absolute else correlation)) + first


@compiled
def _centred(signal: NDArray[np.floating], mean: float, norm: float, size: int) -> Signal:
    """(signal - mean) / norm with zeros after it, shape (size,)."""
    centred = np.zeros(size, dtype=np.float32)
    for t in range(signal.size):
        centred[t] = (signal[t] - mean) / norm
    return centred


@compiled
def _correlate(
    one_reference: Signal,
    two_reference: Signal,
    one_signal: Signal,
    two_signal: Signal,
    scales: Signal,
    first: int,
    turns: Signal,
    inner: Signal,
    one: Signal,
    two: Signal,
) -> None:
    numbers, work = np.zeros(2 * PLANE, dtype=np.float32), np.empty(2 * PLANE, dtype=np.float32)
    strips = np.empty(4 * STRIP, dtype=np.float32)
    spectra = np.zeros((2, 2 * PLANE), dtype=np.float32)
    n, count = one_signal.size, one.size
    # A block of the signal meets one of the reference that is longer by the range of lags.
    block = SIZE - count + 1
    for pair in range(2):
        reference, signal = (one_reference, one_signal) if pair == 0 else (two_reference, two_signal)
        for start in range(0, n, block):
            _cut(reference, start + first, SIZE, scales[pair, 0], numbers, 0)
            _cut(signal, start, block, scales[pair, 1], numbers, PLANE)
            transform(numbers, work, strips, turns, inner)
            _add_products(numbers, spectra[pair])
    _combine(spectra[0], spectra[1], numbers)
    transform(numbers, work, strips, turns, inner)
    one[:] = numbers[PLANE : PLANE + count] / np.float32(2 * SIZE)
    two[:] = numbers[:count] / np.float32(2 * SIZE)


@compiled
def _cut(signal: Signal, start: int, length: int, scale: np.float32, numbers: Signal, goal: int) -> None:
    """Samples of a signal, zeros around them, as real (goal 0) or imaginary parts (goal PLANE)."""
    begin, end = min(max(-start, 0), length), max(min(length, signal.size - start), 0)
    numbers[goal : goal + begin] = 0
    source, target = signal[start + begin : start + end], numbers[goal + begin : goal + end]
    for t in range(target.size):
        target[t] = scale * source[t]
    numbers[goal + max(begin, end) : goal + SIZE] = 0


@compiled
def _add_products(numbers: Signal, spectrum: Signal) -> None:
    """Add the product of one spectrum with the conjugate of the other, found from their common transform."""
    half = every_single(np.float32(0.5))
    # The transform goes on periodically.
    numbers[SIZE] = numbers[0]
    numbers[PLANE + SIZE] = numbers[PLANE]
    for k in range(0, SIZE // 2 + 1, 8):
        a, b = load_octet(numbers, k), load_octet(numbers, PLANE + k)
        mirror = SIZE - k - 7
        c, d = reversed_octet(load_octet(numbers, mirror)), reversed_octet(load_octet(numbers, PLANE + mirror))
        store(spectrum, k, fma(a, d, fma(b, c, load_octet(spectrum, k))))
        store(spectrum, PLANE + k, fma(half, (a - c) * (a + c) + (b - d) * (b + d), load_octet(spectrum, PLANE + k)))


@compiled
def _combine(one: Signal, two: Signal, numbers: Signal) -> None:
    """Two spectra of real signals as one to be transformed back: `two` gives the real part, `one` the imaginary one."""
    for k in range(SIZE // 2 + 1):
        a, b, c, d = one[k], one[PLANE + k], two[k], two[PLANE + k]
        mirror = (SIZE - k) % SIZE
        numbers[mirror], numbers[PLANE + mirror] = c - b, a + d
        numbers[k], numbers[PLANE + k] = b + c, a - d


def _product(reference: Signal, signal: Signal, lag: int) -> float:
    """Sum of reference[t + lag] * signal[t] where both are, in double precision."""
    return _centred_product(reference, signal, lag, 0.0, 0.0)


@compiled
def _centred_product(
    reference: NDArray[np.floating],
    signal: NDArray[np.floating],
    lag: int,
    reference_mean: float,
    signal_mean: float,
) -> float:
    """`_product` of the signals less their means."""
    start, stop = max(0, -lag), min(signal.size, reference.size - lag)
    less, other = every(reference_mean), every(signal_mean)
    one = two = three = four = every(0.0)
    t = start
    while t + 16 <= stop:
        one = fma(load(reference, t + lag) - less, load(signal, t) - other, one)
        two = fma(load(reference, t + lag + 4) - less, load(signal, t + 4) - other, two)
        three = fma(load(reference, t + lag + 8) - less, load(signal, t + 8) - other, three)
        four = fma(load(reference, t + lag + 12) - less, load(signal, t + 12) - other, four)
        t += 16
    result = total((one + two) + (three + four))
    while t < stop:
        result += (reference[t + lag] - reference_mean) * (signal[t] - signal_mean)
        t += 1
    return result
