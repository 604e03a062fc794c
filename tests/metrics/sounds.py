"""Sounds that the tests of the metrics make, and listeners; numpy is all they need."""

from __future__ import annotations

import numpy as np

FREQUENCIES = [250, 500, 1000, 2000, 3000, 4000, 6000, 8000]
SLOPING_LEVELS = [10, 15, 20, 30, 45, 55, 65, 70]


def speech_like(rate: int) -> np.ndarray:
    """One second of a voice at 140 Hz in syllables, with a sweeping formant."""
    time = np.arange(rate) / rate
    voice = sum(np.sin(2 * np.pi * 140 * k * time + k * k) / k for k in range(1, 40))
    syllables = np.maximum(np.sin(2 * np.pi * 3.7 * time), 0) * (1 - 0.3 * np.cos(2 * np.pi * 9 * time))
    sweep = np.sin(2 * np.pi * (700 * time + 900 * time**2))
    return 0.5 * syllables * voice * (1 + 0.5 * sweep)


def lively_speech(seconds: float = 1.5) -> np.ndarray:
    """Twelve bands that come and go independently at syllable rates; RMS 1, 24 kHz. More like speech to the metrics."""
    random = np.random.RandomState(1)
    time = np.arange(round(seconds * 24000)) / 24000
    knots = np.arange(0, seconds + 0.1, 0.08)
    sound = np.zeros_like(time)
    for frequency in np.geomspace(150, 7000, 12):
        envelope = np.maximum(np.interp(time, knots, random.standard_normal(knots.size)), 0)
        sound += envelope * np.sin(2 * np.pi * frequency * time + 3 * np.sin(200 * np.pi * time)) / np.sqrt(frequency)
    return sound / np.std(sound)


def speech_pair(
    reference_rate: int, processed_rate: int, delay: float, noise: float = 0.05
) -> tuple[np.ndarray, np.ndarray]:
    """Speech and the same in noise, `delay` seconds late."""
    random = np.random.RandomState(5)
    clean = speech_like(processed_rate)
    noisy = clean + noise * random.standard_normal(clean.size)
    return speech_like(reference_rate), np.concatenate([np.zeros(round(delay * processed_rate)), noisy])


def music_like(rate: int, seconds: float = 1.2) -> np.ndarray:
    """Four decaying notes and a beat, with a pause at the end."""
    time = np.arange(round(seconds * rate)) / rate
    sound = np.zeros_like(time)
    for start, frequency in ((0.0, 110.0), (0.25, 165.0), (0.5, 220.0), (0.75, 294.0)):
        since = np.maximum(time - start, 0)
        note = sum(np.sin(2 * np.pi * frequency * k * since + k * k) / k for k in range(1, 25))
        sound += np.minimum(since / 0.01, 1) * np.exp(-4 * since) * note
    beat = np.exp(-60 * (time % 0.25)) * np.sin(2 * np.pi * 3000 * time + 40 * np.sin(2 * np.pi * 531 * time))
    return 0.1 * (sound + beat) * (time < seconds - 0.1)


def music_pair(
    reference_rate: int, processed_rate: int, delay: float, noise: float = 0.01
) -> tuple[np.ndarray, np.ndarray]:
    """Music and the same clipped and in noise, `delay` seconds late."""
    random = np.random.RandomState(5)
    clean = music_like(processed_rate)
    noisy = np.clip(clean, -0.2, 0.2) + noise * random.standard_normal(clean.size)
    return music_like(reference_rate), np.concatenate([np.zeros(round(delay * processed_rate)), noisy])
