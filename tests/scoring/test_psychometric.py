"""Psychometric curves: the curve that scores were drawn from, how often its band holds it, and what cannot be told."""

from __future__ import annotations

import numpy as np
import pytest

from hearlab.errors import InputError
from hearlab.scoring.psychometric import psychometric_curve

EXACT = 1e-6  # of Newton's method
COVERED = 0.05  # of 0.95: 400 draws of few, unequal clusters


def curve(snr: np.ndarray, slope: float = 0.4, threshold: float = 1.5) -> np.ndarray:
    return 1 / (1 + np.exp(-slope * (snr - threshold)))


def test_scores_on_a_curve_give_that_curve() -> None:
    snr = np.linspace(-12, 6, 30)
    found = psychometric_curve(snr, curve(snr), np.arange(30))
    assert found is not None
    assert (found.slope, found.threshold) == pytest.approx((0.4, 1.5), rel=EXACT)
    np.testing.assert_allclose(found.mean, curve(found.snr), rtol=EXACT)
    np.testing.assert_allclose(found.high - found.low, 0, atol=EXACT)


def test_the_band_holds_the_curve_as_often_as_it_says() -> None:
    """Scores of three listeners of a scene share a deviation of the scene; the band takes scenes as its units."""
    random = np.random.default_rng(11)
    inside = []
    for _ in range(400):
        snr = np.repeat(random.uniform(-12, 6, 24), 3)
        scene = np.repeat(np.arange(24), 3)
        sure = 4 / (1 + np.exp(random.normal(0, 0.3)))
        mean = curve(snr)
        common = np.repeat(random.beta(sure * mean[::3], sure * (1 - mean[::3])), 3)
        found = psychometric_curve(snr, np.clip(common, 0, 1), scene)
        if found is None:
            continue
        place = 30
        inside.append(found.low[place] <= curve(found.snr[[place]])[0] <= found.high[place])
    assert len(inside) > 390
    assert np.mean(inside) == pytest.approx(0.95, abs=COVERED)


def test_more_listeners_of_the_same_scenes_make_no_curve_surer() -> None:
    random = np.random.default_rng(2)
    snr = random.uniform(-12, 6, 12)
    scores = np.clip(curve(snr) + random.normal(0, 0.1, 12), 0, 1)
    one = psychometric_curve(snr, scores, np.arange(12))
    many = psychometric_curve(np.tile(snr, 5), np.tile(scores, 5), np.tile(np.arange(12), 5))
    assert one is not None
    assert many is not None
    np.testing.assert_allclose(many.low, one.low, rtol=1e-6)


@pytest.mark.parametrize(
    ("snr", "scores"),
    [
        ([1, 2, 3], [0.1, 0.2, 0.3]),
        ([2, 2, 2, 2, 2], [0.1, 0.2, 0.3, 0.4, 0.5]),
        ([1, 2, 3, 4, 5], [0.4] * 5),
        ([1, 2, 3, 4, 5, 6], [0, 0, 0, 1, 1, 1]),
        ([0.3] * 7 + [0.1 + 0.2], [0.1 * k for k in range(8)]),
        ([1.0 * k for k in range(8)], [0.3, 0.1 + 0.2] * 4),
    ],
    ids=["few scenes", "one SNR", "one score", "a step", "one SNR, rounded", "one score, rounded"],
)
def test_what_cannot_be_told_is_not(snr: list[float], scores: list[float]) -> None:
    assert psychometric_curve(snr, scores, np.arange(len(snr))) is None


def test_wrong_input_is_named() -> None:
    with pytest.raises(InputError, match="differ in number"):
        psychometric_curve([1, 2], [0.1], [1])
    with pytest.raises(InputError, match="between 0 and 1"):
        psychometric_curve([1.0], [1.5], [1])
