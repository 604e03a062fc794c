"""What a synthetic talker says: phonemes, syllables in time, and the tracks of pitch, voicing, noise and formants."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from hearlab.arrays import Array

# First three formants in Hz of an adult male talker (Peterson & Barney 1952); the keys are used as spelling.
VOWELS: dict[str, tuple[float, float, float]] = {
    "ee": (270, 2290, 3010),
    "i": (390, 1990, 2550),
    "e": (530, 1840, 2480),
    "a": (660, 1720, 2410),
    "ah": (730, 1090, 2440),
    "aw": (570, 840, 2410),
    "oo": (300, 870, 2240),
    "u": (640, 1190, 2390),
    "er": (490, 1350, 1690),
}


@dataclass(frozen=True)
class Consonant:
    """One consonant before a vowel.

    Attributes:
        manner: "stop", "fricative", "nasal" or "approximant".
        duration: in s.
        formants: first three formants in Hz towards which those of the vowel bend.
        voicing: amplitude of voicing relative to a vowel.
        noise: amplitude of the burst or of the frication relative to a vowel; 0 for none.
        noise_centre: in Hz.
        noise_width: standard deviation of its spectrum in octaves.
        aspiration: time in s from a burst to the start of voicing.
    """

    manner: str
    duration: float
    formants: tuple[float, float, float]
    voicing: float = 0.0
    noise: float = 0.0
    noise_centre: float = 3000.0
    noise_width: float = 1.0
    aspiration: float = 0.0


CONSONANTS: dict[str, Consonant] = {
    "p": Consonant("stop", 0.075, (350, 900, 2200), 0.0, 0.45, 1000, 1.0, 0.045),
    "t": Consonant("stop", 0.070, (350, 1800, 2700), 0.0, 0.90, 4500, 0.5, 0.050),
    "k": Consonant("stop", 0.070, (350, 2100, 2500), 0.0, 0.75, 2000, 0.45, 0.055),
    "b": Consonant("stop", 0.060, (250, 900, 2200), 0.06, 0.36, 800, 1.0, 0.010),
    "d": Consonant("stop", 0.055, (250, 1800, 2700), 0.06, 0.60, 4000, 0.6, 0.012),
    "g": Consonant("stop", 0.055, (250, 2100, 2500), 0.06, 0.54, 1900, 0.5, 0.018),
    "f": Consonant("fricative", 0.085, (350, 1000, 2300), 0.0, 0.30, 5000, 1.2),
    "s": Consonant("fricative", 0.095, (320, 1700, 2600), 0.0, 0.90, 6500, 0.35),
    "sh": Consonant("fricative", 0.095, (320, 1850, 2500), 0.0, 0.90, 3300, 0.45),
    "v": Consonant("fricative", 0.060, (300, 1000, 2300), 0.25, 0.12, 4500, 1.2),
    "z": Consonant("fricative", 0.070, (300, 1700, 2600), 0.22, 0.45, 6500, 0.35),
    "m": Consonant("nasal", 0.060, (260, 1000, 2200), 0.30),
    "n": Consonant("nasal", 0.055, (260, 1700, 2600), 0.30),
    "l": Consonant("approximant", 0.055, (350, 1100, 2700), 0.50),
    "r": Consonant("approximant", 0.060, (400, 1200, 1600), 0.50),
    "w": Consonant("approximant", 0.065, (300, 700, 2200), 0.45),
    "y": Consonant("approximant", 0.060, (280, 2200, 3000), 0.45),
}


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
        liveliness: range of the pitch, in semitones.
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
            # Every other syllable is stressed, except some that are shifted.
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
