"""Tools of the demo's synthesisers: pitch, shaped noise, frames, placing sounds in time and between loudspeakers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import fft

from hearlab.arrays import Array

MAJOR = (0, 2, 4, 5, 7, 9, 11)  # semitones of a scale above its tonic


def frequency(note: float) -> float:
    """Frequency in Hz of a MIDI number (69 is 440 Hz)."""
    return float(440.0 * 2 ** ((note - 69) / 12))


def shaped_noise(
    shape: tuple[int, ...], rate: int, rng: np.random.Generator, gain: Callable[[Array], Array], low_cut: float = 0.0
) -> Array:
    """Gaussian noise along the last axis, RMS 1.

    Its amplitude spectrum is `gain` (of frequency in Hz), falling by 12 dB per octave below `low_cut` Hz.
    """
    size = fft.next_fast_len(shape[-1], real=True)
    frequencies = np.maximum(fft.rfftfreq(size, 1 / rate), 1.0)
    spectrum = fft.rfft(rng.standard_normal((*shape[:-1], size))) * gain(frequencies)
    spectrum /= np.hypot(1, low_cut / frequencies) ** 2
    noise = fft.irfft(spectrum, size)[..., : shape[-1]]
    return noise / np.sqrt(np.mean(noise**2))


def hump(frequencies: Array, centre: float | Array, octaves: float | Array) -> Array:
    """A gain of 1 at `centre` Hz that falls on both sides, with the given standard deviation in octaves."""
    return np.exp(-0.5 * (np.log2(frequencies / centre) / octaves) ** 2)


def overlapping_frames(signals: Array, hop: int) -> Array:
    """Frames of 2 * hop samples along the last axis, shape (..., frames, 2 * hop); the first begins at -hop."""
    length, count = signals.shape[-1], signals.shape[-1] // hop + 2
    padded = np.zeros((*signals.shape[:-1], (count + 1) * hop))
    padded[..., hop : hop + length] = signals
    return np.lib.stride_tricks.sliding_window_view(padded, 2 * hop, axis=-1)[..., ::hop, :]


def hann(size: int) -> Array:
    """A Hann window; windows that overlap by half sum to 1."""
    return 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(size) + 0.5) / size)


def add(track: Array, first: int, sound: Array) -> None:
    """Add `sound` along the last axis from sample `first` on, cut at the end of the track; `first` may be negative."""
    sound = sound[..., max(-first, 0) :]
    part = track[..., max(first, 0) : max(first, 0) + sound.shape[-1]]
    part += sound[..., : part.shape[-1]]


def pan(sound: Array, place: float) -> Array:
    """Pan a mono sound, shape (2, n): `place` from -1 (left) to 1 (right), constant power."""
    angle = (place + 1) * np.pi / 4
    return np.stack([np.cos(angle) * sound, np.sin(angle) * sound])


def held(note: Array, length: int, attack: int, release: int) -> Array:
    """A note (along the last axis) held for `length` samples and then released, faded in and out without a click."""
    whole = note[..., : length + release].copy()
    attack, release = min(attack, whole.shape[-1]), min(release, whole.shape[-1])
    whole[..., :attack] *= np.linspace(0, 1, attack, endpoint=False)
    if release:
        whole[..., -release:] *= 0.5 + 0.5 * np.cos(np.pi * (np.arange(release) + 1) / release)
    return whole


def saturate(track: Array, knee: float) -> Array:
    """Compress peaks as tape and amplifiers do: a hyperbolic tangent that never exceeds `knee` times the RMS."""
    level = np.sqrt(np.mean(track**2))
    if level == 0.0:
        return track
    limited = track / (knee * level)
    np.tanh(limited, out=limited)
    limited *= knee * level
    return limited
