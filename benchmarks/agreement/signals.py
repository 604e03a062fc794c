"""Test sounds, drawn from a random generator: speech-like, music-like, noise and tones; shape (n,), RMS 1."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.signal import lfilter

Generator = np.random.Generator


def speech_like(random: Generator, n: int, rate: int) -> np.ndarray:
    """A gliding voice through two formants, in syllables with pauses, and bursts of noise between."""
    time = np.arange(n) / rate
    pitch = random.uniform(90, 230) * (
        1 + 0.1 * np.sin(2 * np.pi * random.uniform(0.3, 1) * time + random.uniform(0, 6))
    )
    voice = lfilter([0.3], [1, -0.7], 2 * (np.cumsum(pitch) / rate % 1) - 1)
    for formant in (random.uniform(400, 900), random.uniform(1200, 2400)):
        voice = _resonance(voice, formant, 120, rate)
    syllables = np.maximum(np.sin(2 * np.pi * random.uniform(2, 5) * time + random.uniform(0, 6)), 0)
    # A sound begins within a phrase, so that the shortest ones hold speech.
    phrases = (np.sin(2 * np.pi * random.uniform(0.2, 0.6) * time + random.uniform(0, 1)) > -0.7).astype(float)
    consonants = _envelope(random, n, rate, bursts=3) * random.standard_normal(n)
    return _unit(phrases * (syllables * _unit(voice) + 0.15 * consonants) + 1e-4 * random.standard_normal(n))


def music_like(random: Generator, n: int, rate: int) -> np.ndarray:
    """Decaying notes with overtones on a beat, over a soft chord and hits of noise."""
    time = np.arange(n) / rate
    sound = 0.1 * sum(np.sin(2 * np.pi * random.uniform(150, 600) * time) for _ in range(3))
    beat = random.uniform(0.15, 0.5)
    for start in np.arange(random.uniform(0, 0.1), n / rate, beat):
        first, lasts = int(start * rate), random.uniform(0.05, 0.6)
        own = time[: min(n - first, int(10 * lasts * rate))]
        last = first + own.size
        note = 55 * 2 ** (random.integers(0, 48) / 12)
        decay = np.exp(-own / lasts)
        faded = decay.copy()
        for overtone in range(1, 7):
            if overtone * note < 0.45 * rate:
                sound[first:last] += faded * np.sin(2 * np.pi * overtone * note * own) / overtone
                faded *= decay
        sound[first:last] += 0.3 * np.exp(-own / 0.02) * random.standard_normal(own.size)
    return _unit(sound)


def noise(random: Generator, n: int, rate: int) -> np.ndarray:
    """White to reddish noise, now and then modulated."""
    sound = lfilter([1], [1, -random.uniform(0, 0.95)], random.standard_normal(n))
    if random.random() < 0.5:
        sound *= _envelope(random, n, rate, bursts=4) + 0.05
    return _unit(sound)


def tones(random: Generator, n: int, rate: int) -> np.ndarray:
    """One to four tones, steady or amplitude-modulated, or a sweep."""
    time = np.arange(n) / rate
    if random.random() < 0.25:
        low, high = random.uniform(100, 500), 0.4 * rate
        return _unit(np.sin(2 * np.pi * low * time * (1 + (high / low - 1) * time / time[-1] / 2)))
    sound = np.zeros(n)
    for _ in range(random.integers(1, 5)):
        frequency = np.exp(random.uniform(np.log(100), np.log(min(8000, 0.45 * rate))))
        depth = random.uniform(0, 1) * (random.random() < 0.5)
        modulation = 1 + depth * np.sin(2 * np.pi * random.uniform(2, 100) * time)
        sound += random.uniform(0.2, 1) * modulation * np.sin(2 * np.pi * frequency * time + random.uniform(0, 6))
    return _unit(sound)


KINDS: dict[str, Callable[[Generator, int, int], np.ndarray]] = {
    "speech": speech_like,
    "music": music_like,
    "noise": noise,
    "tones": tones,
}


def _resonance(sound: np.ndarray, frequency: float, bandwidth: float, rate: int) -> np.ndarray:
    radius = np.exp(-np.pi * bandwidth / rate)
    return lfilter([1 - radius], [1, -2 * radius * np.cos(2 * np.pi * frequency / rate), radius**2], sound)


def _envelope(random: Generator, n: int, rate: int, bursts: float) -> np.ndarray:
    """Raised-cosine bursts at random times, `bursts` a second in the mean; shape (n,), 0 to 1."""
    envelope = np.zeros(n)
    for _ in range(1 + random.poisson(bursts * n / rate)):
        length = min(int(random.uniform(0.03, 0.2) * rate), n)
        start = random.integers(0, n - length + 1)
        envelope[start : start + length] = np.maximum(envelope[start : start + length], np.hanning(length))
    return envelope


def _unit(sound: np.ndarray) -> np.ndarray:
    return sound / np.sqrt(np.mean(sound**2))
