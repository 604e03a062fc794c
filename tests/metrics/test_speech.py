"""Speech metrics in both ears, and the work that they share."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from harness import AGREEMENT, HASPI, HASQI, LISTENER, NO_LOSS, PUBLISHED, SLOPING, SPEECH, MetricCase, values
from sounds import speech_pair

from hearlab.audio import read_audio
from hearlab.errors import InputError
from hearlab.listeners import Listener, load_listeners
from hearlab.metrics import BinauralReference, SpeechReference, unit_seed
from hearlab.metrics.seeds import random_state
from hearlab.scoring.tracks import METRICS

speech_metric = pytest.mark.parametrize("tested", SPEECH, ids=str)


@pytest.fixture(scope="module")
def stereo() -> tuple[np.ndarray, np.ndarray]:
    reference, left = speech_pair(24000, 24000, 0.0)
    _, right = speech_pair(24000, 24000, 0.003, noise=0.5)
    return np.stack([reference, reference], axis=1), np.stack([left, right[: left.size]], axis=1)


def ears(result) -> list[float]:
    return [*values(result.left), *values(result.right)]


def published_scene(golden: Path) -> dict[str, dict[tuple[str, str], tuple[list[float], list[float]]]]:
    """metric -> (listener, condition) -> values of both ears."""
    haspi = json.loads((golden / "haspi.json").read_text())["listeners"]
    return {
        "haspi": {
            (listener, condition): ([found["left"], *found["raw_left"]], [found["right"], *found["raw_right"]])
            for listener, conditions in haspi.items()
            for condition, found in conditions.items()
        },
        "hasqi": {
            (case["listener"], case["condition"]): (case["left"], case["right"]) for case in PUBLISHED["hasqi S06001"]
        },
    }


@pytest.mark.reference
@pytest.mark.parametrize("condition", ["enhanced", "unprocessed"])
@pytest.mark.parametrize("listener", ["L0064", "L0068", "L0008"])
def test_agreement_on_a_real_scene(golden: Path, real_data: Path, listener: str, condition: str) -> None:
    render = golden / "render"
    anechoic, rate = read_audio(render / "S06001_target_anechoic_CH1.flac")
    target, _ = read_audio(render / "S06001_target_CH1.flac")
    reference = anechoic * np.sqrt(np.mean(target**2, axis=0) / np.mean(anechoic**2, axis=0))
    unprocessed, enhanced = render / "S06001_mix_CH1.flac", golden / f"S06001_{listener}_HA-output.flac"
    processed, _ = read_audio(enhanced if condition == "enhanced" else unprocessed)
    person = load_listeners(real_data / "metadata" / "listeners.json")[listener]
    for tested in SPEECH:
        random = np.random.RandomState(unit_seed("S06001"))
        found = tested.better_ear(reference, processed, rate, person, rng=random)
        left, right = published_scene(golden)[tested.name][listener, condition]
        np.testing.assert_allclose(ears(found), [*left, *right], rtol=0, atol=AGREEMENT)
        assert found.score == pytest.approx(max(left[0], right[0]), abs=AGREEMENT)


@speech_metric
def test_the_better_ear_counts_and_one_stream_serves_both(tested: MetricCase, stereo) -> None:
    reference, processed = stereo
    result = tested.better_ear(reference, processed, 24000, LISTENER, level=65.0, rng=7)
    random = np.random.RandomState(7)
    left = tested.score(reference[:, 0], processed[:, 0], SLOPING, rng=random)
    right = tested.score(reference[:, 1], processed[:, 1], NO_LOSS, rng=random)
    assert (result.left.score, result.right.score) == (left.score, right.score)
    assert result.score == float(result) == max(left.score, right.score)
    assert left.score != right.score


@speech_metric
def test_the_default_levels_are_the_published_ones(tested: MetricCase, stereo) -> None:
    reference, processed = stereo
    one = tested.metric(reference[:, 0], 24000, processed[:, 0], 24000, SLOPING, rng=1)
    assert one.score == tested.score(reference[:, 0], processed[:, 0], SLOPING, level=65.0).score
    both = tested.better_ear(reference, processed, 24000, LISTENER, rng=1)
    left = tested.score(reference[:, 0], processed[:, 0], SLOPING, level=100.0)
    assert both.left.score == left.score != one.score


@pytest.mark.parametrize("shared", [False, True])
def test_shared_work_gives_the_same_bits(stereo, shared: bool) -> None:
    reference, processed = stereo
    other = Listener("L2", NO_LOSS, SLOPING)
    kept = BinauralReference(reference, 24000, level=65.0)
    longer = np.concatenate([processed, np.zeros((220, 2))])
    shorter = processed[:-2000]
    for signal, listener in ((processed, LISTENER), (longer, other), (shorter, LISTENER), (processed[::-1], LISTENER)):
        pair = kept.beside(signal, 24000, listener, shared=shared)
        for tested in (HASPI, HASQI, HASPI):
            found = pair.better_ear(METRICS[tested.name].load(), random_state(9))
            alone = tested.better_ear(reference, signal, 24000, listener, level=65.0, rng=9)
            assert ears(found) == ears(alone)


@speech_metric
def test_a_reference_survives_changes_of_the_array(tested: MetricCase) -> None:
    reference, processed = speech_pair(24000, 24000, 0.0)
    kept = SpeechReference(reference, 24000)
    expected = tested.score(reference, processed, SLOPING).score
    reference[:] = 0
    pair = kept.beside(processed, 24000, SLOPING)
    assert METRICS[tested.name].load()(pair, random_state(1)).score == expected


@speech_metric
def test_a_sound_at_only_the_end_of_the_processed_signal_scores_nothing(tested: MetricCase) -> None:
    # The processed signal is not silent, but over the length it shares with the reference it is.
    reference, _ = speech_pair(24000, 24000, 0.0)
    processed = np.concatenate([np.zeros(30000), [1.0]])
    assert tested.score(reference, processed, NO_LOSS).score < 0.2


def test_a_reference_for_one_score_says_that_it_had_it() -> None:
    reference, processed = speech_pair(24000, 24000, 0.0)
    once = SpeechReference(reference, 24000, once=True)
    pairs = [once.beside(processed, 24000, SLOPING) for _ in range(2)]
    load = METRICS[HASPI.name].load
    assert load()(pairs[0], random_state(1)).score == HASPI.score(reference, processed, SLOPING, rng=1).score
    with pytest.raises(InputError, match=r"reference: was made for one score \(once=True\), and is freed"):
        load()(pairs[1], random_state(1))
