"""What every metric must do: agree with the published implementation, and behave as a measure of likeness."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from harness import AGREEMENT, HASQI, METRICS, NO_LOSS, PUBLISHED, QUALITY, SLOPING, MetricCase, values
from sounds import FREQUENCIES

from hearlab.listeners import Audiogram

every_metric = pytest.mark.parametrize("tested", METRICS, ids=str)


@pytest.mark.parametrize(
    ("tested", "case"),
    [
        pytest.param(tested, case, id=f"{tested}: {case['name']}")
        for tested in METRICS
        for case in PUBLISHED[tested.name]
    ],
)
def test_agreement_on_made_sounds(tested: MetricCase, case: dict[str, Any]) -> None:
    reference_rate, processed_rate = case["rates"]
    reference, processed = tested.pair(reference_rate, processed_rate, case["delay"])
    audiogram = Audiogram(case["losses"], FREQUENCIES)
    random = np.random.RandomState(PUBLISHED["seed"])
    found = tested.metric(
        reference, reference_rate, processed, processed_rate, audiogram, **case["arguments"], rng=random
    )
    np.testing.assert_allclose(values(found), case["values"], rtol=0, atol=AGREEMENT)
    assert random.standard_normal() == case["next_normal"]


@every_metric
def test_the_same_seed_gives_the_same_score_and_global_randomness_is_untouched(tested: MetricCase) -> None:
    reference, processed = tested.pair(24000, 24000, 0.0)
    before = np.random.get_state()
    one, again, other = (
        tested.score(reference, processed, SLOPING, rng=rng) for rng in (3, np.random.RandomState(3), 4)
    )
    after = np.random.get_state()
    assert values(one) == values(again)
    assert one.score != other.score
    assert one.score == pytest.approx(other.score, abs=tested.spread)
    np.testing.assert_array_equal(before[1], after[1])
    assert before[2:] == after[2:]


@every_metric
def test_without_a_seed_every_score_has_noise_of_its_own(tested: MetricCase) -> None:
    reference, processed = tested.pair(24000, 24000, 0.0)
    first, second = (tested.score(reference, processed, SLOPING, rng=None).score for _ in range(2))
    assert first != second
    assert first == pytest.approx(second, abs=tested.spread)


@every_metric
def test_inputs_are_not_changed(tested: MetricCase) -> None:
    reference, processed = tested.pair(24000, 24000, 0.002)
    copies = reference.copy(), processed.copy()
    tested.score(reference, processed, SLOPING)
    np.testing.assert_array_equal(reference, copies[0])
    np.testing.assert_array_equal(processed, copies[1])


@every_metric
def test_one_channel_of_a_stereo_signal_is_heard_alone(tested: MetricCase) -> None:
    reference, processed = tested.pair(24000, 24000, 0.002)
    reference = reference[: processed.size]
    processed = processed[: reference.size]
    noise = 100 * np.random.RandomState(1).standard_normal(reference.size)
    alone = tested.score(reference, processed, SLOPING)
    one, other = (np.stack([signal, noise], axis=1)[:, 0] for signal in (reference, processed))
    assert values(tested.score(one, other, SLOPING)) == values(alone)


@every_metric
def test_score_falls_as_noise_rises(tested: MetricCase) -> None:
    clean = tested.clean()
    noise = np.random.RandomState(2).standard_normal(clean.size)
    scores = [
        tested.score(clean, clean + gain * noise, NO_LOSS, level=tested.clean_level).score for gain in tested.noises
    ]
    assert all(noisier < cleaner - tested.fall for cleaner, noisier in pairwise(scores))
    assert scores[0] > tested.best
    assert scores[-1] < tested.worst


@pytest.mark.parametrize(
    ("tested", "delay"),
    [pytest.param(tested, delay, id=f"{tested} {delay}") for tested in METRICS for delay in tested.delays],
)
def test_a_delay_changes_little(tested: MetricCase, delay: float) -> None:
    # The pause at the end makes room for the shorter delays; 0.2 s cuts off part of the last syllable.
    pause = np.zeros(6000)
    reference, prompt = (np.concatenate([signal, pause]) for signal in tested.pair(24000, 24000, 0.0))
    late = np.concatenate([tested.pair(24000, 24000, delay)[1], pause])
    expected = tested.score(reference, prompt, SLOPING).score
    assert tested.score(reference, late, SLOPING).score == pytest.approx(expected, abs=tested.delay_spread)


@every_metric
def test_level_is_what_an_rms_of_one_means(tested: MetricCase) -> None:
    reference, processed = tested.pair(24000, 24000, 0.0)
    ten_decibels = 10 ** (10 / 20)
    one = values(tested.score(reference, processed, SLOPING, level=tested.level))
    two = values(tested.score(reference / ten_decibels, processed / ten_decibels, SLOPING, level=tested.level + 10))
    np.testing.assert_allclose(one, two, rtol=0, atol=1e-3)
    if tested in QUALITY:
        # The noise at threshold follows the number of dB itself, as published; linear part and spectral shapes do not.
        np.testing.assert_allclose(one[2:4], two[2:4], rtol=0, atol=1e-7)


@pytest.mark.parametrize("tested", QUALITY, ids=str)
def test_the_processed_signal_is_not_scaled_to_the_reference(tested: MetricCase) -> None:
    # A processed signal that is 20 dB softer is heard by another part of the compression: the score changes, but no
    # more than by a part.
    reference, processed = tested.pair(24000, 24000, 0.0)
    loud, soft = (tested.score(reference, gain * processed, NO_LOSS).score for gain in (1.0, 0.1))
    assert 0.005 < abs(loud - soft) < 0.4


@every_metric
def test_the_float_of_a_result_is_its_score(tested: MetricCase) -> None:
    reference, processed = tested.pair(24000, 24000, 0.0)
    result = tested.score(reference, processed, SLOPING)
    assert float(result) == result.score
    if tested not in QUALITY:
        return
    assert min(values(result)) >= 0
    assert max(values(result)) <= 1


@pytest.mark.parametrize("tested", QUALITY, ids=str)
def test_the_undistorted_signal_scores_nearly_one(tested: MetricCase) -> None:
    clean = tested.clean()
    result = tested.score(clean, clean, NO_LOSS, equalisation=2, level=80.0)
    assert result.score > 0.98
    assert result.linear > 0.99


@pytest.mark.parametrize("tested", QUALITY, ids=str)
def test_linear_part_falls_as_the_spectrum_is_tilted(tested: MetricCase) -> None:
    clean = tested.clean()
    tilted = np.convolve(clean, [1.0, 1.0, 1.0, 1.0])[: clean.size] / 4
    flat, steep = (tested.score(clean, heard, NO_LOSS, level=tested.clean_level) for heard in (clean, tilted))
    assert steep.linear < flat.linear - 0.03


@pytest.mark.parametrize("tested", QUALITY, ids=str)
def test_amplifying_the_reference_beforehand_is_what_equalisation_does(tested: MetricCase) -> None:
    reference, processed = tested.pair(24000, 24000, 0.0)
    one, two = (tested.score(reference, processed, SLOPING, equalisation=number).score for number in (1, 2))
    assert abs(one - two) > 0.01
    # Without loss nothing is amplified; the reference only comes 70 samples early, its onset cut off.
    one, two = (tested.score(reference, processed, NO_LOSS, equalisation=number).score for number in (1, 2))
    assert one == pytest.approx(two, abs=0.03)


@pytest.mark.parametrize("tested", QUALITY, ids=str)
def test_a_reference_below_threshold_leaves_only_the_spectrum(tested: MetricCase) -> None:
    reference, processed = tested.pair(24000, 24000, 0.0)
    result = tested.score(1e-6 * reference, processed, SLOPING, level=65.0)
    assert result.nonlinear == 0
    # HASQI is the product of its parts, HAAQI a sum.
    assert result.score == 0 if tested is HASQI else 0 < result.score < 0.2
    assert np.all(np.isfinite(values(result)))
