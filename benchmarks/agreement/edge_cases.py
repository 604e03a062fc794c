"""Inputs at and beyond the edge of what the metrics, the fitting and the renderer are for.

Here an InputError of HearLab is an answer, too: what one of the implementations refuses is listed and not counted.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np

from agreement.cases import Case, generator
from agreement.signals import speech_like
from inputs import SceneData

RATE = 24000
AUDIOGRAM = {"levels": [20.0, 25.0, 30.0, 45.0, 55.0, 60.0], "frequencies": [250, 500, 1000, 2000, 4000, 6000]}


def metric_edges(metric: str) -> Iterator[Case]:
    """Edge cases of 'haspi', 'hasqi' or 'haaqi'."""
    random = generator(0, "edge", 0)
    sound = speech_like(random, 2 * RATE, RATE)
    noisy = sound + 0.1 * random.standard_normal(sound.size)
    silence = np.zeros_like(sound)
    late = np.concatenate([np.zeros(RATE), sound[:RATE]])
    pairs: dict[str, tuple[np.ndarray, np.ndarray]] = {
        "identical": (sound, sound),
        "opposite sign": (sound, -sound),
        "silent reference": (silence, noisy),
        "silent processed": (sound, silence),
        "both silent": (silence, silence),
        "empty reference": (silence[:0], noisy),
        "empty processed": (sound, silence[:0]),
        "both empty": (silence[:0], silence[:0]),
        "one sample": (sound[:1], noisy[:1]),
        "10 ms": (sound[4800:5040], noisy[4800:5040]),
        "0.1 s": (sound[4800:7200], noisy[4800:7200]),
        "0.25 s": (sound[4800:10800], noisy[4800:10800]),
        "processed shorter than the reference": (sound, noisy[:12000]),
        "reference silent as long as the processed signal lasts": (late, noisy[:12000]),
        "delay of 0.5 s": (sound, np.concatenate([np.zeros(12000), noisy])),
        "one click": (sound, np.eye(1, sound.size, 9000)[0]),
        "constant": (np.ones_like(sound), noisy),
        "NaN in processed": (sound, np.where(np.arange(sound.size) == 1000, np.nan, noisy)),
        "infinite sample in processed": (sound, np.where(np.arange(sound.size) == 1000, np.inf, noisy)),
        "two channels": (np.stack([sound, sound], 1), np.stack([noisy, noisy], 1)),
        "16-bit integers": ((3000 * sound).astype(np.int16), (3000 * noisy).astype(np.int16)),
    }
    for name, (reference, processed) in pairs.items():
        yield _metric_edge(metric, name, reference, processed)
    for name, changes in (
        ("20 dB SPL", {"level": 20.0}),
        ("-40 dB SPL", {"level": -40.0}),
        ("150 dB SPL", {"level": 150.0}),
        ("8 kHz", {"reference_rate": 8000, "processed_rate": 8000}),
        ("96 kHz", {"reference_rate": 96000, "processed_rate": 96000}),
        ("rate in kHz", {"reference_rate": 24.0, "processed_rate": 24.0}),
        ("audiogram up to 4 kHz", {"levels": [20.0, 30.0, 40.0], "frequencies": [250, 1000, 4000]}),
        ("audiogram from 500 Hz", {"levels": [20.0, 30.0, 40.0], "frequencies": [500, 1000, 6000]}),
        ("audiogram of one frequency", {"levels": [40.0], "frequencies": [1000]}),
        ("deaf", {"levels": [130.0] * 6}),
    ):
        yield _metric_edge(metric, name, sound, noisy, **changes)


def fitting_edges(metric: str) -> Iterator[Case]:
    """Edge cases of 'nalr' or 'compressor'."""
    sound = speech_like(generator(0, "edge", 1), RATE, RATE)
    if metric == "nalr":
        normal = {"taps": 220, "rate": RATE, **AUDIOGRAM}
        for name, changes in {
            "odd number of taps": {"taps": 221},
            "2 taps": {"taps": 2},
            "1200 taps": {"taps": 1200},
            "12 kHz": {"rate": 12000},
            "8 kHz": {"rate": 8000},
            "all thresholds below 0 dB": {"levels": [-10.0] * 6},
            "one threshold of 1 dB": {"levels": [0.0, 0.0, 0.0, 0.0, 0.0, 1.0]},
            "audiogram up to 4 kHz": {"levels": [20.0, 30.0, 40.0], "frequencies": [250, 1000, 4000]},
        }.items():
            yield Case(f"nalr: {name}", name, {"signal": sound}, {**normal, **changes})
        yield Case("nalr: empty signal", "empty signal", {"signal": sound[:0]}, normal)
        return
    usual = {"attack": 50.0, "release": 1000.0, "threshold": 0.35, "attenuation": 0.1, "rms_buffer_size": 0.064}
    for name, settings in {
        "window below one sample": {"rms_buffer_size": 1e-5},
        "attack of 0": {"attack": 0.0},
        "attack below one sample": {"attack": 0.01},
        "attenuation of 1": {"attenuation": 1.0},
        "window longer than the signal": {"rms_buffer_size": 2.0},
        "threshold of 0": {"threshold": 0.0},
    }.items():
        yield Case(f"compressor: {name}", name, {"signal": sound}, {"rate": RATE, "settings": {**usual, **settings}})
    for name, signal in (
        ("empty signal", sound[:0]),
        ("silence", np.zeros(1000)),
        ("one sample", np.ones(1)),
        ("NaN", np.full(1000, np.nan)),
        ("very loud, then silent", np.concatenate([1e6 * sound[:12000], np.zeros(12000)])),
    ):
        yield Case(f"compressor: {name}", name, {"signal": signal}, {"rate": RATE, "settings": usual})


def rendering_edges(scene: SceneData, recordings: list[tuple[str, str]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and scene of each edge case."""
    kind, name = recordings[0]
    plain = {
        **scene.scene,
        "duration": 40000,
        "target": {**scene.scene["target"], "time_start": 5000, "time_end": 35000},
        "interferers": [
            {"position": 1, "time_start": 0, "time_end": 40000, "type": kind, "name": name, "offset": 0},
        ],
        "listener": {
            **scene.scene["listener"],
            "rotation": [{"sample": 12000.0, "angle": 20.0}, {"sample": 20000.0, "angle": 50.0}],
        },
    }
    changes: dict[str, dict[str, Any]] = {
        "no head turn": {"listener.rotation.1.angle": 20.0},
        "a turn of 0.01 degrees": {"listener.rotation.1.angle": 20.01},
        "more than a full turn": {"listener.rotation.1.angle": 500.0},
        "the turn ends before it begins": {"listener.rotation.1.sample": 8000.0},
        "the turn ends after the scene": {"listener.rotation.1.sample": 60000.0},
        "the turn begins before the scene": {"listener.rotation.0.sample": -5000.0},
        "no interferer": {"interferers": []},
        "the interferer begins after its recording": {"interferers.0.offset": 10**9},
        "the target begins after the scene": {"target.time_start": 50000, "target.time_end": 60000},
        "an unknown recording": {"target.name": "no such target"},
        "a room without responses": {"room": "R99999"},
    }
    for index, (what, edits) in enumerate(changes.items()):
        edited = copy.deepcopy(plain)
        edited["scene"] = f"S{80000 + index:05d}"
        for path, value in edits.items():
            *parents, last = path.split(".")
            place: Any = edited
            for key in parents:
                place = place[int(key)] if isinstance(place, list) else place[key]
            place[last] = value
        yield what, edited


def _metric_edge(metric: str, name: str, reference: np.ndarray, processed: np.ndarray, **changes: Any) -> Case:
    arguments = {"reference_rate": RATE, "processed_rate": RATE, "level": 65.0, "seed": 1, **AUDIOGRAM, **changes}
    if metric != "haspi":
        arguments["equalisation"] = 1
    return Case(f"{metric}: {name}", name, {"reference": reference, "processed": processed}, arguments)
