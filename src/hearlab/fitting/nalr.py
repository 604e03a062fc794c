"""The linear prescription NAL-R as a linear-phase FIR filter.

Byrne, D. & Dillon, H. (1986). The National Acoustic Laboratories' (NAL) new procedure for selecting the gain and
frequency response of a hearing aid. Ear and Hearing 7, 257-265. The gain for steeply rising three-frequency sums is
that of Byrne, Parkinson & Newall (1990).
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from hearlab.arrays import Array, Spectrum
from hearlab.errors import InputError
from hearlab.fitting.fir import convolve
from hearlab.listeners import Audiogram

# Audiometric frequencies of the prescription in Hz, and the constant k of each in dB.
FREQUENCIES = np.array([250.0, 500.0, 1000.0, 2000.0, 4000.0, 6000.0])
CONSTANTS = np.array([-17.0, -8.0, 1.0, -1.0, -2.0, -2.0])
OWN_SHARE = 0.31  # of the loss at a frequency, in the gain there
MEAN_SHARE = 0.05  # of the summed loss at 500, 1000 and 2000 Hz
SEVERE_SUM = 180.0  # dB: from here the sum counts more
SEVERE_SHARE = 0.116

GRID = 512  # points of the frequency grid of filters shorter than 1024 taps


def prescribed_gain(audiogram: Audiogram) -> Array:
    """Insertion gain in dB at `FREQUENCIES`, never negative.

    Raises:
        InputError: the audiogram does not reach from 250 to 6000 Hz.
    """
    loss = audiogram.at(FREQUENCIES)
    total = loss[1] + loss[2] + loss[3]
    common = MEAN_SHARE * min(total, SEVERE_SUM) + SEVERE_SHARE * max(total - SEVERE_SUM, 0.0)
    return np.maximum(common + OWN_SHARE * loss + CONSTANTS, 0.0)


class NalR:
    """NAL-R filters of one length and sample rate.

    Args:
        taps: order of the filters, even; they delay by `taps / 2` samples.
        rate: sample rate in Hz, above 12 kHz.

    Raises:
        InputError: `taps` is not a positive even number or `rate` is too low.
    """

    def __init__(self, taps: int = 220, rate: float = 44100) -> None:
        if isinstance(taps, bool) or not isinstance(taps, int | np.integer) or taps < 2 or taps % 2:
            raise InputError(
                "NAL-R", "wrong number of taps", field="taps", found=repr(taps), wanted="an even number above 0"
            )
        if not isinstance(rate, int | float | np.number) or not 2 * FREQUENCIES[-1] < rate < np.inf:
            raise InputError(
                "NAL-R",
                "wrong sample rate",
                field="rate",
                found=repr(rate),
                wanted=f"more than {2 * FREQUENCIES[-1]:g} Hz",
            )
        self.taps = int(taps)
        self.rate = float(rate)

    def filter(self, audiogram: Audiogram) -> Array:
        """The FIR filter for one ear, shape (taps + 1,).

        A listener without any loss at the prescription's frequencies gets a pure delay of `taps / 2` samples.

        Raises:
            InputError: the audiogram does not reach from 250 to 6000 Hz.
        """
        if np.max(audiogram.at(FREQUENCIES)) <= 0:
            delay = np.zeros(self.taps + 1)
            delay[self.taps // 2] = 1.0
            return delay
        gain = prescribed_gain(audiogram)
        nyquist = self.rate / 2
        positions = np.arange(self.taps + 1) / self.taps
        # Linear in dB over Hz; constant below the first and above the last frequency.
        gain_db = np.interp(nyquist * positions, FREQUENCIES, gain)
        return frequency_sampled_fir(10 ** (gain_db / 20))

    def apply(self, fir: Array, x: Array) -> Array:
        """Full convolution along axis 0: `taps` samples longer than `x`, as the published hearing aid is.

        Args:
            fir: a filter of `filter()`.
            x: samples (n,) or (n, channels), n > 0.

        Raises:
            InputError: the filter has another length, or `x` another shape.
        """
        fir, x = np.asarray(fir, dtype=np.float64), np.asarray(x, dtype=np.float64)
        if fir.shape != (self.taps + 1,):
            raise InputError(
                "NAL-R", "wrong shape", field="fir", found=fir.shape, wanted=f"({self.taps + 1},): a filter of filter()"
            )
        if x.ndim not in (1, 2) or x.size == 0:
            raise InputError("NAL-R", "wrong shape", field="x", found=x.shape, wanted="(n,) or (n, channels), n > 0")
        if x.ndim == 1:
            return convolve(x, fir)
        return np.stack([convolve(channel, fir) for channel in x.T], axis=1)


@functools.lru_cache(maxsize=16)
def _grid(length: int) -> tuple[NDArray[np.intp], Array, Spectrum, Array]:
    """What filters of one length share: at each grid point the frequency below it, the way from there to the next
    frequency, and the phase of the delay; and the window."""
    points = GRID if length < 1024 else 2 ** int(np.ceil(np.log2(length)))
    frequencies = np.arange(length) / (length - 1)
    # Each pair of neighbouring frequencies owns a run of whole grid points, and the gain goes in a straight line from
    # the first point of the run to its last; a run of one point has the gain of its beginning.
    edges = np.floor(frequencies * (points + 1)).astype(np.intp)
    runs = np.diff(edges)
    segment = np.repeat(np.arange(runs.size), runs)
    steps = np.maximum(runs[segment] - 1, 1)
    part = np.where(runs[segment] > 1, (np.arange(points + 1) - edges[segment]) / steps, 0.0)
    delay = (length - 1) / 2
    phase = np.exp(-1j * np.pi * delay * np.arange(points + 1) / points)
    return segment, part, phase, np.hamming(length)


def frequency_sampled_fir(gains: Array) -> Array:
    """Linear-phase FIR filter by frequency sampling and a Hamming window, on the grid that MATLAB's fir2 uses.

    The grid matters: between its points the response follows the window, so another grid gives other coefficients
    (in the fourth digit).

    Args:
        gains: linear gain at frequencies in equal steps from 0 to half the sample rate, shape (n,).

    Returns:
        as many coefficients.
    """
    segment, part, phase, window = _grid(gains.size)
    magnitude = part * gains[segment + 1] + (1 - part) * gains[segment]
    return np.fft.irfft(magnitude * phase, 2 * (phase.size - 1))[: gains.size] * window
