"""The demo recordings: speech-like in spectrum and rhythm, talkers that differ, household noises, music."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import signal

from hearlab.audio import rms
from hearlab.datasets.demo.seeds import item_rng
from hearlab.datasets.demo.speech.formant_synthesis import synthesise, vocal_tract
from hearlab.datasets.demo.speech.interfering_sounds import NOISES, background_music
from hearlab.datasets.demo.speech.recordings import TARGET_LEVEL, targets
from hearlab.datasets.demo.speech.utterances import Talker, draw_talker, plan_utterance

RATE = 44100
OCTAVES = (125, 250, 500, 1000, 2000, 4000, 8000)
TALKER = Talker("T", "M", pitch=110.0, liveliness=3.0, formant_scale=1.0, rate=4.2, breathiness=0.05)


@pytest.fixture(scope="module")
def sentences() -> list[np.ndarray]:
    return [recording.samples for recording in targets("dev", 12, RATE, 0)]


def _octave_levels(samples: np.ndarray) -> np.ndarray:
    """Levels of octave bands in dB relative to the whole."""
    frequency, power = signal.welch(samples, RATE, nperseg=4096)
    bands = [power[(frequency >= f / 2**0.5) & (frequency < f * 2**0.5)].sum() for f in OCTAVES]
    return 10 * np.log10(np.array(bands) / power.sum())


def _envelope(samples: np.ndarray) -> np.ndarray:
    """Envelope at 100 Hz."""
    smooth = signal.sosfiltfilt(signal.butter(2, 30, fs=RATE, output="sos"), np.abs(samples))
    return smooth[:: RATE // 100]


def test_targets_have_their_level(sentences: list[np.ndarray]) -> None:
    for samples in sentences:
        # Talkers differ by up to 1 dB; the peakiest sentences are made quieter to fit the 16 bits.
        assert TARGET_LEVEL - 3 <= 20 * np.log10(rms(samples)) <= TARGET_LEVEL + 1.01
        assert np.abs(samples).max() <= 0.951


def test_long_term_spectrum_falls_like_speech(sentences: list[np.ndarray]) -> None:
    levels = 10 * np.log10(np.mean([10 ** (_octave_levels(samples) / 10) for samples in sentences], axis=0))
    # Byrne et al. (1994), all talkers: about -4 dB at 500 Hz, -11 at 1, -14 at 2, -18 at 4 and -21 dB at 8 kHz re the
    # overall level. Single voices differ by some dB from that.
    np.testing.assert_allclose(levels[2:], [-4, -11, -14, -18, -21], atol=6)
    assert (np.diff(levels[2:]) < 0).all()


def test_rhythm_is_that_of_syllables(sentences: list[np.ndarray]) -> None:
    rates = np.arange(0.5, 16, 0.1)
    spectrum = np.zeros(rates.size)
    for samples in sentences:
        envelope = _envelope(samples)
        envelope = (envelope / envelope.mean() - 1) * np.hanning(envelope.size)
        wave = np.exp(-2j * np.pi * rates[:, None] * np.arange(envelope.size) / 100)
        spectrum += np.abs(wave @ envelope) ** 2 / envelope.size
    # Per octave, as modulation spectra of speech are drawn (Greenberg & Arai 2004: a peak at 3 to 6 Hz).
    peak = rates[np.argmax(np.convolve(spectrum * rates, np.ones(9) / 9, mode="same"))]
    assert 3 <= peak <= 6


def test_speech_has_pauses_and_starts_from_silence() -> None:
    # The 50 ms of silence at both ends, but for the windows of the synthesis (12 ms).
    for index in range(3):
        rng = item_rng(index, "pauses")
        samples = synthesise(plan_utterance(TALKER, 6.0, rng), TALKER, RATE, rng)
        envelope = _envelope(samples)
        silent = envelope < 0.02 * envelope.max()
        assert 0.03 < silent.mean() < 0.4
        loud = np.abs(samples).max()
        edge = round(0.03 * RATE)
        assert np.abs(samples[:edge]).max() < 1e-3 * loud
        assert np.abs(samples[-edge:]).max() < 3e-2 * loud


def test_pitch_is_the_talkers() -> None:
    rng = item_rng(0, "pitch")
    plan = plan_utterance(TALKER, 6.0, rng)
    samples = synthesise(plan, TALKER, RATE, rng)
    times = np.arange(0.1, 5.9, 0.02)
    voiced = times[plan.voicing.at(times) > 0.6]
    assert voiced.size > 30
    errors = []
    for time in voiced:
        piece = samples[round((time - 0.02) * RATE) : round((time + 0.02) * RATE)]
        correlation = signal.correlate(piece, piece, method="fft")[piece.size - 1 :]
        shortest, longest = RATE // 250, RATE // 60
        period = shortest + np.argmax(correlation[shortest:longest])
        errors.append(np.log2(RATE / period / plan.pitch.at(np.array([time]))[0]))
    # A quarter of an octave (three semitones) leaves room for glides; most frames must be right.
    assert np.mean(np.abs(errors) < 0.25) > 0.8
    assert 80 < np.median(plan.pitch.values) < 150


def test_formants_are_where_they_should_be() -> None:
    frequency = np.fft.rfftfreq(2048, 1 / RATE)
    gain = np.abs(vocal_tract(np.array([[500.0, 1500.0, 2500.0]]), 1.0, RATE))[0]
    peaks = frequency[signal.argrelmax(gain)[0]][:3]
    np.testing.assert_allclose(peaks, [500, 1500, 2500], atol=2 * frequency[1])
    assert gain[0] == pytest.approx(1.0)


def test_talkers_differ_and_landmarks_are_in_order() -> None:
    talkers = [draw_talker(f"T{index}", item_rng(0, f"T{index}")) for index in range(20)]
    assert {talker.sex for talker in talkers} == {"M", "F"}
    assert min(t.pitch for t in talkers if t.sex == "F") > max(t.pitch for t in talkers if t.sex == "M")
    assert len({talker.formant_scale for talker in talkers}) == len(talkers)
    counts = []
    for talker in talkers:
        plan = plan_utterance(talker, 2.5, item_rng(0, talker.name))
        tracks = [plan.pitch, plan.voicing, plan.aspiration, plan.noise, plan.noise_centre, plan.noise_width]
        for track in (*tracks, *plan.formants):
            assert (np.diff(track.times) >= 0).all()
            assert 0 <= track.times[0] <= track.times[-1] <= plan.duration
        assert len(plan.text.split()) >= 2
        # Each syllable has one vowel and so one pitch accent. 3 to 6 per second, fewer where a pause takes long.
        counts.append(len(plan.pitch.times) / (plan.duration - 0.1))
    assert 2.4 <= min(counts) <= max(counts) <= 6
    assert 3 <= np.mean(counts) <= 5


@pytest.mark.parametrize("kind", NOISES)
def test_noises_are_steady_and_different(kind: str) -> None:
    length = 3 * RATE
    samples = NOISES[kind](length, RATE, item_rng(0, kind))
    assert samples.shape == (length,)
    assert np.isfinite(samples).all()
    envelope = _envelope(samples)
    assert envelope[10:-10].min() > 0.15 * envelope.mean(), "household noise has no pauses"
    levels = _octave_levels(samples)
    assert levels.max() - levels[2] < 12, "it masks the middle of the speech range"
    assert not np.array_equal(samples, NOISES[kind](length, RATE, item_rng(1, kind)))


def test_classes_of_noise_have_spectra_of_their_own() -> None:
    levels = [_octave_levels(make(3 * RATE, RATE, item_rng(0, kind))) for kind, make in NOISES.items()]
    for one in range(len(levels)):
        for other in range(one):
            assert np.abs(levels[one] - levels[other]).max() > 3


def test_music_has_tones_and_a_beat() -> None:
    samples = background_music(6 * RATE, RATE, item_rng(0, "music"))
    assert np.isfinite(samples).all()
    _, power = signal.welch(samples, RATE, nperseg=16384)
    low = power[30:300]  # 80 to 800 Hz
    assert low.max() > 30 * np.median(low), "lines of notes stand out"
    envelope = _envelope(samples)
    envelope = envelope - envelope.mean()
    correlation = signal.correlate(envelope, envelope)[envelope.size - 1 :]
    beat = correlation[40:140].max() / correlation[0]  # 0.4 to 1.4 s
    assert beat > 0.25, "it repeats from beat to beat"  # noise: below 0.1
