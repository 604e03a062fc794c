"""HASQI version 2: the quality of processed speech for a listener with a hearing loss.

Kates and Arehart (2014), "The Hearing-Aid Speech Quality Index (HASQI) Version 2", Journal of the Audio Engineering
Society 62(3), 99-117. The score is the product of a nonlinear part (how well the changes of the spectrum over time and
the fine structure of the basilar membrane's motion are kept) and a linear part (how much the long-term spectrum and its
slope are changed). Scores agree with pyclarity 0.9.0 to 1e-6.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from hearlab.arrays import Array
from hearlab.ear.hearing import Hearing
from hearlab.ear.loss import AUDIOMETRIC_FREQUENCIES, BANDS, loss_parameters
from hearlab.ear.paired_ears import amplify
from hearlab.listeners import Audiogram, Listener
from hearlab.metrics.cepstra import correlations
from hearlab.metrics.covariance import SEGMENT
from hearlab.metrics.quality import (
    AMPLIFY,
    WORST_LOUDNESS_DEVIATION,
    QualityResult,
    check_length,
    equalisation_mode,
    likeness,
    nonlinear_features,
    relative_loudness,
)
from hearlab.metrics.seeds import Rng, random_state
from hearlab.metrics.speech import BetterEarResult, BinauralReference, SpeechPair, SpeechReference

# Weights of the model's linear part.
LOUDNESS_WEIGHT, SLOPE_WEIGHT = 0.579, 0.421

# Standard deviation over bands of the difference in slope, times the number of bands, at which the spectrum counts as
# destroyed.
WORST_SLOPE_DEVIATION = 1.0


class HasqiResult(QualityResult):
    """Quality of speech in one ear: `score` is `nonlinear` times `linear`.

    Its `features` are the correlation of spectral shapes over time, the covariance of the basilar membrane's motion,
    and the likeness of the loudness of bands and of their differences from band to band.
    """


def hasqi(
    reference: ArrayLike,
    reference_rate: float,
    processed: ArrayLike,
    processed_rate: float,
    audiogram: Audiogram,
    *,
    equalisation: int = AMPLIFY,
    level: float = 65.0,
    basal_shift: float = 0.0,
    rng: Rng = None,
) -> HasqiResult:
    """HASQI v2 of one ear.

    Args:
        reference: clean speech, floating point, shape (n,). It is heard by the listener's own ear.
        reference_rate: its sample rate in Hz.
        processed: what the listener hears, shape (m,); compared over the shorter of both durations. Delays are undone.
        processed_rate: its sample rate in Hz.
        audiogram: of the listener, reaching from 250 to 6000 Hz.
        equalisation: 1 when the reference is not amplified (NAL-R is applied here), 2 when NAL-R was applied to it.
        level: dB SPL of a signal whose RMS is 1, for both signals.
        basal_shift: of the filters that control compression, as a part of their distance from the apex; 0 as
            published, 0.02 as in the authors' MATLAB code.
        rng: random stream, seed, or None. With `RandomState(seed)` the published numbers are drawn.

    Raises:
        InputError: wrong shape, integers, silence, samples that are no finite numbers, a wrong rate, level or
            `equalisation`, an audiogram that does not reach, less than 16 ms of reference shared with the processed
            signal (silence around it not counted).

    Examples:
        >>> import numpy as np
        >>> from hearlab.listeners import Audiogram
        >>> clean, noise = 0.05 * np.random.RandomState(0).standard_normal((2, 12000))
        >>> ear = Audiogram([20, 20, 30, 40, 50, 60], [250, 500, 1000, 2000, 4000, 6000])
        >>> round(hasqi(clean, 24000, clean + noise, 24000, ear, rng=1).score, 2)
        0.03
    """
    kept = SpeechReference(reference, reference_rate, level=level, basal_shift=basal_shift)
    pair = kept.beside(processed, processed_rate, audiogram)
    equalisation = equalisation_mode(equalisation)
    return score_pair(pair, random_state(rng), equalisation=equalisation)


def hasqi_better_ear(
    reference: ArrayLike,
    processed: ArrayLike,
    rate: float,
    listener: Listener,
    *,
    level: float = 100.0,
    basal_shift: float = 0.0,
    rng: Rng = None,
) -> BetterEarResult[HasqiResult]:
    """HASQI v2 of both ears; the better one counts. The reference is not amplified (`equalisation` is 1).

    Args:
        reference: clean speech, floating point, shape (n, 2), left ear first.
        processed: what the listener hears, shape (m, 2).
        rate: sample rate in Hz of both.
        listener: whose audiograms are used.
        level: dB SPL of a signal whose RMS is 1.
        basal_shift: as of `hasqi`.
        rng: random stream, seed, or None; one stream serves the left ear, then the right ear.

    Raises:
        InputError: as `hasqi`, the ear named.

    Examples:
        >>> import numpy as np
        >>> from hearlab.listeners import Audiogram, Listener
        >>> clean, noise = 0.05 * np.random.RandomState(0).standard_normal((2, 12000, 2))
        >>> ear = Audiogram([20, 20, 30, 40, 50, 60], [250, 500, 1000, 2000, 4000, 6000])
        >>> listener = Listener("L0001", left=ear, right=ear)
        >>> result = hasqi_better_ear(clean, clean + noise, 24000, listener, rng=1)
        >>> result.score == max(result.left.score, result.right.score)
        True
    """
    pair = BinauralReference(reference, rate, level=level, basal_shift=basal_shift).beside(processed, rate, listener)
    return pair.better_ear(score_pair, random_state(rng))


def score_pair(pair: SpeechPair, random: np.random.RandomState, *, equalisation: int = AMPLIFY) -> HasqiResult:
    """HASQI v2 of reference and processed speech in one ear; see `hasqi`."""
    amplified = equalisation == AMPLIFY
    if pair.shared:  # the listener's other processed signals
        reference = pair.reference.kept(_impaired_reference, pair.length, tuple(pair.losses), amplified)
        reference.keep(motions=True)
    else:
        reference = _impaired_reference(pair.reference, pair.length, tuple(pair.losses), amplified)
    processed = pair.processed
    cepstral, synchrony = nonlinear_features(reference, processed, random, SEGMENT, cepstral_correlation)
    loudness, slope = spectral_likeness(reference.levels(), processed.levels())
    nonlinear = cepstral**2 * synchrony
    linear = LOUDNESS_WEIGHT * loudness + SLOPE_WEIGHT * slope
    return HasqiResult(nonlinear * linear, nonlinear, linear, np.array([cepstral, synchrony, loudness, slope]))


def _impaired_reference(reference: SpeechReference, length: int, losses: tuple[float, ...], amplified: bool) -> Hearing:
    """The first samples of a reference in an ear with these losses at the model's audiometric frequencies."""
    signal = reference.alignment(length).active
    check_length(reference.name, signal.size)
    if amplified:
        signal = amplify(signal, Audiogram(losses, AUDIOMETRIC_FREQUENCIES))
    return Hearing(signal, loss_parameters(np.array(losses)), reference.level, reference.basal_shift)


def cepstral_correlation(cepstra: Array) -> float:
    """Correlation of spectral shapes, shape (2, functions, segments), averaged over the basis functions."""
    return float(np.mean(correlations(cepstra)))


def spectral_likeness(reference: Array, processed: Array) -> tuple[float, float]:
    """How alike two spectra are, 0 to 1: by loudness, and by the steps of loudness from band to band.

    Args:
        reference, processed: long-term levels in dB above threshold, shape (bands,).
    """
    difference = relative_loudness(reference) - relative_loudness(processed)
    return (
        likeness(difference, BANDS, WORST_LOUDNESS_DEVIATION),
        likeness(np.diff(difference), BANDS, WORST_SLOPE_DEVIATION),
    )
