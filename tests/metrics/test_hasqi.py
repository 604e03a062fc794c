"""HASQI v2: what is its own; see test_all_metrics.py and test_speech.py for the rest."""

from __future__ import annotations

import numpy as np
import pytest
from harness import SLOPING
from segments import noise
from sounds import speech_pair

from hearlab.metrics import hasqi
from hearlab.metrics.hasqi import spectral_likeness


def test_the_score_is_made_of_the_features_as_published():
    reference, processed = speech_pair(24000, 24000, 0.0)
    result = hasqi(reference, 24000, processed, 24000, SLOPING, rng=1)
    cepstral, synchrony, loudness, slope = result.features
    assert result.nonlinear == pytest.approx(cepstral**2 * synchrony)
    assert result.linear == pytest.approx(0.579 * loudness + 0.421 * slope)
    assert result.score == pytest.approx(result.nonlinear * result.linear)


def test_spectral_likeness():
    levels = 40 + noise(32)
    assert spectral_likeness(levels, levels) == (1.0, 1.0)
    # A change of level alone changes little: thresholds apart, spectra are compared at the same loudness.
    assert spectral_likeness(levels, levels + 6) == pytest.approx((1.0, 1.0))
    other = 40 + 3 * noise(32, 1)
    one, two = (10 ** (values / 20) / np.sum(10 ** (values / 20)) for values in (levels, other))
    expected = 1 - 32 * np.std(one - two) / 2.5, 1 - 32 * np.std(np.diff(one) - np.diff(two))
    assert spectral_likeness(levels, other) == pytest.approx(expected)
    alone = np.zeros(32)
    alone[3] = 120
    assert spectral_likeness(alone, np.full(32, 60.0)) == (0.0, 0.0)
