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
from hearlab.kernels.retained_memory import keep_freed_memory
from hearlab.listeners import Audiogram

# Audiometric frequencies of the prescription in Hz, and the constant k of each in dB.
FREQUENCIES = np.array([250.0, 500.0, 1000.0, 2000.0, 4000.0, 6000.0])
CONSTANTS = np.array([-17.0, -8.0, 1.0, -1.0, -2.0, -2.0])
OWN_SHARE = 0.31  # of the loss at a frequency, in the gain there
MEAN_SHARE = 0.05  # of the summed loss at 500, 1000 and 2000 Hz
SEVERE_SUM = 180.0  # dB: from here the sum counts more
SEVERE_SHARE = 0.116

# Exact filters are so many times as long, and miss the prescription by no more, from 250 to 6000 Hz.
EXACT_LENGTH = 3
EXACT_DB = 0.5
EXACT_STEP = 25.0  # Hz, of the frequencies at which they are fitted
OUTSIDE_WEIGHT = 0.01  # of frequencies where the prescription says nothing

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
        exact: make filters of three times that order that keep within 0.5 dB of the prescription from 250 to 6000 Hz.
            The published ones are too short for its steps at low frequencies and miss it by up to 7 dB there.

    Raises:
        InputError: `taps` is not a positive even number or `rate` is too low.

    Examples:
        >>> import numpy as np
        >>> from hearlab.listeners import Audiogram
        >>> prescription = NalR(rate=44100)
        >>> fir = prescription.filter(Audiogram([20, 20, 30, 40, 50, 60], [250, 500, 1000, 2000, 4000, 6000]))
        >>> prescription.apply(fir, np.ones((1000, 2))).shape
        (1220, 2)
    """

    def __init__(self, taps: int = 220, rate: float = 44100, *, exact: bool = False) -> None:
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
        self.taps = int(taps) * (EXACT_LENGTH if exact else 1)
        self.rate = float(rate)
        self.exact = exact

    def filter(self, audiogram: Audiogram) -> Array:
        """The FIR filter for one ear, shape (taps + 1,).

        A listener without any loss at the prescription's frequencies gets a pure delay of `taps / 2` samples.

        Raises:
            InputError: the audiogram does not reach from 250 to 6000 Hz; it is so steep that an exact filter needs more
                taps.
        """
        if np.max(audiogram.at(FREQUENCIES)) <= 0:
            delay = np.zeros(self.taps + 1)
            delay[self.taps // 2] = 1.0
            return delay
        gain = prescribed_gain(audiogram)
        if self.exact:
            return exact_fir(gain, self.taps, self.rate)
        nyquist = self.rate / 2
        positions = np.arange(self.taps + 1) / self.taps
        # Linear in dB over Hz; constant below the first and above the last frequency.
        gain_db = np.interp(nyquist * positions, FREQUENCIES, gain)
        return frequency_sampled_fir(10 ** (gain_db / 20))

    def apply(self, fir: Array, x: Array, out: Array | None = None) -> Array:
        """Full convolution along axis 0: `taps` samples longer than `x`, as the published hearing aid is.

        Args:
            fir: a filter of `filter()`.
            x: samples (n,) or (n, channels), n > 0.
            out: takes the result, if given, and is returned: float64, (n + taps,) or (n + taps, channels), and not in
                the memory of `x`.

        Raises:
            InputError: the filter has another length, or `x` or `out` another shape.
        """
        fir, x = np.asarray(fir, dtype=np.float64), np.asarray(x, dtype=np.float64)
        if fir.shape != (self.taps + 1,):
            raise InputError(
                "NAL-R", "wrong shape", field="fir", found=fir.shape, wanted=f"({self.taps + 1},): a filter of filter()"
            )
        if x.ndim not in (1, 2) or x.size == 0:
            raise InputError("NAL-R", "wrong shape", field="x", found=x.shape, wanted="(n,) or (n, channels), n > 0")
        shape = (x.shape[0] + self.taps, *x.shape[1:])
        if out is None:
            keep_freed_memory()
            out = np.empty(shape)
        elif out.shape != shape or out.dtype != np.float64:
            found = f"{out.shape} {out.dtype}"
            raise InputError("NAL-R", "wrong shape", field="out", found=found, wanted=f"{shape} float64")
        if x.ndim == 1:
            return convolve(x, fir, out)
        for channel in range(x.shape[1]):
            convolve(x[:, channel], fir, out[:, channel])
        return out


def exact_fir(gain: Array, taps: int, rate: float) -> Array:
    """Linear-phase FIR filter whose relative errors are least in the mean square, shape (taps + 1,).

    Args:
        gain: dB at `FREQUENCIES`; linear in dB over Hz between them, constant outside.
        taps: order, even.
        rate: sample rate in Hz.

    Raises:
        InputError: the gain is missed by more than 0.5 dB somewhere from 250 to 6000 Hz.
    """
    from scipy.signal import firls  # slow to import, and nothing else needs it

    edges = np.hstack((np.arange(0, rate / 2, EXACT_STEP), rate / 2))
    amplitudes = 10 ** (np.interp(edges, FREQUENCIES, gain) / 20)
    bands, wanted = (np.stack([values[:-1], values[1:]], axis=1) for values in (edges, amplitudes))
    prescribed = (bands[:, 1] >= FREQUENCIES[0] - EXACT_STEP) & (bands[:, 0] <= FREQUENCIES[-1] + EXACT_STEP)
    weights = np.where(prescribed, 1.0, OUTSIDE_WEIGHT) / np.prod(wanted, axis=1)
    fir: Array = firls(taps + 1, bands.ravel(), wanted.ravel(), weight=weights, fs=rate)
    response = np.abs(np.fft.rfft(fir, 2 ** int(np.ceil(np.log2(8 * fir.size)))))
    frequencies = np.linspace(0, rate / 2, response.size)
    inside = (frequencies >= FREQUENCIES[0]) & (frequencies <= FREQUENCIES[-1])
    missed = 20 * np.log10(response[inside]) - np.interp(frequencies[inside], FREQUENCIES, gain)
    worst = float(np.max(np.abs(missed)))
    if worst > EXACT_DB:
        problem = "the exact filter misses the prescription of so steep a loss"
        raise InputError(
            "NAL-R", problem, field="taps", found=f"{worst:.1f} dB", wanted=f"{EXACT_DB} dB", advice="take more taps"
        )
    return fir


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
