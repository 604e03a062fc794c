"""Ambisonic room responses as spectra of short blocks.

A response (26,460 taps, 49 channels in CEC2) is transformed once, block by block. To combine it with the filters of
the microphones, or to convolve a short stretch of a signal with all of its channels, is then a product of small
matrices at each frequency, summed over channels or over blocks.

A transform holds three hops, a block of the response two: the third is left for the tails of the filters, and for new
samples of a convolution by overlap-save.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from hearlab.scenes.fast_lengths import fast_length

Array = NDArray[np.float64]
Spectrum = NDArray[np.complex128]

SHORTEST_HOP = 512  # of 512, 683 and 1024 the fastest for CEC2; see docs/notes/speed-rendering.md


def hop_for(memory: int) -> int:
    """The hop for filters with `memory` taps behind the first, which must fit into it."""
    return max(SHORTEST_HOP, 2 * fast_length(-(-memory // 2)))


def filter_spectra(filters: Array, hop: int) -> Spectrum:
    """Spectra of filters from channels to microphones.

    Args:
        filters: shape (taps, channels, microphones), at most `hop` + 1 taps.

    Returns:
        shape (frequencies, channels, microphones).
    """
    return np.fft.rfft(filters, 3 * hop, axis=0)


class BlockSpectra:
    """An ambisonic response as spectra of its blocks.

    Args:
        response: shape (taps, channels).
        hop: a third of a transform's length.
    """

    def __init__(self, response: NDArray[np.floating], hop: int) -> None:
        self.taps, self.channels = response.shape
        self.first_tap = np.array(response[0], dtype=np.float64)
        self.hop = hop
        block = 2 * hop
        self.blocks = -(-self.taps // block)
        # One block at a time stays in the cache: 8 ms for a response, all blocks in one call 11 ms.
        values = np.empty((self.blocks, 3 * hop // 2 + 1, self.channels), dtype=np.complex128)
        padded = np.zeros((3 * hop, self.channels))
        for index in range(self.blocks):
            part = response[index * block : (index + 1) * block]
            padded[: part.shape[0]] = part
            padded[part.shape[0] : block] = 0
            np.fft.rfft(padded, axis=0, out=values[index])
        self._by_frequency: Spectrum = values.transpose(1, 0, 2)

    def through(self, filters: Spectrum, memory: int) -> Array:
        """The response as heard through filters: one impulse response for each microphone.

        Args:
            filters: spectra of `filter_spectra`, shape (frequencies, channels, microphones).
            memory: number of taps of the filters behind the first.

        Returns:
            shape (microphones, taps + memory).
        """
        parts = np.fft.irfft(self._by_frequency @ filters, 3 * self.hop, axis=0)
        summed = np.zeros(((2 * self.blocks + 1) * self.hop, filters.shape[2]))
        for index in range(self.blocks):
            start = 2 * index * self.hop
            summed[start : start + 3 * self.hop] += parts[:, index]
        return np.ascontiguousarray(summed[: self.taps + memory].T)

    def convolve(self, signal: Array, start: int, hops: int) -> Spectrum:
        """`hops` hops, from sample `start` on, of `signal` (n,) convolved with the response, as spectra.

        Returns:
            shape (frequencies, hops, channels). The last of the three hops of each inverse transform is valid.
        """
        # A hop of the output needs, for block p of the response, the three hops of the signal that end 2 p hops
        # before its own end. The windows are in the order of falling time.
        behind = 2 * self.blocks
        span = piece(signal, start - behind * self.hop, (behind + hops) * self.hop)
        windows = sliding_window_view(span, 3 * self.hop)[:: self.hop][::-1]
        spectra = np.ascontiguousarray(np.fft.rfft(windows).T)
        rows = sliding_window_view(spectra, behind - 1, axis=1)[:, ::-1, ::2]
        return np.ascontiguousarray(rows) @ self._by_frequency


class AmbisonicStretch:
    """Samples [first, last) of a sum of sources, channel by channel; `hop` is that of their `BlockSpectra`."""

    def __init__(self, first: int, last: int, channels: int, hop: int) -> None:
        self._first, self._length, self._hop = first, last - first, hop
        self._hops = -(-self._length // hop)
        self._direct = np.zeros((channels, self._length))
        self._spectra: Spectrum | None = None

    def add(self, signal: Array, delay: int, response: BlockSpectra) -> None:
        """Add a source: its signal (n,), delayed by so many samples, convolved with its response."""
        start = self._first - delay
        if response.taps == 1:  # a plane wave
            self._direct += np.outer(response.first_tap, piece(signal, start, self._length))
        elif self._spectra is None:
            self._spectra = response.convolve(signal, start, self._hops)
        else:
            self._spectra += response.convolve(signal, start, self._hops)

    def signals(self) -> Array:
        """The sum, shape (channels, last - first)."""
        summed = self._direct
        if self._spectra is not None:
            part = np.empty((3 * self._hop, summed.shape[0]))
            for index in range(self._hops):
                np.fft.irfft(self._spectra[:, index], 3 * self._hop, axis=0, out=part)
                place = summed[:, index * self._hop : (index + 1) * self._hop]
                place += part[2 * self._hop :].T[:, : place.shape[1]]
        return summed


def decode(signals: Array, filters: Spectrum, memory: int) -> Array:
    """Short ambisonic signals through filters.

    Args:
        signals: shape (channels, n).
        filters: spectra of `filter_spectra`, shape (frequencies, channels, microphones).
        memory: number of taps of the filters behind the first.

    Returns:
        shape (microphones, n + memory).
    """
    channels, length = signals.shape
    size = 2 * (filters.shape[0] - 1)
    step = size - memory
    count = -(-length // step)
    spectra = np.empty((count, filters.shape[0], channels), dtype=np.complex128)
    for index in range(count):
        np.fft.rfft(signals[:, index * step : (index + 1) * step].T, size, axis=0, out=spectra[index])
    parts = np.fft.irfft(spectra.transpose(1, 0, 2) @ filters, size, axis=0)
    decoded = np.zeros((filters.shape[2], count * step + memory))
    for index in range(count):
        decoded[:, index * step : index * step + size] += parts[:, index].T
    return decoded[:, : length + memory]


def piece(signal: Array, start: int, length: int) -> Array:
    """Samples [start, start + length) of a signal that is silent outside of its own samples."""
    cut = np.zeros(length)
    first, last = max(start, 0), min(start + length, signal.size)
    if last > first:
        cut[first - start : last - start] = signal[first:last]
    return cut
