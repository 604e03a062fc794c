"""HAAQI v1: agreement with the published implementation, and what any quality metric must do."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest

from hearlab.audio import read_audio
from hearlab.listeners import Audiogram, load_listeners
from hearlab.metrics import haaqi, haaqi_stem

# Agreement that the project promises; found are up to 2e-8.
AGREEMENT = 1e-6

FREQUENCIES = [250, 500, 1000, 2000, 3000, 4000, 6000, 8000]
SLOPING = Audiogram([10, 15, 20, 30, 45, 55, 65, 70], FREQUENCIES)
NO_LOSS = Audiogram([0] * 8, FREQUENCIES)

# Answers of pyclarity 0.9.0 (numpy 2.4.6, scipy 1.17.1) after np.random.seed(2021), for music_pair() below:
# name: (reference rate, processed rate, losses, delay in s, equalisation, level, values, next normal), the values being
# score, nonlinear, linear and the four features.
PUBLISHED = {
    "16 kHz, flat loss": (
        16000,
        16000,
        [40, 40, 40, 40, 40, 40, 40, 40],
        0.0,
        1,
        80.0,
        [
            0.3145877710177811,
            0.4375726491392108,
            0.6639475019675951,
            0.7099735034494995,
            0.6818616558724212,
            0.7808401980826805,
            0.6066334974640735,
        ],
        -1.5080246679394078,
    ),
    "24 kHz, sloping loss, delay": (
        24000,
        24000,
        [10, 15, 20, 30, 45, 55, 65, 70],
        0.007,
        1,
        85.0,
        [
            0.3346799112130717,
            0.4436361000877652,
            0.7320642544233775,
            0.665435228064259,
            0.9002618437815398,
            0.835544368854015,
            0.6813266126235566,
        ],
        0.8044287173556051,
    ),
    "44.1 kHz, steep loss, delay, amplified before": (
        44100,
        44100,
        [15, 20, 35, 60, 75, 85, 95, 100],
        0.02,
        2,
        100.0,
        [
            0.8049223462659232,
            0.8469385703448857,
            0.9968408790461509,
            0.9284723854630414,
            0.9895817756254516,
            0.9988343926679009,
            0.9958634334700619,
        ],
        1.5853545383305152,
    ),
    "16 and 48 kHz, no loss": (
        16000,
        48000,
        [0, 0, 0, 0, 0, 0, 0, 0],
        0.0,
        1,
        75.0,
        [
            0.4053978949455116,
            0.4523791708846169,
            0.9649299512363386,
            0.6602524785682544,
            0.9567411288818704,
            0.984210949536986,
            0.9554762277774518,
        ],
        -0.17307710824863498,
    ),
}


def music_like(rate: int, seconds: float = 1.2) -> np.ndarray:
    """Four decaying notes and a beat, with a pause at the end."""
    time = np.arange(round(seconds * rate)) / rate
    sound = np.zeros_like(time)
    for start, frequency in ((0.0, 110.0), (0.25, 165.0), (0.5, 220.0), (0.75, 294.0)):
        since = np.maximum(time - start, 0)
        note = sum(np.sin(2 * np.pi * frequency * k * since + k * k) / k for k in range(1, 25))
        sound += np.minimum(since / 0.01, 1) * np.exp(-4 * since) * note
    beat = np.exp(-60 * (time % 0.25)) * np.sin(2 * np.pi * 3000 * time + 40 * np.sin(2 * np.pi * 531 * time))
    return 0.1 * (sound + beat) * (time < seconds - 0.1)


def music_pair(reference_rate: int, processed_rate: int, delay: float, noise: float = 0.01):
    random = np.random.RandomState(5)
    clean = music_like(processed_rate)
    noisy = np.clip(clean, -0.2, 0.2) + noise * random.standard_normal(clean.size)
    return music_like(reference_rate), np.concatenate([np.zeros(round(delay * processed_rate)), noisy])


def values(result) -> list[float]:
    return [result.score, result.nonlinear, result.linear, *result.features]


@pytest.mark.parametrize("name", PUBLISHED)
def test_agreement_on_made_music(name):
    reference_rate, processed_rate, losses, delay, equalisation, level, expected, following = PUBLISHED[name]
    reference, processed = music_pair(reference_rate, processed_rate, delay)
    random = np.random.RandomState(2021)
    result = haaqi(
        reference,
        reference_rate,
        processed,
        processed_rate,
        Audiogram(losses, FREQUENCIES),
        equalisation=equalisation,
        level=level,
        rng=random,
    )
    np.testing.assert_allclose(values(result), expected, rtol=0, atol=AGREEMENT)
    assert random.standard_normal() == following


@pytest.mark.reference
@pytest.mark.parametrize("number", range(8))
def test_agreement_on_an_excerpt_of_music(golden, real_data, number):
    case = json.loads((golden / "haaqi.json").read_text())[number]
    (reference, rate), (processed, _) = (
        read_audio(golden / "haaqi" / case[name], channels=1) for name in ("reference", "processed")
    )
    listener = load_listeners(real_data / "metadata" / "listeners.json")[case["listener"]]
    result = haaqi(
        reference[:, 0],
        rate,
        processed[:, 0],
        rate,
        getattr(listener, case["ear"]),
        equalisation=case["equalisation"],
        level=case["level1"],
        rng=np.random.RandomState(case["seed"]),
    )
    expected = [case["score"], case["nonlinear"], case["linear"], *case["raw"]]
    np.testing.assert_allclose(values(result), expected, rtol=0, atol=AGREEMENT)


# compute_haaqi of pyclarity 0.9.0 on one stream that began with seed 4711, called as its CAD1 recipe does for the stems
# of stems() below, left before right.
PUBLISHED_STEMS = [
    0.35986236043151787,
    0.47754702431792895,
    0.38712022905872656,
    0.48555544828851166,
    0.4093780320389734,
    0.4886853945687601,
]


def stems() -> list[tuple[np.ndarray, np.ndarray]]:
    """Three channels of stereo stems as 16-bit values, and what is heard of them at 24 kHz."""
    found = []
    for number, gain in enumerate((1.5, 0.4, 3.0)):
        reference = np.round(20000 * music_like(44100, 0.9 + 0.1 * number)).astype(np.int16)
        processed = gain * np.tanh(2 * music_like(24000, 0.9 + 0.1 * number))
        found.append((reference, np.round(30000 * processed / np.max(np.abs(processed))).astype(np.int16)))
    return found


def test_stems_of_a_song_share_one_stream_as_published():
    random = np.random.RandomState(4711)
    scores = [
        haaqi_stem(reference / 32768, 44100, processed / 32768, 24000, audiogram, rng=random).score
        for reference, processed in stems()
        for audiogram in (SLOPING, NO_LOSS)
    ]
    np.testing.assert_allclose(scores, PUBLISHED_STEMS, rtol=0, atol=AGREEMENT)


def test_a_stem_is_presented_at_65_decibels():
    reference, processed = music_pair(24000, 24000, 0.0)
    level = 65 - 20 * np.log10(np.sqrt(np.mean(reference**2)))
    expected = haaqi(reference, 24000, processed, 24000, SLOPING, level=level, rng=1)
    # The stem is rounded to single precision.
    found = haaqi_stem(reference, 24000, processed, 24000, SLOPING, rng=1)
    assert found.score == pytest.approx(expected.score, abs=AGREEMENT)
    louder = haaqi_stem(reference, 24000, processed, 24000, SLOPING, level=level + 20, rng=1)
    assert abs(louder.score - expected.score) > 1e-3


def test_the_same_seed_gives_the_same_score_and_global_randomness_is_untouched():
    reference, processed = music_pair(24000, 24000, 0.0)
    before = np.random.get_state()
    results = [haaqi(reference, 24000, processed, 24000, SLOPING, rng=rng) for rng in (3, np.random.RandomState(3), 4)]
    after = np.random.get_state()
    assert values(results[0]) == values(results[1])
    assert results[0].score != results[2].score
    assert results[0].score == pytest.approx(results[2].score, abs=0.01)
    np.testing.assert_array_equal(before[1], after[1])
    assert before[2:] == after[2:]


def test_inputs_are_not_changed():
    reference, processed = music_pair(24000, 24000, 0.002)
    copies = reference.copy(), processed.copy()
    haaqi(reference, 24000, processed, 24000, SLOPING, rng=1)
    np.testing.assert_array_equal(reference, copies[0])
    np.testing.assert_array_equal(processed, copies[1])


def test_the_undistorted_signal_scores_nearly_one():
    music = music_like(24000)
    result = haaqi(music, 24000, music, 24000, NO_LOSS, equalisation=2, level=80.0, rng=1)
    assert result.score > 0.98
    assert result.linear > 0.99


def test_score_falls_as_noise_rises():
    clean = music_like(24000)
    noise = np.random.RandomState(2).standard_normal(clean.size)
    scores = [
        haaqi(clean, 24000, clean + gain * noise, 24000, NO_LOSS, level=85.0, rng=1).score
        for gain in (0.0, 0.003, 0.03, 0.3)
    ]
    assert all(noisier < cleaner - 0.02 for cleaner, noisier in pairwise(scores))


def test_linear_part_falls_as_the_spectrum_is_tilted():
    clean = music_like(24000)
    tilted = np.convolve(clean, [1.0, 1.0, 1.0, 1.0])[: clean.size] / 4
    results = [haaqi(clean, 24000, heard, 24000, NO_LOSS, level=85.0, rng=1) for heard in (clean, tilted)]
    assert results[1].linear < results[0].linear - 0.03


def test_reference_and_processed_signal_are_not_on_one_scale_by_accident():
    # A processed signal that is 20 dB softer is heard by another part of the compression: the score changes, but no
    # more than by a part.
    reference, processed = music_pair(24000, 24000, 0.0)
    results = [
        haaqi(reference, 24000, gain * processed, 24000, NO_LOSS, level=85.0, rng=1).score for gain in (1.0, 0.1)
    ]
    assert 0.005 < abs(results[0] - results[1]) < 0.4


def test_level_is_what_an_rms_of_one_means():
    reference, processed = music_pair(24000, 24000, 0.0)
    ten_decibels = 10 ** (10 / 20)
    one = haaqi(reference, 24000, processed, 24000, SLOPING, level=80.0, rng=1)
    two = haaqi(reference / ten_decibels, 24000, processed / ten_decibels, 24000, SLOPING, level=90.0, rng=1)
    # The noise at threshold (and with it the third of these) follows the number of dB itself, as published.
    np.testing.assert_allclose(values(one)[2:4], values(two)[2:4], rtol=0, atol=1e-7)
    np.testing.assert_allclose(values(one), values(two), rtol=0, atol=1e-3)


@pytest.mark.parametrize("delay", [0.005, 0.05])
def test_a_delay_changes_little(delay):
    reference, prompt = music_pair(24000, 24000, 0.0)
    _, late = music_pair(24000, 24000, delay)
    expected = haaqi(reference, 24000, prompt, 24000, SLOPING, level=85.0, rng=1).score
    assert haaqi(reference, 24000, late, 24000, SLOPING, level=85.0, rng=1).score == pytest.approx(expected, abs=0.01)


def test_amplifying_the_reference_beforehand_is_what_equalisation_does():
    reference, processed = music_pair(24000, 24000, 0.0)
    one, two = (
        haaqi(reference, 24000, processed, 24000, SLOPING, equalisation=equalisation, level=85.0, rng=1).score
        for equalisation in (1, 2)
    )
    assert abs(one - two) > 0.01
    flat = [
        haaqi(reference, 24000, processed, 24000, NO_LOSS, equalisation=equalisation, level=85.0, rng=1).score
        for equalisation in (1, 2)
    ]
    # Without loss nothing is amplified; the reference only comes 70 samples early, its onset cut off.
    assert flat[0] == pytest.approx(flat[1], abs=0.03)


SILENCE = np.zeros(24000)
NOTHING = np.zeros(0)


@pytest.mark.parametrize("reference", [SILENCE, NOTHING])
@pytest.mark.parametrize(
    ("processed", "score"), [(SILENCE, 1.0), (NOTHING, 1.0), (music_like(24000), 0.0), (np.array([1e-9]), 0.0)]
)
def test_a_silent_reference_wants_silence_and_draws_nothing(reference, processed, score):
    random = np.random.RandomState(1)
    for result in (
        haaqi(reference, 24000, processed, 48000, SLOPING, rng=random),
        haaqi_stem(reference, 44100, processed, 24000, SLOPING, rng=random),
    ):
        assert values(result) == [score] * 7
    assert random.standard_normal() == np.random.RandomState(1).standard_normal()


@pytest.mark.parametrize("rate", [24000, 48000])
def test_a_silent_processed_signal_scores_badly(rate):
    reference = music_like(24000)
    result = haaqi(reference, 24000, np.zeros(round(1.2 * rate)), rate, SLOPING, level=85.0, rng=1)
    assert np.all(np.isfinite(values(result)))
    assert result.score < 0.2


def test_music_below_threshold_leaves_only_the_spectrum():
    reference, processed = music_pair(24000, 24000, 0.0)
    random = np.random.RandomState(1)
    result = haaqi(1e-6 * reference, 24000, processed, 24000, SLOPING, rng=random)
    assert result.nonlinear == 0
    assert 0 < result.score < 0.2


def test_the_float_of_a_result_is_its_score():
    reference, processed = music_pair(24000, 24000, 0.0)
    result = haaqi(reference, 24000, processed, 24000, SLOPING, rng=1)
    assert float(result) == result.score
