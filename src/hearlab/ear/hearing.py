"""A signal in an ear: middle ear, filterbank and compression, band by band.

Bands are filtered two at a time, either two bands of one signal or one band of two signals. What comes out is the same
to the last bit, so a metric may take bands one after the other, or from a signal whose bands are kept for several
metrics.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearlab.arrays import Array, Array32
from hearlab.ear.compression import Compression, compress, compressed_level, compression, level_dependent_bandwidths
from hearlab.ear.filterbank import Channels, control_rms, middle_ear
from hearlab.ear.loss import BANDS, LossParameters, widest_bandwidth
from hearlab.kernels.rows import empty_rows

PAIRS = [(band, band + 1) for band in range(0, BANDS, 2)]

# Two rows, each a band of a signal.
TwoRows = Array32


class Hearing:
    """A signal in an ear.

    Args:
        signal: at 24 kHz, shape (n,).
        loss: of the ear.
        level: dB SPL of an RMS of 1.
        basal_shift: of the filters that control the compression, see `hearlab.ear.loss.centre_frequencies`.

    Attributes:
        samples: number n of samples.
        bandwidths: of the filters, relative to the normal ear at low levels, shape (32,).
    """

    def __init__(
        self, signal: NDArray[np.floating], loss: LossParameters, level: float, basal_shift: float = 0.0
    ) -> None:
        self.samples, self.loss, self.level, self._basal_shift = signal.size, loss, level, basal_shift
        self._signal = middle_ear(signal)
        pairs = [Channels((self._signal, self._signal), bands, basal_shift) for bands in PAIRS]
        self._control_rms = np.concatenate([control_rms(channels) for channels in pairs])
        self.bandwidths = level_dependent_bandwidths(self._control_rms, loss.bandwidth, widest_bandwidth(), level)
        self._compression = compression(range(BANDS), self.bandwidths, self._control_rms, loss, level, basal_shift)
        self._envelope_rms = np.empty(BANDS)
        # Rows of two bands at a time, once they are kept.
        self.kept_envelopes: list[TwoRows] = []
        self._kept_motions: list[TwoRows] = []

    def keep(self, *, motions: bool) -> None:
        """Compress all bands now, if that was not done, and keep their envelopes and, if wanted, motions."""
        if not self.kept_envelopes:
            self.kept_envelopes = [empty_rows(2, self.samples) for _ in PAIRS]
            self._kept_motions = [empty_rows(2, self.samples) for _ in PAIRS] if motions else []
            for number, bands in enumerate(PAIRS):
                moving = self._kept_motions[number] if motions else None
                _compress((self, self), bands, self.kept_envelopes[number], moving)

    def release(self) -> None:
        """Free the signal; only kept bands and the levels can be had from now on."""
        self._signal = self._signal[:0].copy()

    def envelopes(self) -> Iterator[TwoRows]:
        """Compressed envelopes, linear, of two bands at a time; the next two overwrite them."""
        rows = empty_rows(2, self.samples)
        for number, bands in enumerate(PAIRS):
            if self.kept_envelopes:
                rows[:] = self.kept_envelopes[number]
            else:
                _compress((self, self), bands, rows)
            yield rows

    def levels(self) -> Array:
        """Long-term levels in dB above threshold, shape (32,), once all bands were compressed."""
        return compressed_level(self._envelope_rms, self._control_rms, self.loss, self.level)


def side_by_side(reference: Hearing, processed: Hearing) -> Iterator[tuple[TwoRows, TwoRows]]:
    """Envelopes and motions of each band, the rows of the reference before those of the processed signal.

    The arrays of a band are overwritten by the next one.
    """
    motions = empty_rows(2, reference.samples)
    for envelopes in _side_by_side(reference, processed, motions):
        yield envelopes, motions


def envelopes_side_by_side(reference: Hearing, processed: Hearing) -> Iterator[TwoRows]:
    """As `side_by_side`, without motions."""
    yield from _side_by_side(reference, processed, None)


def _side_by_side(reference: Hearing, processed: Hearing, motions: TwoRows | None) -> Iterator[TwoRows]:
    envelopes = empty_rows(2, reference.samples)
    hearings = reference, processed
    for band in range(BANDS):
        if motions is not None and reference._kept_motions and processed._kept_motions:
            for row, hearing in enumerate(hearings):
                envelopes[row] = hearing.kept_envelopes[band // 2][band % 2]
                motions[row] = hearing._kept_motions[band // 2][band % 2]
        else:
            _compress(hearings, (band, band), envelopes, motions)
        yield envelopes


def _compress(
    hearings: tuple[Hearing, Hearing], bands: tuple[int, int], envelopes: TwoRows, motions: TwoRows | None = None
) -> None:
    one, other = hearings
    compressions: tuple[Sequence[Any], Sequence[Any]] = one._compression, other._compression
    entries = [np.array([values[bands[0]], others[bands[1]]]) for values, others in zip(*compressions, strict=True)]
    channels = Channels((one._signal, other._signal), bands, one._basal_shift)
    found = compress(channels, Compression(*entries), envelopes, motions)
    one._envelope_rms[bands[0]], other._envelope_rms[bands[1]] = found
