"""Level above threshold and inner-hair-cell adaptation."""

from __future__ import annotations

import numpy as np
import pytest

from hearlab.ear.adaptation import OVERSHOOT, adapt, adaptation_filter, sensation_level

RATE = 24000


def test_sensation_level():
    envelopes = np.array([[10 ** (-25 / 20), 1.0, 0.0], [10 ** (-25 / 20), 10 ** (-70 / 20), 1e-300]])
    levels = sensation_level(envelopes, np.array([0.0, 15.0]), 65.0)
    np.testing.assert_allclose(levels, [[40, 65, 0], [25, 0, 0]], atol=1e-9)


def test_circuit_solved_step_by_step():
    # The backward-difference equations of the circuit, solved for both voltages at every sample.
    inputs = 40 * np.random.RandomState(0).random_sample(500)
    r1, r2, r3 = 0.5, 0.25, 0.25
    c1 = 0.002 * (r1 + r2) / (r1 * r2)
    c2 = 0.060 / ((r1 + r2) * r3)
    first = second = 0.0
    expected = []
    for value in inputs:
        nodes = [[r1 + r2 + r1 * r2 * c1 * RATE, -r1], [-r3, r2 + r3 + r2 * r3 * c2 * RATE]]
        sources = [value * r2 + r1 * r2 * c1 * RATE * first, r2 * r3 * c2 * RATE * second]
        first, second = np.linalg.solve(nodes, sources)
        expected.append(max((value - first) / r1, 0.0))
    np.testing.assert_allclose(adapt(inputs[None])[0], expected, atol=1e-9)


def test_onset_overshoots_and_settles_at_the_input():
    step = np.full((1, RATE), 30.0)
    adapted = adapt(step)[0]
    assert 0.95 * OVERSHOOT < adapted[0] / 30 < OVERSHOOT
    assert adapted[-1] == pytest.approx(30, rel=1e-4)
    assert np.all(np.diff(adapted) <= 1e-9)


def test_rapid_and_short_term_poles():
    _, denominator = adaptation_filter()
    times = np.sort(-1 / np.log(np.roots(denominator).real) / RATE)
    # Each circuit alone has 2 and 60 ms; connected, they shift somewhat.
    assert 0.001 < times[0] < 0.003
    assert 0.04 < times[1] < 0.09


def test_offset_does_not_fall_below_threshold():
    pulse = np.concatenate([np.full(2400, 50.0), np.zeros(2400)])[None]
    adapted = adapt(pulse)
    assert np.min(adapted) == 0
    assert adapted[0, 2401] == 0
