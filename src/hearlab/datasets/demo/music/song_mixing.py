"""Mixing a demo song: levels, the room that all stems share, the limiter over the whole, 16-bit stems and their sum."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from hearlab.arrays import Array
from hearlab.datasets.demo.sounds import shaped_noise

# RMS of the stems while they play, in dB relative to each other, and its range over songs.
BALANCE = {"vocals": 0.0, "drums": 1.0, "bass": 0.0, "other": -0.5}
BALANCE_RANGE = 1.2
# Amplitude of the room relative to the direct sound.
ROOM_SEND = {"vocals": 0.22, "drums": 0.16, "bass": 0.05, "other": 0.2}
# Peak of the mixture, in dB re full scale.
PEAK_LEVEL = (-2.6, -1.4)
# No stem comes closer to full scale than this, even if the mixture has to be softer.
STEM_LIMIT = 0.98
# Peaks above this multiple of the mixture's RMS are turned down, all stems alike.
LIMIT = 3.6
# The limiter works in blocks of this many samples; it looks this many blocks ahead and back.
LIMITER_BLOCK = 64
LIMITER_REACH = 40
# Corner of the high-pass that keeps the mix free of rumble and of direct current, in Hz.
LOW_CUT = 25.0
# Fade at the end of the song, in s.
FADE = 0.08


def mix(stems: Mapping[str, Array], rate: int, rng: np.random.Generator) -> dict[str, NDArray[np.int16]]:
    """Mix stems to a song.

    Args:
        stems: "vocals", "drums", "bass" and "other", shape (2, n) each, at any level; a stem may be silent.
        rate: sample rate in Hz.
        rng: draws balance and room.

    Returns:
        the stems and "mixture" (exactly their sum), shape (n, 2) each.
    """
    length = next(iter(stems.values())).shape[1]
    room = _room(rate, rng)
    size = fft.next_fast_len(length + room.shape[1], real=True)
    response = fft.rfft(room, size)
    rotation = 2j * np.pi * fft.rfftfreq(size, 1 / rate)
    low_cut = rotation / (rotation + 2 * np.pi * LOW_CUT)
    fade = np.ones(length)
    fade[-round(FADE * rate) :] = np.linspace(1, 0, round(FADE * rate))

    placed = {}
    for name, dry in stems.items():
        gain = 10 ** ((BALANCE[name] + rng.uniform(-BALANCE_RANGE, BALANCE_RANGE)) / 20)
        level = _playing_level(dry, rate)
        if level == 0.0:
            placed[name] = np.zeros((2, length))
            continue
        spectrum = fft.rfft(dry, size)
        spectrum += ROOM_SEND[name] * response * spectrum.mean(axis=0)
        spectrum *= low_cut * (gain / level)
        placed[name] = fft.irfft(spectrum, size)[:, :length] * fade
    together = sum(placed.values(), np.zeros((2, length)))
    gains = _limiter(together)
    peak = 10 ** (rng.uniform(*PEAK_LEVEL) / 20)
    # Stems may cancel each other in the mixture: none of them may clip either.
    loudest = max(float(np.max(np.abs(gains * stem))) for stem in placed.values())
    gains *= 32768 * min(peak / float(np.max(np.abs(gains * together))), STEM_LIMIT / loudest)
    pcm = {name: np.rint(gains * stem).astype(np.int16).T for name, stem in placed.items()}
    return {"mixture": sum(pcm.values(), np.zeros((length, 2), np.int16)), **pcm}


def _playing_level(track: Array, rate: int) -> float:
    """RMS over those tenths of a second in which a track is within 30 dB of its loudest one."""
    block = rate // 10
    count = track.shape[1] // block
    energy = np.mean(track[:, : count * block].reshape(2, count, block) ** 2, axis=(0, 2))
    loudest = float(energy.max())
    return float(np.sqrt(np.mean(energy[energy > 1e-3 * loudest]))) if loudest else 0.0


def _room(rate: int, rng: np.random.Generator) -> Array:
    """Response of a small room without the direct sound, left and right, shape (2, n): early echoes, then a tail in
    which high frequencies decay first. Its energy is 1 in each channel, so that a send level is an amplitude."""
    decay = rng.uniform(0.25, 0.4) / 6.9  # the time constant that loses 60 dB in that time
    time = np.arange(round(0.45 * rate)) / rate
    low = shaped_noise((2, time.size), rate, rng, lambda f: f / (f + 200) / (1 + (f / 2500) ** 2))
    high = shaped_noise((2, time.size), rate, rng, lambda f: (f / 2500) ** 2 / (1 + (f / 2500) ** 2) / (1 + f / 9000))
    tail = low * np.exp(-time / decay) + 0.5 * high * np.exp(-time / (0.6 * decay))
    tail *= 1 - np.exp(-time / 0.01)
    for _ in range(6):
        at = round(rng.uniform(0.006, 0.035) * rate)
        tail[int(rng.integers(2)), at] += float(rng.choice([-1, 1])) * 3.0 * np.exp(-at / rate / 0.02)
    gap = np.zeros((2, round(rng.uniform(0.004, 0.012) * rate)))
    room = np.concatenate([gap, tail], axis=1)
    return room / np.sqrt(np.sum(room**2, axis=1, keepdims=True))


def _limiter(mixture: Array) -> Array:
    """Gains, shape (n,), that bring the mixture's peaks down to LIMIT times its RMS, smoothly in time."""
    length = mixture.shape[1]
    blocks = -(-length // LIMITER_BLOCK)
    loudest = np.zeros(blocks * LIMITER_BLOCK)
    loudest[:length] = np.max(np.abs(mixture), axis=0)
    peaks = loudest.reshape(blocks, LIMITER_BLOCK).max(axis=1)
    ceiling = LIMIT * np.sqrt(np.mean(mixture**2))
    gains = np.minimum(1.0, ceiling / np.maximum(peaks, 1e-12))
    gains = ndimage.minimum_filter1d(gains, 2 * LIMITER_REACH + 1, mode="nearest")
    gains = ndimage.uniform_filter1d(gains, 2 * LIMITER_REACH - 3, mode="nearest")
    centres = (np.arange(blocks) + 0.5) * LIMITER_BLOCK
    return np.interp(np.arange(length), centres, gains)
