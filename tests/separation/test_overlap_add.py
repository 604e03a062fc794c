"""The chunk scheme: identity, seams, and memory that does not grow with the song."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hearlab.errors import InputError, ParameterError
from hearlab.separation.overlap_add import WINDOW_SUM_TOLERANCE, Chunks, overlap_add

RATE = 44100
PUBLISHED = Chunks.of_seconds(RATE)
# x * w + x * (1 - w) in single precision, for x up to 4.
IDENTITY_TOLERANCE = 1e-6


def separate(song, chunks, model=None):
    """All spans of a song in one array, shape (stems, n, 2)."""
    model = model or (lambda chunk: np.stack([chunk, -chunk]))
    spans = list(overlap_add(model, lambda start, stop: song[start:stop], song.shape[0], chunks))
    return np.concatenate(spans, axis=1)


def noise(frames, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (frames, 2)).astype(np.float32)


def assert_identity(song, chunks):
    stems = separate(song, chunks)
    assert stems.shape == (2, *song.shape)
    assert stems.dtype == np.float32
    assert np.abs(stems[0] - song).max() <= IDENTITY_TOLERANCE
    assert np.abs(stems[1] + song).max() <= IDENTITY_TOLERANCE


def test_the_published_chunks():
    # 10 s times 1.1; every later chunk begins 0.1 s before the end of the one before and brings 11 s of new audio.
    assert (PUBLISHED.length, PUBLISHED.overlap) == (485100, 4410)
    assert list(PUBLISHED.bounds(1_500_000)) == [
        (0, 485100),
        (480690, 970200),
        (965790, 1455300),
        (1450890, 1500000),
    ]


@pytest.mark.parametrize("frames", [1, 2, 4409, 4410, 4411, 485099, 485100, 485101, 489510, 970200, 970201, 40 * RATE])
def test_an_identity_model_returns_its_input(frames):
    assert_identity(noise(frames), PUBLISHED)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 40_000), st.floats(0.001, 12), st.floats(0, 0.3))
def test_an_identity_model_returns_its_input_for_any_length_and_scheme(frames, segment, overlap):
    rate = 1000
    if int(rate * overlap) >= int(rate * segment * (1 + overlap)) or int(rate * segment) == 0:
        with pytest.raises(ParameterError):
            Chunks.of_seconds(rate, segment, overlap)
        return
    chunks = Chunks.of_seconds(rate, segment, overlap)
    if frames / chunks.length < 500:
        assert_identity(noise(frames), chunks)


@pytest.mark.parametrize("frames", [1, 4410, 485101, 1_500_000])
def test_the_window_sums_to_one(frames):
    ones = np.ones((frames, 2), np.float32)
    assert np.abs(separate(ones, PUBLISHED) - [[[1]], [[-1]]]).max() <= WINDOW_SUM_TOLERANCE


def test_a_seam_fades_linearly_from_one_chunk_to_the_next():
    numbers = iter(range(1, 10))
    stems = separate(np.ones((30_000, 2)), Chunks(11_000, 100), lambda chunk: chunk[np.newaxis] * next(numbers))
    for seam, (before, after) in {10_900: (1, 2), 22_000 - 100: (2, 3)}.items():
        fade = stems[0, seam : seam + 100, 0]
        assert fade == pytest.approx(np.linspace(before, after, 100), abs=1e-6)
        assert stems[0, seam - 1, 0] == before
        assert stems[0, seam + 100, 0] == after


def test_neither_end_of_a_song_is_faded():
    # The published code fades out a song that fits into one chunk, and returns silence for one of 0.1 s.
    for frames in (4410, 300_000, 485_100):
        stems = separate(np.ones((frames, 2)), PUBLISHED)
        assert np.all(stems[0] == 1)


def test_an_empty_song_has_no_spans():
    assert list(overlap_add(lambda chunk: chunk[np.newaxis], lambda a, b: np.zeros((b - a, 2)), 0, PUBLISHED)) == []


def test_spans_come_before_the_rest_is_read():
    reads = []

    def read(start, stop):
        reads.append((start, stop))
        return np.zeros((stop - start, 2))

    spans = overlap_add(lambda chunk: chunk[np.newaxis], read, 30_000, Chunks(11_000, 100))
    assert next(spans).shape == (1, 10_900, 2)
    assert reads == [(0, 11_000)]
    rest = sum(span.shape[1] for span in spans)
    assert rest == 30_000 - 10_900
    assert reads == [(0, 11_000), (10_900, 22_000), (21_900, 30_000)]


def test_memory_does_not_grow_with_the_song():
    chunks = Chunks.of_seconds(4000)

    def peak(seconds):
        def read(start, stop):
            return np.full((stop - start, 2), 0.5, np.float32)

        tracemalloc.start()
        try:
            for span in overlap_add(lambda chunk: np.stack([chunk] * 4), read, 4000 * seconds, chunks):
                assert span.shape[0] == 4
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    # A whole hour would be 461 MB of stems; a chunk of four stems is 1.4 MB.
    assert peak(3600) < 1.1 * peak(60) < 8e6


@pytest.mark.parametrize(
    ("segment", "overlap", "message"),
    [
        (0, 0.1, r"segment: is not a length \(found 0, wanted seconds above 0\)"),
        (float("nan"), 0.1, "segment: is not a length"),
        (10, -0.1, r"overlap: is not a length \(found -0.1, wanted seconds of 0 or more\)"),
        (0.5, 2.0, "overlap: is as long as a chunk"),
    ],
)
def test_impossible_schemes_are_refused(segment, overlap, message):
    with pytest.raises(ParameterError, match=message):
        Chunks.of_seconds(RATE, segment, overlap)


def test_a_mono_mixture_is_refused():
    with pytest.raises(InputError, match=r"mixture: samples 0 to 100: .*found \(100, 1\), wanted \(100, 2\)"):
        list(overlap_add(lambda chunk: chunk[np.newaxis], lambda a, b: np.zeros((b - a, 1)), 100, PUBLISHED))
