"""Strings that are plucked or struck, and the sound of many bowed ones: the tones of bass, guitar, piano and strings.

A plucked string is a waveguide (Karplus & Strong 1983; Jaffe & Smith 1983): a pulse runs round a loop that delays it by
one period and takes some of it away. Its transfer function is known in closed form, so a whole note is one inverse
Fourier transform. Bowed ensembles are harmonics widened into narrow bands of random phase (Nasca's PADsynth).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import fft

from hearlab.arrays import Array
from hearlab.datasets.demo.sounds import frequency, hump, shaped_noise

# Strings fade out between these frequencies in Hz; above them little is left.
HIGHEST = (7000.0, 12000.0)
# The end of a note wraps round to its start. So the transform is taken on a circle inside the unit circle, where
# everything decays this much faster (nepers over the whole transform), and the decay is undone afterwards.
EXTRA_FADING = 3.0
# A string is plucked this late in its note, in s: room for the pre-ringing of the low-pass.
ONSET = 0.001


@dataclass(frozen=True)
class StringTone:
    """How strings of one instrument sound.

    Attributes:
        brightness: corner of the pluck's spectrum, in Hz.
        place: plucked position, as a fraction of the string's length.
        fading: of the fundamental, in nepers per s.
        damping: further fading per kHz.
        stiffness: inharmonicity coefficient B: harmonic n has the frequency n * f * sqrt(1 + B * n**2).
        detuning: of each of the strings of a note, in cents.
        pick: level of the pick's noise relative to the note.
        pick_centre: of that noise, in Hz.
        body: resonances as (Hz, width in octaves, gain).
    """

    brightness: float
    place: float
    fading: float
    damping: float
    stiffness: float = 1e-4
    detuning: tuple[float, ...] = (0.0,)
    pick: float = 0.1
    pick_centre: float = 2500.0
    body: tuple[tuple[float, float, float], ...] = ()


class Strings:
    """The strings of one instrument; each note is made once.

    Args:
        tone: how they sound.
        rate: sample rate in Hz.
        rng: draws the noise of the pick.
        size: samples of a note.
    """

    def __init__(self, tone: StringTone, rate: int, rng: np.random.Generator, size: int = 65536) -> None:
        self._tone, self._rate, self._rng, self._size = tone, rate, rng, size
        self._notes: dict[int, Array] = {}
        self._bins = np.arange(1, int(HIGHEST[1] / rate * size))
        self._hertz = self._bins * rate / size
        self._extra = EXTRA_FADING * rate / size
        self._fading = tone.fading + tone.damping * (self._hertz / 1000) ** 1.2 + self._extra
        self._s = self._extra + 2j * np.pi * self._hertz
        beyond = np.clip((self._hertz - HIGHEST[0]) / (HIGHEST[1] - HIGHEST[0]), 0, 1)
        colour = 0.5 + 0.5 * np.cos(np.pi * beyond)
        for centre, octaves, gain in tone.body:
            colour *= 1 + gain * hump(self._hertz, centre, octaves)
        self._pluck = self._s * np.exp(-self._s * ONSET) * colour / (1 + self._s / (2 * np.pi * tone.brightness)) ** 2
        self._regain = np.exp(self._extra / rate * np.arange(size))

    def note(self, number: int) -> Array:
        """An undamped note (MIDI number), shape (size,), RMS 1 over its first quarter of a second."""
        if number not in self._notes:
            self._notes[number] = self._make(number)
        return self._notes[number]

    def _make(self, number: int) -> Array:
        tone, rate = self._tone, self._rate
        loop = np.zeros(self._bins.size, dtype=np.complex128)
        for cents in tone.detuning:
            fundamental = frequency(number + cents / 100)
            # The (fractional) number of the harmonic at each frequency: its phase goes round once per harmonic.
            squared = (self._hertz / fundamental) ** 2
            order = np.sqrt(2 * squared / (1 + np.sqrt(1 + 4 * tone.stiffness * squared)))
            loop += 1 / (1 - np.exp(-self._fading / fundamental - 2j * np.pi * order))
        spectrum = np.zeros(self._size // 2 + 1, dtype=np.complex128)
        spectrum[self._bins] = loop * self._pluck / (self._s + np.pi * frequency(number))
        sound = fft.irfft(spectrum, self._size) * self._regain
        # From the plucked position one pulse runs to the near end and returns inverted.
        back = max(round(tone.place * rate / frequency(number)), 1)
        sound[back:] -= sound[:-back].copy()
        sound /= np.sqrt(np.mean(sound[: round(0.25 * rate)] ** 2))
        burst = round(0.02 * rate)
        noise = shaped_noise((burst,), rate, self._rng, lambda f: hump(f, tone.pick_centre, 0.7))
        sound[:burst] += tone.pick * noise * np.exp(-np.arange(burst) / (0.005 * rate))
        onset = round(ONSET * rate)
        sound[:onset] *= np.linspace(0, 1, onset, endpoint=False)
        return sound


def ensemble(notes: Sequence[int], brightness: float, rate: int, rng: np.random.Generator, size: int = 131072) -> Array:
    """A chord of many bowed strings, left and right, shape (2, size), RMS 1; it can be repeated without a seam.

    Args:
        notes: MIDI numbers.
        brightness: frequency in Hz above which harmonics fall faster.
        rate: sample rate in Hz.
        rng: draws the phases.
        size: samples.
    """
    bins = np.arange(int(9000 / rate * size))
    amplitude = np.zeros(bins.size)
    for note in notes:
        fundamental = frequency(note)
        for order in range(1, int(8500 / fundamental) + 1):
            hertz = order * fundamental
            # Players differ by some 12 cents, in vibrato and intonation.
            width = max(0.007 * hertz, 1.0) * size / rate
            centre = hertz * size / rate
            near = slice(max(int(centre - 4 * width), 1), int(centre + 4 * width) + 1)
            gain = order**-0.8 / (1 + (hertz / brightness) ** 2) / np.sqrt(width)
            amplitude[near] += gain * np.exp(-0.5 * ((bins[near] - centre) / width) ** 2)
    spectrum = np.zeros((2, size // 2 + 1), dtype=np.complex128)
    spectrum[:, bins] = amplitude * np.exp(2j * np.pi * rng.random((2, bins.size)))
    sound = fft.irfft(spectrum, size)
    return sound / np.sqrt(np.mean(sound**2))
