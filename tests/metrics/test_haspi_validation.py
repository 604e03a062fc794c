"""Bad input to HASPI: one line that says what was found, what was wanted and what to do."""

from __future__ import annotations

import numpy as np
import pytest

from hearlab.errors import InputError
from hearlab.listeners import Audiogram, Listener
from hearlab.metrics import haspi, haspi_better_ear

RATE = 24000
GOOD = 0.1 * np.random.RandomState(0).standard_normal(12000)
STEREO = np.stack([GOOD, GOOD], axis=1)
AUDIOGRAM = Audiogram([0, 10, 20, 30, 40, 50], [250, 500, 1000, 2000, 4000, 6000])
SHORT_AUDIOGRAM = Audiogram([0, 10, 20], [500, 1000, 2000])
LISTENER = Listener("L1", AUDIOGRAM, AUDIOGRAM)


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
    "empty": (np.zeros(0), "0 samples", "is empty"),
    "not a number": (with_sample(np.nan), "sample 77", "finite"),
    "infinite": (with_sample(-np.inf), "sample 77", "finite"),
    "huge": (with_sample(1e200), "sample 77", "beyond full scale"),
    "silent": (np.zeros(12000), "all zero", "is silent"),
}


@pytest.mark.parametrize("argument", ["reference", "processed"])
@pytest.mark.parametrize("kind", SIGNALS)
def test_bad_signal(argument, kind):
    signal, *expected = SIGNALS[kind]
    signals = {"reference": GOOD, "processed": GOOD} | {argument: signal}
    with pytest.raises(InputError) as caught:
        haspi(signals["reference"], RATE, signals["processed"], RATE, AUDIOGRAM, rng=1)
    line = str(caught.value)
    assert line.startswith(f"{argument}: ")
    assert "\n" not in line
    for words in expected:
        assert words in line


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


@pytest.mark.parametrize("argument", ["reference", "processed"])
@pytest.mark.parametrize("kind", BINAURAL_SIGNALS)
def test_bad_signal_of_two_ears(argument, kind):
    signal, expected = BINAURAL_SIGNALS[kind]
    signals = {"reference": STEREO, "processed": STEREO} | {argument: signal}
    with pytest.raises(InputError) as caught:
        haspi_better_ear(signals["reference"], signals["processed"], RATE, LISTENER, rng=1)
    assert str(caught.value).startswith(f"{argument}: ")
    for words in expected:
        assert words in str(caught.value)


@pytest.mark.parametrize("rate", [0, -44100, 44.1, 400, np.nan, np.inf, 1e9, "44100", None, True])
@pytest.mark.parametrize("argument", ["reference_rate", "processed_rate"])
def test_bad_rate(argument, rate):
    rates = {"reference_rate": RATE, "processed_rate": RATE} | {argument: rate}
    with pytest.raises(InputError, match=f"^{argument}: is no sample rate .*wanted a rate in Hz"):
        haspi(GOOD, rates["reference_rate"], GOOD, rates["processed_rate"], AUDIOGRAM, rng=1)


def test_rate_in_kilohertz_is_recognised():
    with pytest.raises(InputError, match=r"^rate: .*44\.1.*give it in Hz, not in kHz"):
        haspi_better_ear(STEREO, STEREO, 44.1, LISTENER, rng=1)


@pytest.mark.parametrize("level", [np.nan, np.inf, None, "65", True])
def test_bad_level(level):
    with pytest.raises(InputError, match=r"^level: .*dB SPL"):
        haspi(GOOD, RATE, GOOD, RATE, AUDIOGRAM, level=level, rng=1)


@pytest.mark.parametrize("audiogram", [np.array([250, 500, 1000]), [0] * 6, None])
def test_something_else_than_an_audiogram(audiogram):
    with pytest.raises(InputError, match=r"^audiogram: is no audiogram .*Audiogram\(levels, frequencies\)"):
        haspi(GOOD, RATE, GOOD, RATE, audiogram, rng=1)


def test_audiogram_that_does_not_reach():
    with pytest.raises(InputError, match="found 500 to 2000 Hz, wanted 250, 4000, 6000 Hz too"):
        haspi(GOOD, RATE, GOOD, RATE, SHORT_AUDIOGRAM, rng=1)


@pytest.mark.parametrize(
    ("listener", "place"),
    [
        (Listener("L7", SHORT_AUDIOGRAM, AUDIOGRAM), "listener L7, left ear"),
        (Listener("L7", AUDIOGRAM, SHORT_AUDIOGRAM), "listener L7, right ear"),
        (AUDIOGRAM, "listener: is no listener"),
    ],
)
def test_bad_listener(listener, place):
    with pytest.raises(InputError, match=f"^{place}"):
        haspi_better_ear(STEREO, STEREO, RATE, listener, rng=1)


@pytest.mark.parametrize("samples", [1, 2, 40, 300, 3000, 5500])
@pytest.mark.parametrize("argument", ["reference", "processed"])
def test_too_short(argument, samples):
    signals = {"reference": GOOD, "processed": GOOD} | {argument: GOOD[:samples]}
    with pytest.raises(InputError, match=r"^reference: is too short .*wanted 0\.23 s"):
        haspi(signals["reference"], RATE, signals["processed"], RATE, AUDIOGRAM, rng=1)


def test_a_quarter_of_a_second_is_enough():
    signal = GOOD[:6000]
    assert 0 <= haspi(signal, RATE, signal, RATE, AUDIOGRAM, rng=1).score <= 1.05


def test_silence_around_does_not_count():
    signal = np.concatenate([np.zeros(9000), GOOD[:3000], np.zeros(9000)])
    with pytest.raises(InputError, match=r"is too short \(found 0\.125 s"):
        haspi(signal, RATE, signal, RATE, AUDIOGRAM, rng=1)


@pytest.mark.parametrize("level", [0.0, 30.0])
def test_signal_below_threshold(level):
    with pytest.raises(InputError, match=r"^reference: signal below threshold .*check `level`"):
        haspi(GOOD, RATE, GOOD, RATE, AUDIOGRAM, level=level, rng=1)


@pytest.mark.parametrize(("seconds", "enough"), [(0.05, False), (0.15, True)])
def test_a_short_word_between_inaudible_sounds(seconds, enough):
    word = round(seconds * RATE)
    signal = np.concatenate([GOOD[:100], 1e-3 * GOOD, GOOD[:word], 1e-3 * GOOD, GOOD[-100:]])
    if enough:
        assert haspi(signal, RATE, signal, RATE, AUDIOGRAM, rng=1).score >= 0
    else:
        with pytest.raises(InputError, match=r"signal below threshold .*wanted 0\.1 s"):
            haspi(signal, RATE, signal, RATE, AUDIOGRAM, rng=1)


def test_reference_faint_beyond_squaring():
    with pytest.raises(InputError, match="signal below threshold"):
        haspi(GOOD * 1e-200, 16000, GOOD, 48000, AUDIOGRAM, rng=1)


def test_processed_signal_faint_beyond_squaring_is_inaudible():
    assert haspi(GOOD, RATE, GOOD * 1e-200, 48000, AUDIOGRAM, rng=1).score < 0.05


def test_reference_silent_while_the_processed_signal_lasts():
    late = np.concatenate([np.zeros(12000), GOOD])
    with pytest.raises(InputError, match=r"^reference: is silent as long as .*0\.500 s"):
        haspi(late, RATE, GOOD, RATE, AUDIOGRAM, rng=1)


def test_the_ear_is_named():
    faint = STEREO * [1, 1e-6]
    with pytest.raises(InputError, match=r"^reference, right ear: signal below threshold"):
        haspi_better_ear(faint, STEREO, RATE, LISTENER, rng=1)


def test_other_floating_point_types_and_lists_are_welcome():
    expected = haspi(GOOD, RATE, GOOD, RATE, AUDIOGRAM, rng=1).score
    assert haspi(GOOD.tolist(), RATE, GOOD.tolist(), np.int64(RATE), AUDIOGRAM, rng=1).score == expected
    single = GOOD.astype(np.float32)
    assert haspi(single, RATE, single, RATE, AUDIOGRAM, rng=1).score == pytest.approx(expected, abs=1e-3)
