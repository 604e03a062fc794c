"""Interfering sounds of the demo data: a fan, a dishwasher, a kettle that comes to the boil, and music."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hearlab.arrays import Array
from hearlab.datasets.demo.sounds import MAJOR, add, frequency, shaped_noise


def _shaped(length: int, rate: int, rng: np.random.Generator, gain: Callable[[Array], Array]) -> Array:
    return shaped_noise((length,), rate, rng, gain, low_cut=40.0)


def _tones(length: int, rate: int, rng: np.random.Generator, base: float, levels: list[float]) -> Array:
    """Harmonics of `base` Hz with the given amplitudes, slowly wavering together."""
    time = np.arange(length) / rate
    waver = 0.003 * np.sin(2 * np.pi * rng.uniform(0.2, 0.6) * time + rng.uniform(0, 2 * np.pi))
    phase = 2 * np.pi * np.cumsum(base * (1 + waver)) / rate
    return sum(
        (level * np.sin(k * phase + rng.uniform(0, 2 * np.pi)) for k, level in enumerate(levels, 1)), np.zeros(length)
    )


def fan(length: int, rate: int, rng: np.random.Generator) -> Array:
    """Rushing air that falls by about 8 dB per octave, with the hum of blades and motor."""
    corner = rng.uniform(250, 450)
    air = _shaped(length, rate, rng, lambda f: 1 / (1 + (f / corner) ** 1.3))
    time = np.arange(length) / rate
    turning = 1 + 0.12 * np.sin(2 * np.pi * rng.uniform(4, 8) * time)
    return air * turning + _tones(length, rate, rng, rng.uniform(90, 140), [0.25, 0.12, 0.08, 0.03])


def dishwasher(length: int, rate: int, rng: np.random.Generator) -> Array:
    """A humming pump, and water that is swept round about once per second."""
    time = np.arange(length) / rate
    sweep = 0.5 + 0.5 * np.sin(2 * np.pi * rng.uniform(0.7, 1.2) * time + rng.uniform(0, 2 * np.pi))
    water = _shaped(length, rate, rng, lambda f: np.exp(-0.5 * (np.log2(f / 700) / 1.4) ** 2))
    pump = _shaped(length, rate, rng, lambda f: 1 / (1 + (f / 150) ** 1.2))
    return (0.4 + 0.8 * sweep**2) * water + 0.7 * pump + _tones(length, rate, rng, 100.0, [0.5, 0.35, 0.1, 0.15])


def kettle(length: int, rate: int, rng: np.random.Generator) -> Array:
    """A hiss that grows into bubbling: bubbles are short decaying tones at random times."""
    time = np.arange(length) / length
    hiss = _shaped(length, rate, rng, lambda f: np.exp(-0.5 * (np.log2(f / 1800) / 1.2) ** 2))
    rumble = _shaped(length, rate, rng, lambda f: np.exp(-0.5 * (np.log2(f / 350) / 1.1) ** 2))
    bubbles = np.zeros(length)
    ring = np.arange(round(0.03 * rate)) / rate
    for start in rng.integers(0, length - ring.size, int(40 * length / rate)):
        pitch = rng.uniform(300, 1500)
        strength = rng.uniform(0.5, 3.0) * start / length
        bubbles[start : start + ring.size] += strength * np.exp(-ring / 0.006) * np.sin(2 * np.pi * pitch * ring)
    return (0.4 + 0.1 * time) * hiss + (0.5 + 0.5 * time) * rumble + bubbles


# By the class names of the challenge's metadata.
NOISES: dict[str, Callable[[int, int, np.random.Generator], Array]] = {
    "ElectricFan": fan,
    "Dishwasher": dishwasher,
    "KettleBoiling": kettle,
}


# Roots of the chords of a sequence, as degrees of the scale.
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
