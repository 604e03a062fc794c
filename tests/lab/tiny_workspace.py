"""A workspace with one short scene and one short song, enhanced and scored by the stages themselves."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
from ruamel.yaml import YAML

from hearlab.audio import write_wav
from hearlab.datasets.layout import MICROPHONES, STEMS, Workspace, scene_file

REPOSITORY = Path(__file__).resolve().parents[2]
RATE = 44100
SCENE, SONG = "S1", "Ærø - Où"
STAGES = ("enhance_speech", "score_speech", "enhance_music", "score_music")
FREQUENCIES = [250, 500, 1000, 2000, 4000, 6000]
LISTENERS = {
    name: {"name": name, "audiogram_cfs": FREQUENCIES, "audiogram_levels_l": left, "audiogram_levels_r": right}
    for name, left, right in (("L1", [10] * 6, [20] * 6), ("L2", [20, 25, 35, 45, 60, 65], [25, 30, 40, 50, 60, 70]))
}
OWN = """\
import numpy as np

print("loaded")


class Mine:
    def __init__(self, *, gain=2.0):
        self.gain = gain

    def speech(self, microphones, rate, listener):
        print("speech for", listener.id)
        return self.gain * microphones["CH1"]

    def music(self, stems, rate, listener):
        return {name: self.gain * stem for name, stem in stems.items()}
"""


def put(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))


def syllables(seed: int, seconds: float) -> np.ndarray:
    """Something that HASPI can score: noise in bursts, shape (n, 2)."""
    random = np.random.default_rng(seed)
    time = np.arange(round(seconds * RATE)) / RATE
    tone = sum(np.sin(2 * np.pi * 140 * k * time) / k for k in range(1, 20))
    burst = (0.5 + 0.5 * np.sin(2 * np.pi * 4 * time + seed)) ** 2
    return 0.03 * (tone * burst)[:, np.newaxis] + 0.002 * random.standard_normal((time.size, 2))


def make_workspace(root: Path, **changes: Any) -> Path:
    """Inputs only; `changes` of params.yaml as `enhance__gain=3`."""
    yaml = YAML()
    params = yaml.load((REPOSITORY / "params.yaml").read_text())
    for name, value in changes.items():
        section, _, key = name.partition("__")
        params[section][key] = value
    root.mkdir(parents=True, exist_ok=True)
    with (root / "params.yaml").open("w") as file:
        yaml.dump(params, file)
    files = Workspace(root / "data" / "demo")
    put(files.clarity.listeners, LISTENERS)
    put(files.clarity.scenes_listeners("dev"), {SCENE: ["L1", "L2"]})
    put(files.scenes("dev"), [{"scene": SCENE, "SNR": 1.0, "room": "R1"}])
    clean, noise = syllables(1, 1.2), syllables(5, 1.2)[::-1]
    signals = {"target_anechoic": clean, "target": 0.5 * clean + 0.1 * np.roll(clean, 900, axis=0)}
    for channel in range(len(MICROPHONES)):
        for name, samples in (signals | {"mix": signals["target"] + (0.3 + 0.1 * channel) * noise}).items():
            path = scene_file(files.rendered("dev"), SCENE, name, channel)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_wav(path, (32767 * samples).astype(np.int16), RATE)
    data = files.cadenza
    put(data.listeners("valid"), {"L2": LISTENERS["L2"]})
    put(data.songs("valid"), [{"Track Name": SONG, "Split": "valid"}])
    parts = {stem: (16000 * syllables(seed, 1.0)).astype(np.int16) for seed, stem in enumerate(STEMS)}
    for folder, factor in ((data.song("valid", SONG), 1), (files.separated / SONG, 0.5)):
        folder.mkdir(parents=True)
        for name, samples in (parts | {"mixture": sum(parts.values())}).items():
            write_wav(folder / f"{name}.wav", (factor * samples).astype(np.int16), RATE)
    return root


def table(path: Path) -> dict[tuple[str, str], dict[str, float]]:
    """Pair -> column -> score, as a table of scores gives them."""
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    return {(row[0], row[1]): dict(zip(header[2:], map(float, row[2:]), strict=True)) for row in rows}
