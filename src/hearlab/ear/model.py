"""The ear model put together: reference and processed signal to envelopes in dB above threshold.

The reference's side depends on the reference, its level and the length it shares with the processed signal only, so it
is an object that serves any number of processed signals.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hearlab.audio import rms
from hearlab.ear.adaptation import adapt, sensation_level
from hearlab.ear.alignment import BroadbandAlignment, EnvelopeAlignment
from hearlab.ear.compression import compress, level_dependent_bandwidth
from hearlab.ear.filterbank import (
    compensate_group_delays,
    demodulate,
    gammatone_envelope,
    group_delays,
    middle_ear,
)
from hearlab.ear.loss import BANDS, LossParameters, centre_frequencies, normal_hearing, widest_bandwidth


class ReferenceEar:
    """A reference signal in one ear; processed signals are then heard beside it.

    Args:
        reference: at 24 kHz, shape (n,), not all zero.
        level: dB SPL of an RMS of 1.
        loss: the ear that hears the reference; normal hearing by default (as intelligibility wants it).

    Attributes:
        samples: number of samples of the part that is compared (silence before and after it is cut off).
    """

    def __init__(self, reference: NDArray[np.float64], level: float, loss: LossParameters | None = None) -> None:
        self._level = level
        self._loss = normal_hearing() if loss is None else loss
        self._alignment = BroadbandAlignment(reference)
        active = reference[self._alignment.active]
        self.samples = active.size
        self._compressed, bandwidths = compressed_envelopes(active, self._loss, level)
        # Both sides are compensated with the delays of the reference's filters, as published.
        self._delays = group_delays(bandwidths)
        self._envelope_alignment = EnvelopeAlignment(self._compressed)

    def envelopes(self) -> NDArray[np.float64]:
        """The reference's envelopes in dB above threshold, shape (32, samples)."""
        return self._firing(self._compressed, self._loss)

    def processed_envelopes(self, processed: NDArray[np.float64], loss: LossParameters) -> NDArray[np.float64]:
        """Envelopes of a processed signal in dB above threshold, aligned with the reference, shape (32, samples).

        Args:
            processed: at 24 kHz, as long as the reference.
            loss: the ear that hears it.
        """
        active = self._alignment.apply(processed)
        compressed, _ = compressed_envelopes(active, loss, self._level)
        return self._firing(self._envelope_alignment.apply(compressed), loss)

    def _firing(self, compressed: NDArray[np.float64], loss: LossParameters) -> NDArray[np.float64]:
        adapted = adapt(sensation_level(compressed, loss.inner_attenuation, self._level))
        return compensate_group_delays(adapted, self._delays)


def compressed_envelopes(
    signal: NDArray[np.float64], loss: LossParameters, level: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Middle ear, filterbank and compression.

    Args:
        signal: at 24 kHz, shape (n,).
        loss: the ear that hears it.
        level: dB SPL of an RMS of 1.

    Returns:
        compressed envelopes, linear, shape (32, n), and the relative bandwidths used, shape (32,).
    """
    heard = middle_ear(signal)
    compressed = np.empty((BANDS, signal.size))
    bandwidths = np.empty(BANDS)
    for band, (frequency, widest) in enumerate(zip(centre_frequencies(), widest_bandwidth(), strict=True)):
        baseband = demodulate(heard, frequency)
        control = gammatone_envelope(baseband, frequency, widest)
        bandwidths[band] = level_dependent_bandwidth(rms(control), loss.bandwidth[band], widest, level)
        compressed[band] = compress(
            gammatone_envelope(baseband, frequency, bandwidths[band]),
            control,
            attenuation=loss.outer_attenuation[band],
            lower_knee=loss.lower_knee[band],
            ratio=loss.compression_ratio[band],
            level=level,
        )
    return compressed, bandwidths
