"""What the tests of all metrics need of each: a new metric is one more entry of METRICS."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sounds import FREQUENCIES, SLOPING_LEVELS, lively_speech, music_like, music_pair, speech_pair

from hearlab.listeners import Audiogram, Listener
from hearlab.metrics import haaqi, haspi, haspi_better_ear, hasqi, hasqi_better_ear

# Agreement that the project promises. Found are up to 2e-8 for HASQI and HAAQI; in HASPI, rounding of the recursive
# filters in the lowest bands gives up to 1e-7.
AGREEMENT = 1e-6

PUBLISHED: dict[str, Any] = json.loads(Path(__file__).with_name("published.json").read_text())

SLOPING = Audiogram(SLOPING_LEVELS, FREQUENCIES)
NO_LOSS = Audiogram([0] * 8, FREQUENCIES)
LISTENER = Listener("L1", SLOPING, NO_LOSS)


@dataclass(frozen=True)
class MetricCase:
    """A metric as the tests see it.

    Attributes:
        name: its own.
        metric: its function for one ear.
        pair: makes reference and processed signal from their rates in Hz, a delay in s and an amplitude of noise.
        level: dB SPL of an RMS of 1, at which these are comfortable.
        spread: two seeds' scores differ by no more.
        delays, delay_spread: delays in s that change the score by no more.
        clean, clean_level: a sound at 24 kHz that is scored best, and its level.
        noises: amplitudes of noise in it, each with which the score falls by `fall` at least; at the first one it is
            above `best`, at the last one below `worst`.
        shortest: samples at 24 kHz that are enough, and what the error about fewer says is wanted.
        too_short: samples at 24 kHz that are just refused.
        most: the highest score.
        silence: whether a silent reference is scored.
        better_ear: its function for both ears, if there is one.
    """

    name: str
    metric: Callable[..., Any]
    pair: Callable[..., tuple[np.ndarray, np.ndarray]]
    level: float
    spread: float
    delays: tuple[float, ...]
    delay_spread: float
    clean: Callable[[], np.ndarray]
    clean_level: float
    noises: tuple[float, ...]
    fall: float
    best: float
    worst: float
    shortest: tuple[int, str]
    too_short: int
    most: float
    silence: bool = False
    better_ear: Callable[..., Any] | None = None

    def __str__(self) -> str:
        return self.name

    def score(self, reference: np.ndarray, processed: np.ndarray, audiogram: Audiogram, **others: Any) -> Any:
        """The answer for two signals at 24 kHz, at the usual level and with seed 1 if nothing else is said."""
        return self.metric(reference, 24000, processed, 24000, audiogram, **{"level": self.level, "rng": 1} | others)


HASPI = MetricCase(
    name="haspi",
    metric=haspi,
    pair=speech_pair,
    level=65.0,
    spread=0.05,
    delays=(0.005, 0.05, 0.2),
    delay_spread=0.005,
    clean=lively_speech,
    clean_level=65.0,
    noises=(0.0, 0.3, 1.0, 4.0),
    fall=0.0,
    best=0.99,
    worst=0.4,
    shortest=(6000, r"0\.23 s"),
    too_short=5500,
    most=1.05,
    better_ear=haspi_better_ear,
)
HASQI = MetricCase(
    name="hasqi",
    metric=hasqi,
    pair=speech_pair,
    level=65.0,
    spread=0.01,
    delays=(0.005, 0.05, 0.2),
    delay_spread=0.02,
    clean=lively_speech,
    clean_level=65.0,
    noises=(0.0, 0.03, 0.3, 1.0, 4.0),
    fall=0.02,
    best=0.98,
    worst=0.1,
    shortest=(384, "16 ms"),
    too_short=383,
    most=1.0,
    better_ear=hasqi_better_ear,
)
HAAQI = MetricCase(
    name="haaqi",
    metric=haaqi,
    pair=music_pair,
    level=85.0,
    spread=0.01,
    delays=(0.005, 0.05),
    delay_spread=0.01,
    clean=lambda: music_like(24000),
    clean_level=85.0,
    noises=(0.0, 0.003, 0.03, 0.3),
    fall=0.02,
    best=0.85,
    worst=0.4,
    shortest=(384, "16 ms"),
    too_short=383,
    most=1.0,
    silence=True,
)
METRICS = (HASPI, HASQI, HAAQI)
QUALITY = (HASQI, HAAQI)
SPEECH = (HASPI, HASQI)


def values(result: Any) -> list[float]:
    """All numbers of an answer, in the order of published.json."""
    parts = [result.nonlinear, result.linear] if hasattr(result, "nonlinear") else []
    return [result.score, *parts, *result.features]
