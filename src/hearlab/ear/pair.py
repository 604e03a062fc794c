"""Reference and processed signal in the same ear, band by band: envelopes, basilar-membrane motion, mean spectra.

Kates and Arehart (2016), as HAAQI wants it: the reference is heard by the impaired ear too, through the linear
amplification that would suit it (NAL-R), and both carry a noise at the threshold of hearing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hearlab.audio import rms
from hearlab.ear.adaptation import TINY, adapt, sensation_level
from hearlab.ear.alignment import BroadbandAlignment, EnvelopeAlignment, advance
from hearlab.ear.compression import compressed_level, compressive_gain, level_dependent_bandwidth
from hearlab.ear.filterbank import demodulate, gammatone_envelope, gammatone_motion, group_delays, middle_ear
from hearlab.ear.loss import BANDS, LossParameters, centre_frequencies, widest_bandwidth
from hearlab.ear.resampling import MODEL_RATE
from hearlab.fitting import NalR
from hearlab.listeners import Audiogram

# Order of the NAL-R filter in front of the reference.
NALR_TAPS = 140

# Level in dB of the noise on the basilar membrane, relative to the threshold of hearing.
NOISE_DB = -10.0


@dataclass(frozen=True, eq=False)
class BandPair:
    """Reference and processed signal in one band, aligned, each of shape (n,).

    Attributes:
        reference, processed: adapted envelopes in dB above threshold.
        reference_motion, processed_motion: basilar-membrane motion whose envelope is in dB above threshold, with the
            noise at threshold.
    """

    reference: NDArray[np.float64]
    processed: NDArray[np.float64]
    reference_motion: NDArray[np.float64]
    processed_motion: NDArray[np.float64]


class PairedEars:
    """Two signals heard by ears with the same loss.

    Args:
        reference: at 24 kHz, shape (n,), not all zero.
        processed: at 24 kHz, shape (n,).
        loss: of both ears.
        level: dB SPL of an RMS of 1.
        prescription: audiogram for which the reference is amplified; None leaves it as it is.

    Attributes:
        samples: number of samples of the part that is compared (silence around the reference is cut off).
        reference_levels, processed_levels: long-term level of every band in dB above threshold, shape (32,).
    """

    def __init__(
        self,
        reference: NDArray[np.float64],
        processed: NDArray[np.float64],
        loss: LossParameters,
        level: float,
        prescription: Audiogram | None = None,
    ) -> None:
        self._loss = loss
        self._level = level
        alignment = BroadbandAlignment(reference)
        active = reference[alignment.active]
        self.samples = active.size
        if prescription is not None:
            active = amplify(active, prescription)
        self._sides = [_Side(signal, loss, level) for signal in (active, alignment.apply(processed))]
        self.reference_levels, self.processed_levels = (side.levels for side in self._sides)

    def bands(
        self, reference_noise: np.random.RandomState, processed_noise: np.random.RandomState
    ) -> Iterator[BandPair]:
        """The 32 bands, low ones first.

        Args:
            reference_noise, processed_noise: streams from which every band draws n standard normals.
        """
        noise = 10 ** ((NOISE_DB - self._level) / 20)
        delays = group_delays(self._sides[0].bandwidths)
        for band, attenuation in enumerate(self._loss.inner_attenuation):
            (reference, motion), (other, other_motion) = (side.compressed(band) for side in self._sides)
            other = EnvelopeAlignment(reference[None]).apply(other[None])[0]
            other_motion = EnvelopeAlignment(motion[None]).apply(other_motion[None])[0]
            # Delays of the reference's filters serve both.
            late = int(np.max(delays) - delays[band])
            parts = []
            for envelope, moved, stream in (
                (reference, motion, reference_noise),
                (other, other_motion, processed_noise),
            ):
                adapted = adapt(sensation_level(envelope[None], np.array([attenuation]), self._level))[0]
                moved = moved * ((adapted + TINY) / (envelope + TINY))
                moved += noise * stream.standard_normal(moved.size)
                parts.append((advance(adapted, -late), advance(moved, -late)))
            yield BandPair(parts[0][0], parts[1][0], parts[0][1], parts[1][1])


class _Side:
    """One of the two signals."""

    def __init__(self, signal: NDArray[np.float64], loss: LossParameters, level: float) -> None:
        self._heard = middle_ear(signal)
        self._loss = loss
        self._level = level
        self.bandwidths = np.empty(BANDS)
        envelope_rms, control_rms = np.empty(BANDS), np.empty(BANDS)
        for band, (frequency, widest) in enumerate(zip(centre_frequencies(), widest_bandwidth(), strict=True)):
            baseband = demodulate(self._heard, frequency)
            control_rms[band] = rms(gammatone_envelope(baseband, frequency, widest))
            self.bandwidths[band] = level_dependent_bandwidth(control_rms[band], loss.bandwidth[band], widest, level)
            envelope_rms[band] = rms(gammatone_envelope(baseband, frequency, self.bandwidths[band]))
        self.levels = compressed_level(envelope_rms, control_rms, loss, level)

    def compressed(self, band: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Compressed envelope and motion of a band, linear, shape (n,) each."""
        frequency = centre_frequencies()[band]
        baseband = demodulate(self._heard, frequency)
        envelope, motion = gammatone_motion(baseband, frequency, self.bandwidths[band])
        gain = compressive_gain(
            gammatone_envelope(baseband, frequency, widest_bandwidth()[band]),
            attenuation=self._loss.outer_attenuation[band],
            lower_knee=self._loss.lower_knee[band],
            ratio=self._loss.compression_ratio[band],
            level=self._level,
        )
        return envelope * gain, motion * gain


def amplify(signal: NDArray[np.float64], audiogram: Audiogram) -> NDArray[np.float64]:
    """Amplify by NAL-R at 24 kHz; shape (n,) stays.

    The result is read a whole filter length late, as published, so it comes out 70 samples early.
    """
    prescription = NalR(taps=NALR_TAPS, rate=MODEL_RATE)
    return prescription.apply(prescription.filter(audiogram), signal)[NALR_TAPS : NALR_TAPS + signal.size]
