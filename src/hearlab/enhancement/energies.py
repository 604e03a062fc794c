"""Energies of beams and front microphones in bands, in one compiled pass over the spectra."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from hearlab.arrays import Array
from hearlab.enhancement.spectra import BINS, Spectra, band_positions
from hearlab.kernels.compiled import compiled

MICROPHONES = 6  # CH1, CH2 and CH3, each left and right
BEAMS = MICROPHONES
SIGNALS = BEAMS + 2  # and the front microphones


def energies(spectra: Spectra, beams: NDArray[np.complex128], bands: int) -> NDArray[np.float32]:
    """Mean energies in bands of the beams and of the front microphones.

    Args:
        spectra: of the microphones, shape (frames, BINS, MICROPHONES): the front, middle and rear pairs.
        beams: shape (BINS, MICROPHONES, BEAMS).
        bands: how many.

    Returns:
        shape (frames, bands, SIGNALS).
    """
    out = np.zeros((1, spectra.shape[0], bands, SIGNALS))
    _energies_of_one(np.ascontiguousarray(spectra), np.ascontiguousarray(beams.conj()), *_bins(bands), out)
    return out[0].astype(np.float32)


def energies_of_parts(
    target: Spectra, interferer: Spectra, beams: NDArray[np.complex128], bands: int
) -> NDArray[np.float32]:
    """Energies of two parts of a mixture, and what the energy of their sum is above the sum of their energies.

    Arguments as of `energies`; shape (3, frames, bands, SIGNALS).
    """
    out = np.zeros((3, target.shape[0], bands, SIGNALS))
    arrays = (np.ascontiguousarray(one) for one in (target, interferer, beams.conj()))
    _energies_of_two(*arrays, *_bins(bands), out)
    return out.astype(np.float32)


@functools.cache
def _bins(bands: int) -> tuple[NDArray[np.int64], Array]:
    """Of each bin the lower of its two bands, and its shares in the means of both, shape (BINS, 2)."""
    positions = band_positions(bands)
    low = np.minimum(positions.astype(np.int64), bands - 2)
    weights = np.stack([1 - (positions - low), positions - low], axis=1)
    sums = np.zeros(bands)
    for side in (0, 1):
        np.add.at(sums, low + side, weights[:, side])
    shares = np.stack([weights[:, side] / np.maximum(sums[low + side], 1e-12) for side in (0, 1)], axis=1)
    assert low.shape == (BINS,)
    return low, shares


@compiled
def _energies_of_one(spectra: Spectra, beams: Spectra, low: NDArray[np.int64], shares: Array, out: Array) -> None:
    """Add each bin's energies to its bands; `beams` are conjugated."""
    microphones = spectra.shape[2]
    count = beams.shape[2]
    for frame in range(spectra.shape[0]):
        for index in range(spectra.shape[1]):
            band = low[index]
            for signal in range(count + 2):
                real, imaginary = 0.0, 0.0
                if signal < count:
                    for microphone in range(microphones):
                        value = spectra[frame, index, microphone]
                        weight = beams[index, microphone, signal]
                        real += value.real * weight.real - value.imag * weight.imag
                        imaginary += value.real * weight.imag + value.imag * weight.real
                else:
                    real = spectra[frame, index, signal - count].real
                    imaginary = spectra[frame, index, signal - count].imag
                energy = real * real + imaginary * imaginary
                out[0, frame, band, signal] += energy * shares[index, 0]
                out[0, frame, band + 1, signal] += energy * shares[index, 1]


@compiled
def _energies_of_two(
    target: Spectra, interferer: Spectra, beams: Spectra, low: NDArray[np.int64], shares: Array, out: Array
) -> None:
    """As `_energies_of_one`, of two spectra and of what their products add."""
    microphones = target.shape[2]
    count = beams.shape[2]
    for frame in range(target.shape[0]):
        for index in range(target.shape[1]):
            band = low[index]
            for signal in range(count + 2):
                real, imaginary, real2, imaginary2 = 0.0, 0.0, 0.0, 0.0
                if signal < count:
                    for microphone in range(microphones):
                        value = target[frame, index, microphone]
                        other = interferer[frame, index, microphone]
                        weight = beams[index, microphone, signal]
                        real += value.real * weight.real - value.imag * weight.imag
                        imaginary += value.real * weight.imag + value.imag * weight.real
                        real2 += other.real * weight.real - other.imag * weight.imag
                        imaginary2 += other.real * weight.imag + other.imag * weight.real
                else:
                    real = target[frame, index, signal - count].real
                    imaginary = target[frame, index, signal - count].imag
                    real2 = interferer[frame, index, signal - count].real
                    imaginary2 = interferer[frame, index, signal - count].imag
                first = real * real + imaginary * imaginary
                second = real2 * real2 + imaginary2 * imaginary2
                both = 2.0 * (real * real2 + imaginary * imaginary2)
                for side in range(2):
                    share = shares[index, side]
                    out[0, frame, band + side, signal] += first * share
                    out[1, frame, band + side, signal] += second * share
                    out[2, frame, band + side, signal] += both * share
