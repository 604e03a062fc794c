"""The interface of separators, with networks that can be checked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from hearlab.errors import InputError
from hearlab.separation.overlap_add import Chunks
from hearlab.separation.separator import Separator, level_of

RATE = 44100
# Single precision of samples of order 1.
SAMPLE_TOLERANCE = 2e-6


def noise(frames, seed=0, level=0.1):
    return (level * np.random.default_rng(seed).standard_normal((frames, 2))).astype(np.float32)


def reading(song):
    return lambda start, stop: song[start:stop]


def separator(network, *, chunk=9000, overlap=100, standardise=False):
    return Separator(RATE, ("loud", "soft"), network, Chunks(chunk, overlap), standardise)


def close(found, wanted, tolerance=SAMPLE_TOLERANCE):
    return found.shape == wanted.shape and np.abs(found - wanted).max() <= tolerance


def halves(chunk):
    return np.stack([0.75 * chunk, 0.25 * chunk])


def test_spans_and_array_agree():
    song = noise(30_000)
    spans = list(separator(halves).separate(reading(song), song.shape[0]))
    assert len(spans) > 4
    whole = separator(halves).separate_array(song, RATE)
    assert list(whole) == ["loud", "soft"]
    for name, stem in whole.items():
        assert stem.dtype == np.float32
        assert np.array_equal(stem, np.concatenate([span[name] for span in spans]))
    assert close(whole["loud"] + whole["soft"], song)


def test_an_empty_song_gives_empty_stems():
    stems = separator(halves).separate_array(np.zeros((0, 2)), RATE)
    assert {name: stem.shape for name, stem in stems.items()} == {"loud": (0, 2), "soft": (0, 2)}


def test_another_rate_or_a_mono_mixture_is_refused():
    with pytest.raises(InputError, match=r"mixture: wrong sample rate \(found 48000 Hz, wanted 44100 Hz\)"):
        separator(halves).separate_array(noise(100), 48000)
    with pytest.raises(InputError, match=r"mixture: is not stereo \(found \(100,\), wanted \(samples, 2\)\)"):
        separator(halves).separate_array(np.zeros(100), RATE)
    with pytest.raises(InputError, match="mixture: is not stereo"):
        separator(halves).separate_array(np.zeros((2, 100)), RATE)


def test_the_network_sees_a_standardised_song_and_its_stems_get_scale_and_mean_back():
    # Two blocks of the measuring pass, an offset, and channels of different level.
    song = noise(300_000) * np.float32([1, 0.5]) + np.float32(0.03)
    mono = song.astype(np.float64).mean(axis=1)
    seen = []

    def network(chunk):
        seen.append(chunk)
        return np.stack([chunk, 0 * chunk])

    stems = separator(network, chunk=400_000, standardise=True).separate_array(song, RATE)
    # Published: mean and (population) standard deviation of the mono mix.
    assert close(seen[0], (song - mono.mean()) / mono.std(), 1e-4)
    assert close(stems["loud"], song)
    assert close(stems["soft"], np.full_like(song, mono.mean()))


def test_the_scale_of_a_song_does_not_reach_the_network():
    song, seen = noise(20_000), []

    def network(chunk):
        seen.append(chunk)
        return halves(chunk)

    for gain in (1, 8):
        stems = separator(network, chunk=50_000, standardise=True).separate_array(gain * song, RATE)
        # The mean goes to every stem whole.
        assert close(stems["loud"], gain * (0.75 * song + 0.25 * song.mean()), gain * SAMPLE_TOLERANCE)
    assert close(seen[0], seen[1], 1e-5)


def test_channels_that_cancel_are_standardised_by_both():
    left = noise(20_000)[:, 0]
    song = np.stack([left, -left], axis=1)
    mean, deviation = level_of(reading(song), song.shape[0])
    assert mean == pytest.approx(0, abs=1e-9)
    assert deviation == pytest.approx(song.std(), rel=1e-5)
    stems = separator(halves, standardise=True).separate_array(song, RATE)
    assert close(stems["loud"], 0.75 * song)


@pytest.mark.parametrize("value", [0.0, 0.25])
def test_a_silent_song_gives_silent_stems(value):
    # A network with biases answers silence with something, and there is no scale to give it.
    stems = separator(lambda chunk: halves(chunk) + 1, standardise=True).separate_array(
        np.full((20_000, 2), value, np.float32), RATE
    )
    assert all(not np.any(stem) for stem in stems.values())
