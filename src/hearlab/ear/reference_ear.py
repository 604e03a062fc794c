"""The ear model put together: reference and processed signal to envelopes in dB above threshold.

The reference's side depends on the reference, its level and the length it shares with the processed signal only, so it
is an object that serves any number of processed signals.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from hearlab.ear.adaptation import adapt
from hearlab.ear.alignment import BroadbandAlignment, align_rows
from hearlab.ear.compression import compress, level_dependent_bandwidth
from hearlab.ear.filterbank import Channels, compensating_delays, control_rms, middle_ear
from hearlab.ear.loss import BANDS, LossParameters, normal_hearing, widest_bandwidth
from hearlab.kernels.rows import Row, delay, empty_rows


class ReferenceEar:
    """A reference signal in a normal ear; processed signals are then heard beside it.

    Args:
        reference: at 24 kHz, shape (n,), not all zero.
        level: dB SPL of an RMS of 1.

    Attributes:
        samples: number of samples of the part that is compared (silence before and after it is cut off).
    """

    def __init__(self, reference: NDArray[np.float64], level: float) -> None:
        self._level = level
        self._alignment = BroadbandAlignment(reference)
        active = reference[self._alignment.active]
        self.samples = active.size
        rows = [empty_rows(2, self.samples) for _ in range(BANDS // 2)]
        bandwidths = [bandwidth for _, bandwidth in compressed_pairs(active, normal_hearing(), level, rows)]
        # Both sides are compensated with the delays of the reference's filters, as published.
        self._late = compensating_delays(np.concatenate(bandwidths))
        self._pairs = rows

    def envelopes(self, before: int = 0) -> Iterator[Row]:
        """The reference's envelopes in dB above threshold at 24 kHz, low bands first, after so many zeros `before`.

        Zeros follow, too, as many as a window of 0.02 s needs. An envelope is to be done with before the next one is
        asked for.
        """
        for number, pair in enumerate(self._pairs):
            yield from self._firing(number, pair.copy(), normal_hearing(), before)

    def processed_envelopes(
        self, processed: NDArray[np.float64], loss: LossParameters, before: int = 0
    ) -> Iterator[Row]:
        """Envelopes of a processed signal, aligned with the reference; otherwise as `envelopes`.

        Args:
            processed: at 24 kHz, as long as the reference.
            loss: the ear that hears it.
            before: number of zeros before the first sample.
        """
        active = self._alignment.apply(processed)
        rows = [empty_rows(2, self.samples)] * (BANDS // 2)  # the same ones, again and again
        for number, (pair, _) in enumerate(compressed_pairs(active, loss, self._level, rows)):
            align_rows(self._pairs[number], pair, self.samples)
            yield from self._firing(number, pair, loss, before)

    def _firing(self, number: int, pair: NDArray[np.float32], loss: LossParameters, before: int) -> Iterator[Row]:
        for band, row in enumerate(pair, 2 * number):
            adapt(row, loss.inner_attenuation[band], self._level)
            yield delay(row, self.samples, int(self._late[band]), before)


def compressed_pairs(
    signal: NDArray[np.floating], loss: LossParameters, level: float, rows: Sequence[NDArray[np.float32]]
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float64]]]:
    """Middle ear, filterbank and compression.

    Args:
        signal: at 24 kHz, shape (n,).
        loss: the ear that hears it.
        level: dB SPL of an RMS of 1.
        rows: 16 times two rows, which take the envelopes.

    Returns:
        of every two bands the compressed envelopes, two rows, and the relative bandwidths, shape (2,).
    """
    heard = middle_ear(signal)
    for band in range(0, BANDS, 2):
        channels = Channels((heard, heard), (band, band + 1))
        control = control_rms(channels)
        bandwidths = np.array(
            [
                level_dependent_bandwidth(rms, loss.bandwidth[number], widest_bandwidth()[number], level)
                for number, rms in zip(channels.bands, control, strict=True)
            ]
        )
        compress(channels, bandwidths, control, loss, level, rows[band // 2])
        yield rows[band // 2], bandwidths
