"""Bad input to any metric: one line that says what was found, what was wanted and what to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from harness import HASPI, METRICS, QUALITY, SPEECH, MetricCase

from hearlab.errors import InputError
from hearlab.listeners import Audiogram, Listener
from hearlab.metrics import haaqi_stem

RATE = 24000
GOOD = 0.1 * np.random.RandomState(0).standard_normal(12000)
STEREO = np.stack([GOOD, GOOD], axis=1)
AUDIOGRAM = Audiogram([0, 10, 20, 30, 40, 50], [250, 500, 1000, 2000, 4000, 6000])
SHORT_AUDIOGRAM = Audiogram([0, 10, 20], [500, 1000, 2000])
LISTENER = Listener("L1", AUDIOGRAM, AUDIOGRAM)

Metric = Callable[..., Any]

# Functions of one ear.
one_ear = pytest.mark.parametrize(
    "metric",
    [pytest.param(tested.metric, id=tested.name) for tested in METRICS] + [pytest.param(haaqi_stem, id="haaqi_stem")],
)
every_metric = pytest.mark.parametrize("tested", METRICS, ids=str)
speech_metric = pytest.mark.parametrize("tested", SPEECH, ids=str)


def with_sample(value: float, signal: np.ndarray = GOOD, place: int | tuple[int, int] = 77) -> np.ndarray:
    changed = signal.copy()
    changed[place] = value
    return changed


SIGNALS = {
    "two channels": (STEREO, "shape (12000, 2)", "shape (n,)"),
    "scalar": (np.float64(1), "shape ()", "shape (n,)"),
    "16 bit": (np.ones(12000, dtype=np.int16), "int16", "divide 16-bit samples by 32768"),
    "complex": (GOOD + 0j, "complex128", "floating-point"),
    "boolean": (GOOD > 0, "bool", "floating-point"),
    "nothing": (None, "object", "floating-point"),
    "ragged": ([[1.0], [1.0, 2.0]], "object", "floating-point"),
    "not a number": (with_sample(np.nan), "sample 77", "finite"),
    "infinite": (with_sample(-np.inf), "sample 77", "finite"),
    "huge": (with_sample(1e200), "sample 77", "beyond full scale"),
}
SILENCE = {
    "empty": (np.zeros(0), "0 samples", "is empty"),
    "silent": (np.zeros(12000), "all zero", "is silent"),
}


def refused(metric: Metric, argument: str, signal: Any, expected: tuple[str, ...]) -> None:
    signals = {"reference": GOOD, "processed": GOOD} | {argument: signal}
    with pytest.raises(InputError) as caught:
        metric(signals["reference"], RATE, signals["processed"], RATE, AUDIOGRAM, rng=1)
    line = str(caught.value)
    assert line.startswith(f"{argument}: ")
    assert "\n" not in line
    for words in expected:
        assert words in line


@one_ear
@pytest.mark.parametrize("argument", ["reference", "processed"])
@pytest.mark.parametrize("kind", SIGNALS)
def test_bad_signal(metric: Metric, argument: str, kind: str) -> None:
    signal, *expected = SIGNALS[kind]
    refused(metric, argument, signal, tuple(expected))


@speech_metric
@pytest.mark.parametrize("argument", ["reference", "processed"])
@pytest.mark.parametrize("kind", SILENCE)
def test_silence_is_no_speech(tested: MetricCase, argument: str, kind: str) -> None:
    signal, *expected = SILENCE[kind]
    refused(tested.metric, argument, signal, tuple(expected))


BINAURAL_SIGNALS = {
    "one channel": (GOOD, ["shape (12000,)", "shape (n, 2)", "no better ear"]),
    "transposed": (STEREO.T, ["shape (2, 12000)", "shape (n, 2)", "transpose it"]),
    "four channels": (np.ones((100, 4)), ["shape (100, 4)", "shape (n, 2)"]),
    "16 bit": (np.ones((12000, 2), dtype=np.int16), ["divide 16-bit samples by 32768"]),
    "silent left": (STEREO * [0, 1], ["left ear", "is silent"]),
    "silent right": (STEREO * [1, 0], ["right ear", "is silent"]),
    "nan right": (with_sample(np.nan, STEREO, (5, 1)), ["right ear, sample 5", "finite"]),
    "empty": (np.zeros((0, 2)), ["left ear", "is empty"]),
}


@speech_metric
@pytest.mark.parametrize("argument", ["reference", "processed"])
@pytest.mark.parametrize("kind", BINAURAL_SIGNALS)
def test_bad_signal_of_two_ears(tested: MetricCase, argument: str, kind: str) -> None:
    signal, expected = BINAURAL_SIGNALS[kind]
    signals = {"reference": STEREO, "processed": STEREO} | {argument: signal}
    with pytest.raises(InputError) as caught:
        tested.better_ear(signals["reference"], signals["processed"], RATE, LISTENER, rng=1)
    assert str(caught.value).startswith(f"{argument}: ")
    for words in expected:
        assert words in str(caught.value)


@one_ear
@pytest.mark.parametrize("rate", [0, -44100, 44.1, 400, np.nan, np.inf, 1e9, "44100", None, True])
@pytest.mark.parametrize("argument", ["reference_rate", "processed_rate"])
def test_bad_rate(metric: Metric, argument: str, rate: Any) -> None:
    rates = {"reference_rate": RATE, "processed_rate": RATE} | {argument: rate}
    with pytest.raises(InputError, match=f"^{argument}: is no sample rate .*wanted a rate in Hz"):
        metric(GOOD, rates["reference_rate"], GOOD, rates["processed_rate"], AUDIOGRAM, rng=1)


@speech_metric
def test_rate_in_kilohertz_is_recognised(tested: MetricCase) -> None:
    with pytest.raises(InputError, match=r"^rate: .*44\.1.*give it in Hz, not in kHz"):
        tested.better_ear(STEREO, STEREO, 44.1, LISTENER, rng=1)


@every_metric
@pytest.mark.parametrize("level", [np.nan, np.inf, None, "65", True])
def test_bad_level(tested: MetricCase, level: Any) -> None:
    with pytest.raises(InputError, match=r"^level: .*dB SPL"):
        tested.score(GOOD, GOOD, AUDIOGRAM, level=level)


@every_metric
@pytest.mark.parametrize("shift", [np.nan, None, "0.02", True, -0.02, 2])
def test_bad_basal_shift(tested: MetricCase, shift: Any) -> None:
    with pytest.raises(InputError, match=r"^basal_shift: is no shift .*wanted 0 \(as published\) to 0.1"):
        tested.score(GOOD, GOOD, AUDIOGRAM, basal_shift=shift)


@pytest.mark.parametrize("tested", QUALITY, ids=str)
@pytest.mark.parametrize("equalisation", [0, 3, True, None, "1", 1.5])
def test_bad_equalisation(tested: MetricCase, equalisation: Any) -> None:
    with pytest.raises(InputError, match=r"^equalisation: is unknown .*wanted 1 or 2"):
        tested.score(GOOD, GOOD, AUDIOGRAM, equalisation=equalisation)


@one_ear
@pytest.mark.parametrize("audiogram", [np.array([250, 500, 1000]), [0] * 6, None])
def test_something_else_than_an_audiogram(metric: Metric, audiogram: Any) -> None:
    with pytest.raises(InputError, match=r"^audiogram: is no audiogram .*Audiogram\(levels, frequencies\)"):
        metric(GOOD, RATE, GOOD, RATE, audiogram, rng=1)


@one_ear
def test_audiogram_that_does_not_reach(metric: Metric) -> None:
    with pytest.raises(InputError, match=r"^audiogram.*found 500 to 2000 Hz, wanted 250, 4000, 6000 Hz too"):
        metric(GOOD, RATE, GOOD, RATE, SHORT_AUDIOGRAM, rng=1)


@speech_metric
@pytest.mark.parametrize(
    ("listener", "place"),
    [
        (Listener("L7", SHORT_AUDIOGRAM, AUDIOGRAM), "listener L7, left ear"),
        (Listener("L7", AUDIOGRAM, SHORT_AUDIOGRAM), "listener L7, right ear"),
        (AUDIOGRAM, "listener: is no listener"),
    ],
)
def test_bad_listener(tested: MetricCase, listener: Any, place: str) -> None:
    with pytest.raises(InputError, match=f"^{place}"):
        tested.better_ear(STEREO, STEREO, RATE, listener, rng=1)


@one_ear
def test_bad_source_of_random_numbers(metric: Metric) -> None:
    with pytest.raises(InputError, match=r"^rng: is no source"):
        metric(GOOD, RATE, GOOD, RATE, AUDIOGRAM, rng="1")


@every_metric
@pytest.mark.parametrize("share", [0.0, 0.005, 0.1, 0.5, 0.78, 1.0])
@pytest.mark.parametrize("argument", ["reference", "processed"])
def test_too_short(tested: MetricCase, argument: str, share: float) -> None:
    _, wanted = tested.shortest
    samples = 1 + int(share * (tested.too_short - 1))
    signals = {"reference": GOOD, "processed": GOOD} | {argument: GOOD[:samples]}
    with pytest.raises(InputError, match=rf"^reference: is too short .*wanted {wanted}"):
        tested.score(signals["reference"], signals["processed"], AUDIOGRAM)


@every_metric
@pytest.mark.parametrize("more", [0, 1, 96, 191, 192, 616])
def test_a_short_signal_is_scored(tested: MetricCase, more: int) -> None:
    signal = GOOD[: tested.shortest[0] + more]
    assert 0 <= tested.score(signal, signal, AUDIOGRAM, level=85.0).score <= tested.most


@every_metric
def test_silence_around_does_not_count(tested: MetricCase) -> None:
    enough, wanted = tested.shortest
    signal = np.concatenate([np.zeros(9000), GOOD[: enough // 2], np.zeros(9000)])
    seconds = enough // 2 / RATE  # without the silence
    with pytest.raises(
        InputError, match=rf"is too short \(found ({seconds:.3f} s|{1000 * seconds:.1f} ms) .*wanted {wanted}"
    ):
        tested.score(signal, signal, AUDIOGRAM)


@every_metric
def test_reference_silent_while_the_processed_signal_lasts(tested: MetricCase) -> None:
    late = np.concatenate([np.zeros(12000), GOOD])
    with pytest.raises(InputError, match=r"^reference: is silent as long as .*0\.500 s"):
        tested.score(late, GOOD, AUDIOGRAM)


@speech_metric
def test_the_ear_is_named(tested: MetricCase) -> None:
    late = np.concatenate([np.zeros(12000), GOOD])
    reference = np.stack([np.concatenate([GOOD, GOOD]), late], axis=1)
    with pytest.raises(InputError, match=r"^reference, right ear: is silent as long as"):
        tested.better_ear(reference, STEREO, RATE, LISTENER, rng=1)


@every_metric
def test_other_floating_point_types_and_lists_are_welcome(tested: MetricCase) -> None:
    expected = tested.score(GOOD, GOOD, AUDIOGRAM).score
    found = tested.metric(GOOD.tolist(), RATE, GOOD.tolist(), np.int64(RATE), AUDIOGRAM, level=int(tested.level), rng=1)
    assert found.score == expected
    single = GOOD.astype(np.float32)
    tolerance = 1e-3 if tested is HASPI else 1e-5
    assert tested.score(single, single, AUDIOGRAM).score == pytest.approx(expected, abs=tolerance)


@every_metric
def test_processed_signal_faint_beyond_squaring_is_inaudible(tested: MetricCase) -> None:
    found = tested.metric(GOOD, RATE, GOOD * 1e-200, 48000, AUDIOGRAM, level=tested.level, rng=1)
    assert found.score < 0.05 if tested in SPEECH else found.score < 0.2


@pytest.mark.parametrize("metric", [tested.metric for tested in METRICS if tested.silence])
def test_empty_processed_signal(metric: Metric) -> None:
    with pytest.raises(InputError, match=r"^processed: is empty"):
        metric(GOOD, RATE, np.zeros(0), RATE, AUDIOGRAM, rng=1)
