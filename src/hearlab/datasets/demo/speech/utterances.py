"""What a synthetic talker says: syllables in time, and the tracks of pitch, voicing, noise and formants they make."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from hearlab.arrays import Array
from hearlab.datasets.demo.speech.phonemes import CONSONANTS, VOWELS, Consonant

MARGIN = 0.05  # s

Landmarks = Iterable[tuple[float, float]]
"""Times in s and values."""


@dataclass(frozen=True)
class Talker:
    """A voice.

    Attributes:
        name: as in the file names.
        sex: "M" or "F", as in the metadata.
        pitch: mean fundamental frequency in Hz.
        liveliness: how far pitch moves, in semitones.
        formant_scale: of all formants, relative to an adult male vocal tract.
        rate: syllables per second within a phrase.
        breathiness: noise in the voice source relative to its pulses.
    """

    name: str
    sex: str
    pitch: float
    liveliness: float
    formant_scale: float
    rate: float
    breathiness: float


def draw_talker(name: str, rng: np.random.Generator) -> Talker:
    """A talker with a random voice."""
    female = bool(rng.random() < 0.5)
    return Talker(
        name,
        "F" if female else "M",
        pitch=rng.uniform(175, 225) if female else rng.uniform(95, 130),
        liveliness=rng.uniform(2.0, 4.0),
        formant_scale=rng.uniform(1.12, 1.2) if female else rng.uniform(0.96, 1.05),
        rate=rng.uniform(3.8, 4.8),
        breathiness=rng.uniform(0.03, 0.08),
    )


@dataclass
class Track:
    """A parameter over time, given by landmarks with straight lines between them."""

    times: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def add(self, time: float, value: float) -> None:
        self.times.append(time)
        self.values.append(value)

    def at(self, times: Array) -> Array:
        """Values at `times` in s; constant before the first and after the last landmark."""
        return np.interp(times, self.times, self.values)


class Utterance:
    """Syllables laid out in time.

    Attributes:
        text: the syllables in spelling, a blank between words.
        duration: in s.
        pitch: fundamental frequency in Hz.
        voicing, aspiration, noise: amplitudes relative to a stressed vowel.
        noise_centre, noise_width: spectrum of the noise in Hz and octaves.
        formants: three tracks in Hz of an adult male vocal tract.
    """

    def __init__(self, duration: float) -> None:
        self.text = ""
        self.duration = duration
        self.pitch = Track()
        self.voicing = Track()
        self.aspiration = Track()
        self.noise = Track()
        self.noise_centre = Track()
        self.noise_width = Track()
        self.formants = (Track(), Track(), Track())

    def add_formants(self, time: float, values: Iterable[float]) -> None:
        for track, value in zip(self.formants, values, strict=True):
            track.add(time, value)

    def articulate(
        self,
        consonant: Consonant,
        vowel: tuple[float, float, float],
        times: tuple[float, float, float, float],
        loudness: float,
        burst: Landmarks,
        breath: Landmarks,
    ) -> None:
        """The noise of a consonant, and formants that move from it to a vowel.

        Args:
            consonant, vowel: what is spoken.
            times: start and release of the consonant, arrival of the formants at the vowel, end of the vowel.
            loudness: amplitude of the vowel.
            burst: of a stop: times relative to the release, and amplitudes relative to the consonant's noise.
            breath: of an aspirated stop: times, and amplitudes relative to the vowel.
        """
        start, release, reached, end = times
        for track, value in ((self.noise_centre, consonant.noise_centre), (self.noise_width, consonant.noise_width)):
            track.add(start, value)
            track.add(end - 0.001, value)
        strength, onset = loudness**0.5 * consonant.noise, release - start
        self.noise.add(start, 0.0)
        self.aspiration.add(start, 0.0)
        if consonant.manner == "stop":
            for offset, level in burst:
                self.noise.add(release + offset, level * strength)
            for at, level in breath:
                self.aspiration.add(at, level * loudness * float(consonant.aspiration > 0.02))
        elif consonant.noise:
            self.noise.add(start + 0.35 * onset, strength)
            self.noise.add(start + 0.85 * onset, strength)
            self.noise.add(release + 0.008, 0.0)
        for at, weight in ((start, 0.75), (release, 0.8), (reached, 0.0), (max(end - 0.045, reached), 0.0)):
            pairs = zip(consonant.formants, vowel, strict=True)
            self.add_formants(at, [weight * locus + (1 - weight) * own for locus, own in pairs])


def plan_utterance(talker: Talker, duration: float, rng: np.random.Generator) -> Utterance:
    """Lay out syllables of a consonant and a vowel over `duration` s, in phrases with pauses between them.

    Its beginning and its end are silent for MARGIN s; `duration` has room for some syllables (1 s or more).
    """
    plan = Utterance(duration)
    words: list[str] = []
    time = MARGIN
    while True:
        count = int(rng.integers(3, 7))
        phrase_start, spoken = time, 0
        word = ""
        for index in range(count):
            # Every other syllable is stressed, but for some that come too early or too late.
            stressed = index % 2 == int(rng.random() < 0.25)
            length = rng.uniform(0.85, 1.15) * (1.12 if stressed else 0.88) / talker.rate
            if time + length > duration - MARGIN:
                break
            if index == 0:
                plan.voicing.add(phrase_start - 0.01, 0.0)
            consonant = str(rng.choice(list(CONSONANTS)))
            vowel = str(rng.choice(list(VOWELS)))
            last = index == count - 1 or time + 2 * length > duration - MARGIN
            _add_syllable(plan, talker, CONSONANTS[consonant], VOWELS[vowel], time, length, stressed, last, rng)
            time += length
            spoken += 1
            word += consonant + vowel
            if last or rng.random() < 0.5:
                words.append(word)
                word = ""
        if word:
            words.append(word)
        if spoken:
            _add_pitch(plan, talker, phrase_start, time, rng)
        if spoken < count:
            break
        time += rng.uniform(0.12, 0.28)
    plan.text = " ".join(words)
    for track in (plan.voicing, plan.aspiration, plan.noise):
        track.add(min(time + 0.01, duration), 0.0)
    return plan


def _add_syllable(
    plan: Utterance,
    talker: Talker,
    consonant: Consonant,
    vowel: tuple[float, float, float],
    start: float,
    length: float,
    stressed: bool,
    last: bool,
    rng: np.random.Generator,
) -> None:
    """Landmarks of one syllable from `start` to `start + length`."""
    loudness = (1.0 if stressed else 0.45) * float(10 ** (rng.uniform(-2, 2) / 20))
    onset = min(consonant.duration * rng.uniform(0.85, 1.15), 0.45 * length)
    release = start + onset
    voice_start = release + min(consonant.aspiration, 0.2 * length)
    end = start + length
    fall = 0.11 if last else 0.06

    plan.voicing.add(start, loudness * consonant.voicing if consonant.manner != "stop" else 0.0)
    plan.voicing.add(start + 0.012, loudness * consonant.voicing)
    plan.voicing.add(voice_start - 0.004, loudness * consonant.voicing)
    plan.voicing.add(voice_start + 0.018, loudness)
    plan.voicing.add(max(end - fall, voice_start + 0.03), 0.7 * loudness)
    plan.voicing.add(end - 0.004, 0.0 if last else 0.04 * loudness)

    reached = min(voice_start + 0.055, voice_start + 0.4 * (end - voice_start))
    burst = ((-0.001, 0.0), (0.001, 1.0), (0.009, 0.5), (0.018, 0.0))
    breath = ((release, 0.0), (release + 0.006, 0.2), (voice_start, 0.15), (voice_start + 0.02, 0.0))
    plan.articulate(consonant, vowel, (start, release, reached, end), loudness, burst, breath)
    accent = rng.uniform(0.4, 1.0) if stressed else rng.uniform(-0.6, 0.0)
    plan.pitch.add(voice_start + 0.3 * (end - voice_start), accent * talker.liveliness)


def _add_pitch(plan: Utterance, talker: Talker, start: float, end: float, rng: np.random.Generator) -> None:
    """Turn the phrase's accents (semitones) into Hz: they ride on a line that falls from its start to its end."""
    fall = rng.uniform(3.0, 5.0)
    for index, (time, semitones) in enumerate(zip(plan.pitch.times, plan.pitch.values, strict=True)):
        if start <= time <= end:
            line = fall * (0.5 - (time - start) / (end - start))
            plan.pitch.values[index] = talker.pitch * 2 ** ((semitones + line) / 12)
