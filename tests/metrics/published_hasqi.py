"""Makes published_hasqi.json, beside this file: what pyclarity answers for HASQI on sounds that the tests make.

Run it with the interpreter of the published implementation, which `make peer` installs:
`benchmarks/.peer-venv/bin/python tests/metrics/published_hasqi.py [GOLDEN LISTENERS]`, with the folder of golden values
and listeners.json of the reference material to add the real scene.
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import soundfile
from clarity.evaluator.hasqi import hasqi_v2
from clarity.utils.audiogram import Audiogram, Listener
from sounds import FREQUENCIES, SLOPING_LEVELS, speech_pair

SEED = 2021
# name: reference rate, processed rate, losses, delay in s, equalisation, level
CASES = {
    "16 kHz, flat loss": (16000, 16000, [40] * 8, 0.0, 1, 65.0),
    "24 kHz, sloping loss, delay": (24000, 24000, SLOPING_LEVELS, 0.007, 1, 65.0),
    "44.1 kHz, steep loss, delay, amplified before": (
        44100,
        44100,
        [15, 20, 35, 60, 75, 85, 95, 100],
        0.02,
        2,
        100.0,
    ),
    "16 and 48 kHz, no loss": (16000, 48000, [0] * 8, 0.0, 1, 75.0),
    "inaudible": (24000, 24000, [100] * 8, 0.0, 2, 40.0),
}
SCENE, SCENE_SEED = "S06001", 50854399
LISTENERS = ("L0064", "L0068", "L0008")


def values(answer: tuple) -> list[float]:
    """Score, nonlinear part, linear part and the four features."""
    score, nonlinear, linear, features = answer
    return [float(value) for value in (score, nonlinear, linear, *features)]


def made_speech() -> list[dict]:
    cases = []
    for name, (reference_rate, processed_rate, losses, delay, equalisation, level) in CASES.items():
        reference, processed = speech_pair(reference_rate, processed_rate, delay)
        np.random.seed(SEED)
        audiogram = Audiogram(losses, FREQUENCIES)
        answer = hasqi_v2(reference, reference_rate, processed, processed_rate, audiogram, equalisation, level)
        cases.append(
            {
                "name": name,
                "reference_rate": reference_rate,
                "processed_rate": processed_rate,
                "losses": losses,
                "delay": delay,
                "equalisation": equalisation,
                "level": level,
                "seed": SEED,
                "values": values(answer),
                "next_normal": float(np.random.standard_normal()),
            }
        )
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
    found = json.loads(path.read_text()) if path.exists() else {}
    found["versions"] = {name: version(name) for name in ("pyclarity", "numpy", "scipy")}
    found["values"] = "score, nonlinear part, linear part, four features"
    found["made speech"] = made_speech()
    if len(sys.argv) == 3:
        found[f"scene {SCENE}"] = real_scene(Path(sys.argv[1]), Path(sys.argv[2]))
    lines = [f" {json.dumps(key)}: {one_a_line(value)}" for key, value in found.items()]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")
