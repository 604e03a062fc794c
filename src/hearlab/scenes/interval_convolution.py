"""Long intervals of convolutions with long responses, by overlap-save in few large transforms.

Sources are summed as spectra, so that each output needs one inverse transform for any number of sources.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hearlab.arrays import Array
from hearlab.kernels.fast_lengths import fast_length
from hearlab.scenes.partitioned_convolution import excerpt

PRODUCT = 2  # cost of a product of spectra, in terms of a transform's cost for each factor of two of its size


def convolve_interval(sources: Sequence[tuple[Array, int, NDArray[np.floating]]], start: int, summed: Array) -> None:
    """Add an interval of a sum of delayed signals, each convolved with its own responses.

    Args:
        sources: of each the signal (n,), its delay in samples, and its responses (outputs, taps).
        start: first sample of the interval.
        summed: to which the interval is added, shape (outputs, length).
    """
    signals, delays, responses = zip(*sources, strict=True)
    outputs, length = summed.shape
    taps = max(response.shape[1] for response in responses)
    # Only where a source is active.
    first = max(start, min(delays))
    sounding = max(delay + signal.size for signal, delay in zip(signals, delays, strict=True)) + taps - 1
    last = min(start + length, sounding)
    if last <= first:
        return
    size, count = transform_plan(last - first, taps, len(sources), outputs)
    hop = size - (taps - 1)
    inputs = []
    for signal, delay in zip(signals, delays, strict=True):
        span = excerpt(signal, first - delay - (taps - 1), count * hop + taps - 1)
        inputs.append(np.lib.stride_tricks.sliding_window_view(span, size)[::hop])
    windows = np.fft.rfft(np.stack(inputs))
    # One pair of outputs after the other, in the same memory: transforms work in pairs (3.6 ns a sample against 6 ns
    # alone, at 36,000), and new arrays for each step cost a sixth more in all, for their pages.
    padded = np.zeros((len(sources), 2, size))
    filters = np.empty((len(sources), 2, windows.shape[-1]), dtype=np.complex128)
    product = np.empty_like(windows[0])
    spectra = np.zeros((2, *product.shape), dtype=np.complex128)
    sounds = np.empty((2, count, size))
    for index in range(0, outputs, 2):
        pair = slice(index, min(index + 2, outputs))
        for place, response in zip(padded, responses, strict=True):
            place[: pair.stop - index, : response.shape[1]] = response[pair]
        np.fft.rfft(padded, out=filters)
        for output in range(pair.stop - index):
            np.multiply(windows[0], filters[0, output], out=spectra[output])
            for source in range(1, len(sources)):
                np.multiply(windows[source], filters[source, output], out=product)
                spectra[output] += product
        np.fft.irfft(spectra, size, out=sounds)
        # Circular wrapping spoils the first taps - 1 samples of each window.
        for output in range(pair.stop - index):
            valid = sounds[output, :, taps - 1 :].reshape(-1)
            summed[index + output, first - start : last - start] += valid[: last - first]


def transform_plan(length: int, taps: int, sources: int, outputs: int) -> tuple[int, int]:
    """Size and number of the overlapping transforms that take the fewest operations for `length` samples."""
    plans: list[tuple[float, int, int]] = []
    count, size = 0, length
    while not plans or size > 2 * taps:
        count += 1 + count // 4
        size = fast_length(-(-length // count) + taps - 1)
        transforms = sources * outputs + count * (sources + outputs)
        products = count * sources * outputs
        plans.append(((transforms * math.log2(size + 1) + PRODUCT * products) * size, size, count))
    _, size, count = min(plans)
    return size, count
