"""Reference and processed signal in the same ear."""

from __future__ import annotations

import numpy as np
import pytest

from hearlab.ear.alignment import BroadbandAlignment
from hearlab.ear.hearing import Hearing
from hearlab.ear.loss import BANDS, loss_parameters, normal_hearing
from hearlab.ear.paired_ears import amplify, paired_bands
from hearlab.fitting import NalR
from hearlab.listeners import Audiogram

N = 9000
AUDIOGRAM = Audiogram([10, 20, 30, 40, 50, 60], [250, 500, 1000, 2000, 4000, 6000])
LOSS = loss_parameters(AUDIOGRAM.levels)


def no_noise(row: np.ndarray, factor: float) -> None:
    """No noise."""


def music(seed: int = 0) -> np.ndarray:
    time = np.arange(N) / 24000
    notes = sum(np.sin(2 * np.pi * 220 * k * time + k * k) / k for k in range(1, 20))
    return 0.3 * notes * np.exp(-3 * (time % 0.15)) + 1e-3 * np.random.RandomState(seed).standard_normal(N)


def pair(reference: np.ndarray, processed: np.ndarray, loss=LOSS) -> tuple[Hearing, Hearing]:
    return Hearing(reference, loss, 80.0), Hearing(processed, loss, 80.0)


def bands_of(ears: tuple[Hearing, Hearing], noises=(no_noise, no_noise)) -> tuple[np.ndarray, np.ndarray]:
    n = ears[0].samples
    envelopes, motions = np.empty((2, BANDS, n)), np.empty((2, BANDS, n))
    for number, band in enumerate(paired_bands(*ears, noises)):
        for side in range(2):
            envelopes[side, number] = band.envelopes[side][:n]
            motions[side, number] = band.motions[side][:n]
            assert not np.any(band.motions[side][n : n + 400])
    return envelopes, motions


def levels(ears: tuple[Hearing, Hearing]) -> np.ndarray:
    return np.stack([hearing.levels() for hearing in ears])


def test_equal_signals_are_heard_equally():
    ears = pair(music(), music())
    envelopes, motions = bands_of(ears)
    np.testing.assert_array_equal(envelopes[0], envelopes[1])
    np.testing.assert_array_equal(motions[0], motions[1])
    np.testing.assert_array_equal(*levels(ears))


def test_motion_has_the_envelope():
    envelopes, motions = bands_of(pair(music(), music(1)))
    assert np.all(np.abs(motions[0]) <= 1.0001 * envelopes[0] + 1e-6)
    # A modulated sine has the energy of half its envelope's.
    audible = np.flatnonzero(np.mean(envelopes[0], axis=1) > 5)[8:]
    assert audible.size > 8
    energies = np.sum(motions[0][audible] ** 2, axis=1) / np.sum(envelopes[0][audible] ** 2, axis=1)
    np.testing.assert_allclose(energies, 0.5, atol=0.02)


def test_a_louder_loss_lowers_levels():
    soft = pair(music(), music())
    normal = pair(music(), music(), normal_hearing())
    for ears in (soft, normal):
        bands_of(ears)
    assert np.all(levels(soft) <= levels(normal))
    assert np.mean(levels(normal) - levels(soft)) > 10


def test_noise_at_threshold_comes_from_the_streams_band_by_band():
    streams = [np.random.RandomState(seed) for seed in (1, 2)]

    def draw(stream):
        def add(row, factor):
            row += factor * stream.standard_normal(row.size)

        return add

    # Far below threshold there is nothing but noise.
    _, motions = bands_of(pair(1e-9 * music(), 1e-9 * music(1)), tuple(draw(stream) for stream in streams))
    amplitude = 10 ** ((-10 - 80) / 20)
    for side, seed in enumerate((1, 2)):
        again = np.random.RandomState(seed)
        for band, motion in enumerate(motions[side]):
            # The noise was added before the bands were delayed against each other.
            late = int(np.flatnonzero(motion)[0])
            assert late == 0 if band == 0 else 0 < late < 512
            expected = amplitude * again.standard_normal(N)[: N - late]
            np.testing.assert_allclose(motion[late:], expected, rtol=1e-6)


def test_alignment_leaves_two_milliseconds_and_cuts_silence_off():
    signal = np.concatenate([np.zeros(500), music(), np.zeros(700)])
    late = np.concatenate([np.zeros(300), signal])[: signal.size]
    alignment = BroadbandAlignment(signal)
    reference, processed = alignment.active, alignment.apply(late)
    assert reference.size == processed.size <= N
    np.testing.assert_array_equal(processed[48 + 10 :], reference[10:-48])


@pytest.mark.parametrize("n", [1, 100, 144, 145, 5000])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_amplification_is_nal_r_read_a_filter_late(n, dtype):
    signal = np.random.RandomState(0).standard_normal(n).astype(dtype)
    taps = NalR(taps=140, rate=24000).filter(AUDIOGRAM)
    expected = np.convolve(np.concatenate([signal.astype(np.float64), np.zeros(140)]), taps)[140 : 140 + n]
    np.testing.assert_allclose(amplify(signal, AUDIOGRAM), expected, atol=1e-12)


def test_prescription_is_heard():
    plain = pair(music(), music())
    amplified = pair(amplify(music(), AUDIOGRAM), music())
    for ears in (plain, amplified):
        bands_of(ears)
    assert np.mean(levels(amplified)[0] - levels(plain)[0]) > 3
    np.testing.assert_array_equal(levels(amplified)[1], levels(plain)[1])


def test_kept_bands_are_the_same_bits():
    one, other = pair(music(), music(1)), pair(music(), music(1))
    for hearing in other:
        hearing.keep(motions=True)
    for _ in range(2):  # they may be asked for again
        for found, expected in zip(bands_of(other), bands_of(one), strict=True):
            np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(levels(other), levels(one))
    for kept, streamed in zip(other[1].envelopes(), one[1].envelopes(), strict=True):
        np.testing.assert_array_equal(kept, streamed)
