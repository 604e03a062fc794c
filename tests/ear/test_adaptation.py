"""Level above threshold and inner-hair-cell adaptation."""

from __future__ import annotations

import numpy as np
import pytest

from hearlab.ear.adaptation import OVERSHOOT, adapt, adaptation_filter
from hearlab.kernels.rows import MARGIN, empty_rows

RATE = 24000
LEVEL = 65.0

# Levels of about 60 dB in single precision.
DECIBELS = 2e-5


def linear(decibels: np.ndarray) -> np.ndarray:
    return 10 ** ((decibels - LEVEL) / 20)


def adapted(decibels: np.ndarray, attenuation: float = 0.0) -> np.ndarray:
    """The adapted envelope of one given in dB above the normal threshold."""
    row = empty_rows(1, decibels.size)[0]
    row[MARGIN : MARGIN + decibels.size] = linear(decibels)
    adapt(row, attenuation, LEVEL)
    return row[MARGIN : MARGIN + decibels.size].astype(np.float64)


def circuit(inputs: np.ndarray) -> np.ndarray:
    """The backward-difference equations of the circuit, solved for both voltages at every sample."""
    r1, r2, r3 = 0.5, 0.25, 0.25
    c1 = 0.002 * (r1 + r2) / (r1 * r2)
    c2 = 0.060 / ((r1 + r2) * r3)
    first = second = 0.0
    outputs = []
    for value in inputs:
        nodes = [[r1 + r2 + r1 * r2 * c1 * RATE, -r1], [-r3, r2 + r3 + r2 * r3 * c2 * RATE]]
        sources = [value * r2 + r1 * r2 * c1 * RATE * first, r2 * r3 * c2 * RATE * second]
        first, second = np.linalg.solve(nodes, sources)
        outputs.append(max((value - first) / r1, 0.0))
    return np.array(outputs)


@pytest.mark.parametrize("attenuation", [0.0, 15.0])
def test_circuit_solved_step_by_step(attenuation):
    decibels = 80 * np.random.RandomState(0).random_sample(1501) - 20
    decibels[500:900] = -400.0
    expected = circuit(np.maximum(decibels - attenuation, 0))
    np.testing.assert_allclose(adapted(decibels, attenuation), expected, atol=DECIBELS)


def test_motion_is_given_the_same_envelope():
    random = np.random.RandomState(1)
    envelope = linear(80 * random.random_sample(1000) - 20)
    envelope[300:400] = 0.0  # where it was shifted out
    motion = random.standard_normal(1000) * 0.01
    rows = empty_rows(2, 1000)
    rows[:, MARGIN : MARGIN + 1000] = envelope, motion
    adapt(rows[0], 10.0, LEVEL, rows[1])
    with np.errstate(divide="ignore"):
        expected = circuit(np.maximum(20 * np.log10(envelope) + LEVEL - 10, 0))
    np.testing.assert_allclose(rows[0, MARGIN : MARGIN + 1000], expected, atol=DECIBELS)
    scale = (expected + 1e-30) / (envelope + 1e-30)
    np.testing.assert_allclose(rows[1, MARGIN : MARGIN + 1000], motion * scale, rtol=1e-5, atol=1e-6)


def test_onset_overshoots_and_settles_at_the_input():
    found = adapted(np.full(RATE, 30.0))
    assert 0.95 * OVERSHOOT < found[0] / 30 < OVERSHOOT
    assert found[-1] == pytest.approx(30, rel=1e-4)
    assert np.all(np.diff(found) <= DECIBELS)


def test_rapid_and_short_term_poles():
    _, denominator = adaptation_filter()
    times = np.sort(-1 / np.log(np.roots(denominator).real) / RATE)
    # Each circuit alone has 2 and 60 ms; connected, they shift somewhat.
    assert 0.001 < times[0] < 0.003
    assert 0.04 < times[1] < 0.09


def test_offset_does_not_fall_below_threshold():
    found = adapted(np.concatenate([np.full(2400, 50.0), np.full(2400, -900.0)]))
    assert np.min(found) == 0
    assert found[2401] == 0
