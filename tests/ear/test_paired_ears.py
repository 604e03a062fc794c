"""Reference and processed signal in the same ear."""

from __future__ import annotations

import numpy as np
import pytest

from hearlab.ear.loss import BANDS, loss_parameters, normal_hearing
from hearlab.ear.paired_ears import PairedEars, aligned_pair, amplify
from hearlab.fitting import NalR
from hearlab.listeners import Audiogram

N = 9000
AUDIOGRAM = Audiogram([10, 20, 30, 40, 50, 60], [250, 500, 1000, 2000, 4000, 6000])
LOSS = loss_parameters(AUDIOGRAM.levels)


def quiet(row: np.ndarray, factor: float) -> None:
    """No noise."""


def music(seed: int = 0) -> np.ndarray:
    time = np.arange(N) / 24000
    notes = sum(np.sin(2 * np.pi * 220 * k * time + k * k) / k for k in range(1, 20))
    return 0.3 * notes * np.exp(-3 * (time % 0.15)) + 1e-3 * np.random.RandomState(seed).standard_normal(N)


def bands_of(ears: PairedEars, noises=(quiet, quiet)) -> tuple[np.ndarray, np.ndarray]:
    envelopes, motions = np.empty((2, BANDS, ears.samples)), np.empty((2, BANDS, ears.samples))
    for number, band in enumerate(ears.bands(noises)):
        for side in range(2):
            envelopes[side, number] = band.envelopes[side][: ears.samples]
            motions[side, number] = band.motions[side][: ears.samples]
            assert not np.any(band.motions[side][ears.samples : ears.samples + 400])
    return envelopes, motions


def test_equal_signals_are_heard_equally():
    ears = PairedEars(music(), music(), LOSS, 80.0)
    envelopes, motions = bands_of(ears)
    np.testing.assert_array_equal(envelopes[0], envelopes[1])
    np.testing.assert_array_equal(motions[0], motions[1])
    np.testing.assert_array_equal(*ears.levels())


def test_motion_has_the_envelope():
    envelopes, motions = bands_of(PairedEars(music(), music(1), LOSS, 80.0))
    assert np.all(np.abs(motions[0]) <= 1.0001 * envelopes[0] + 1e-6)
    # A modulated sine has the energy of half its envelope's.
    audible = np.flatnonzero(np.mean(envelopes[0], axis=1) > 5)[8:]
    assert audible.size > 8
    energies = np.sum(motions[0][audible] ** 2, axis=1) / np.sum(envelopes[0][audible] ** 2, axis=1)
    np.testing.assert_allclose(energies, 0.5, atol=0.02)


def test_a_louder_loss_lowers_levels():
    soft = PairedEars(music(), music(), LOSS, 80.0)
    normal = PairedEars(music(), music(), normal_hearing(), 80.0)
    for ears in (soft, normal):
        bands_of(ears)
    assert np.all(soft.levels() <= normal.levels())
    assert np.mean(normal.levels() - soft.levels()) > 10


def test_noise_at_threshold_comes_from_the_streams_band_by_band():
    streams = [np.random.RandomState(seed) for seed in (1, 2)]

    def draw(stream):
        def add(row, factor):
            row += factor * stream.standard_normal(row.size)

        return add

    # Far below threshold there is nothing but noise.
    _, motions = bands_of(
        PairedEars(1e-9 * music(), 1e-9 * music(1), LOSS, 80.0), tuple(draw(stream) for stream in streams)
    )
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
    reference, processed = aligned_pair(signal, late)
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
    plain = PairedEars(music(), music(), LOSS, 80.0)
    amplified = PairedEars(music(), music(), LOSS, 80.0, AUDIOGRAM)
    for ears in (plain, amplified):
        bands_of(ears)
    assert np.mean(amplified.levels()[0] - plain.levels()[0]) > 3
    np.testing.assert_array_equal(amplified.levels()[1], plain.levels()[1])
