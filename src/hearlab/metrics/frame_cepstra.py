"""Cepstra of frames, summed up band by band: no array holds all bands of all frames."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from hearlab.arrays import Array
from hearlab.ear.adaptation import DECIBELS_PER_OCTAVE
from hearlab.ear.loss import BANDS
from hearlab.kernels.compiled import compiled
from hearlab.kernels.normals import NormalStream
from hearlab.kernels.powers import exp2
from hearlab.kernels.simd import broadcast, fma, load, store
from hearlab.metrics.cepstra import BASIS_FUNCTIONS, cepstral_basis

# Frames whose noise is drawn together: 128 kB stay in the processor's cache.
TOGETHER = 512


class FrameCepstra:
    """The cepstra of a signal's frames, and how loud these are.

    Args:
        count: number of frames.
        loudness: whether the loudness of frames is wanted.

    Attributes:
        values: what the bands so far add up to, shape (6, frames).
    """

    def __init__(self, count: int, *, loudness: bool = False) -> None:
        self.values = np.zeros((BASIS_FUNCTIONS, count))
        self._amplitudes = np.zeros(-(-count // 4) * 4) if loudness else None

    def add(self, band: int, frames: Array) -> None:
        """Add a band's frames in dB, shape (frames,)."""
        _add_weighted(frames, cepstral_basis()[band], *self.values)
        if self._amplitudes is not None:
            padded = np.zeros(self._amplitudes.size)
            padded[: frames.size] = frames
            _add_amplitudes(padded, self._amplitudes)

    def loudness(self) -> Array:
        """Level in dB of each frame's amplitudes, averaged over bands, shape (frames,)."""
        assert self._amplitudes is not None
        return 20 * np.log10(self._amplitudes[: self.values.shape[1]] / BANDS)


def dithered(cepstra: Array, random: np.random.RandomState, deviation: float) -> Array:
    """Cepstra, shape (6, frames), of frames with noise in every band, without their means. In place.

    Args:
        cepstra: of the frames alone.
        random: gives a normal for each band of a frame, then those of the next frame.
        deviation: of the noise in dB.
    """
    noise = NormalStream(random)
    normals = np.empty(TOGETHER * BANDS)
    for start in range(0, cepstra.shape[1], TOGETHER):
        part = cepstra[:, start : start + TOGETHER]
        drawn = normals[: part.shape[1] * BANDS]
        noise.fill(drawn)
        part += _projected(drawn, _padded_basis()).reshape(-1, 8)[:, :BASIS_FUNCTIONS].T * deviation
    noise.put_back(random)
    cepstra -= np.mean(cepstra, axis=1, keepdims=True)
    return cepstra


@lru_cache(maxsize=1)
def _padded_basis() -> Array:
    """The basis functions with two of zeros, band by band, shape (256,)."""
    return np.pad(cepstral_basis(), ((0, 0), (0, 8 - BASIS_FUNCTIONS))).ravel()


@compiled
def _add_weighted(
    frames: Array, weights: Array, first: Array, second: Array, third: Array, fourth: Array, fifth: Array, sixth: Array
) -> None:
    for t in range(frames.size):
        value = frames[t]
        first[t] += weights[0] * value
        second[t] += weights[1] * value
        third[t] += weights[2] * value
        fourth[t] += weights[3] * value
        fifth[t] += weights[4] * value
        sixth[t] += weights[5] * value


@compiled
def _add_amplitudes(frames: Array, amplitudes: Array) -> None:
    octaves = broadcast(1 / DECIBELS_PER_OCTAVE)
    for t in range(0, frames.size, 4):
        store(amplitudes, t, load(amplitudes, t) + exp2(load(frames, t) * octaves))


@compiled
def _projected(normals: Array, basis: Array) -> Array:
    """Sums over the bands of each frame, weighted by eight functions, shape (8 * frames,)."""
    bands = basis.size // 8
    sums = np.empty(8 * (normals.size // bands))
    for frame in range(normals.size // bands):
        place = frame * bands
        one = two = three = four = broadcast(0.0)
        for band in range(0, bands, 2):
            value, other = broadcast(normals[place + band]), broadcast(normals[place + band + 1])
            one = fma(value, load(basis, 8 * band), one)
            two = fma(value, load(basis, 8 * band + 4), two)
            three = fma(other, load(basis, 8 * band + 8), three)
            four = fma(other, load(basis, 8 * band + 12), four)
        store(sums, 8 * frame, one + three)
        store(sums, 8 * frame + 4, two + four)
    return sums
