"""Filters of stems: NAL-R where nothing is fitted, what a correction and a share do, and what is refused."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from hearlab.errors import InputError
from hearlab.fitting import NalR
from hearlab.fitting.stem_filters import CENTRES, FitSettings, StemFilter
from hearlab.listeners import Audiogram

RATE, TAPS = 44100, 220
FREQUENCIES = [250, 500, 1000, 2000, 4000, 6000]
SLOPING = Audiogram([10, 20, 30, 45, 60, 70], FREQUENCIES)
# Rounding of a product of a few numbers near 1.
ROUNDING = 1e-12
# dB. The filter of 5 ms smooths over 200 Hz, so that a step between neighbouring centres above 2 kHz is met closely.
SMOOTHED = 0.7


def response(fir: np.ndarray, frequency: float) -> float:
    """dB."""
    phases = np.exp(-2j * np.pi * frequency / RATE * np.arange(fir.size))
    return float(20 * np.log10(np.abs(fir @ phases)))


@pytest.mark.parametrize("audiogram", [SLOPING, Audiogram([0] * 6, FREQUENCIES)])
def test_nothing_fitted_is_nal_r(audiogram: Audiogram) -> None:
    firs = StemFilter().firs("bass", audiogram, TAPS, RATE)
    assert list(firs) == ["bass"]
    np.testing.assert_allclose(firs["bass"], NalR(TAPS, RATE).filter(audiogram), rtol=0, atol=ROUNDING)


def test_a_correction_is_added_to_the_gain() -> None:
    values = [0.0] * len(CENTRES)
    values[CENTRES.index(4000)] = 6.0
    found = StemFilter(tuple(values)).firs("bass", SLOPING, TAPS, RATE)["bass"]
    nalr = NalR(TAPS, RATE).filter(SLOPING)
    for frequency, wanted in ((1000, 0.0), (2000, 0.0), (4000, 6.0), (8000, 0.0)):
        assert response(found, frequency) - response(nalr, frequency) == pytest.approx(wanted, abs=SMOOTHED)


def test_a_share_is_heard_with_the_gain_of_the_stem() -> None:
    correction, none = (3.0,) * len(CENTRES), (0.0,) * len(CENTRES)
    shares = {"vocals": (-0.5,) * len(CENTRES), "drums": none}
    firs = StemFilter(correction, shares).firs("bass", SLOPING, TAPS, RATE)
    assert set(firs) == {"bass", "vocals"}
    np.testing.assert_allclose(firs["vocals"], -0.5 * firs["bass"], rtol=0, atol=ROUNDING)


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ((0.0,) * 3, "stem filter: correction: has other values (found [0.0, 0.0, 0.0], wanted 11 numbers"),
        ((float("nan"),) * 11, "stem filter: correction: is out of range"),
        ((12.5,) * 11, "stem filter: correction: is out of range"),
        (("a",) * 11, "stem filter: correction: has other values"),
    ],
)
def test_values_that_are_none(values: Any, line: str) -> None:
    with pytest.raises(InputError, match=re.escape(line)) as caught:
        StemFilter(values)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"taps": 221}, "fitted: taps: wrong value (found 221, wanted an even number above 0)"),
        ({"steps": 0}, "fitted: steps: wrong value (found 0, wanted a whole number from 1 to"),
        ({"steps": 1.5}, "fitted: steps: wrong value (found 1.5"),
        ({"bleed": "yes"}, "fitted: bleed: wrong value (found 'yes', wanted true or false)"),
        ({"learning_rate": float("nan")}, "fitted: learning_rate: wrong value (found nan"),
        ({"crop": 4.0, "excerpt": 3.0}, "fitted: excerpt: wrong value (found 3.0, wanted at least a crop, 4 s)"),
    ],
)
def test_settings_that_are_none(settings: dict[str, Any], line: str) -> None:
    with pytest.raises(InputError, match=re.escape(line)) as caught:
        FitSettings(**settings)
    assert "\n" not in str(caught.value)
