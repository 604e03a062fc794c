"""Correlation of signals block by block, in single precision.

Two signals go through one transform as real and imaginary part; the product of one's spectrum with the conjugate of
the other's is found from their common spectrum. Two correlations come back from one transform likewise.
"""

from __future__ import annotations

import numpy as np

from hearlab.arrays import Array32
from hearlab.kernels.compiled import compiled
from hearlab.kernels.simd import broadcast_octet, fma, load_octet, reverse, store
from hearlab.kernels.transform import PLANE, SIZE, STRIP, transform

# Samples of a block when all lags are wanted.
BLOCK = SIZE // 2

# Frequencies whose products with all other blocks are found together: those of 32 blocks stay in a cache of 512 KiB.
CHUNK = 512

# Frequencies of a real signal, and a little more, so that octets fit.
HALF = SIZE // 2 + 8


@compiled
def correlate_nearby(
    one_reference: Array32,
    two_reference: Array32,
    one_signal: Array32,
    two_signal: Array32,
    scales: Array32,
    first: int,
    twiddles: Array32,
    inner_twiddles: Array32,
    one: Array32,
    two: Array32,
) -> None:
    """Correlations of two pairs of signals at the lags from `first` on; at lag k, reference[t + k] meets signal[t].

    Args:
        one_reference, two_reference, one_signal, two_signal: shape (n,); the second pair may be empty.
        scales: factors for reference and signal of each pair, shape (2, 2).
        first: first lag.
        twiddles, inner_twiddles: `transform.twiddle_factors`.
        one, two: take the correlations, shape (lags,).
    """
    numbers, work = np.zeros(2 * PLANE, dtype=np.float32), np.empty(2 * PLANE, dtype=np.float32)
    strips = np.empty(4 * STRIP, dtype=np.float32)
    spectra = np.zeros((2, 2 * HALF), dtype=np.float32)
    count = one.size
    # A block of the signal meets one of the reference that is longer by the range of lags.
    block = SIZE - count + 1
    for pair in range(2):
        reference, signal = (one_reference, one_signal) if pair == 0 else (two_reference, two_signal)
        for start in range(0, signal.size, block):
            _cut(reference, start + first, SIZE, scales[pair, 0], numbers, 0)
            _cut(signal, start, block, scales[pair, 1], numbers, PLANE)
            transform(numbers, work, strips, twiddles, inner_twiddles)
            _add_products(numbers, spectra[pair])
    _combine(spectra[0], spectra[1], HALF, numbers)
    transform(numbers, work, strips, twiddles, inner_twiddles)
    for lag in range(count):
        one[lag], two[lag] = numbers[PLANE + lag], numbers[lag]


@compiled
def correlate_everywhere(reference: Array32, signal: Array32, twiddles: Array32, inner_twiddles: Array32) -> Array32:
    """Correlation of two signals, shape (n,), at all lags from 1 - n to n - 1; shape (2 * n - 1,).

    The work grows with the square of n; up to some ten seconds that is less than transforms of whole signals take.
    """
    numbers, work = np.zeros(2 * PLANE, dtype=np.float32), np.empty(2 * PLANE, dtype=np.float32)
    strips = np.empty(4 * STRIP, dtype=np.float32)
    n = reference.size
    blocks = -(-n // BLOCK)
    # Real and imaginary parts of the spectra of all blocks of both signals.
    spectra = np.zeros((4, blocks, HALF), dtype=np.float32)
    unity = np.float32(1.0)
    for block in range(blocks):
        _cut(reference, block * BLOCK, BLOCK, unity, numbers, 0)
        _cut(signal, block * BLOCK, BLOCK, unity, numbers, PLANE)
        transform(numbers, work, strips, twiddles, inner_twiddles)
        _separate(numbers, spectra[0, block], spectra[1, block], spectra[2, block], spectra[3, block])
    # For each distance of blocks, the products of all blocks so far apart; an even number of them.
    distances = 2 * blocks
    products = np.zeros((distances, 2 * HALF), dtype=np.float32)
    for start in range(0, HALF, CHUNK):
        stop = min(start + CHUNK, HALF)
        for distance in range(2 * blocks - 1):
            _add_blocks(spectra, distance + 1 - blocks, start, stop, products[distance])
    # Two correlations at a time; each reaches from a block before to a block after its distance.
    correlation = np.zeros((distances + 2) * BLOCK, dtype=np.float32)
    for distance in range(0, distances, 2):
        _combine(products[distance], products[distance + 1], HALF, numbers)
        transform(numbers, work, strips, twiddles, inner_twiddles)
        for part in range(2):
            source = numbers[PLANE:] if part == 0 else numbers
            middle = correlation[(distance + part + 1) * BLOCK :]
            before = correlation[(distance + part) * BLOCK :]
            for t in range(BLOCK):
                middle[t] += source[t]
                before[t] += source[SIZE - BLOCK + t]
    begin = blocks * BLOCK - (n - 1)
    return correlation[begin : begin + 2 * n - 1].copy()


@compiled
def _cut(signal: Array32, start: int, length: int, scale: np.float32, numbers: Array32, goal: int) -> None:
    """Samples of a signal, zeros around them, as real (goal 0) or imaginary parts (goal PLANE)."""
    begin, end = min(max(-start, 0), length), max(min(length, signal.size - start), 0)
    parts = numbers[goal : goal + SIZE]
    for t in range(begin):
        parts[t] = 0
    if begin < end:
        source, target = signal[start + begin : start + end], parts[begin:end]
        for t in range(target.size):
            target[t] = scale * source[t]
    for t in range(max(begin, end), SIZE):
        parts[t] = 0


@compiled
def _mirror(numbers: Array32) -> None:
    """Let the transform go on periodically for one number, so that octets can be read backwards."""
    numbers[SIZE] = numbers[0]
    numbers[PLANE + SIZE] = numbers[PLANE]


@compiled
def _add_products(numbers: Array32, spectrum: Array32) -> None:
    """Add the product of one spectrum with the conjugate of the other; HALF apart, real and imaginary parts."""
    share, half_share = broadcast_octet(np.float32(0.5 / SIZE)), broadcast_octet(np.float32(0.25 / SIZE))
    _mirror(numbers)
    for k in range(0, SIZE // 2 + 1, 8):
        a, b = load_octet(numbers, k), load_octet(numbers, PLANE + k)
        mirror = SIZE - k - 7
        c, d = reverse(load_octet(numbers, mirror)), reverse(load_octet(numbers, PLANE + mirror))
        store(spectrum, k, fma(share, fma(a, d, b * c), load_octet(spectrum, k)))
        difference = (a - c) * (a + c) + (b - d) * (b + d)
        store(spectrum, HALF + k, fma(half_share, difference, load_octet(spectrum, HALF + k)))


@compiled
def _separate(
    numbers: Array32, real: Array32, imaginary: Array32, other_real: Array32, other_imaginary: Array32
) -> None:
    """The two spectra in a common transform."""
    half = broadcast_octet(np.float32(0.5))
    _mirror(numbers)
    for k in range(0, SIZE // 2 + 1, 8):
        a, b = load_octet(numbers, k), load_octet(numbers, PLANE + k)
        mirror = SIZE - k - 7
        c, d = reverse(load_octet(numbers, mirror)), reverse(load_octet(numbers, PLANE + mirror))
        store(real, k, half * (a + c))
        store(imaginary, k, half * (b - d))
        store(other_real, k, half * (b + d))
        store(other_imaginary, k, half * (c - a))


@compiled
def _add_blocks(spectra: Array32, distance: int, start: int, stop: int, product: Array32) -> None:
    """Sum of reference[block + distance] * conjugate of signal[block], for the frequencies from start to stop."""
    blocks = spectra.shape[1]
    share = broadcast_octet(np.float32(1.0 / SIZE))
    flat = spectra.ravel()
    plane = blocks * HALF
    for k in range(start, stop, 8):
        real = imaginary = broadcast_octet(np.float32(0.0))
        for block in range(max(0, -distance), min(blocks, blocks - distance)):
            place, other = (block + distance) * HALF + k, 2 * plane + block * HALF + k
            a, b = load_octet(flat, place), load_octet(flat, place + plane)
            c, d = load_octet(flat, other), load_octet(flat, other + plane)
            real = fma(a, c, fma(b, d, real))
            imaginary = fma(b, c, imaginary) - a * d
        store(product, k, share * real)
        store(product, HALF + k, share * imaginary)


@compiled
def _combine(one: Array32, two: Array32, plane: int, numbers: Array32) -> None:
    """Two spectra of real signals as one to be transformed back: `two` gives the real part, `one` the imaginary one."""
    for k in range(SIZE // 2 + 1):
        a, b, c, d = one[k], one[plane + k], two[k], two[plane + k]
        mirror = (SIZE - k) % SIZE
        numbers[mirror], numbers[PLANE + mirror] = c - b, a + d
        numbers[k], numbers[PLANE + k] = b + c, a - d
