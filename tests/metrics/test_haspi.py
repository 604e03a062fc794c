"""HASPI v2: agreement with the published implementation, and what any intelligibility metric must do."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest

from hearlab.audio import read_audio
from hearlab.listeners import Audiogram, Listener, load_listeners
from hearlab.metrics import BinauralReference, HaspiReference, haspi, haspi_better_ear, unit_seed

# Agreement that the project promises. Rounding of the recursive filters in the lowest bands gives up to 1e-7.
AGREEMENT = 1e-6

FREQUENCIES = [250, 500, 1000, 2000, 3000, 4000, 6000, 8000]
SLOPING = Audiogram([10, 15, 20, 30, 45, 55, 65, 70], FREQUENCIES)
NO_LOSS = Audiogram([0] * 8, FREQUENCIES)

# Answers of pyclarity 0.9.0 (numpy 2.4.6, scipy 1.17.1): haspi_v2(reference, rate, processed, rate, audiogram, level)
# after np.random.seed(2021), for speech_pair() below.
# name: (reference rate, processed rate, losses, delay in s, level, score, features)
PUBLISHED = {
    "16 kHz, flat loss": (
        16000,
        16000,
        [40] * 8,
        0.0,
        65.0,
        0.12677439075497351,
        [
            0.4243166956676502,
            0.29705400260497655,
            0.2744027501234066,
            0.12685933286313822,
            0.18939866525459906,
            0.23845947428797915,
            0.33046407644922404,
            0.4555081262989825,
            0.5246608073316577,
            0.3948217359054621,
        ],
    ),
    "24 kHz, sloping loss, delay": (
        24000,
        24000,
        [10, 15, 20, 30, 45, 55, 65, 70],
        0.007,
        65.0,
        0.20115983611713412,
        [
            0.38487980657134224,
            0.2238709891219799,
            0.21404823740847229,
            0.2156093043033648,
            0.254011563540853,
            0.23509302006358537,
            0.43313165796918973,
            0.606468434549368,
            0.662757993399558,
            0.5464618453056487,
        ],
    ),
    "44.1 kHz, steep loss, delay, 100 dB": (
        44100,
        44100,
        [15, 20, 35, 60, 75, 85, 95, 100],
        0.020,
        100.0,
        0.5825816476035449,
        [
            0.5854417650897806,
            0.51909094380332,
            0.4157024944935553,
            0.30269445905419917,
            0.17972173687297976,
            0.13499630253883566,
            0.12910674996274293,
            0.2595145846390069,
            0.38289502060215386,
            0.308579874720482,
        ],
    ),
    "16 and 48 kHz, no loss": (
        16000,
        48000,
        [0] * 8,
        0.0,
        65.0,
        0.9984608700900233,
        [
            0.7442619130323616,
            0.7692045282733715,
            0.7044035122311201,
            0.5519772250030973,
            0.41233311654836663,
            0.43276891426026537,
            0.5505790299377242,
            0.7065093019251691,
            0.7469341165374079,
            0.6389698340663584,
        ],
    ),
}


def speech_like(rate: int) -> np.ndarray:
    """One second of a voice at 140 Hz in syllables, with a sweeping formant."""
    time = np.arange(rate) / rate
    voice = sum(np.sin(2 * np.pi * 140 * k * time + k * k) / k for k in range(1, 40))
    syllables = np.maximum(np.sin(2 * np.pi * 3.7 * time), 0) * (1 - 0.3 * np.cos(2 * np.pi * 9 * time))
    sweep = np.sin(2 * np.pi * (700 * time + 900 * time**2))
    return 0.5 * syllables * voice * (1 + 0.5 * sweep)


def lively_speech(seconds: float = 1.5) -> np.ndarray:
    """Twelve bands that come and go independently at syllable rates; RMS 1, 24 kHz. More like speech to the metric."""
    random = np.random.RandomState(1)
    time = np.arange(round(seconds * 24000)) / 24000
    knots = np.arange(0, seconds + 0.1, 0.08)
    sound = np.zeros_like(time)
    for frequency in np.geomspace(150, 7000, 12):
        envelope = np.maximum(np.interp(time, knots, random.standard_normal(knots.size)), 0)
        sound += envelope * np.sin(2 * np.pi * frequency * time + 3 * np.sin(200 * np.pi * time)) / np.sqrt(frequency)
    return sound / np.std(sound)


def speech_pair(reference_rate: int, processed_rate: int, delay: float, noise: float = 0.05):
    random = np.random.RandomState(5)
    clean = speech_like(processed_rate)
    noisy = clean + noise * random.standard_normal(clean.size)
    return speech_like(reference_rate), np.concatenate([np.zeros(round(delay * processed_rate)), noisy])


@pytest.fixture(scope="module")
def stereo() -> tuple[np.ndarray, np.ndarray]:
    reference, left = speech_pair(24000, 24000, 0.0)
    _, right = speech_pair(24000, 24000, 0.003, noise=0.5)
    return np.stack([reference, reference], axis=1), np.stack([left, right[: left.size]], axis=1)


LISTENER = Listener("L1", SLOPING, NO_LOSS)


@pytest.mark.parametrize("name", PUBLISHED)
def test_agreement_on_made_speech(name):
    reference_rate, processed_rate, losses, delay, level, score, features = PUBLISHED[name]
    reference, processed = speech_pair(reference_rate, processed_rate, delay)
    result = haspi(
        reference,
        reference_rate,
        processed,
        processed_rate,
        Audiogram(losses, FREQUENCIES),
        level=level,
        rng=np.random.RandomState(2021),
    )
    assert result.score == pytest.approx(score, abs=AGREEMENT)
    np.testing.assert_allclose(result.features, features, rtol=0, atol=AGREEMENT)


@pytest.mark.reference
@pytest.mark.parametrize("condition", ["enhanced", "unprocessed"])
@pytest.mark.parametrize("listener", ["L0064", "L0068", "L0008"])
def test_agreement_on_a_real_scene(golden, real_data, listener, condition):
    published = json.loads((golden / "haspi.json").read_text())
    wanted = published["listeners"][listener][condition]
    render = golden / "render"
    anechoic, rate = read_audio(render / "S06001_target_anechoic_CH1.flac")
    target, _ = read_audio(render / "S06001_target_CH1.flac")
    reference = anechoic * np.sqrt(np.mean(target**2, axis=0) / np.mean(anechoic**2, axis=0))
    unprocessed, enhanced = render / "S06001_mix_CH1.flac", golden / f"S06001_{listener}_HA-output.flac"
    processed, _ = read_audio(enhanced if condition == "enhanced" else unprocessed)
    listeners = load_listeners(real_data / "metadata" / "listeners.json")

    random = np.random.RandomState(unit_seed("S06001"))
    result = haspi_better_ear(reference, processed, rate, listeners[listener], rng=random)

    assert result.score == pytest.approx(wanted["better_ear"], abs=AGREEMENT)
    for ear, found in (("left", result.left), ("right", result.right)):
        assert found.score == pytest.approx(wanted[ear], abs=AGREEMENT)
        np.testing.assert_allclose(found.features, wanted[f"raw_{ear}"], rtol=0, atol=AGREEMENT)


def test_the_same_seed_gives_the_same_score_and_global_randomness_is_untouched():
    reference, processed = speech_pair(24000, 24000, 0.0)
    before = np.random.get_state()
    results = [haspi(reference, 24000, processed, 24000, SLOPING, rng=rng) for rng in (3, np.random.RandomState(3), 4)]
    after = np.random.get_state()
    np.testing.assert_array_equal(results[0].features, results[1].features)
    assert results[0].score == results[1].score
    assert results[0].score != results[2].score
    assert results[0].score == pytest.approx(results[2].score, abs=0.05)
    np.testing.assert_array_equal(before[1], after[1])
    assert before[2:] == after[2:]


def test_without_a_seed_every_score_is_dithered_anew():
    reference, processed = speech_pair(24000, 24000, 0.0)
    shared = HaspiReference(reference, 24000)
    first, second = (shared.score(processed, 24000, SLOPING) for _ in range(2))
    assert first.score != second.score
    assert first.score == pytest.approx(second.score, abs=0.05)


def test_inputs_are_not_changed():
    reference, processed = speech_pair(24000, 24000, 0.002)
    copies = reference.copy(), processed.copy()
    haspi(reference, 24000, processed, 24000, SLOPING, rng=1)
    np.testing.assert_array_equal(reference, copies[0])
    np.testing.assert_array_equal(processed, copies[1])


@pytest.fixture(scope="module")
def lively() -> HaspiReference:
    return HaspiReference(lively_speech(), 24000)


def test_score_falls_as_noise_rises(lively):
    clean = lively_speech()
    noise = np.random.RandomState(2).standard_normal(clean.size)
    scores = [lively.score(clean + gain * noise, 24000, NO_LOSS, rng=1).score for gain in (0.0, 0.3, 1.0, 4.0)]
    assert all(noisier < cleaner for cleaner, noisier in pairwise(scores))
    assert scores[0] > 0.99
    assert scores[-1] < 0.4


def test_score_falls_as_hearing_falls(lively):
    # Up to about 30 dB HL this level is audible and the score stays at its ceiling.
    losses = [Audiogram([loss] * 8, FREQUENCIES) for loss in (30, 45, 55, 65)]
    scores = [lively.score(lively_speech(), 24000, loss, rng=1).score for loss in losses]
    assert all(worse < better for better, worse in pairwise(scores))
    assert scores[0] > 0.99
    assert scores[-1] < 0.1


@pytest.mark.parametrize("delay", [0.005, 0.05, 0.2])
def test_a_delay_changes_little(delay):
    reference, prompt = speech_pair(24000, 24000, 0.0)
    _, late = speech_pair(24000, 24000, delay)
    # The pause at the end makes room for the shorter delays; 0.2 s cuts off part of the last syllable.
    shared = HaspiReference(np.concatenate([reference, np.zeros(6000)]), 24000)
    prompt, late = (np.concatenate([signal, np.zeros(6000)]) for signal in (prompt, late))
    found = shared.score(late, 24000, SLOPING, rng=1).score
    assert found == pytest.approx(shared.score(prompt, 24000, SLOPING, rng=1).score, abs=0.005)


def test_a_shared_reference_gives_the_same_bits(stereo):
    reference, processed = stereo
    other = Listener("L2", NO_LOSS, SLOPING)
    shared = BinauralReference(reference, 24000, level=65.0)
    longer = np.concatenate([processed, np.zeros((220, 2))])
    shorter = processed[:-2000]
    for signal, listener in ((processed, LISTENER), (longer, other), (shorter, LISTENER)):
        one = shared.score(signal, 24000, listener, rng=9)
        two = haspi_better_ear(reference, signal, 24000, listener, level=65.0, rng=9)
        for ear in ("left", "right"):
            np.testing.assert_array_equal(getattr(one, ear).features, getattr(two, ear).features)
            assert getattr(one, ear).score == getattr(two, ear).score


def test_a_shared_reference_survives_changes_of_the_array():
    reference, processed = speech_pair(24000, 24000, 0.0)
    shared = HaspiReference(reference, 24000)
    expected = haspi(reference, 24000, processed, 24000, SLOPING, rng=1).score
    reference[:] = 0
    assert shared.score(processed, 24000, SLOPING, rng=1).score == expected


def test_the_better_ear_counts_and_one_stream_serves_both(stereo):
    reference, processed = stereo
    result = haspi_better_ear(reference, processed, 24000, LISTENER, level=65.0, rng=7)
    random = np.random.RandomState(7)
    left = haspi(reference[:, 0], 24000, processed[:, 0], 24000, SLOPING, rng=random)
    right = haspi(reference[:, 1], 24000, processed[:, 1], 24000, NO_LOSS, rng=random)
    assert (result.left.score, result.right.score) == (left.score, right.score)
    assert result.score == float(result) == max(left.score, right.score)
    assert left.score != right.score


def test_the_default_levels_are_the_published_ones(stereo):
    reference, processed = stereo
    one = haspi(reference[:, 0], 24000, processed[:, 0], 24000, SLOPING, rng=1)
    assert one.score == haspi(reference[:, 0], 24000, processed[:, 0], 24000, SLOPING, level=65.0, rng=1).score
    both = haspi_better_ear(reference, processed, 24000, LISTENER, rng=1)
    left = haspi(reference[:, 0], 24000, processed[:, 0], 24000, SLOPING, level=100.0, rng=1)
    assert both.left.score == left.score != one.score


def test_a_sound_at_only_the_end_of_the_processed_signal_scores_nothing():
    # The processed signal is not silent, but over the length it shares with the reference it is.
    reference, _ = speech_pair(24000, 24000, 0.0)
    processed = np.concatenate([np.zeros(30000), [1.0]])
    assert haspi(reference, 24000, processed, 24000, NO_LOSS, rng=1).score < 0.2
