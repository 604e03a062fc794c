"""Formant synthesis: from an utterance's tracks to sound (a source-filter model as in Klatt 1980)."""

from __future__ import annotations

import functools

import numpy as np
from scipy import fft

from hearlab.arrays import Array, Spectrum
from hearlab.datasets.demo.sounds import add, hann, overlapping_frames
from hearlab.datasets.demo.speech.utterances import Talker, Utterance

# The vocal tract is constant over frames of HOP samples, windowed with a Hann window of twice that; the transform
# leaves room for the ringing of the narrowest formant.
HOP = 256
TRANSFORM = 2048
FRAMES_AT_ONCE = 512

BANDWIDTHS = (70.0, 90.0, 130.0)
# The voice source is lifted by this many samples' worth of slope (6 dB per octave above 1.4 kHz): with it the long-term
# spectrum falls as that of natural speech.
EMPHASIS = 5.0
# A vowel leaves the vocal tract about this much stronger than its source entered it.
VOWEL_GAIN = 2.5
# Poles above the third formant, for an adult male vocal tract: Hz and bandwidth.
HIGH_POLES = ((3400.0, 150.0), (4400.0, 200.0), (5500.0, 300.0), (6700.0, 500.0), (8000.0, 700.0))


def synthesise(utterance: Utterance, talker: Talker, rate: int, rng: np.random.Generator) -> Array:
    """The sound of an utterance, shape (duration * rate,), at no particular level."""
    length = round(utterance.duration * rate)
    time = np.arange(length) / rate
    # Slow random wavering of the pitch by about 1 %, as in natural voices.
    knots = np.arange(0, utterance.duration + 0.1, 0.05)
    waver = np.interp(time, knots, 0.012 * rng.standard_normal(knots.size))
    phase = np.cumsum(utterance.pitch.at(time) * (1 + waver)) / rate % 1.0
    voicing = utterance.voicing.at(time)
    noise = rng.standard_normal((2, length))

    pulses = np.interp(phase, np.linspace(0, 1, glottal_pulse().size), glottal_pulse())
    # Breath noise comes with the open phase of the glottis.
    breath = talker.breathiness * voicing * (1 - np.cos(2 * np.pi * phase)) + utterance.aspiration.at(time)
    pulses += EMPHASIS * np.diff(pulses, prepend=pulses[0])
    # Breath noise is flat after radiation (a first difference), where the pulses fall.
    source = voicing * pulses + 0.5 * breath * np.diff(noise[0], prepend=0.0)
    frication = VOWEL_GAIN * utterance.noise.at(time) * noise[1]

    frames = overlapping_frames(np.stack([source, frication]), HOP) * hann(2 * HOP)
    centres = np.arange(frames.shape[1]) * HOP / rate
    formants = np.stack([track.at(centres) for track in utterance.formants], axis=1) * talker.formant_scale
    centre = utterance.noise_centre.at(centres) * talker.formant_scale
    width = utterance.noise_width.at(centres)

    sound = np.zeros(length + TRANSFORM)
    octaves = np.log2(np.maximum(fft.rfftfreq(TRANSFORM, 1 / rate), 20.0))
    for first in range(0, centres.size, FRAMES_AT_ONCE):
        part = slice(first, first + FRAMES_AT_ONCE)
        voiced, unvoiced = frames[:, part]
        spectrum = fft.rfft(voiced, TRANSFORM) * vocal_tract(formants[part], talker.formant_scale, rate)
        noisy = np.nonzero(np.any(unvoiced, axis=1))[0]
        away = (octaves - np.log2(centre[part][noisy])[:, None]) / width[part][noisy][:, None]
        # Narrow noises are amplified, so that all consonants of the same amplitude are about equally loud.
        shape = np.exp(-0.5 * away**2) / np.sqrt(width[part][noisy] * centre[part][noisy] / 4000.0)[:, None]
        spectrum[noisy] += fft.rfft(unvoiced[noisy], TRANSFORM) * shape
        for index, piece in enumerate(fft.irfft(spectrum, TRANSFORM), first):
            add(sound, (index - 1) * HOP, piece)
    return sound[:length]


@functools.cache
def glottal_pulse() -> Array:
    """One period of the derivative of glottal flow (in the manner of Fant, Liljencrants & Lin 1985), mean 0, RMS 1."""
    phase = np.linspace(0, 1, 4097)
    peak, closure, recovery = 0.45, 0.6, 0.003
    opening = np.exp(4.0 * phase) * np.sin(np.pi * phase / peak)
    at_closure = np.exp(4.0 * closure) * np.sin(np.pi * closure / peak)
    pulse = np.where(phase < closure, opening, at_closure * np.exp(-(phase - closure) / recovery))
    pulse -= pulse.mean()
    pulse /= np.sqrt(np.mean(pulse**2))
    pulse.flags.writeable = False
    return pulse


def vocal_tract(formants: Array, scale: float, rate: int) -> Spectrum:
    """Frequency responses (TRANSFORM // 2 + 1 bins) of resonators in cascade.

    Args:
        formants: the first three, in Hz, shape (frames, 3).
        scale: of the fixed higher poles.
        rate: sample rate in Hz.

    Returns:
        shape (frames, bins); the gain at 0 Hz is 1.
    """
    polynomial = np.ones((1, 1))
    for pole, bandwidth in HIGH_POLES:
        polynomial = _times_resonator(polynomial, np.array([pole * scale]), bandwidth, rate)
    polynomial = np.repeat(polynomial, formants.shape[0], axis=0)
    for formant, bandwidth in zip(formants.T, BANDWIDTHS, strict=True):
        polynomial = _times_resonator(polynomial, formant, bandwidth, rate)
    return polynomial.sum(axis=1, keepdims=True) / fft.rfft(polynomial, TRANSFORM)


def _times_resonator(polynomial: Array, frequency: Array, bandwidth: float, rate: int) -> Array:
    """Multiply denominators, shape (frames, n), by that of a resonator; shape (frames, n + 2)."""
    radius = np.exp(-np.pi * bandwidth / rate)
    product = np.zeros((polynomial.shape[0], polynomial.shape[1] + 2))
    product[:, :-2] += polynomial
    product[:, 1:-1] -= 2 * radius * np.cos(2 * np.pi * frequency / rate)[:, None] * polynomial
    product[:, 2:] += radius**2 * polynomial
    return product
