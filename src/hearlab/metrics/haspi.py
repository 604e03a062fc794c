"""HASPI version 2: the intelligibility of processed speech for a listener with a hearing loss.

Kates and Arehart (2021), "The Hearing-Aid Speech Perception Index (HASPI) version 2", Speech Communication 131. The
envelopes of reference and processed speech in the ear are smoothed, fitted by cepstral basis functions, filtered at ten
modulation rates and correlated; an ensemble of neural networks maps the ten correlations to the share of keywords
understood. Scores agree with pyclarity 0.9.0 to 1e-6.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

import numpy as np
from numpy.typing import ArrayLike

from hearlab.arrays import Array
from hearlab.ear.loss import BANDS
from hearlab.ear.reference_ear import ReferenceEar
from hearlab.ear.resampling import MODEL_RATE
from hearlab.errors import InputError
from hearlab.kernels.frames import windowed_sums
from hearlab.kernels.normals import skip_normals
from hearlab.kernels.rows import Row
from hearlab.listeners import Audiogram, Listener
from hearlab.metrics.cepstra import SILENCE_DB, filtered_correlations
from hearlab.metrics.frame_cepstra import FrameCepstra, dithered
from hearlab.metrics.seeds import Rng, random_state
from hearlab.metrics.speech import BetterEarResult, BinauralReference, SpeechPair, SpeechReference

# Envelopes are smoothed by a von Hann window of 52 samples (-3 dB at 320 Hz) and read at every ninth sample.
SMOOTHING_TAPS = 52
FRAME_STEP = 9
# The first window reaches so many samples before the beginning.
WINDOW_BEFORE = SMOOTHING_TAPS // 2 - 1
# The modulation filters are designed for this frame rate in Hz, although 24000 / 9 is 2667, as published.
FRAME_RATE = 2560.0

# The published code answers from two frames on; from less than this the correlations say nothing.
LEAST_SPEECH_S = 0.1
# Standard deviation in dB of the noise on the envelopes: the jitter of neural firing.
DITHER_DB = 0.1
# Modulation rates in Hz, one feature each.
MODULATION_RATES = (2, 6, 10, 16, 25, 40, 64, 100, 160, 256)
# Length in s of the filters up to 10 Hz; above, lengths fall with the rate (constant Q of about 1.5).
LONGEST_FILTER_S = 0.24
CONSTANT_Q_ABOVE_HZ = 10


@dataclass(frozen=True, eq=False)
class HaspiResult:
    """Intelligibility in one ear.

    Attributes:
        score: share of keywords understood, about 0 to 1.
        features: correlation of reference and processed speech at modulation rates of 2, 6, 10, 16, 25, 40, 64, 100,
            160 and 256 Hz, shape (10,).
    """

    score: float
    features: Array

    def __float__(self) -> float:
        return self.score


def haspi(
    reference: ArrayLike,
    reference_rate: float,
    processed: ArrayLike,
    processed_rate: float,
    audiogram: Audiogram,
    *,
    level: float = 65.0,
    basal_shift: float = 0.0,
    rng: Rng = None,
) -> HaspiResult:
    """HASPI v2 of one ear.

    Args:
        reference: clean speech without amplification, floating point, shape (n,). It is heard by a normal ear.
        reference_rate: its sample rate in Hz.
        processed: what the listener hears, shape (m,); compared over the shorter of both durations. Delays are undone.
        processed_rate: its sample rate in Hz.
        audiogram: of the listener, reaching from 250 to 6000 Hz.
        level: dB SPL of a signal whose RMS is 1, for both signals.
        basal_shift: of the filters that control compression, as a part of their distance from the apex; 0 as
            published, 0.02 as in the authors' MATLAB code.
        rng: random stream, seed, or None. With `RandomState(seed)` the published numbers are drawn.

    Raises:
        InputError: wrong shape, integers, silence, samples that are no finite numbers, a wrong rate, level or shift, an
            audiogram that does not reach, less than 0.23 s of reference shared with the processed signal (the length
            of the slowest modulation filter; silence around it not counted), less than 0.1 s of it above threshold.

    Examples:
        >>> import numpy as np
        >>> from hearlab.listeners import Audiogram
        >>> clean, noise = 0.05 * np.random.RandomState(0).standard_normal((2, 12000))
        >>> ear = Audiogram([20, 20, 30, 40, 50, 60], [250, 500, 1000, 2000, 4000, 6000])
        >>> round(haspi(clean, 24000, clean + noise, 24000, ear, rng=1).score, 2)
        0.53
    """
    kept = SpeechReference(reference, reference_rate, level=level, basal_shift=basal_shift, once=True)
    pair = kept.beside(processed, processed_rate, audiogram)
    return score_pair(pair, random_state(rng))


def haspi_better_ear(
    reference: ArrayLike,
    processed: ArrayLike,
    rate: float,
    listener: Listener,
    *,
    level: float = 100.0,
    basal_shift: float = 0.0,
    rng: Rng = None,
) -> BetterEarResult[HaspiResult]:
    """HASPI v2 of both ears; the better one counts, as in the Clarity challenges.

    Args:
        reference: clean speech, floating point, shape (n, 2), left ear first.
        processed: what the listener hears, shape (m, 2).
        rate: sample rate in Hz of both.
        listener: whose audiograms are used.
        level: dB SPL of a signal whose RMS is 1.
        basal_shift: as of `haspi`.
        rng: random stream, seed, or None; one stream serves the left ear, then the right ear.

    Raises:
        InputError: as `haspi`, the ear named.

    Examples:
        >>> import numpy as np
        >>> from hearlab.listeners import Audiogram, Listener
        >>> clean, noise = 0.05 * np.random.RandomState(0).standard_normal((2, 12000, 2))
        >>> ear = Audiogram([20, 20, 30, 40, 50, 60], [250, 500, 1000, 2000, 4000, 6000])
        >>> listener = Listener("L0001", left=ear, right=ear)
        >>> result = haspi_better_ear(clean, clean + noise, 24000, listener, rng=unit_seed("S06001"))
        >>> result.score == max(result.left.score, result.right.score)
        True
    """
    pair = BinauralReference(reference, rate, level=level, basal_shift=basal_shift).beside(processed, rate, listener)
    return pair.better_ear(score_pair, random_state(rng))


def score_pair(pair: SpeechPair, random: np.random.RandomState) -> HaspiResult:
    """HASPI v2 of reference and processed speech in one ear; see `haspi`."""
    processed = pair.processed  # first: alignment takes most memory
    reference = pair.reference.kept(_ReferenceSide, pair.length)
    envelopes = reference.ear.processed_envelopes(processed, WINDOW_BEFORE)
    samples = reference.ear.samples
    cepstra = smoothed_cepstra(envelopes, samples).values[:, reference.kept]
    reference_cepstra = reference.cepstra.copy()
    del processed, envelopes, reference  # signals are long
    pair.reference.scored(_ReferenceSide)
    # The published model draws noise for basilar-membrane motion of both signals, which HASPI does not use.
    skip_normals(random, 2 * BANDS * samples)
    reference_cepstra = dithered(reference_cepstra, random, DITHER_DB)
    features = modulation_correlations(reference_cepstra, dithered(cepstra, random, DITHER_DB))
    return HaspiResult(intelligibility(features), features)


class _ReferenceSide:
    """What HASPI needs of a reference, cut to the length shared with the processed signal (in samples at 24 kHz)."""

    def __init__(self, reference: SpeechReference, length: int) -> None:
        self.ear = ReferenceEar(reference.alignment(length).active, reference.level, reference.basal_shift)
        reference.heard()
        shortest = max(modulation_filter_lengths()) * FRAME_STEP / MODEL_RATE
        shared = self.ear.samples / MODEL_RATE
        if shared < shortest:
            raise InputError(
                reference.name,
                "is too short",
                found=f"{shared:.3f} s shared with the processed signal, without the silence around it",
                wanted=f"{shortest:.2f} s, the length of the slowest modulation filter",
            )
        cepstra = smoothed_cepstra(self.ear.envelopes(WINDOW_BEFORE), self.ear.samples, loudness=True)
        self.kept = cepstra.loudness() > SILENCE_DB
        audible = np.count_nonzero(self.kept) * FRAME_STEP / MODEL_RATE
        if audible < LEAST_SPEECH_S:
            raise InputError(
                reference.name,
                "signal below threshold",
                found=f"{audible:.3f} s more than {SILENCE_DB} dB above the threshold of hearing",
                wanted=f"{LEAST_SPEECH_S} s",
                advice="check `level`, the dB SPL of an RMS of 1",
            )
        self.cepstra = cepstra.values[:, self.kept]


def smoothed_cepstra(envelopes: Iterable[Row], samples: int, *, loudness: bool = False) -> FrameCepstra:
    """The cepstra of low-pass envelopes at every ninth sample.

    Args:
        envelopes: 32 of them, see `smoothed`.
        samples: number n of samples of an envelope.
        loudness: whether the loudness of frames is wanted, too.
    """
    cepstra = FrameCepstra(-(-samples // FRAME_STEP), loudness=loudness)
    for band, envelope in enumerate(envelopes):
        cepstra.add(band, smoothed(envelope, samples))
    return cepstra


def smoothed(envelope: Row, samples: int) -> Array:
    """A low-pass envelope at every ninth sample, shape (ceil(n / 9),).

    Args:
        envelope: at 24 kHz, with WINDOW_BEFORE zeros before it and as many after it.
        samples: number n of its samples.
    """
    return windowed_sums(envelope, _smoothing_window(), FRAME_STEP, -(-samples // FRAME_STEP))


@lru_cache(maxsize=1)
def _smoothing_window() -> Array:
    window = np.hanning(SMOOTHING_TAPS + 2)[1:-1]
    return window / np.sum(window)


def modulation_filter_lengths() -> list[int]:
    """Number of taps, less one, of each modulation filter: even, at the design frame rate."""
    lengths = []
    for rate in MODULATION_RATES:
        seconds = LONGEST_FILTER_S * CONSTANT_Q_ABOVE_HZ / max(rate, CONSTANT_Q_ABOVE_HZ)
        lengths.append(2 * int(seconds * FRAME_RATE / 2))
    return lengths


@lru_cache(maxsize=1)
def modulation_filters() -> list[Array]:
    """Impulse responses of the ten modulation filters, each with an odd number of taps, symmetric.

    Demodulating, smoothing by a von Hann window and modulating again is one band-pass filter: the window times a
    cosine. The lowest filter is the window itself.
    """
    filters = []
    for rate, length in zip(MODULATION_RATES, modulation_filter_lengths(), strict=True):
        window = np.hanning(length + 1)
        window /= np.sum(window)
        if rate > MODULATION_RATES[0]:
            window *= 2 * np.cos(2 * np.pi * rate / FRAME_RATE * np.arange(-length // 2, length // 2 + 1))
        filters.append(window)
    return filters


def modulation_correlations(reference: Array, processed: Array) -> Array:
    """Correlation of two cepstra, shape (6, frames), in each modulation band, averaged over basis functions 2 to 6."""
    pair = reference[1:], processed[1:]
    return np.array([np.mean(found) for found in filtered_correlations(pair, modulation_filters())])


def intelligibility(features: Array) -> float:
    """Mean answer of the ten networks to the features, shape (10,), scaled to a maximum of 1."""
    ensemble = _load_ensemble()
    hidden = _logistic(ensemble.hidden[:, 0] + np.einsum("f,kfh->kh", features, ensemble.hidden[:, 1:]))
    output = _logistic(ensemble.output[:, 0] + np.sum(hidden * ensemble.output[:, 1:], axis=1))
    return float(np.mean(output) / ensemble.maximum)


@dataclass(frozen=True, eq=False)
class _Ensemble:
    hidden: Array  # (10 networks, 1 + 10 features, 4)
    output: Array  # (10 networks, 1 + 4)
    maximum: float


@lru_cache(maxsize=1)
def _load_ensemble() -> _Ensemble:
    source = resources.files("hearlab") / "data" / "haspi_v2_ensemble.json"
    content = json.loads(source.read_text(encoding="utf-8"))
    return _Ensemble(
        hidden=np.array(content["hidden"]),
        output=np.array(content["output"])[:, :, 0],
        maximum=content["normalization_factor"],
    )


def _logistic(values: Array) -> Array:
    return 1 / (1 + np.exp(-values))
