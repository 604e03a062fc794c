"""Outer-hair-cell compression and the widening of filters."""

from __future__ import annotations

import numpy as np
import pytest

from hearlab.ear.compression import compress, level_dependent_bandwidth

LEVEL = 65.0
# After the low-pass of the gain has settled.
SETTLED = slice(200, None)


def amplitude(decibels: float) -> float:
    return 10 ** ((decibels - LEVEL) / 20)


def output_level(decibels: float, **changes: float) -> float:
    steady = np.full(400, amplitude(decibels))
    options = {"attenuation": 0.0, "lower_knee": 30.0, "ratio": 2.0, "level": LEVEL} | changes
    compressed = compress(steady, steady, **options)[SETTLED]
    assert np.ptp(compressed) < 1e-9 * compressed[-1]
    return LEVEL + 20 * np.log10(compressed[-1])


@pytest.mark.parametrize(("found", "expected"), [(10, 10), (30, 30), (50, 40), (100, 65), (110, 75)])
def test_linear_compressive_linear(found, expected):
    assert output_level(found) == pytest.approx(expected, abs=1e-6)


def test_attenuation_is_taken_off():
    assert output_level(20, attenuation=12.0, lower_knee=42.0) == pytest.approx(8, abs=1e-6)


def test_complete_loss_is_linear():
    assert output_level(80, ratio=1.0) == pytest.approx(80, abs=1e-6)


def test_gain_follows_the_control():
    # A loud control suppresses a soft envelope (two-tone suppression).
    soft, loud = np.full(400, amplitude(40)), np.full(400, amplitude(90))
    options = {"attenuation": 0.0, "lower_knee": 30.0, "ratio": 2.0, "level": LEVEL}
    alone, suppressed = compress(soft, soft, **options), compress(soft, loud, **options)
    assert 20 * np.log10(alone[-1] / suppressed[-1]) == pytest.approx(25, abs=1e-6)


def test_gain_reacts_with_a_short_delay():
    envelope = np.ones(400)
    control = np.concatenate([np.full(200, amplitude(30)), np.full(200, amplitude(90))])
    gain = compress(envelope, control, attenuation=0.0, lower_knee=30.0, ratio=3.0, level=LEVEL)
    after = (gain[200:] - gain[-1]) / (gain[199] - gain[-1])
    assert after[0] < 1
    assert np.argmax(after < np.exp(-1)) == pytest.approx(0.0002 * 24000, abs=2)


def test_silence_gives_silence():
    assert not np.any(compress(np.zeros(10), np.zeros(10), attenuation=5, lower_knee=35, ratio=2, level=LEVEL))


@pytest.mark.parametrize(("decibels", "expected"), [(20, 1.0), (50, 1.0), (75, 2.0), (100, 3.0), (120, 3.0)])
def test_bandwidth_grows_from_50_to_100_db(decibels, expected):
    assert level_dependent_bandwidth(amplitude(decibels), 1.0, 3.0, LEVEL) == pytest.approx(expected, abs=1e-9)


def test_bandwidth_in_silence():
    assert level_dependent_bandwidth(0.0, 1.2, 3.0, LEVEL) == 1.2
