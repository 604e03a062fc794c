"""HAAQI version 1: the quality of processed music for a listener with a hearing loss.

Kates and Arehart (2016), "The Hearing-Aid Audio Quality Index (HAAQI)", IEEE/ACM Transactions on Audio, Speech, and
Language Processing 24(2). Two answers are weighed: how well the changes of the spectrum over time and the fine
structure of the basilar membrane's motion are kept (nonlinear), and how much the long-term spectrum is changed
(linear). Scores agree with pyclarity 0.9.0 to 1e-6.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise

import numpy as np
import soxr
from numpy.typing import ArrayLike, NDArray

from hearlab.arrays import Array, Array32
from hearlab.audio import rms
from hearlab.ear.alignment import BroadbandAlignment
from hearlab.ear.filter_design import windowed_sinc
from hearlab.ear.hearing import Hearing
from hearlab.ear.loss import BANDS, loss_parameters
from hearlab.ear.paired_ears import amplify
from hearlab.ear.resampling import MODEL_RATE, to_model_rate
from hearlab.errors import InputError
from hearlab.listeners import Audiogram
from hearlab.metrics import validation
from hearlab.metrics.cepstra import filtered_correlations
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
from hearlab.scoring.tracks import CHALLENGE, MUSIC_LEVELS

# Sound pressure level in dB that a reference stem is given in the Cadenza challenge.
STEM_LEVEL_DB = 65.0

# Envelopes are averaged over 8 ms, 250 times a second.
SMOOTHING = round(0.008 * MODEL_RATE)
SEGMENT_RATE = MODEL_RATE / (SMOOTHING // 2)

# Lower edges in Hz of the modulation bands; the last one reaches to half the segment rate.
MODULATION_EDGES = (20.0, 32.0, 50.0, 80.0)
MODULATION_TAPS = 129

# Standard deviation over bands of the difference in loudness relative to the loudness, times the number of bands, at
# which the spectrum counts as destroyed.
WORST_RELATIVE_DEVIATION = 25.0

# Weights of the model.
CEPSTRAL_WEIGHT, SYNCHRONY_WEIGHT = 0.754, 0.246
LOUDNESS_WEIGHT, RELATIVE_WEIGHT = 0.329, 0.671
NONLINEAR_WEIGHTS = (0.336, 0.501)  # of the value and of its square
LINEAR_WEIGHTS = (0.001, 0.161)


class HaaqiResult(QualityResult):
    """Quality of music in one ear.

    Its `features` are the correlation of spectral shapes at modulation rates of 20 to 125 Hz, the covariance of the
    basilar membrane's motion, and the likeness of loudness and of relative loudness over bands. For a silent reference
    all values are 1 when the processed signal is silent too, else 0.
    """


def haaqi(
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
) -> HaaqiResult:
    """HAAQI v1 of one ear.

    Args:
        reference: undistorted music, floating point, shape (n,). It is heard by the listener's own ear.
        reference_rate: its sample rate in Hz.
        processed: what the listener hears, shape (m,); compared over the shorter of both durations. Delays are undone.
        processed_rate: its sample rate in Hz.
        audiogram: of the listener, reaching from 250 to 6000 Hz.
        equalisation: 1 when the reference is not amplified (NAL-R is applied here), 2 when NAL-R was applied to it.
        level: dB SPL of a signal whose RMS is 1, for both signals.
        basal_shift: of the filters that control compression, as a part of their distance from the apex; 0 as
            published, 0.02 as in the authors' MATLAB code.
        rng: random stream, seed, or None. With `RandomState(seed)` the published numbers are drawn; a silent or empty
            reference draws none.

    Raises:
        InputError: wrong shape, integers, samples that are no finite numbers, a wrong rate, level or `equalisation`, an
            audiogram that does not reach, less than 16 ms of reference shared with the processed signal (silence
            around it not counted). A silent reference is scored; one that is silent only as long as a
            shorter processed signal lasts is refused.

    Examples:
        >>> import numpy as np
        >>> from hearlab.listeners import Audiogram
        >>> clean, noise = 0.05 * np.random.RandomState(0).standard_normal((2, 12000))
        >>> ear = Audiogram([20, 20, 30, 40, 50, 60], [250, 500, 1000, 2000, 4000, 6000])
        >>> round(haaqi(clean, 24000, clean + noise, 24000, ear, rng=1).score, 2)
        0.15
    """
    signals = (reference, reference_rate), (processed, processed_rate)
    return _score(signals, audiogram, equalisation, level, basal_shift, rng, to_model_rate)


def haaqi_stem(
    reference: ArrayLike,
    reference_rate: float,
    processed: ArrayLike,
    processed_rate: float,
    audiogram: Audiogram,
    *,
    music_level: str = CHALLENGE,
    level: float | None = None,
    basal_shift: float = 0.0,
    rng: Rng = None,
) -> HaaqiResult:
    """HAAQI of one ear of one stem, as the Cadenza challenge (CAD1) scores it.

    The reference is presented at 65 dB SPL, the processed signal at the same calibration. Signals at other rates are
    resampled to 24 kHz in single precision.

    Args:
        reference: one channel of the stem, shape (n,), at 44.1 kHz in the challenge.
        processed: what the listener hears of it, shape (m,), at 24 kHz in the challenge.
        music_level: which RMS of the reference is at 65 dB SPL: 'challenge', that at 24 kHz (pyclarity 0.3, with which
            the challenge was scored), or 'current', that at its own rate (pyclarity from 0.5 on).
        level: dB SPL of an RMS of 1 instead of the published level.
        basal_shift: as of `haaqi`.
        rng: the stream that serves all stems of a song and listener: drums, bass, other, vocals, left before right.

    Raises:
        InputError: as `haaqi`; an unknown `music_level`.

    Examples:
        >>> import numpy as np
        >>> from hearlab.listeners import Audiogram
        >>> clean, noise = 0.05 * np.random.RandomState(0).standard_normal((2, 12000))
        >>> ear = Audiogram([20, 20, 30, 40, 50, 60], [250, 500, 1000, 2000, 4000, 6000])
        >>> round(haaqi_stem(clean, 24000, clean + noise, 24000, ear, rng=1).score, 2)
        0.17
    """
    if music_level not in MUSIC_LEVELS:
        raise InputError("music_level", "is unknown", found=repr(music_level)[:80], wanted=" or ".join(MUSIC_LEVELS))
    clean = validation.monaural("reference", reference, silence=True)
    stem = _at_model_rate(clean, validation.sample_rate("reference_rate", reference_rate))
    if level is None:
        loudness = rms(stem.astype(np.float64) if music_level == CHALLENGE else clean)
        # The level of silence says nothing, and is not used.
        level = STEM_LEVEL_DB - 20 * float(np.log10(loudness)) if loudness > 0 else STEM_LEVEL_DB
    del clean  # songs are long, and a copy of the caller's own may be one too many
    signals = (stem, MODEL_RATE), (processed, processed_rate)
    return _score(signals, audiogram, AMPLIFY, level, basal_shift, rng, _at_model_rate)


def _at_model_rate(signal: Array, rate: float) -> Array32:
    """Resampled in single precision, as published."""
    single = signal.astype(np.float32)
    return single if rate == MODEL_RATE or not single.size else soxr.resample(single, rate, MODEL_RATE, quality="HQ")


def _score(
    signals: tuple[tuple[ArrayLike, float], tuple[ArrayLike, float]],
    audiogram: Audiogram,
    equalisation: int,
    level: float,
    basal_shift: float,
    rng: Rng,
    convert: Callable[[Array, float], NDArray[np.floating]],
) -> HaaqiResult:
    """HAAQI of reference and processed signal, each with its rate; `convert` brings them to 24 kHz."""
    clean, heard = (
        validation.monaural(name, signal, silence=True)
        for name, (signal, _) in zip(("reference", "processed"), signals, strict=True)
    )
    reference_rate = validation.sample_rate("reference_rate", signals[0][1])
    processed_rate = validation.sample_rate("processed_rate", signals[1][1])
    loss = loss_parameters(validation.hearing_loss("audiogram", audiogram))
    amplified = equalisation_mode(equalisation) == AMPLIFY
    level, random = validation.presentation_level(level), random_state(rng)
    basal_shift = validation.basal_shift(basal_shift)
    if not np.any(clean):
        value = 0.0 if np.any(heard) else 1.0
        return HaaqiResult(value, value, value, np.full(4, value))
    # Songs are long: what is no longer needed is released.
    reference, processed = convert(clean, reference_rate), convert(heard, processed_rate)
    del signals, clean, heard
    if processed.size == 0:
        raise InputError("processed", "is empty", found="0 samples")
    common = min(reference.size, processed.size)
    validation.sound_within("reference", reference[:common], MODEL_RATE)
    alignment = BroadbandAlignment(reference[:common])
    reference, processed = alignment.active, alignment.apply(processed[:common])
    del alignment
    check_length("reference", reference.size)
    heard_reference = Hearing(amplify(reference, audiogram) if amplified else reference, loss, level, basal_shift)
    del reference
    heard_processed = Hearing(processed, loss, level, basal_shift)
    del processed
    cepstral, synchrony = nonlinear_features(
        heard_reference, heard_processed, random, SMOOTHING, modulation_correlation
    )
    loudness, relative = spectral_likeness(heard_reference.levels(), heard_processed.levels())
    nonlinear = CEPSTRAL_WEIGHT * cepstral**3 + SYNCHRONY_WEIGHT * synchrony
    linear = LOUDNESS_WEIGHT * loudness + RELATIVE_WEIGHT * relative
    score = sum(
        weights[0] * value + weights[1] * value**2
        for weights, value in ((NONLINEAR_WEIGHTS, nonlinear), (LINEAR_WEIGHTS, linear))
    )
    return HaaqiResult(score, nonlinear, linear, np.array([cepstral, synchrony, loudness, relative]))


def modulation_correlation(cepstra: Array) -> float:
    """Correlation of spectral shapes, shape (2, functions, segments), averaged over modulation bands and functions."""
    return float(np.mean(filtered_correlations(cepstra, modulation_filters())))


@lru_cache(maxsize=1)
def modulation_filters() -> list[Array]:
    """Linear-phase band-pass filters (the last one high-pass), 129 taps each, at 250 segments a second."""
    edges = [*(edge / (SEGMENT_RATE / 2) for edge in MODULATION_EDGES), 1.0]
    return [windowed_sinc(low, high, np.hanning(MODULATION_TAPS)) for low, high in pairwise(edges)]


def spectral_likeness(reference: Array, processed: Array) -> tuple[float, float]:
    """How alike two spectra are, 0 to 1: by loudness, and by loudness relative to that of both.

    Args:
        reference, processed: long-term levels in dB above threshold, shape (bands,).
    """
    one, two = relative_loudness(reference), relative_loudness(processed)
    return (
        likeness(one - two, BANDS, WORST_LOUDNESS_DEVIATION),
        likeness((one - two) / (one + two), BANDS, WORST_RELATIVE_DEVIATION),
    )
