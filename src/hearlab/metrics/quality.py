"""What HASQI and HAAQI have in common: how a quality metric compares two signals in the same impaired ear.

Kates and Arehart (2014, 2016). Two answers are weighed: how well the changes of the spectrum over time and the fine
structure of the basilar membrane's motion are kept (nonlinear), and how much the long-term spectrum is changed
(linear).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hearlab.arrays import Array
from hearlab.ear.hearing import Hearing
from hearlab.ear.loss import BANDS
from hearlab.ear.paired_ears import paired_bands
from hearlab.ear.resampling import MODEL_RATE
from hearlab.errors import InputError
from hearlab.kernels.normals import NormalStream
from hearlab.metrics.cepstra import audible_cepstra, smoothed_segments
from hearlab.metrics.covariance import SEGMENT, mean_synchrony, segment_covariances

# What `equalisation` says about the reference: the metric is to amplify it by NAL-R, or that has been done.
AMPLIFY, AMPLIFIED = 1, 2

# Standard deviation over bands of the difference in loudness, times their number, at which the spectrum counts as
# destroyed.
WORST_LOUDNESS_DEVIATION = 2.5


@dataclass(frozen=True, eq=False)
class QualityResult:
    """Quality in one ear.

    Attributes:
        score: both parts together, 0 (bad) to 1 (like the reference), nearly.
        nonlinear: noise and distortion, 0 to 1.
        linear: change of the long-term spectrum, 0 to 1.
        features: what the parts are made of, each 0 to 1, shape (4,); the metric says what they are.
    """

    score: float
    nonlinear: float
    linear: float
    features: Array

    def __float__(self) -> float:
        return self.score


def equalisation_mode(equalisation: int) -> int:
    """`equalisation` itself.

    Raises:
        InputError: it is neither AMPLIFY nor AMPLIFIED.
    """
    if isinstance(equalisation, bool) or equalisation not in (AMPLIFY, AMPLIFIED):
        raise InputError("equalisation", "is unknown", found=repr(equalisation)[:80], wanted="1 or 2")
    return equalisation


def check_length(name: str, samples: int) -> None:
    """Raise an InputError when the reference, without silence around it, is shorter than a segment of 16 ms."""
    if samples < SEGMENT:
        raise InputError(
            name,
            "is too short",
            found=f"{1000 * samples / MODEL_RATE:.1f} ms shared with the processed signal, less silence around it",
            wanted=f"{1000 * SEGMENT / MODEL_RATE:.0f} ms",
        )


def nonlinear_features(
    reference: Hearing,
    processed: Hearing,
    random: np.random.RandomState,
    smoothing: int,
    correlation: Callable[[Array], float],
) -> tuple[float, float]:
    """Correlation of spectral shapes over time, and covariance of basilar-membrane motions; 0 where nothing is audible.

    Args:
        reference, processed: aligned signals of the same length, at least 16 ms, in ears of the same loss. They are
            released; their levels can be had afterwards.
        random: the stream of the published code.
        smoothing: samples over which envelopes are averaged.
        correlation: of `audible_cepstra` with two segments or more.
    """
    samples = reference.samples
    # The published code draws the noise of all bands of the reference first: a second stream starts where that ends.
    reference_noise, processed_noise = NormalStream(random), NormalStream(random)
    processed_noise.skip(BANDS * samples)
    averages: list[list[Array]] = [[], []]
    tiles = []
    for band in paired_bands(reference, processed, (reference_noise.add, processed_noise.add)):
        for side, envelope in zip(averages, band.envelopes, strict=True):
            side.append(smoothed_segments(envelope, samples, smoothing))
        tiles.append(segment_covariances(*band.motions, samples))
    del band  # songs are long
    for hearing in (reference, processed):
        hearing.release()
    cepstra = audible_cepstra(*(np.stack(side, axis=1) for side in averages))
    segments = cepstra.shape[-1]
    audible = segments >= 2
    # A dither of this many normals is drawn and multiplied by zero.
    processed_noise.skip(2 * BANDS * segments if audible else 0)
    processed_noise.put_back(random)
    synchrony = mean_synchrony(*(np.stack(values) for values in zip(*tiles, strict=True)))
    return correlation(cepstra) if audible else 0.0, synchrony


def relative_loudness(levels: Array) -> Array:
    """Loudness of each band relative to that of all; `levels` in dB above threshold, shape (bands,)."""
    amplitudes = 10 ** (levels / 20)
    return amplitudes / np.sum(amplitudes)


def likeness(difference: Array, bands: int, worst: float) -> float:
    """1 for two equal spectra, 0 where `bands` times the standard deviation of the difference is `worst` or more."""
    return float(np.clip(1 - bands * np.std(difference) / worst, 0, 1))
