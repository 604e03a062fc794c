"""Alignment in time: of the whole signal before the ear model, and of the envelope of each band inside it.

A delay is positive when the processed signal is late; it is removed by `advance`.
"""

from __future__ import annotations

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from hearlab.ear.resampling import MODEL_RATE

# The processed signal is left this much late, so that dispersion (a band ahead of the others) is not cut off.
DISPERSION_MARGIN = round(0.002 * MODEL_RATE)

# Samples of the reference below this part of its peak count as silence before and after the sound.
SILENCE = 0.001

# Delays of single bands are sought up to this many samples (100 ms).
ENVELOPE_RANGE = round(0.1 * MODEL_RATE)


class CorrelationPeak:
    """Finds the lag at which signals correlate most with given references, row by row.

    The spectra of the references are computed once, for any number of signals.

    Args:
        references: shape (rows, n).
        first, last: lags to search, both included, in samples; at lag k, reference[t + k] meets signal[t].
    """

    def __init__(self, references: NDArray[np.float64], first: int, last: int) -> None:
        self._first, self._last = first, last
        # Lags beyond n - 1 do not overlap; this length keeps circular correlation from folding into the wanted ones.
        self._size = int(scipy.fft.next_fast_len(references.shape[1] + max(-first, last), real=True))
        self._spectra = scipy.fft.rfft(references, self._size)

    def lags(self, signals: NDArray[np.float64], *, absolute: bool = False) -> NDArray[np.int64]:
        """The lag of the highest correlation (or of its highest absolute value) of each row, shape (rows,)."""
        spectra = scipy.fft.rfft(signals, self._size)
        np.conjugate(spectra, out=spectra)
        spectra *= self._spectra
        correlation = scipy.fft.irfft(spectra, self._size)
        # Circular correlation holds negative lags at its end, where negative indices find them.
        wanted = correlation[:, np.arange(self._first, self._last + 1)]
        return np.argmax(np.abs(wanted) if absolute else wanted, axis=1) + self._first


class BroadbandAlignment:
    """Alignment of processed signals with one reference, and the part of the reference that is compared.

    Args:
        reference: shape (n,), not all zero.

    Attributes:
        active: the samples from the first to the last above a thousandth of the reference's peak.
    """

    def __init__(self, reference: NDArray[np.float64]) -> None:
        magnitude = np.abs(reference)
        loud = np.flatnonzero(magnitude > SILENCE * np.max(magnitude))
        self.active = slice(int(loud[0]), int(loud[-1]) + 1)
        n = reference.size
        self._correlation = CorrelationPeak((reference - np.mean(reference))[None], 1 - n, n - 1)

    def apply(self, processed: NDArray[np.float64]) -> NDArray[np.float64]:
        """Undo the delay of `processed` (as long as the reference), but for 2 ms, and keep the active part."""
        centred = (processed - np.mean(processed))[None]
        delay = -int(self._correlation.lags(centred, absolute=True)[0])
        return advance(processed, delay - DISPERSION_MARGIN)[self.active]


class EnvelopeAlignment:
    """Alignment of the envelopes of processed signals with those of one reference, within 100 ms, band by band.

    Args:
        reference: compressed envelopes, shape (bands, n).
    """

    def __init__(self, reference: NDArray[np.float64]) -> None:
        n = reference.shape[1]
        # The published range is one lag longer to the side of an early processed signal.
        self._correlation = CorrelationPeak(reference, 1 - min(ENVELOPE_RANGE, n), min(ENVELOPE_RANGE, n - 1))

    def apply(self, processed: NDArray[np.float64]) -> NDArray[np.float64]:
        """Shift every band of `processed`, shape (bands, n), to where it correlates most with the reference."""
        lags = self._correlation.lags(processed)
        return np.stack([advance(band, -int(lag)) for band, lag in zip(processed, lags, strict=True)])


def advance(signal: NDArray[np.float64], samples: int) -> NDArray[np.float64]:
    """Move a signal to earlier (or, if negative, later) samples; its length stays, zeros come in."""
    shifted = np.zeros_like(signal)
    n = signal.shape[-1]
    if 0 <= samples < n:
        shifted[..., : n - samples] = signal[..., samples:]
    elif -n < samples < 0:
        shifted[..., -samples:] = signal[..., : n + samples]
    return shifted
