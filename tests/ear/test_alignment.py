"""Alignment of signals and of bands."""

from __future__ import annotations

import numpy as np
import pytest

from hearlab.ear.alignment import BAND_RANGE, DISPERSION_MARGIN, BroadbandAlignment, advance, align_rows
from hearlab.kernels.rows import MARGIN, empty_rows


def noise(n: int, seed: int = 0) -> np.ndarray:
    return np.random.RandomState(seed).standard_normal(n)


def bursts(bands: int, n: int) -> np.ndarray:
    """Envelopes with silent pauses: the correlation of positive signals without pauses favours small lags."""
    window = np.hanning(n // 40)
    clicks = np.stack([noise(n, band) > 3.2 for band in range(bands)]).astype(float)
    return np.stack([np.convolve(band, window, "same") for band in clicks])


def rows_of(signals: np.ndarray) -> np.ndarray:
    rows = empty_rows(len(signals), signals.shape[1])
    rows[:, MARGIN : MARGIN + signals.shape[1]] = signals
    return rows


def aligned(references: np.ndarray, processed: np.ndarray) -> np.ndarray:
    rows = rows_of(processed)
    align_rows(rows_of(references), rows, references.shape[1])
    assert not np.any(rows[:, :MARGIN])
    assert not np.any(rows[:, MARGIN + references.shape[1] :])
    return rows[:, MARGIN : MARGIN + references.shape[1]]


@pytest.mark.parametrize(
    ("samples", "expected"),
    [(0, [1, 2, 3, 4]), (1, [2, 3, 4, 0]), (-1, [0, 1, 2, 3]), (4, [0] * 4), (-4, [0] * 4), (9, [0] * 4)],
)
def test_advance(samples, expected):
    assert advance(np.array([1.0, 2.0, 3.0, 4.0]), samples).tolist() == expected


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("delay", [-700, 0, 31, 2000])
def test_broadband_delay_is_undone_but_for_two_milliseconds(delay, sign):
    reference = noise(6000)
    found = BroadbandAlignment(reference).apply(sign * advance(reference, -delay))
    expected = sign * advance(reference, -DISPERSION_MARGIN)
    inside = slice(abs(delay) + DISPERSION_MARGIN, 6000 - abs(delay))
    np.testing.assert_array_equal(found[inside], expected[inside])


def test_silence_around_the_reference_is_cut_off():
    reference = np.concatenate([np.zeros(100), [1.0], np.zeros(50), [-0.5, 0.0009], np.zeros(30)])
    alignment = BroadbandAlignment(reference)
    np.testing.assert_array_equal(alignment.active, reference[100:152])
    assert alignment.apply(noise(reference.size)).size == 52


@pytest.mark.parametrize("delays", [(0, 400), (-300, BAND_RANGE - 1)])
def test_bands_are_aligned_one_by_one(delays):
    references = bursts(2, 12000).astype(np.float32)
    late = np.stack([advance(band, -delay) for band, delay in zip(references, delays, strict=True)])
    inside = slice(BAND_RANGE, -BAND_RANGE)
    np.testing.assert_array_equal(aligned(references, late)[:, inside], references[:, inside])


@pytest.mark.parametrize(("delay", "moved"), [(BAND_RANGE, BAND_RANGE - 1), (-BAND_RANGE, -BAND_RANGE)])
def test_a_band_that_is_late_by_exactly_100_ms_is_moved_a_sample_less_as_published(delay, moved):
    references = np.zeros((2, 12000))
    references[:, 5000:5100] = np.hanning(100)
    late = advance(references, -delay)
    np.testing.assert_array_equal(aligned(references, late), advance(late, moved).astype(np.float32))


def test_delays_of_bands_beyond_100_ms_are_not_followed():
    references = np.zeros((2, 12000))
    references[:, 5000:5100] = np.hanning(100)
    far = advance(references, -3000)
    for band in aligned(references, far):
        assert abs(int(np.argmax(band)) - int(np.argmax(far[0]))) <= BAND_RANGE
        assert np.argmax(band) != np.argmax(references[0])


def test_bands_shorter_than_the_range():
    references = bursts(2, 2000).astype(np.float32)
    found = aligned(references, advance(references, -20))
    np.testing.assert_array_equal(found[:, :-20], references[:, :-20])
