"""Scenes of a second or two in the pipeline's files: a talker-like target from ahead, noise from elsewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hearlab.audio import SCENE_FULL_SCALE, to_pcm16, write_wav
from hearlab.datasets.layout import scene_file
from hearlab.listeners import Audiogram, Listener

RATE = 44100
SECONDS = 1.4
FREQUENCIES = [250, 500, 1000, 2000, 4000, 6000]
LISTENERS = [
    Listener("L1", Audiogram([20, 20, 30, 40, 50, 60], FREQUENCIES), Audiogram([15] * 6, FREQUENCIES)),
    Listener("L2", Audiogram([30] * 6, FREQUENCIES), Audiogram([40] * 6, FREQUENCIES)),
]


def write_scene(folder: Path, name: str, seed: int) -> None:
    """The files that a training reads of a scene."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    count = round(SECONDS * RATE)
    time = np.arange(count) / RATE
    speech = (time > 0.3) * (1 + np.sin(2 * np.pi * 4 * time)) * rng.standard_normal(count)
    speech += (time > 0.3) * sum(np.sin(2 * np.pi * k * 150 * time) for k in range(1, 20))
    noise = rng.standard_normal(count + 40)
    for pair in (1, 2, 3):
        target = 0.02 * np.stack([speech, np.roll(speech, seed % 3)], axis=1)
        interferer = 0.02 * np.stack([noise[20:-20], noise[20 - 5 * pair : -20 - 5 * pair]], axis=1)
        for signal, samples in (("target", target), ("interferer", interferer)):
            write_wav(scene_file(folder, name, signal, pair), to_pcm16(samples, SCENE_FULL_SCALE), RATE)
    anechoic = 0.5 * np.stack([speech, speech], axis=1) / np.abs(speech).max()
    write_wav(scene_file(folder, name, "target_anechoic", 1), to_pcm16(anechoic, SCENE_FULL_SCALE), RATE)


def write_scenes(folder: Path, count: int) -> list[tuple[Path, str]]:
    """So many scenes; their folder and names."""
    names = [f"S{number:05d}" for number in range(1, count + 1)]
    for number, name in enumerate(names):
        write_scene(folder, name, number)
    return [(folder, name) for name in names]
