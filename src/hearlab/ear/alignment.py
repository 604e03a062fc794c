"""Alignment in time: of the whole signal before the ear model, and of single bands inside it.

A delay is positive when the processed signal is late; it is removed by `advance`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hearlab.arrays import Array32
from hearlab.ear.resampling import MODEL_RATE
from hearlab.kernels.correlation import highest_lag, near_lags
from hearlab.kernels.rows import MARGIN, Row

# The processed signal is left this much late, so that dispersion (a band ahead of the others) is not cut off.
DISPERSION_MARGIN = round(0.002 * MODEL_RATE)

# Samples of the reference below this part of its peak count as silence before and after the sound.
SILENCE = 0.001

# Delays of single bands are sought up to this many samples (100 ms).
BAND_RANGE = round(0.1 * MODEL_RATE)

Rows = Sequence[Row] | Array32


class BroadbandAlignment:
    """Alignment of processed signals with one reference, and the part of the reference that is compared.

    Args:
        reference: shape (n,), not all zero.

    Attributes:
        active: the reference from its first to its last sample above a thousandth of its peak.
    """

    def __init__(self, reference: NDArray[np.floating]) -> None:
        magnitude = np.abs(reference)
        loud = np.flatnonzero(magnitude > SILENCE * np.max(magnitude))
        self._part = slice(int(loud[0]), int(loud[-1]) + 1)
        self._reference = reference
        self.active = reference[self._part]

    def apply(self, processed: NDArray[np.floating]) -> NDArray[np.floating]:
        """Undo the delay of `processed` (as long as the reference), but for 2 ms, and keep the active part."""
        delay = -highest_lag(self._reference, processed)
        return advance(processed, delay - DISPERSION_MARGIN)[self._part]


def align_rows(references: Rows, processed: Rows, samples: int) -> None:
    """Shift one or two rows to where each correlates most with its reference, within 100 ms. In place.

    Args:
        references, processed: compressed envelopes or motions, as many rows of each.
        samples: number of samples of the rows.
    """
    inside = slice(MARGIN, MARGIN + samples)
    # The published range is one lag longer to the side of an early processed signal.
    first, last = 1 - min(BAND_RANGE, samples), min(BAND_RANGE, samples - 1)
    lags = near_lags([row[inside] for row in references], [row[inside] for row in processed], first, last)
    for row, lag in zip(processed, lags, strict=True):
        _advance_in_place(row[inside], -lag)


def advance(signal: NDArray[np.floating], samples: int) -> NDArray[np.floating]:
    """Move a signal to earlier (or, if negative, later) samples; its length stays, zeros come in."""
    shifted = np.zeros_like(signal)
    n = signal.shape[-1]
    if 0 <= samples < n:
        shifted[..., : n - samples] = signal[..., samples:]
    elif -n < samples < 0:
        shifted[..., -samples:] = signal[..., : n + samples]
    return shifted


def _advance_in_place(signal: Array32, samples: int) -> None:
    """`advance` without a copy."""
    n = signal.size
    count = min(abs(samples), n)
    if samples >= 0:
        signal[: n - count] = signal[count:]
        signal[n - count :] = 0
    else:
        signal[count:] = signal[: n - count]
        signal[:count] = 0
