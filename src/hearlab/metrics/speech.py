"""Reference and processed speech as the speech metrics take them, and the work that metrics share.

A speech metric is a function of a `SpeechPair` and a random stream, `score_pair` in its module; what it returns has a
`score`, and is a float, too. Metrics that score the same signals are given the same pair.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, SupportsFloat, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from hearlab.arrays import Array
from hearlab.ear.alignment import BroadbandAlignment
from hearlab.ear.hearing import Hearing
from hearlab.ear.loss import loss_parameters
from hearlab.ear.resampling import MODEL_RATE, to_model_rate
from hearlab.errors import InputError
from hearlab.kernels.retained_memory import keep_freed_memory
from hearlab.listeners import Audiogram, Listener
from hearlab.metrics import validation

T = TypeVar("T")
Result = TypeVar("Result", bound=SupportsFloat)


@dataclass(frozen=True, eq=False)
class BetterEarResult(Generic[Result]):
    """The answers of a metric for both ears; `score` is the higher of the two."""

    left: Result
    right: Result

    @property
    def score(self) -> float:
        return max(float(self.left), float(self.right))

    def __float__(self) -> float:
        return self.score


class SpeechReference:
    """Clean speech in one ear, ready for any number of processed signals, listeners and metrics.

    What depends on the reference alone is computed once and kept (for the duration last used); scores are the same
    to the last bit.

    Args:
        reference: clean speech, floating point, shape (n,).
        rate: its sample rate in Hz.
        level: dB SPL of a signal whose RMS is 1.
        basal_shift: see `hearlab.metrics.haspi`.
        name: what to call the reference in errors.
        once: whether one score is all; what further ones would need is then freed on the way (10 minutes: 115 MB).

    Raises:
        InputError: wrong shape, integers, silence, samples that are no finite numbers, a wrong rate, level or shift.

    Examples:
        >>> import numpy as np
        >>> from hearlab.listeners import Audiogram
        >>> clean, noise = 0.05 * np.random.RandomState(0).standard_normal((2, 12000))
        >>> reference = SpeechReference(clean, 24000)
        >>> ear = Audiogram([20, 20, 30, 40, 50, 60], [250, 500, 1000, 2000, 4000, 6000])
        >>> [reference.beside(clean + gain * noise, 24000, ear).length for gain in (0.1, 1.0)]
        [12000, 12000]
    """

    def __init__(
        self,
        reference: ArrayLike,
        rate: float,
        *,
        level: float = 65.0,
        basal_shift: float = 0.0,
        name: str = "reference",
        once: bool = False,
    ) -> None:
        samples = validation.monaural(name, reference)
        rate = validation.sample_rate("reference_rate", rate)
        self.level = validation.presentation_level(level)
        self.basal_shift = validation.basal_shift(basal_shift)
        self.name = name
        self._once = once
        # A copy: at 24 kHz this is the caller's own array, which may change before the next score.
        self.signal = to_model_rate(samples, rate).copy()
        keep_freed_memory()  # new pages for every array would take a twentieth of the time
        self._kept: dict[Callable[..., Any], tuple[Hashable, Any]] = {}

    def beside(
        self, processed: ArrayLike, rate: float, audiogram: Audiogram, *, name: str = "processed", shared: bool = False
    ) -> SpeechPair:
        """This reference with a processed signal, shape (m,), `rate` in Hz, that a listener with `audiogram` hears.

        Args:
            name: what to call the processed signal in errors.
            shared: whether several metrics will score the pair.

        Raises:
            InputError: a wrong signal or rate, an audiogram that does not reach from 250 to 6000 Hz.
        """
        samples = validation.monaural(name, processed)
        rate = validation.sample_rate("processed_rate", rate)
        losses = validation.hearing_loss("audiogram", audiogram)
        return SpeechPair(self, samples, rate, losses, shared)

    def alignment(self, length: int) -> BroadbandAlignment:
        """The alignment of signals of so many samples with the beginning of this one.

        Raises:
            InputError: that beginning is silent; the reference was made for one score, and has had it.
        """
        if self.signal.size == 0:
            raise InputError(self.name, "was made for one score (once=True), and is freed", advice="make it again")
        return self.kept(_alignment, length)

    def heard(self) -> None:
        """Free the signal, if this is the only score: it is aligned and in the ear."""
        if self._once:
            self._kept.pop(_alignment, None)
            self.signal = self.signal[:0].copy()

    def scored(self, make: Callable[..., Any]) -> None:
        """Free what `make` made of this reference, if this is the only score."""
        if self._once:
            self._kept.pop(make, None)

    def kept(self, make: Callable[..., T], *arguments: Hashable) -> T:
        """`make(self, *arguments)`, kept until it is called with other arguments."""
        if make not in self._kept or self._kept[make][0] != arguments:
            self._kept.pop(make, None)  # frees the old one first
            self._kept[make] = arguments, make(self, *arguments)
        found: T = self._kept[make][1]
        return found


def _alignment(reference: SpeechReference, length: int) -> BroadbandAlignment:
    signal = reference.signal[:length]
    validation.sound_within(reference.name, signal, MODEL_RATE)
    return BroadbandAlignment(signal)


@dataclass(eq=False)
class SpeechPair:
    """Reference and processed speech in one ear.

    Attributes:
        reference: the clean speech.
        samples, rate: of the processed signal, shape (m,), and its rate in Hz.
        losses: in dB HL at the model's audiometric frequencies, shape (6,).
        shared: whether several metrics will score the pair; then what they all need of the processed signal is kept.
    """

    reference: SpeechReference
    samples: Array
    rate: float
    losses: Array
    shared: bool = False

    @cached_property
    def _signal(self) -> Array:
        return to_model_rate(self.samples, self.rate)

    @cached_property
    def length(self) -> int:
        """Number of samples at 24 kHz that both signals have."""
        return min(self.reference.signal.size, self._signal.size)

    @property
    def processed(self) -> Hearing:
        """The processed signal, aligned with the reference, in the listener's ear."""
        if self.shared:
            return self._processed
        hearing = self._heard()
        del self._signal  # of ten minutes it has 115 MB; who asks again has it made again
        return hearing

    @cached_property
    def _processed(self) -> Hearing:
        hearing = self._heard()
        hearing.keep(motions=True)
        return hearing

    def _heard(self) -> Hearing:
        aligned = self.reference.alignment(self.length).apply(self._signal[: self.length])
        return Hearing(aligned, loss_parameters(self.losses), self.reference.level, self.reference.basal_shift)


class BinauralReference:
    """Clean speech in both ears, shape (n, 2), left ear first; see `SpeechReference`.

    Examples:
        >>> import numpy as np
        >>> from hearlab.listeners import Audiogram, Listener
        >>> clean = 0.05 * np.random.RandomState(0).standard_normal((12000, 2))
        >>> ear = Audiogram([20, 20, 30, 40, 50, 60], [250, 500, 1000, 2000, 4000, 6000])
        >>> BinauralReference(clean, 24000).beside(clean, 24000, Listener("L0001", ear, ear)).left.length
        12000
    """

    def __init__(self, reference: ArrayLike, rate: float, *, level: float = 100.0, basal_shift: float = 0.0) -> None:
        samples = validation.binaural("reference", reference)
        rate = validation.sample_rate("rate", rate)
        self._ears = [
            SpeechReference(
                samples[:, channel], rate, level=level, basal_shift=basal_shift, name=f"reference, {ear} ear"
            )
            for channel, ear in enumerate(validation.EARS)
        ]

    def beside(self, processed: ArrayLike, rate: float, listener: Listener, *, shared: bool = False) -> BinauralPair:
        """This reference with a processed signal, shape (m, 2), for a listener; see `SpeechReference.beside`."""
        samples = validation.binaural("processed", processed)
        rate = validation.sample_rate("rate", rate)
        ears = validation.both_ears(listener)
        # Both ears are checked before the left one is computed.
        for ear, audiogram in ears.items():
            validation.hearing_loss(f"listener {listener.id}, {ear} ear", audiogram)
        left, right = (
            reference.beside(samples[:, channel], rate, ears[ear], name=f"processed, {ear} ear", shared=shared)
            for channel, (ear, reference) in enumerate(zip(validation.EARS, self._ears, strict=True))
        )
        return BinauralPair(left, right)


@dataclass(frozen=True, eq=False)
class BinauralPair:
    """Reference and processed speech in both ears."""

    left: SpeechPair
    right: SpeechPair

    def better_ear(
        self, score_pair: Callable[[SpeechPair, np.random.RandomState], Result], random: np.random.RandomState
    ) -> BetterEarResult[Result]:
        """What a metric says of both ears; one stream serves the left ear, then the right ear."""
        return BetterEarResult(score_pair(self.left, random), score_pair(self.right, random))
