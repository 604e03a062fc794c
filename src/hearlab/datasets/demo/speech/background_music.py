"""Background music: chords, a melody, a bass and percussion."""

from __future__ import annotations

import numpy as np

from hearlab.arrays import Array
from hearlab.datasets.demo.sounds import MAJOR, add, frequency

# Degrees of the scale on which the four chords of a bar sequence stand.
PROGRESSIONS = ((0, 4, 5, 3), (0, 5, 3, 4), (5, 3, 0, 4))
# Amplitudes of the partials.
CHORD = (1, 0.7, 0.5, 0.35, 0.25, 0.2)
BASS = (1, 0.6, 0.4, 0.2)
MELODY = (1, 0.7, 0.6, 0.5, 0.4, 0.3)


def background_music(length: int, rate: int, rng: np.random.Generator) -> Array:
    """A piece in a random major key, four beats per chord, shape (length,), at no particular level."""
    beat = 60.0 / rng.uniform(92, 132)
    key = 48 + int(rng.integers(0, 12))
    progression = PROGRESSIONS[int(rng.integers(len(PROGRESSIONS)))]
    piece = np.zeros(length)
    step = 0  # of the melody, in degrees of the scale
    for count in range(int(length / rate / beat) + 1):
        at = round(count * beat * rate)
        root = progression[count // 4 % len(progression)]
        if count % 4 == 0:
            for third in (0, 2, 4):
                add(piece, at, 0.16 * _note(_pitch(key, root + third), 4 * beat, rate, CHORD, 1.5))
        if count % 2 == 0:
            add(piece, at, 0.3 * _note(_pitch(key - 12, root), 1.8 * beat, rate, BASS, 0.6))
            add(piece, at, 0.6 * _kick(rate))
        else:
            add(piece, at, 0.2 * _cymbal(rng, rate, 0.05))
        for half in (0.0, 0.5):
            add(piece, at + round(half * beat * rate), 0.08 * _cymbal(rng, rate, 0.012))
            if rng.random() < 0.7:
                step = int(np.clip(step + rng.integers(-2, 3), -3, 7))
                tone = _note(_pitch(key + 12, step), 0.6 * beat, rate, MELODY, 0.5, vibrato=0.004)
                add(piece, at + round(half * beat * rate), 0.25 * tone)
    return piece


def _pitch(key: int, degree: int) -> float:
    """Frequency in Hz of a degree of the major scale on the MIDI note `key`."""
    octave, place = divmod(degree, len(MAJOR))
    return frequency(key + 12 * octave + MAJOR[place])


def _note(
    pitch: float, duration: float, rate: int, partials: tuple[float, ...], decay: float, vibrato: float = 0.0
) -> Array:
    """A note with the given partials; it decays with the time constant `decay` in s, higher partials faster."""
    time = np.arange(round(duration * rate)) / rate
    phase = 2 * np.pi * pitch * (time + vibrato / 30 * np.sin(2 * np.pi * 5.5 * time))
    fading = np.exp(-0.6 * time / decay)
    # Partials by the recurrence sin((k + 1) p) = 2 cos(p) sin(k p) - sin((k - 1) p).
    twice_cosine, before, sine = 2 * np.cos(phase), np.zeros_like(phase), np.sin(phase)
    note, envelope = np.zeros_like(phase), np.ones_like(phase)
    for partial in partials:
        envelope = envelope * fading
        note += partial * envelope * sine
        before, sine = sine, twice_cosine * sine - before
    return note * np.minimum(1, time / 0.008) * np.minimum(1, (duration - time) / 0.03)


def _kick(rate: int) -> Array:
    time = np.arange(round(0.18 * rate)) / rate
    return np.exp(-time / 0.05) * np.sin(2 * np.pi * (50 * time + 3.0 * (1 - np.exp(-time / 0.02))))


def _cymbal(rng: np.random.Generator, rate: int, decay: float) -> Array:
    """A stroke on a cymbal or a snare: bright noise that decays with the time constant `decay` in s."""
    time = np.arange(round(5 * decay * rate)) / rate
    return np.diff(rng.standard_normal(time.size), prepend=0.0) * np.exp(-time / decay)
