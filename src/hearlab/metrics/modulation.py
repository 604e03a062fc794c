"""Changes of the spectrum's shape over time at high modulation rates, as HAAQI compares them.

Kates and Arehart (2010, 2014, 2016). The envelopes are averaged over 8 ms, fitted by cepstral basis functions,
filtered in four bands of modulation rates from 20 to 125 Hz and correlated.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hearlab.ear.filter_design import windowed_sinc
from hearlab.ear.resampling import MODEL_RATE
from hearlab.kernels.fast_lengths import fast_length
from hearlab.kernels.frames import windowed_sums
from hearlab.kernels.rows import Row
from hearlab.metrics.haspi import cepstral_basis
from hearlab.metrics.loudness import loudness

# Averages over 8 ms under a von Hann window, half overlapped: 250 a second; those at the ends cover halves.
SEGMENT = round(0.008 * MODEL_RATE)
HALF = SEGMENT // 2
SEGMENT_RATE = MODEL_RATE / HALF

# Segments of the reference whose loudness averaged over bands is not above this are left out (dB).
SILENCE_DB = 2.5

# Lower edges in Hz of the modulation bands; the last one reaches to half the segment rate.
MODULATION_EDGES = (20.0, 32.0, 50.0, 80.0)
MODULATION_TAPS = 129

# Energies below this count as none.
TINY = 1e-30


def smoothed_segments(envelope: Row, samples: int) -> NDArray[np.float64]:
    """Averages of an envelope at 24 kHz, 250 a second.

    Args:
        envelope: shape (n, or more).
        samples: number n of samples, at least 192.

    Returns:
        shape (segments,).
    """
    window = np.hanning(SEGMENT)
    count = 1 + samples // SEGMENT + (samples - HALF) // SEGMENT
    last = (count - 1) * HALF
    falling, rising = window[HALF:], window[:HALF]
    return np.concatenate(
        [
            windowed_sums(envelope, falling / np.sum(falling), HALF, 1),
            windowed_sums(envelope[HALF:], window / np.sum(window), HALF, count - 2),
            windowed_sums(envelope[last:], rising / np.sum(rising), HALF, 1),
        ]
    )


def cepstral_correlation(reference: NDArray[np.float64], processed: NDArray[np.float64]) -> tuple[float, int]:
    """Correlation of spectral shapes, averaged over modulation bands and basis functions 2 to 6.

    Args:
        reference, processed: averaged envelopes in dB above threshold, shape (segments, bands).

    Returns:
        the correlation, 0 to 1, and the number of audible segments; both 0 when there are fewer than two.
    """
    kept = np.flatnonzero(loudness(reference) > SILENCE_DB)
    if kept.size < 2:
        return 0.0, 0
    cepstra = np.stack([signal[kept] @ cepstral_basis() for signal in (reference, processed)]).transpose(0, 2, 1)
    cepstra -= np.mean(cepstra, axis=-1, keepdims=True)
    size = fast_length(kept.size + MODULATION_TAPS - 1)
    spectra = np.fft.rfft(cepstra[:, 1:], size)
    late = MODULATION_TAPS // 2
    correlations = []
    for taps in modulation_filters():
        filtered = np.fft.irfft(spectra * np.fft.rfft(taps, size), size)[..., late : late + kept.size]
        filtered -= np.mean(filtered, axis=-1, keepdims=True)
        energies = np.sum(filtered**2, axis=-1)
        products = np.abs(np.sum(filtered[0] * filtered[1], axis=-1))
        audible = np.min(energies, axis=0) >= TINY
        norms = np.sqrt(np.prod(np.where(audible, energies, 1.0), axis=0))
        correlations.append(np.where(audible, products / norms, 0.0))
    return float(np.mean(correlations)), int(kept.size)


@lru_cache(maxsize=1)
def modulation_filters() -> tuple[NDArray[np.float64], ...]:
    """Linear-phase band-pass filters (the last one high-pass), 129 taps each, at 250 segments a second."""
    edges = [*(edge / (SEGMENT_RATE / 2) for edge in MODULATION_EDGES), 1.0]
    return tuple(windowed_sinc(low, high, np.hanning(MODULATION_TAPS)) for low, high in pairwise(edges))
