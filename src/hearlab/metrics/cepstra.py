"""Spectral shapes over time, as all metrics compare them: cepstral basis functions over the bands.

Kates and Arehart (2010, 2014, 2016, 2021).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from hearlab.arrays import Array
from hearlab.ear.loss import BANDS
from hearlab.kernels.fast_lengths import fast_length
from hearlab.kernels.frames import windowed_sums
from hearlab.kernels.rows import Row
from hearlab.metrics.loudness import loudness

# Half-cosine basis functions over the bands; the first (the overall level) takes no part in correlations.
BASIS_FUNCTIONS = 6

# Frames of the reference whose loudness, averaged over bands, is not above this are left out; dB above threshold.
SILENCE_DB = 2.5

# Frames of half a minute of speech in which all functions are filtered together.
MOST_FRAMES = 100_000

# Energies below this count as none.
TINY = 1e-30


@lru_cache(maxsize=1)
def cepstral_basis() -> Array:
    """Half-cosines over the bands, each of unit norm, shape (32, 6)."""
    basis = np.cos(np.pi * np.outer(np.arange(BANDS), np.arange(BASIS_FUNCTIONS)) / (BANDS - 1))
    return basis / np.linalg.norm(basis, axis=0)


def smoothed_segments(envelope: Row, samples: int, size: int) -> Array:
    """Averages of an envelope under a von Hann window, half overlapped; those at the ends cover halves.

    Args:
        envelope: shape (n, or more).
        samples: number n of samples, at least `size`.
        size: of the window in samples, a multiple of 8.

    Returns:
        shape (segments,).
    """
    half = size // 2
    falling, window, rising = _averaging_windows(size)
    count = 1 + samples // size + (samples - half) // size
    last = (count - 1) * half
    return np.concatenate(
        [
            windowed_sums(envelope, falling, half, 1),
            windowed_sums(envelope[half:], window, half, count - 2),
            windowed_sums(envelope[last:], rising, half, 1),
        ]
    )


@lru_cache(maxsize=2)
def _averaging_windows(size: int) -> tuple[Array, ...]:
    """The second half of a von Hann window, all of it and the first half, each with a sum of 1."""
    window = np.hanning(size)
    return tuple(part / np.sum(part) for part in (window[size // 2 :], window, window[: size // 2]))


def audible_cepstra(reference: Array, processed: Array) -> Array:
    """Cepstra of the segments in which the reference is audible.

    Args:
        reference, processed: averaged envelopes in dB above threshold, shape (segments, bands).

    Returns:
        basis functions 2 to 6 without their means, shape (2, 5, audible segments).
    """
    kept = np.flatnonzero(loudness(reference) > SILENCE_DB)
    cepstra = np.stack([signal[kept] @ cepstral_basis() for signal in (reference, processed)]).transpose(0, 2, 1)
    if kept.size:
        cepstra -= np.mean(cepstra, axis=-1, keepdims=True)
    return cepstra[:, 1:]


def correlations(pair: Array) -> Array:
    """Absolute correlation of two signals without their means, 0 where one of them has no energy.

    Args:
        pair: shape (2, functions, frames).

    Returns:
        shape (functions,).
    """
    pair = pair - np.mean(pair, axis=-1, keepdims=True)
    energies = np.sum(pair**2, axis=-1)
    products = np.abs(np.sum(pair[0] * pair[1], axis=-1))
    audible = np.min(energies, axis=0) >= TINY
    norms = np.sqrt(np.prod(np.where(audible, energies, 1.0), axis=0))
    return np.where(audible, products / norms, 0.0)


def filtered_correlations(pair: Array | tuple[Array, Array], filters: list[Array]) -> list[Array]:
    """`correlations` in each modulation band.

    Args:
        pair: two signals, shape (functions, frames) each.
        filters: symmetric, with an odd number of taps.
    """
    one, other = pair
    functions, frames = one.shape
    if functions > 1 and frames > MOST_FRAMES:  # one function after the other takes less memory
        alone = [filtered_correlations((one[[k]], other[[k]]), filters) for k in range(functions)]
        return [np.concatenate(found) for found in zip(*alone, strict=True)]
    size = fast_length(frames + max(taps.size for taps in filters) - 1)
    spectra = np.fft.rfft(pair if isinstance(pair, np.ndarray) else np.stack(pair), size)
    found = []
    for taps in filters:
        late = taps.size // 2
        found.append(correlations(np.fft.irfft(spectra * np.fft.rfft(taps, size), size)[..., late : late + frames]))
    return found
