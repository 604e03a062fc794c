"""The lag at which two signals correlate most."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from hearlab.arrays import Array32
from hearlab.kernels.block_correlation import correlate_everywhere, correlate_nearby
from hearlab.kernels.compiled import compiled
from hearlab.kernels.fast_lengths import fast_length
from hearlab.kernels.simd import broadcast, fma, load, reduce_add
from hearlab.kernels.transform import twiddle_factors

# Error of the correlations of signals of unit energy in single precision; found are up to 3e-7.
SINGLE_PRECISION = 1e-6

# More lags than this close to the peak are no longer tried one by one, but by transforms in double precision of blocks
# of so many samples.
MOST_CANDIDATES = 48
PRECISE_BLOCK = 1 << 16

# Signals up to this length, 20 s, are correlated by short blocks at all lags; more take longer than by long ones, of at
# least so many samples and at most so many blocks.
MOST_BY_BLOCKS = 20 * 24000
LONG_BLOCK = 1 << 17
MOST_LONG_BLOCKS = 16


def highest_lag(reference: NDArray[np.floating], signal: NDArray[np.floating]) -> int:
    """The lag of the highest absolute correlation of two signals without their means, shape (n,) each, among all lags.

    At lag k, reference[t + k] meets signal[t]; the lowest of several lags with the same correlation counts. Transforms
    are in single precision; the lags that come close to the highest value are then tried in double precision.
    """
    n = reference.size
    means = float(np.mean(reference, dtype=np.float64)), float(np.mean(signal, dtype=np.float64))
    norms = [np.sqrt(_centred_product(x, x, 0, mean, mean)) for x, mean in zip((reference, signal), means, strict=True)]
    if min(norms) == 0:
        return 1 - n
    candidates = _Candidates(1 - n)
    if n <= MOST_BY_BLOCKS:
        centred = [_centred(x, mean, norm) for x, mean, norm in zip((reference, signal), means, norms, strict=True)]
        candidates.add(1 - n, correlate_everywhere(*centred, *twiddle_factors()))
    else:
        for lag, correlation in _correlate_long((reference, signal), means, norms):
            candidates.add(lag, correlation)
    lags = candidates.lags()
    if lags.size > MOST_CANDIDATES:
        return _precise_lag(reference - means[0], signal - means[1], 1 - n, n - 1, absolute=True)
    products = [abs(_centred_product(reference, signal, int(lag), *means)) for lag in lags]
    return int(lags[np.argmax(products)])


def near_lags(references: Sequence[Array32], signals: Sequence[Array32], first: int, last: int) -> list[int]:
    """The lag of the highest correlation of one or two signals with their references, among a few lags.

    Correlations are summed over blocks in single precision; the lags that come close to the highest value are then
    tried in double precision.

    Args:
        references, signals: one or two of each, shape (n,).
        first, last: lags to search, both included; at lag k, reference[t + k] meets signal[t]. Fewer than 16,384.

    Returns:
        for each pair the lag; the lowest of several with the same correlation.
    """
    norms = [
        np.sqrt([_product(signal, signal, 0) for signal in pair]) for pair in zip(references, signals, strict=True)
    ]
    count = last - first + 1
    correlations = np.empty((2, count), dtype=np.float32)
    scales = np.zeros((2, 2), dtype=np.float32)
    scales[: len(norms)] = [[1 / norm if norm > 0 else 0.0 for norm in pair] for pair in norms]
    none = [np.empty(0, dtype=np.float32)] * (2 - len(norms))
    correlate_nearby(*references, *none, *signals, *none, scales, first, *twiddle_factors(), *correlations)
    lags = []
    for reference, signal, correlation in zip(references, signals, correlations[: len(norms)], strict=True):
        candidates = np.flatnonzero(correlation >= np.max(correlation) - SINGLE_PRECISION)
        if candidates.size == 1 or not np.any(correlation):
            lags.append(int(candidates[0]) + first)
        elif candidates.size <= MOST_CANDIDATES:
            products = [_product(reference, signal, int(lag) + first) for lag in candidates]
            lags.append(int(candidates[np.argmax(products)]) + first)
        else:
            lags.append(_precise_lag(reference, signal, first, last))
    return lags


class _Candidates:
    """The lags whose absolute correlations come close to the highest one, found part by part.

    Args:
        first: lowest lag that counts; the highest one is `-first`.
    """

    def __init__(self, first: int) -> None:
        self._first, self._highest = first, np.float32(0)
        self._lags: list[NDArray[np.int64]] = []
        self._values: list[NDArray[np.floating]] = []

    def add(self, lag: int, correlation: NDArray[np.floating]) -> None:
        """Correlations from a lag on, in order; their signs are lost."""
        least, most = max(self._first - lag, 0), -self._first - lag + 1
        values = correlation[least : max(most, least)]
        if values.size == 0:
            return
        np.abs(values, out=values)
        self._highest = max(self._highest, np.max(values))
        close = np.flatnonzero(values >= self._highest - SINGLE_PRECISION)
        if close.size > MOST_CANDIDATES:  # of more it only counts that they are more
            close = np.sort(close[np.argpartition(values[close], -MOST_CANDIDATES - 1)[-MOST_CANDIDATES - 1 :]])
        self._lags.append(close + (lag + least))
        self._values.append(values[close])

    def lags(self) -> NDArray[np.int64]:
        """The lags, lowest first; where there are more than MOST_CANDIDATES, a few more than that."""
        close = np.concatenate(self._values) >= self._highest - SINGLE_PRECISION
        return np.concatenate(self._lags)[close]


def _correlate_long(
    pair: Sequence[NDArray[np.floating]], means: Sequence[float], norms: Sequence[float]
) -> Iterator[tuple[int, NDArray[np.floating]]]:
    """As `correlate_everywhere`, by a library's transforms of a few long blocks.

    The signals count less their means and divided by their norms. What is found comes in parts of a block, each with
    its first lag, in order; zeros lie before and after all lags.
    Whole transforms would be as fast, but the library keeps their tables: 130 MB for a song of five minutes.
    """
    n = pair[0].size
    block = max(LONG_BLOCK, 1 << (-(-n // MOST_LONG_BLOCKS) - 1).bit_length())
    blocks = -(-n // block)
    one, other = (
        [np.fft.rfft(_centred(x[start : start + block], mean, norm), 2 * block) for start in range(0, n, block)]
        for x, mean, norm in zip(pair, means, norms, strict=True)
    )
    for spectrum in other:
        np.conjugate(spectrum, out=spectrum)
    # What the distance before adds to lags after its own.
    after: NDArray[np.floating] = np.zeros(block, dtype=np.float32)
    product = np.empty_like(one[0])
    for distance in range(1 - blocks, blocks):
        total = np.zeros_like(product)
        for k in range(max(0, -distance), min(blocks, blocks - distance)):
            np.multiply(one[k + distance], other[k], out=product)
            total += product
        # Lags from a block before to a block after the distance.
        part = np.fft.irfft(total, 2 * block)
        after += part[block:]
        yield (distance - 1) * block, after
        after = part[:block]
    yield (blocks - 1) * block, after


def _precise_lag(
    reference: NDArray[np.floating], signal: NDArray[np.floating], first: int, last: int, *, absolute: bool = False
) -> int:
    """The lag of the highest (absolute) correlation, in double precision, by a library's transforms of blocks."""
    n = signal.size
    block = max(PRECISE_BLOCK, last - first + 1)
    size = fast_length(block + last - first)
    spectrum = np.zeros(size // 2 + 1, dtype=np.complex128)
    for start in range(0, n, block):
        window = np.zeros(size)
        begin, end = max(start + first, 0), min(start + first + size, n)
        if begin < end:
            window[begin - start - first : end - start - first] = reference[begin:end]
        part = np.fft.rfft(signal[start : start + block].astype(np.float64), size)
        spectrum += np.fft.rfft(window) * np.conjugate(part)
    correlation = np.fft.irfft(spectrum, size)[: last - first + 1]
    return int(np.argmax(np.abs(correlation) if absolute else correlation)) + first


@compiled
def _centred(signal: NDArray[np.floating], mean: float, norm: float) -> Array32:
    """(signal - mean) / norm, shape (n,)."""
    centred = np.empty(signal.size, dtype=np.float32)
    for t in range(signal.size):
        centred[t] = (signal[t] - mean) / norm
    return centred


def _product(reference: Array32, signal: Array32, lag: int) -> float:
    """Sum of reference[t + lag] * signal[t] where both are, in double precision."""
    return _centred_product(reference, signal, lag, 0.0, 0.0)


@compiled
def _centred_product(
    reference: NDArray[np.floating], signal: NDArray[np.floating], lag: int, reference_mean: float, signal_mean: float
) -> float:
    """`_product` of the signals less their means."""
    start, stop = max(0, -lag), min(signal.size, reference.size - lag)
    less, other = broadcast(reference_mean), broadcast(signal_mean)
    one = two = three = four = broadcast(0.0)
    t = start
    while t + 16 <= stop:
        one = fma(load(reference, t + lag) - less, load(signal, t) - other, one)
        two = fma(load(reference, t + lag + 4) - less, load(signal, t + 4) - other, two)
        three = fma(load(reference, t + lag + 8) - less, load(signal, t + 8) - other, three)
        four = fma(load(reference, t + lag + 12) - less, load(signal, t + 12) - other, four)
        t += 16
    result = reduce_add((one + two) + (three + four))
    while t < stop:
        result += (reference[t + lag] - reference_mean) * (signal[t] - signal_mean)
        t += 1
    return result
