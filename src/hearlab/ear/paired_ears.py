"""Reference and processed signal in the same ear, band by band: envelopes and basilar-membrane motion.

Kates and Arehart (2014, 2016), as HASQI and HAAQI need it: the reference is heard by the impaired ear too, through the
linear amplification that would suit it (NAL-R), and both carry a noise at the threshold of hearing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hearlab.arrays import Array
from hearlab.ear.adaptation import adapt
from hearlab.ear.alignment import align_rows
from hearlab.ear.filterbank import compensating_delays
from hearlab.ear.hearing import Hearing, side_by_side
from hearlab.ear.resampling import MODEL_RATE
from hearlab.fitting import NalR
from hearlab.kernels.frames import windowed_sums
from hearlab.kernels.rows import MARGIN, Row, delay
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


def paired_bands(reference: Hearing, processed: Hearing, noises: tuple[Noise, Noise]) -> Iterator[BandPair]:
    """The 32 bands, low ones first; the arrays of a band are overwritten by the next one.

    Args:
        reference, processed: aligned signals of the same length in ears of the same loss.
        noises: of the reference and of the processed signal.
    """
    samples, level = reference.samples, reference.level
    # Delays of the reference's filters serve both.
    late = compensating_delays(reference.bandwidths)
    amplitude = 10 ** ((NOISE_DB - level) / 20)
    for band, (envelopes, motions) in enumerate(side_by_side(reference, processed)):
        align_rows((envelopes[0], motions[0]), (envelopes[1], motions[1]), samples)
        for envelope, motion, noise in zip(envelopes, motions, noises, strict=True):
            adapt(envelope, reference.loss.inner_attenuation[band], level, motion)
            noise(motion[MARGIN : MARGIN + samples], amplitude)
        delayed = [delay(row, samples, int(late[band])) for row in (*envelopes, *motions)]
        yield BandPair((delayed[0], delayed[1]), (delayed[2], delayed[3]))


def amplify(signal: NDArray[np.floating], audiogram: Audiogram) -> Array:
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
