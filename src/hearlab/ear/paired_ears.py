"""Reference and processed signal in the same ear, band by band: envelopes, basilar-membrane motion, mean spectra.

Kates and Arehart (2016), as HAAQI wants it: the reference is heard by the impaired ear too, through the linear
amplification that would suit it (NAL-R), and both carry a noise at the threshold of hearing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hearlab.ear.adaptation import adapt
from hearlab.ear.alignment import BroadbandAlignment, align_rows
from hearlab.ear.compression import compress, compressed_level, level_dependent_bandwidth
from hearlab.ear.filterbank import Channels, compensating_delays, control_rms, middle_ear
from hearlab.ear.loss import BANDS, LossParameters, widest_bandwidth
from hearlab.ear.resampling import MODEL_RATE
from hearlab.fitting import NalR
from hearlab.kernels.frames import windowed_sums
from hearlab.kernels.rows import MARGIN, Row, delay, empty_rows
from hearlab.listeners import Audiogram

# Order of the NAL-R filter in front of the reference.
NALR_TAPS = 140

# Level in dB of the noise on the basilar membrane, relative to the threshold of hearing.
NOISE_DB = -10.0

# Adds the next standard normals of a stream, times a factor, to an array, shape (n,); it is asked once for every band.
Noise = Callable[[NDArray[np.floating], float], None]


@dataclass(frozen=True, eq=False)
class BandPair:
    """Reference and processed signal in one band, aligned; n samples at 24 kHz and zeros after them.

    Attributes:
        envelopes: adapted, in dB above threshold.
        motions: of the basilar membrane; their envelope is in dB above threshold, with the noise at threshold.
    """

    envelopes: tuple[Row, Row]
    motions: tuple[Row, Row]


def aligned_pair(
    reference: NDArray[np.floating], processed: NDArray[np.floating]
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Undo the delay of a processed signal, but for 2 ms, and cut off the silence around the reference.

    Args:
        reference: at 24 kHz, shape (n,), not all zero.
        processed: at 24 kHz, shape (n,).
    """
    alignment = BroadbandAlignment(reference)
    return reference[alignment.active], alignment.apply(processed)


class PairedEars:
    """Two signals heard by ears with the same loss.

    Args:
        reference, processed: an `aligned_pair`.
        loss: of both ears.
        level: dB SPL of an RMS of 1.
        prescription: audiogram for which the reference is amplified; None leaves it as it is.

    Attributes:
        samples: number of samples.
    """

    def __init__(
        self,
        reference: NDArray[np.floating],
        processed: NDArray[np.floating],
        loss: LossParameters,
        level: float,
        prescription: Audiogram | None = None,
    ) -> None:
        self._loss = loss
        self._level = level
        self.samples = reference.size
        amplified = reference if prescription is None else amplify(reference, prescription)
        self._heard = middle_ear(amplified), middle_ear(processed)
        self._control_rms = np.stack([control_rms(self._channels(band)) for band in range(BANDS)], axis=1)
        self._bandwidths = np.empty((2, BANDS))
        for side in range(2):
            for band, rms in enumerate(self._control_rms[side]):
                narrow, widest = loss.bandwidth[band], widest_bandwidth()[band]
                self._bandwidths[side, band] = level_dependent_bandwidth(rms, narrow, widest, level)
        self._envelope_rms = np.empty((2, BANDS))

    def bands(self, noises: tuple[Noise, Noise]) -> Iterator[BandPair]:
        """The 32 bands, low ones first; a band is to be done with before the next one is asked for.

        Args:
            noises: of the reference and of the processed signal.
        """
        # Delays of the reference's filters serve both.
        late = compensating_delays(self._bandwidths[0])
        amplitude = 10 ** ((NOISE_DB - self._level) / 20)
        envelopes, motions = empty_rows(2, self.samples), empty_rows(2, self.samples)
        for band, attenuation in enumerate(self._loss.inner_attenuation):
            self._envelope_rms[:, band] = compress(
                self._channels(band),
                self._bandwidths[:, band],
                self._control_rms[:, band],
                self._loss,
                self._level,
                envelopes,
                motions,
            )
            align_rows((envelopes[0], motions[0]), (envelopes[1], motions[1]), self.samples)
            for envelope, motion, noise in zip(envelopes, motions, noises, strict=True):
                adapt(envelope, attenuation, self._level, motion)
                noise(motion[MARGIN : MARGIN + self.samples], amplitude)
            delayed = [delay(row, self.samples, int(late[band])) for row in (*envelopes, *motions)]
            yield BandPair((delayed[0], delayed[1]), (delayed[2], delayed[3]))

    def levels(self) -> NDArray[np.float64]:
        """Long-term levels in dB above threshold of reference and processed signal, shape (2, 32); after `bands`."""
        return np.stack(
            [
                compressed_level(envelope, control, self._loss, self._level)
                for envelope, control in zip(self._envelope_rms, self._control_rms, strict=True)
            ]
        )

    def _channels(self, band: int) -> Channels:
        return Channels(self._heard, (band, band))


def amplify(signal: NDArray[np.floating], audiogram: Audiogram) -> NDArray[np.float64]:
    """Amplify by NAL-R at 24 kHz; shape (n,) stays.

    The result is read a whole filter length late, as published, so it comes out 70 samples early.
    """
    taps = NalR(taps=NALR_TAPS, rate=MODEL_RATE).filter(audiogram)
    window = np.zeros(-(-taps.size // 4) * 4)
    window[: taps.size] = taps[::-1]
    # The end of the signal is amplified from a copy with zeros after it.
    whole = max(signal.size - window.size, 0)
    end = np.concatenate([signal[whole:], np.zeros(window.size)])
    amplified = np.empty(signal.size)
    amplified[:whole] = windowed_sums(signal, window, 1, whole)
    amplified[whole:] = windowed_sums(end, window, 1, signal.size - whole)
    return amplified
