"""Magnitude spectra and their statistics."""

from __future__ import annotations

import numpy as np
import pytest
from song_arrays import SongArrays

from hearlab.errors import InputError
from hearlab.separation.openunmix import TARGETS, UnmixShape
from hearlab.separation.spectra import block_frames, magnitude, mixture_statistics

torch = pytest.importorskip("torch", reason="needs hearlab[music]")

SHAPE = UnmixShape(sample_rate=8000, nfft=256, nhop=128, bandwidth=3000)


def noise_song(seed, frames):
    rng = np.random.default_rng(seed)
    return {stem: 0.1 * rng.standard_normal((frames, 2)) for stem in TARGETS}


def test_the_magnitude_is_that_of_the_windowed_frames():
    signal = np.random.default_rng(0).standard_normal((2, 700)).astype(np.float32)
    found = magnitude(torch.from_numpy(signal), SHAPE).numpy()
    assert found.shape == (2, 129, 4)  # whole frames only: those that begin at 0, 128, 256, 384
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(256) / 256)
    for frame in range(4):
        part = signal[:, 128 * frame : 128 * frame + 256]
        # Single precision.
        assert np.abs(found[:, :, frame] - np.abs(np.fft.rfft(part * window))).max() < 1e-4


def test_the_magnitude_is_rounded_as_by_single_operations():
    """Weights of networks depend on each bit of it."""
    signal = torch.from_numpy(np.random.default_rng(3).standard_normal((2, 2, 700)).astype(np.float32))
    window = torch.hann_window(256)
    spectra = torch.stft(signal.reshape(4, 700), 256, 128, window=window, center=False, return_complex=True)
    length = (spectra.real.square() + spectra.imag.square()).rsqrt().reciprocal()
    assert torch.equal(magnitude(signal, SHAPE), length.reshape(2, 2, 129, 4))


def test_statistics_are_those_of_the_mixtures():
    # Three blocks of one song, the last too short for a frame, and a song that is too short.
    long = block_frames(SHAPE) * 2 + 100
    songs = SongArrays({"long": noise_song(1, long), "short": noise_song(2, 200)})
    found = mixture_statistics(songs, SHAPE)
    mixture = torch.from_numpy(sum(songs.stems["long"].values()).T.astype(np.float32))
    first, second = (magnitude(part, SHAPE) for part in mixture[:, : long - 100].chunk(2, dim=1))
    spectra = torch.cat([first, second], dim=-1).mean(dim=0).numpy()
    assert found.mean == pytest.approx(spectra.mean(axis=1), rel=1e-4)
    assert found.deviation == pytest.approx(spectra.std(axis=1), rel=1e-3)


def test_bins_that_hardly_vary_are_not_scaled_up_without_limit():
    time = np.arange(8000) / 8000
    tone = np.sin(2 * np.pi * 1000 * time) * time  # on a bin, swelling
    songs = SongArrays({"tone": {stem: np.stack([tone, tone], axis=1) for stem in TARGETS}})
    deviation = mixture_statistics(songs, SHAPE).deviation
    assert deviation.min() == pytest.approx(1e-4 * deviation.max())


def test_songs_without_a_single_frame_are_refused():
    with pytest.raises(InputError, match=r"training songs: are too short \(wanted 256 samples at least\)"):
        mixture_statistics(SongArrays({"short": noise_song(1, 200)}), SHAPE)
