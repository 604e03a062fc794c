"""Outer-hair-cell compression and the widening of filters."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import butter, lfilter

from hearlab.ear.compression import compress, compressed_level, compression, level_dependent_bandwidths
from hearlab.ear.filterbank import BLOCK, Channels, control_rms
from hearlab.ear.loss import (
    BANDS,
    LossParameters,
    centre_frequencies,
    equivalent_bandwidth,
    loss_parameters,
    normal_hearing,
    widest_bandwidth,
)
from hearlab.kernels.rows import MARGIN, empty_rows

LEVEL = 65.0
IMPAIRED = loss_parameters(np.array([0.0, 10, 25, 45, 60, 80]))

# Gains and results are in single precision.
SINGLE = 1e-6


def amplitude(decibels: float) -> float:
    return 10 ** ((decibels - LEVEL) / 20)


def plain_gammatone(
    signal: np.ndarray, band: int, bandwidth: float, basal_shift: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    frequency = centre_frequencies(basal_shift)[band]
    pole = np.exp(-2 * np.pi * 1.019 * bandwidth * equivalent_bandwidth(frequency) / 24000)
    carrier = np.exp(-2j * np.pi * frequency / 24000 * np.arange(signal.size))
    filtered = signal * carrier
    for _ in range(4):
        filtered = lfilter([1], [1, -pole], filtered)
    zeros = [1, 4 * pole, 4 * pole**2]
    filtered = lfilter(zeros, [1], filtered) * 2 * (1 - pole) ** 4 / np.sum(zeros)
    return np.abs(filtered), np.real(filtered * carrier.conj())


def plain_gain(control: np.ndarray, loss: LossParameters, band: int, level: float) -> np.ndarray:
    with np.errstate(divide="ignore"):
        decibels = np.clip(20 * np.log10(control) + level, loss.lower_knee[band], 100)
    decibels = -loss.outer_attenuation[band] - (decibels - loss.lower_knee[band]) * (
        1 - 1 / loss.compression_ratio[band]
    )
    return lfilter(*butter(1, 800, fs=24000), 10 ** (decibels / 20))


@pytest.mark.parametrize("loss", [normal_hearing(), IMPAIRED])
@pytest.mark.parametrize("bands", [(0, 1), (16, 17), (30, 31), (9, 9)])
@pytest.mark.parametrize("n", [3, BLOCK, 1000])
@pytest.mark.parametrize("basal_shift", [0.0, 0.02])
def test_compression_step_by_step(loss, bands, n, basal_shift):
    random = np.random.RandomState(0)
    signals = tuple(gain * random.standard_normal(n) for gain in (30.0, 0.01))
    signals[0][n // 2 : n // 2 + n // 4] = 0
    channels = Channels(signals, bands, basal_shift)
    bandwidths = np.array([1.2, 2.3])
    envelopes, motions = empty_rows(2, n), empty_rows(2, n)
    how = compression(bands, bandwidths, control_rms(channels), loss, LEVEL, basal_shift)
    rms = compress(channels, how, envelopes, motions)
    alone = empty_rows(2, n)
    compress(channels, how, alone)
    np.testing.assert_array_equal(alone, envelopes)
    for channel, (signal, band) in enumerate(zip(signals, bands, strict=True)):
        control, _ = plain_gammatone(signal, band, widest_bandwidth()[band], basal_shift)
        envelope, motion = plain_gammatone(signal, band, bandwidths[channel])
        assert rms[channel] == pytest.approx(np.sqrt(np.mean(envelope**2)), rel=SINGLE)
        gain = plain_gain(control, loss, band, LEVEL)
        for rows, expected in ((envelopes, envelope * gain), (motions, motion * gain)):
            found = rows[channel, MARGIN : MARGIN + n]
            np.testing.assert_allclose(found, expected, rtol=SINGLE, atol=SINGLE * np.max(np.abs(expected)))
    for rows in (envelopes, motions):
        assert not np.any(rows[:, :MARGIN])
        assert not np.any(rows[:, MARGIN + n :])


def test_decay_is_followed_down_to_where_the_logarithm_ends():
    # Where a sound has stopped, the motion is divided by the envelope; above 1e-30 it must be right.
    signal = np.concatenate([np.random.RandomState(0).standard_normal(600), np.zeros(6000)])
    channels = Channels((signal, signal), (9, 9))
    rows = empty_rows(2, signal.size)
    compress(channels, compression((9, 9), np.ones(2), control_rms(channels), normal_hearing(), LEVEL), rows)
    pole = np.exp(-2 * np.pi * 1.019 * equivalent_bandwidth(centre_frequencies()[9]) / 24000)
    found = rows[0, MARGIN : MARGIN + signal.size].astype(np.float64)
    faint = np.flatnonzero(found < 1e-29)[0]
    assert faint > 3000
    # Four equal poles decay as t^3 p^t.
    late = np.arange(faint - 200, faint)
    slope = np.diff(np.log(found[late]))
    assert np.all(np.abs(slope - np.log(pole) - 3 / (late[1:] - 600)) < 1e-3)


def test_silence_gives_silence():
    channels = Channels((np.zeros(500), np.zeros(500)), (3, 4))
    rows = empty_rows(2, 500)
    rows[:, MARGIN : MARGIN + 500] = 1.0
    rms = compress(channels, compression((3, 4), np.ones(2), control_rms(channels), IMPAIRED, LEVEL), rows)
    assert not np.any(rows)
    assert not np.any(rms)


def tone_level(decibels: float, loss: LossParameters, band: int = 20) -> float:
    """Level of the compressed envelope of a tone at the centre of a band, in dB SPL."""
    time = np.arange(6000) / 24000
    tone = amplitude(decibels) * np.sin(2 * np.pi * centre_frequencies()[band] * time)
    channels = Channels((tone, tone), (band, band))
    rows = empty_rows(2, tone.size)
    compress(channels, compression((band, band), np.ones(2), control_rms(channels), loss, LEVEL), rows)
    return LEVEL + 20 * np.log10(np.mean(rows[0, MARGIN + 5000 : MARGIN + 6000]))


def test_linear_compressive_linear():
    loss = normal_hearing()
    ratio = loss.compression_ratio[20]
    for found, expected in ((10, 10), (30, 30), (50, 30 + 20 / ratio), (100, 30 + 70 / ratio), (110, 40 + 70 / ratio)):
        assert tone_level(found, loss) == pytest.approx(expected, abs=0.05)


def test_a_loss_takes_gain_off_soft_sounds_only():
    assert tone_level(20, IMPAIRED) == pytest.approx(20 - IMPAIRED.outer_attenuation[20], abs=0.05)
    assert tone_level(105, IMPAIRED) == pytest.approx(tone_level(105, normal_hearing()), abs=0.05)


def test_complete_loss_is_linear():
    loss = loss_parameters(np.full(6, 110.0))
    assert tone_level(90, loss) - tone_level(40, loss) == pytest.approx(50, abs=0.02)


def test_long_term_levels():
    loss = IMPAIRED
    envelope = np.full(BANDS, amplitude(70))
    control = np.geomspace(amplitude(10), amplitude(120), BANDS)
    control_db = np.clip(20 * np.log10(control) + LEVEL, loss.lower_knee, 100)
    gain = -loss.outer_attenuation - (control_db - loss.lower_knee) * (1 - 1 / loss.compression_ratio)
    expected = np.maximum(70 + gain - loss.inner_attenuation, 0)
    np.testing.assert_allclose(compressed_level(envelope, control, loss, LEVEL), expected, atol=1e-9)
    assert not np.any(compressed_level(np.zeros(BANDS), np.zeros(BANDS), loss, LEVEL))


@pytest.mark.parametrize(("decibels", "expected"), [(20, 1.0), (50, 1.0), (75, 2.0), (100, 3.0), (120, 3.0)])
def test_bandwidth_grows_from_50_to_100_db(decibels, expected):
    assert level_dependent_bandwidths(np.array([amplitude(decibels)]), np.ones(1), np.full(1, 3.0), LEVEL)[
        0
    ] == pytest.approx(expected, abs=1e-9)


def test_bandwidth_in_silence():
    assert level_dependent_bandwidths(np.zeros(1), np.full(1, 1.2), np.full(1, 3.0), LEVEL) == [1.2]
