"""Bad input to HAAQI: one line that says what was found, what was wanted and what to do."""

from __future__ import annotations

import numpy as np
import pytest

from hearlab.errors import InputError
from hearlab.listeners import Audiogram
from hearlab.metrics import haaqi, haaqi_stem

RATE = 24000
GOOD = 0.1 * np.random.RandomState(0).standard_normal(6000)
STEREO = np.stack([GOOD, GOOD], axis=1)
AUDIOGRAM = Audiogram([0, 10, 20, 30, 40, 50], [250, 500, 1000, 2000, 4000, 6000])


def with_sample(value: float) -> np.ndarray:
    changed = GOOD.copy()
    changed[77] = value
    return changed


SIGNALS = {
    "two channels": (STEREO, "shape (6000, 2)", "shape (n,)"),
    "16 bit": (np.ones(6000, dtype=np.int16), "int16", "divide 16-bit samples by 32768"),
    "complex": (GOOD + 0j, "complex128", "floating-point"),
    "nothing": (None, "object", "floating-point"),
    "not a number": (with_sample(np.nan), "sample 77", "finite"),
    "infinite": (with_sample(-np.inf), "sample 77", "finite"),
    "huge": (with_sample(1e200), "sample 77", "beyond full scale"),
}


@pytest.mark.parametrize("metric", [haaqi, haaqi_stem])
@pytest.mark.parametrize("argument", ["reference", "processed"])
@pytest.mark.parametrize("kind", SIGNALS)
def test_bad_signal(metric, argument, kind):
    signal, *expected = SIGNALS[kind]
    signals = {"reference": GOOD, "processed": GOOD} | {argument: signal}
    with pytest.raises(InputError) as caught:
        metric(signals["reference"], RATE, signals["processed"], RATE, AUDIOGRAM, rng=1)
    line = str(caught.value)
    assert line.startswith(f"{argument}: ")
    assert "\n" not in line
    for words in expected:
        assert words in line


@pytest.mark.parametrize("metric", [haaqi, haaqi_stem])
@pytest.mark.parametrize("rate", [0, -44100, 44.1, np.nan, 1e9, "44100", None])
@pytest.mark.parametrize("argument", ["reference_rate", "processed_rate"])
def test_bad_rate(metric, argument, rate):
    rates = {"reference_rate": RATE, "processed_rate": RATE} | {argument: rate}
    with pytest.raises(InputError, match=f"^{argument}: is no sample rate .*wanted a rate in Hz"):
        metric(GOOD, rates["reference_rate"], GOOD, rates["processed_rate"], AUDIOGRAM, rng=1)


@pytest.mark.parametrize("level", [np.nan, np.inf, None, "65", True])
def test_bad_level(level):
    with pytest.raises(InputError, match=r"^level: .*dB SPL"):
        haaqi(GOOD, RATE, GOOD, RATE, AUDIOGRAM, level=level, rng=1)


@pytest.mark.parametrize("equalisation", [0, 3, True, None, "1", 1.5])
def test_bad_equalisation(equalisation):
    with pytest.raises(InputError, match=r"^equalisation: is unknown .*wanted 1 or 2"):
        haaqi(GOOD, RATE, GOOD, RATE, AUDIOGRAM, equalisation=equalisation, rng=1)


@pytest.mark.parametrize("metric", [haaqi, haaqi_stem])
@pytest.mark.parametrize(
    ("audiogram", "words"),
    [
        ([0] * 6, r"is no audiogram .*Audiogram\(levels, frequencies\)"),
        (Audiogram([0, 10, 20], [500, 1000, 2000]), "found 500 to 2000 Hz, wanted 250, 4000, 6000 Hz too"),
    ],
)
def test_bad_audiogram(metric, audiogram, words):
    with pytest.raises(InputError, match=f"^audiogram.*{words}"):
        metric(GOOD, RATE, GOOD, RATE, audiogram, rng=1)


def test_bad_source_of_random_numbers():
    with pytest.raises(InputError, match=r"^rng: is no source"):
        haaqi(GOOD, RATE, GOOD, RATE, AUDIOGRAM, rng="1")


@pytest.mark.parametrize("samples", [1, 2, 40, 300, 383])
@pytest.mark.parametrize("argument", ["reference", "processed"])
def test_too_short(argument, samples):
    signals = {"reference": GOOD, "processed": GOOD} | {argument: GOOD[:samples]}
    with pytest.raises(InputError, match=r"^reference: is too short .*wanted 16 ms"):
        haaqi(signals["reference"], RATE, signals["processed"], RATE, AUDIOGRAM, rng=1)


# The published code answers from 16 ms on, so no stem with a single sound in it stops a run.
@pytest.mark.parametrize("samples", [384, 385, 480, 575, 576, 1000])
def test_short_music_is_scored(samples):
    result = haaqi(GOOD[:samples], RATE, GOOD[:samples], RATE, AUDIOGRAM, level=85.0, rng=1)
    assert 0 <= result.score <= 1


def test_empty_processed_signal():
    with pytest.raises(InputError, match=r"^processed: is empty"):
        haaqi(GOOD, RATE, np.zeros(0), RATE, AUDIOGRAM, rng=1)


def test_reference_silent_while_the_processed_signal_lasts():
    late = np.concatenate([np.zeros(6000), GOOD])
    with pytest.raises(InputError, match=r"^reference: is silent as long as .*0\.250 s"):
        haaqi(late, RATE, GOOD, RATE, AUDIOGRAM, rng=1)


def test_single_precision_and_lists_are_welcome():
    expected = haaqi(GOOD, RATE, GOOD, RATE, AUDIOGRAM, level=85.0, rng=1).score
    assert haaqi(GOOD.tolist(), RATE, GOOD.tolist(), RATE, AUDIOGRAM, level=85, rng=1).score == expected
    single = GOOD.astype(np.float32)
    assert haaqi(single, RATE, single, RATE, AUDIOGRAM, level=85.0, rng=1).score == pytest.approx(expected, abs=1e-5)
