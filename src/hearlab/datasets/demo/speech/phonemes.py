"""The sounds that the synthetic talkers can make: formants of vowels, noises and loci of consonants."""

from __future__ import annotations

from dataclasses import dataclass

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
