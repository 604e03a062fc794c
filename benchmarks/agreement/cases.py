"""Random cases of the agreement suite. Case k of a metric depends on seed, metric and k alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from scipy.signal import lfilter, resample_poly

from agreement.signals import KINDS, Generator
from inputs import SceneData

RATES = (16000, 22050, 24000, 32000, 44100, 48000)
SHORTEST, LONGEST = 0.6, 20.0  # s
# Lengths are SHORTEST * (LONGEST / SHORTEST) ** (u ** SHORT_WEIGHT) with u uniform: half of them are below 1.2 s.
SHORT_WEIGHT = 2.5

# Frequencies in Hz of audiograms: the model's own, the challenges', clinical ones with gaps, wider ones.
FREQUENCY_SETS = (
    (250, 500, 1000, 2000, 4000, 6000),
    (250, 500, 1000, 2000, 3000, 4000, 6000, 8000),
    (125, 250, 500, 750, 1000, 1500, 2000, 3000, 4000, 6000, 8000),
    (250, 1000, 4000, 8000),
    (125, 500, 2000, 8000),
    (250, 375, 500, 750, 1000, 1500, 2000, 3000, 4000, 5000, 6000, 7000, 8000, 10000),
)
# Levels in dB HL at the lowest and the highest frequency.
LOSSES = {
    "none": (0, 0),
    "mild": (10, 35),
    "moderate": (25, 60),
    "flat": (50, 50),
    "steep": (10, 95),
    "severe": (55, 105),
    "rising": (60, 20),
}


@dataclass(frozen=True)
class Case:
    """Input of both implementations.

    Attributes:
        name: `metric-number`, or `metric: what it is` for an edge case.
        about: what was drawn, in a few words.
        signals: arrays that go to the workers in a file.
        arguments: of the task, as JSON.
    """

    name: str
    about: str
    signals: dict[str, np.ndarray]
    arguments: dict[str, Any]


def haspi_case(number: int, random: Generator) -> Case:
    return _metric_case("haspi", number, random)


def hasqi_case(number: int, random: Generator) -> Case:
    return _quality_case("hasqi", number, random)


def haaqi_case(number: int, random: Generator) -> Case:
    return _quality_case("haaqi", number, random)


def _quality_case(metric: str, number: int, random: Generator) -> Case:
    case = _metric_case(metric, number, random)
    equalisation = int(random.integers(1, 3))
    return Case(
        case.name,
        f"{case.about}, equalisation {equalisation}",
        case.signals,
        {**case.arguments, "equalisation": equalisation},
    )


def nalr_case(number: int, random: Generator) -> Case:
    loss, audiogram = draw_audiogram(random)
    rate = int(random.choice(RATES))
    taps = int(random.choice((220, 220, 64, 140, 400, 1000)))
    kind, sound, about = _sound(random, rate, longest=4.0)
    return Case(
        f"nalr-{number}",
        f"{taps} taps, {rate} Hz, {kind}, {about}, {loss}",
        {"signal": sound * random.uniform(0.01, 0.5)},
        {"taps": taps, "rate": rate, **audiogram},
    )


def compressor_case(number: int, random: Generator) -> Case:
    rate = int(random.choice(RATES))
    kind, sound, about = _sound(random, rate, longest=10.0)
    level = float(np.exp(random.uniform(np.log(0.003), np.log(3))))
    settings = {
        "attack": float(np.exp(random.uniform(np.log(1), np.log(200)))),
        "release": float(np.exp(random.uniform(np.log(5), np.log(2000)))),
        "threshold": float(random.uniform(0.01, 1)),
        "attenuation": float(random.uniform(0, 1)),
        "rms_buffer_size": float(random.uniform(0.001, 0.2)),
        "makeup_gain": float(random.uniform(0.5, 4)),
    }
    if random.random() < 0.3:
        settings |= {"attack": 50.0, "release": 1000.0, "threshold": 0.35, "attenuation": 0.1, "rms_buffer_size": 0.064}
    return Case(
        f"compressor-{number}",
        f"{rate} Hz, {kind}, {about}, RMS {level:.3g}, threshold {settings['threshold']:.2f}",
        {"signal": _silenced(random, level * sound)[0]},
        {"rate": rate, "settings": settings},
    )


METRIC_CASES: dict[str, Callable[[int, Generator], Case]] = {
    "haspi": haspi_case,
    "hasqi": hasqi_case,
    "haaqi": haaqi_case,
    "nalr": nalr_case,
    "compressor": compressor_case,
}


def generator(seed: int, metric: str, number: int) -> Generator:
    return np.random.default_rng([seed, *metric.encode(), number])


def rendering_scene(
    number: int, random: Generator, scene: SceneData, recordings: list[tuple[str, str]]
) -> dict[str, Any]:
    """A scene of one to two seconds with its own times, angles, interferers and SNR.

    Args:
        number: of the case.
        random: what is drawn comes from it.
        scene: whose room, target and head it shares.
        recordings: (type, file name) of the interferers there are.
    """
    duration = int(random.integers(40000, 90000))
    start = int(random.integers(0, duration // 3))
    end = int(random.integers(start + duration // 4, duration))
    turn_start = random.uniform(0, 0.7 * duration)
    turn_end = turn_start + random.uniform(0.02, 0.3) * duration
    angle = random.uniform(-180, 180)
    turn = random.choice((-1, 1)) * np.exp(random.uniform(np.log(1), np.log(90)))
    interferers = []
    for position in random.permutation(3)[: random.integers(1, 4)]:
        kind, name = recordings[random.integers(0, len(recordings))]
        begin = int(random.integers(0, duration // 4)) if random.random() < 0.5 else 0
        interferers.append(
            {
                "position": int(position) + 1,
                "time_start": begin,
                "time_end": duration,
                "type": kind,
                "name": name,
                "offset": int(random.integers(0, 40000)),
            }
        )
    return {
        **scene.scene,
        "scene": f"S{90000 + number:05d}",
        "duration": duration,
        "target": {**scene.scene["target"], "time_start": start, "time_end": end},
        "interferers": interferers,
        "SNR": round(float(random.uniform(-12, 6)), 4),
        "listener": {
            **scene.scene["listener"],
            "rotation": [
                {"sample": round(float(turn_start), 4), "angle": round(float(angle), 4)},
                {"sample": round(float(turn_end), 4), "angle": round(float(angle + turn), 4)},
            ],
        },
    }


def draw_audiogram(random: Generator) -> tuple[str, dict[str, list[float]]]:
    """Name of the loss, and levels and frequencies as the tasks take them."""
    name = str(random.choice(list(LOSSES)))
    frequencies = FREQUENCY_SETS[random.integers(len(FREQUENCY_SETS))]
    low, high = LOSSES[name]
    slope = np.interp(np.log(frequencies), np.log([frequencies[0], frequencies[-1]]), [low, high])
    levels = slope if name == "none" else np.maximum(slope + random.integers(-2, 3, len(frequencies)) * 5, -10)
    return name, {"levels": np.round(levels).tolist(), "frequencies": list(frequencies)}


def _metric_case(metric: str, number: int, random: Generator) -> Case:
    # Every rate and every kind comes up equally often; one pair in four has two different rates.
    rate = RATES[number % len(RATES)]
    processed_rate = rate if random.random() < 0.75 else int(random.choice(RATES))
    kind, sound, about = _sound(random, rate, kind=list(KINDS)[number // len(RATES) % len(KINDS)])
    level = float(random.choice((65.0, 65.0, 100.0, random.uniform(50, 120))))
    presented = random.uniform(50, 90)  # dB SPL
    sound = sound * 10 ** ((presented - level) / 20)
    sound, gap = _silenced(random, sound)
    processed, changes = _processed(random, sound, rate, processed_rate)
    loss, audiogram = draw_audiogram(random)
    words = [kind, about, f"{presented:.0f} dB SPL", f"{rate}/{processed_rate} Hz", loss, *gap, *changes]
    return Case(
        f"{metric}-{number}",
        ", ".join(words),
        {"reference": sound, "processed": processed},
        {
            "reference_rate": rate,
            "processed_rate": processed_rate,
            "level": level,
            "seed": int(random.integers(2**31)),
            **audiogram,
        },
    )


def _sound(
    random: Generator, rate: int, *, kind: str | None = None, longest: float = LONGEST
) -> tuple[str, np.ndarray, str]:
    kind = kind or str(random.choice(list(KINDS)))
    seconds = SHORTEST * (longest / SHORTEST) ** (random.random() ** SHORT_WEIGHT)
    return kind, KINDS[kind](random, int(seconds * rate), rate), f"{seconds:.2f} s"


def _silenced(random: Generator, sound: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Silence at the beginning, inside or at the end of about half of the sounds."""
    sound, words = sound.copy(), []
    for place, chance in (("begins", 0.2), ("pauses", 0.25), ("ends", 0.15)):
        if random.random() < chance:
            length = int(random.uniform(0.02, 0.2) * sound.size)
            start = {"begins": 0, "pauses": int(random.uniform(0.3, 0.6) * sound.size), "ends": sound.size - length}[
                place
            ]
            sound[start : start + length] = 0
            words.append(f"{place} silent")
    return sound, words


def _processed(random: Generator, sound: np.ndarray, rate: int, new_rate: int) -> tuple[np.ndarray, list[str]]:
    """What a hearing aid or a coder might make of a sound."""
    words = []
    if new_rate != rate:
        ratio = Fraction(new_rate, rate)
        sound = resample_poly(sound, ratio.numerator, ratio.denominator)
    scale = np.sqrt(np.mean(sound**2))
    if random.random() < 0.3:
        sound = lfilter([1, random.uniform(-0.9, 0.9)], [1], sound)
        words.append("tilted")
    if random.random() < 0.85:
        snr = random.uniform(-5, 40)
        sound = sound + scale * 10 ** (-snr / 20) * random.standard_normal(sound.size)
        words.append(f"SNR {snr:.0f} dB")
    if random.random() < 0.3:
        limit = random.uniform(0.1, 0.7) * np.max(np.abs(sound))
        sound = np.clip(sound, -limit, limit)
        words.append("clipped")
    if random.random() < 0.15:
        step = np.max(np.abs(sound)) * 10 ** random.uniform(-2.5, -1.2)
        sound = step * np.round(sound / step)
        words.append("coarse")
    if random.random() < 0.6:
        delay = int(random.uniform(-0.03, 0.12) * new_rate)
        sound = np.concatenate([np.zeros(delay), sound]) if delay >= 0 else sound[-delay:]
        words.append(f"delay {1000 * delay / new_rate:.0f} ms")
    if random.random() < 0.2:
        sound = np.concatenate([sound, np.zeros(int(random.uniform(0, 0.1) * new_rate))])
        words.append("longer")
    if random.random() < 0.4:
        gain = random.uniform(-15, 25)
        sound = sound * 10 ** (gain / 20)
        words.append(f"gain {gain:.0f} dB")
    if random.random() < 0.1:
        start = int(random.uniform(0.2, 0.7) * sound.size)
        sound = sound.copy()
        sound[start : start + int(0.1 * sound.size)] = 0
        words.append("dropout")
    return sound, words
