"""Block spectra of responses, against plain convolutions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hearlab.scenes.partitioned_convolution import (
    AmbisonicSegments,
    PartitionedResponse,
    decode,
    excerpt,
    filter_spectra,
    hop_length,
)

CHANNELS = 3
# Rounding of transforms of a few hundred samples of size one.
ROUNDING = 1e-11


def partitioned(response: np.ndarray, hop: int) -> PartitionedResponse:
    spectra = PartitionedResponse(response.shape[1], hop)
    spectra.transform(response)
    return spectra


def convolved(signal: np.ndarray, response: np.ndarray) -> np.ndarray:
    """Shape (channels, n + taps - 1)."""
    return np.stack([np.convolve(signal, response[:, channel]) for channel in range(response.shape[1])])


@pytest.mark.parametrize("taps", [1, 2, 63, 64, 65, 128, 300])
@pytest.mark.parametrize("memory", [0, 1, 15, 32])
def test_a_response_through_filters(taps: int, memory: int) -> None:
    rng = np.random.RandomState(taps + memory)
    response, filters = rng.standard_normal((taps, CHANNELS)), rng.standard_normal((memory + 1, CHANNELS, 2))
    found = partitioned(response, 32).filtered(filter_spectra(filters, 32), memory)
    wanted = [
        sum(np.convolve(response[:, c], filters[:, c, microphone]) for c in range(CHANNELS)) for microphone in (0, 1)
    ]
    assert found.shape == (2, taps + memory)
    np.testing.assert_allclose(found, wanted, atol=ROUNDING)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 300), st.integers(1, 200), st.integers(0, 150)), min_size=1, max_size=3),
    st.integers(0, 500),
    st.integers(1, 150),
    st.sampled_from([16, 30]),
)
def test_a_stretch_of_a_sum_of_sources(sources: list[tuple[int, int, int]], first: int, length: int, hop: int) -> None:
    rng = np.random.RandomState(length)
    intervals = [(first, first + length), (first + 40, first + 45)]
    segments = AmbisonicSegments(intervals, CHANNELS, hop)
    wanted = np.zeros((CHANNELS, 1000))
    spectra = PartitionedResponse(CHANNELS, hop)
    for size, taps, delay in sources:
        signal, response = rng.standard_normal(size), rng.standard_normal((taps, CHANNELS))
        spectra.transform(response)
        segments.add(signal, delay, spectra)
        wanted[:, delay : delay + size + taps - 1] += convolved(signal, response)
    for (start, stop), found in zip(intervals, segments.signals(), strict=True):
        np.testing.assert_allclose(found, wanted[:, start:stop], atol=ROUNDING)


def test_a_stretch_without_sources_is_silent() -> None:
    (found,) = AmbisonicSegments([(5, 30)], CHANNELS, 16).signals()
    np.testing.assert_array_equal(found, np.zeros((CHANNELS, 25)))


@pytest.mark.parametrize("length", [1, 17, 79, 80, 81, 500])
@pytest.mark.parametrize("memory", [0, 5, 32])
def test_decoding_a_stretch(length: int, memory: int) -> None:
    rng = np.random.RandomState(length)
    signals, filters = rng.standard_normal((CHANNELS, length)), rng.standard_normal((memory + 1, CHANNELS, 4))
    found = decode(signals, filter_spectra(filters, 32), memory)
    wanted = [sum(np.convolve(signals[c], filters[:, c, m]) for c in range(CHANNELS)) for m in range(4)]
    assert found.shape == (4, length + memory)
    np.testing.assert_allclose(found, wanted, atol=ROUNDING)


@given(st.integers(0, 5000))
def test_filters_fit_into_a_hop_of_even_length(memory: int) -> None:
    hop = hop_length(memory)
    assert hop >= memory
    assert hop % 2 == 0


def test_single_precision_responses_are_used_as_they_are() -> None:
    response = np.random.RandomState(0).standard_normal((100, CHANNELS)).astype(np.float32)
    filters = filter_spectra(np.ones((1, CHANNELS, 1)), 32)
    np.testing.assert_array_equal(
        partitioned(response, 32).filtered(filters, 0),
        partitioned(response.astype(np.float64), 32).filtered(filters, 0),
    )


def test_one_response_leaves_nothing_to_the_next() -> None:
    rng = np.random.RandomState(1)
    responses = [rng.standard_normal((taps, CHANNELS)) for taps in (300, 40, 1, 500)]
    filters = filter_spectra(rng.standard_normal((5, CHANNELS, 2)), 32)
    shared = PartitionedResponse(CHANNELS, 32)
    for response in responses:
        shared.transform(response)
        np.testing.assert_array_equal(shared.filtered(filters, 4), partitioned(response, 32).filtered(filters, 4))


def test_a_piece_is_silent_outside_of_the_signal() -> None:
    signal = np.arange(1.0, 6.0)
    assert excerpt(signal, -2, 4).tolist() == [0, 0, 1, 2]
    assert excerpt(signal, 3, 4).tolist() == [4, 5, 0, 0]
    assert excerpt(signal, -2, 9).tolist() == [0, 0, 1, 2, 3, 4, 5, 0, 0]
    assert excerpt(signal, 9, 2).tolist() == [0, 0]
    assert excerpt(signal, -9, 2).tolist() == [0, 0]
