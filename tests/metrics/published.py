"""Makes published.json, beside this file: what pyclarity answers on sounds that the tests make.

Run it with the interpreter of the published implementation, which `make peer` installs:
`benchmarks/.peer-venv/bin/python tests/metrics/published.py [GOLDEN LISTENERS]`, with the folder of golden values and
listeners.json of the reference material to make the answers of HASQI for the real scene anew, too.
"""

from __future__ import annotations

import json
import sys
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
import soundfile
from clarity.evaluator.haaqi import haaqi_v1
from clarity.evaluator.haspi import eb, haspi, haspi_v2
from clarity.evaluator.hasqi import hasqi_v2
from clarity.utils.audiogram import Audiogram, Listener
from sounds import FREQUENCIES, SLOPING_LEVELS, music_pair, speech_pair

SEED = 2021
SCENE, SCENE_SEED = "S06001", 50854399
LISTENERS = ("L0064", "L0068", "L0008")

STEEP = [15, 20, 35, 60, 75, 85, 95, 100]
# name, reference rate, processed rate, losses, delay in s, arguments of the metric
CASES = {
    "haspi": [
        ("16 kHz, flat loss", 16000, 16000, [40] * 8, 0.0, {"level": 65.0}),
        ("24 kHz, sloping loss, delay", 24000, 24000, SLOPING_LEVELS, 0.007, {"level": 65.0}),
        ("44.1 kHz, steep loss, delay, 100 dB", 44100, 44100, STEEP, 0.02, {"level": 100.0}),
        ("16 and 48 kHz, no loss", 16000, 48000, [0] * 8, 0.0, {"level": 65.0}),
    ],
    "hasqi": [
        ("16 kHz, flat loss", 16000, 16000, [40] * 8, 0.0, {"equalisation": 1, "level": 65.0}),
        ("24 kHz, sloping loss, delay", 24000, 24000, SLOPING_LEVELS, 0.007, {"equalisation": 1, "level": 65.0}),
        ("44.1 kHz, steep loss, amplified before", 44100, 44100, STEEP, 0.02, {"equalisation": 2, "level": 100.0}),
        ("16 and 48 kHz, no loss", 16000, 48000, [0] * 8, 0.0, {"equalisation": 1, "level": 75.0}),
        ("inaudible", 24000, 24000, [100] * 8, 0.0, {"equalisation": 2, "level": 40.0}),
    ],
    "haaqi": [
        ("16 kHz, flat loss", 16000, 16000, [40] * 8, 0.0, {"equalisation": 1, "level": 80.0}),
        ("24 kHz, sloping loss, delay", 24000, 24000, SLOPING_LEVELS, 0.007, {"equalisation": 1, "level": 85.0}),
        ("44.1 kHz, steep loss, amplified before", 44100, 44100, STEEP, 0.02, {"equalisation": 2, "level": 100.0}),
        ("16 and 48 kHz, no loss", 16000, 48000, [0] * 8, 0.0, {"equalisation": 1, "level": 75.0}),
    ],
}
SHIFT = "basal_shift"
for cases in CASES.values():
    _, *case, arguments = cases[1]
    cases.append(("basal shift of MATLAB", *case, arguments | {SHIFT: 0.02}))
METRICS = {"haspi": (haspi_v2, speech_pair), "hasqi": (hasqi_v2, speech_pair), "haaqi": (haaqi_v1, music_pair)}


EAR_MODEL = eb.ear_model


def shifted_ear_model(wanted: float | None, *arguments: object, **others: object) -> tuple:
    """The published ear model with another basal shift than the metrics ask for."""
    return EAR_MODEL(*arguments, **others | {"shift": wanted})


def values(answer: tuple) -> list[float]:
    """Score, the nonlinear and the linear part of a quality metric, features."""
    *parts, features = answer
    return [float(value) for value in (*parts, *features)]


def made_sounds(metric: str) -> list[dict]:
    function, make_pair = METRICS[metric]
    cases = []
    for name, reference_rate, processed_rate, losses, delay, arguments in CASES[metric]:
        reference, processed = make_pair(reference_rate, processed_rate, delay)
        level, others = arguments["level"], {k: v for k, v in arguments.items() if k not in ("level", SHIFT)}
        haspi.ear_model = eb.ear_model = partial(shifted_ear_model, arguments.get(SHIFT))
        np.random.seed(SEED)
        answer = function(
            reference,
            reference_rate,
            processed,
            processed_rate,
            Audiogram(losses, FREQUENCIES),
            level1=level,
            **others,
        )
        case = {"name": name, "rates": [reference_rate, processed_rate], "losses": losses, "delay": delay}
        case |= {"arguments": arguments, "values": values(answer), "next_normal": float(np.random.standard_normal())}
        cases.append(case)
    return cases


def real_scene(golden: Path, listeners: Path) -> list[dict]:
    render = golden / "render"
    anechoic, rate = soundfile.read(render / f"{SCENE}_target_anechoic_CH1.flac")
    target, _ = soundfile.read(render / f"{SCENE}_target_CH1.flac")
    reference = anechoic * np.sqrt(np.mean(target**2, axis=0) / np.mean(anechoic**2, axis=0))
    people = json.loads(listeners.read_text())
    cases = []
    for name in LISTENERS:
        person = Listener.from_dict(people[name])
        for condition in ("enhanced", "unprocessed"):
            enhanced = golden / f"{SCENE}_{name}_HA-output.flac"
            processed, _ = soundfile.read(enhanced if condition == "enhanced" else render / f"{SCENE}_mix_CH1.flac")
            np.random.seed(SCENE_SEED)
            left, right = (
                values(hasqi_v2(reference[:, ear], rate, processed[:, ear], rate, audiogram, 1, 100.0))
                for ear, audiogram in enumerate((person.audiogram_left, person.audiogram_right))
            )
            cases.append({"listener": name, "condition": condition, "left": left, "right": right})
    return cases


def one_a_line(content: object) -> str:
    """JSON with one case a line."""
    if isinstance(content, list):
        return "[\n" + ",\n".join(f"  {json.dumps(case)}" for case in content) + "\n ]"
    return json.dumps(content)


if __name__ == "__main__":
    path = Path(__file__).with_suffix(".json")
    scene = f"hasqi {SCENE}"
    found: dict = {"seed": SEED, "versions": {name: version(name) for name in ("pyclarity", "numpy", "scipy")}}
    found |= {metric: made_sounds(metric) for metric in METRICS}
    found[scene] = real_scene(*map(Path, sys.argv[1:])) if sys.argv[1:] else json.loads(path.read_text())[scene]
    lines = [f" {json.dumps(key)}: {one_a_line(value)}" for key, value in found.items()]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")
