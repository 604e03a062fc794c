"""Loudness of frames, by which the metrics leave out silence."""

from __future__ import annotations

import numpy as np

from hearlab.arrays import Array
from hearlab.ear.adaptation import DECIBELS_PER_OCTAVE
from hearlab.kernels.compiled import compiled
from hearlab.kernels.powers import exp2
from hearlab.kernels.simd import broadcast, load, reduce_add


def loudness(frames: Array) -> Array:
    """Level in dB of each frame's amplitudes, averaged over bands; `frames` in dB, shape (frames, 32)."""
    sums = np.empty(frames.shape[0])
    _amplitude_sums(np.ascontiguousarray(frames).ravel(), frames.shape[1], sums)
    return 20 * np.log10(sums / frames.shape[1])


@compiled
def _amplitude_sums(decibels: Array, bands: int, sums: Array) -> None:
    octaves = broadcast(1 / DECIBELS_PER_OCTAVE)
    for frame in range(sums.size):
        amplitudes = broadcast(0.0)
        for band in range(frame * bands, (frame + 1) * bands, 4):
            amplitudes = amplitudes + exp2(load(decibels, band) * octaves)
        sums[frame] = reduce_add(amplitudes)
