"""Partitioned convolution with ambisonic room responses.

A response (26,460 taps, 49 channels in CEC2) is transformed once, block by block. Combining it with the filters of
the microphones, or convolving a short segment of a signal with all of its channels, is then a product of small
matrices at each frequency, summed over channels or over blocks.

A transform holds three hops, a block of the response two: the third is left for the tails of the filters, and for new
samples of a convolution by overlap-save.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from hearlab.arrays import Array, Spectrum
from hearlab.kernels.fast_lengths import fast_length

SHORTEST_HOP = 512  # of 320 to 1024 all are within a tenth; see docs/notes/speed-rendering.md


def hop_length(memory: int) -> int:
    """The hop for filters with `memory` taps after the first, which must fit into it."""
    return max(SHORTEST_HOP, 2 * fast_length(-(-memory // 2)))


def filter_spectra(filters: Array, hop: int) -> Spectrum:
    """Spectra of filters from channels to microphones.

    Args:
        filters: shape (taps, channels, microphones), at most `hop` + 1 taps.

    Returns:
        shape (frequencies, channels, microphones).
    """
    return np.fft.rfft(filters, 3 * hop, axis=0)


class PartitionedResponse:
    """An ambisonic response as the spectra of its blocks, in memory that is used again for the next response.

    Args:
        channels: number of ambisonic channels.
        hop: a third of a transform's length.
    """

    def __init__(self, channels: int, hop: int) -> None:
        self.channels, self.hop = channels, hop
        self.taps = self.blocks = 0
        self.first_tap = np.zeros(channels)
        self._values = np.empty((0, 3 * hop // 2 + 1, channels), dtype=np.complex128)
        self._padded = np.zeros((3 * hop, channels))

    @property
    def by_frequency(self) -> Spectrum:
        """Shape (frequencies, blocks, channels)."""
        return self._values[: self.blocks].transpose(1, 0, 2)

    def transform(self, response: NDArray[np.floating]) -> None:
        """Transform a response, shape (taps, channels)."""
        self.taps = response.shape[0]
        self.first_tap[:] = response[0]
        block = 2 * self.hop
        self.blocks = -(-self.taps // block)
        if self.blocks > len(self._values):
            self._values = np.empty((self.blocks, *self._values.shape[1:]), dtype=np.complex128)
        # One block at a time stays in the cache: 8 ms for a response, all blocks in one call 11 ms.
        for index in range(self.blocks):
            part = response[index * block : (index + 1) * block]
            self._padded[: part.shape[0]] = part
            self._padded[part.shape[0] : block] = 0
            np.fft.rfft(self._padded, axis=0, out=self._values[index])

    def filtered(self, filters: Spectrum, memory: int) -> Array:
        """The response convolved with filters and summed over channels: one impulse response for each microphone.

        Args:
            filters: spectra of `filter_spectra`, shape (frequencies, channels, microphones).
            memory: number of taps of the filters after the first.

        Returns:
            shape (microphones, taps + memory).
        """
        parts = np.fft.irfft(self.by_frequency @ filters, 3 * self.hop, axis=0)
        summed = np.zeros(((2 * self.blocks + 1) * self.hop, filters.shape[2]))
        for index in range(self.blocks):
            start = 2 * index * self.hop
            summed[start : start + 3 * self.hop] += parts[:, index]
        return np.ascontiguousarray(summed[: self.taps + memory].T)

    def signal_spectra(self, signal: Array, start: int, out: Spectrum) -> None:
        """The spectra of `signal` (n,) by which the blocks are multiplied to get hops of the convolution.

        Args:
            start: first sample of the hops.
            out: shape (frequencies, hops, blocks). Its product with `by_frequency` holds, for each hop and channel, the
                spectrum of a transform whose last third is valid (overlap-save).
        """
        # A hop needs, for block p of the response, the three hops of the signal that end 2 p hops before its own end.
        # The windows are in reversed order of time.
        behind, hops = 2 * self.blocks, out.shape[1]
        span = excerpt(signal, start - behind * self.hop, (behind + hops) * self.hop)
        windows = sliding_window_view(span, 3 * self.hop)[:: self.hop][::-1]
        spectra = np.ascontiguousarray(np.fft.rfft(windows).T)
        out[:] = sliding_window_view(spectra, behind - 1, axis=1)[:, ::-1, ::2]


class AmbisonicSegments:
    """Short segments of a sum of sources, channel by channel.

    Args:
        segments: first sample and end of each.
        channels, hop: of the sources' `PartitionedResponse`.
    """

    def __init__(self, segments: Sequence[tuple[int, int]], channels: int, hop: int) -> None:
        self._segments, self._hop = segments, hop
        self._direct = [np.zeros((channels, last - first)) for first, last in segments]
        self._hops = [-(-(last - first) // hop) for first, last in segments]
        self._spectra: Spectrum | None = None

    def add(self, signal: Array, delay: int, response: PartitionedResponse) -> None:
        """Add a source: its signal (n,), delayed by `delay` samples, convolved with its response."""
        starts = [first - delay for first, _ in self._segments]
        if response.taps == 1:  # a plane wave
            for start, direct in zip(starts, self._direct, strict=True):
                direct += np.outer(response.first_tap, excerpt(signal, start, direct.shape[1]))
            return
        by_frequency = response.by_frequency
        factors = np.empty((len(by_frequency), sum(self._hops), response.blocks), dtype=np.complex128)
        place = 0
        for start, hops in zip(starts, self._hops, strict=True):
            response.signal_spectra(signal, start, factors[:, place : place + hops])
            place += hops
        if self._spectra is None:
            self._spectra = factors @ by_frequency
        else:
            self._spectra += factors @ by_frequency

    def signals(self) -> list[Array]:
        """The sum in each segment, shape (channels, length)."""
        if self._spectra is not None:
            part = np.empty((3 * self._hop, self._spectra.shape[2]))
            index = 0
            for direct, hops in zip(self._direct, self._hops, strict=True):
                for start in range(0, hops * self._hop, self._hop):
                    np.fft.irfft(self._spectra[:, index], 3 * self._hop, axis=0, out=part)
                    place = direct[:, start : start + self._hop]
                    place += part[2 * self._hop :].T[:, : place.shape[1]]
                    index += 1
            self._spectra = None
        return self._direct


def decode(signals: Array, filters: Spectrum, memory: int) -> Array:
    """Short ambisonic signals convolved with filters and summed over channels.

    Args:
        signals: shape (channels, n).
        filters: spectra of `filter_spectra`, shape (frequencies, channels, microphones).
        memory: number of taps of the filters after the first.

    Returns:
        shape (microphones, n + memory).
    """
    channels, length = signals.shape
    size = 2 * (filters.shape[0] - 1)
    step = size - memory
    count = -(-length // step)
    spectra = np.empty((count, filters.shape[0], channels), dtype=np.complex128)
    for index in range(count):
        part = signals[:, index * step : (index + 1) * step]
        np.fft.rfft(part.T, size, axis=0, out=spectra[index])
    parts = np.fft.irfft(spectra.transpose(1, 0, 2) @ filters, size, axis=0)
    decoded = np.zeros((filters.shape[2], count * step + memory))
    for index in range(count):
        decoded[:, index * step : index * step + size] += parts[:, index].T
    return decoded[:, : length + memory]


def excerpt(signal: Array, start: int, length: int) -> Array:
    """Samples [start, start + length) of a signal that is silent outside of its own samples."""
    cut = np.zeros(length)
    first, last = max(start, 0), min(start + length, signal.size)
    if last > first:
        cut[first - start : last - start] = signal[first:last]
    return cut
