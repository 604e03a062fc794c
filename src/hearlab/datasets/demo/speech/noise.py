"""Household noises of the demo data: a fan, a dishwasher and a kettle that comes to the boil."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hearlab.arrays import Array
from hearlab.datasets.demo.sounds import shaped_noise


def _shaped(length: int, rate: int, rng: np.random.Generator, gain: Callable[[Array], Array]) -> Array:
    return shaped_noise((length,), rate, rng, gain, low_cut=40.0)


def _tones(length: int, rate: int, rng: np.random.Generator, base: float, levels: list[float]) -> Array:
    """Harmonics of `base` Hz with the given amplitudes, slowly wavering together."""
    time = np.arange(length) / rate
    waver = 0.003 * np.sin(2 * np.pi * rng.uniform(0.2, 0.6) * time + rng.uniform(0, 2 * np.pi))
    phase = 2 * np.pi * np.cumsum(base * (1 + waver)) / rate
    return sum(
        (level * np.sin(k * phase + rng.uniform(0, 2 * np.pi)) for k, level in enumerate(levels, 1)), np.zeros(length)
    )


def fan(length: int, rate: int, rng: np.random.Generator) -> Array:
    """Rushing air that falls by about 8 dB per octave, with the hum of blades and motor."""
    corner = rng.uniform(250, 450)
    air = _shaped(length, rate, rng, lambda f: 1 / (1 + (f / corner) ** 1.3))
    time = np.arange(length) / rate
    turning = 1 + 0.12 * np.sin(2 * np.pi * rng.uniform(4, 8) * time)
    return air * turning + _tones(length, rate, rng, rng.uniform(90, 140), [0.25, 0.12, 0.08, 0.03])


def dishwasher(length: int, rate: int, rng: np.random.Generator) -> Array:
    """A humming pump, and water that is swept round about once per second."""
    time = np.arange(length) / rate
    sweep = 0.5 + 0.5 * np.sin(2 * np.pi * rng.uniform(0.7, 1.2) * time + rng.uniform(0, 2 * np.pi))
    water = _shaped(length, rate, rng, lambda f: np.exp(-0.5 * (np.log2(f / 700) / 1.4) ** 2))
    pump = _shaped(length, rate, rng, lambda f: 1 / (1 + (f / 150) ** 1.2))
    return (0.4 + 0.8 * sweep**2) * water + 0.7 * pump + _tones(length, rate, rng, 100.0, [0.5, 0.35, 0.1, 0.15])


def kettle(length: int, rate: int, rng: np.random.Generator) -> Array:
    """A hiss that grows into bubbling: bubbles are short decaying tones at random times."""
    time = np.arange(length) / length
    hiss = _shaped(length, rate, rng, lambda f: np.exp(-0.5 * (np.log2(f / 1800) / 1.2) ** 2))
    rumble = _shaped(length, rate, rng, lambda f: np.exp(-0.5 * (np.log2(f / 350) / 1.1) ** 2))
    bubbles = np.zeros(length)
    ring = np.arange(round(0.03 * rate)) / rate
    for start in rng.integers(0, length - ring.size, int(40 * length / rate)):
        pitch = rng.uniform(300, 1500)
        strength = rng.uniform(0.5, 3.0) * start / length
        bubbles[start : start + ring.size] += strength * np.exp(-ring / 0.006) * np.sin(2 * np.pi * pitch * ring)
    return (0.4 + 0.1 * time) * hiss + (0.5 + 0.5 * time) * rumble + bubbles


# By the class names of the challenge's metadata.
NOISES: dict[str, Callable[[int, int, np.random.Generator], Array]] = {
    "ElectricFan": fan,
    "Dishwasher": dishwasher,
    "KettleBoiling": kettle,
}
