"""Stage enhance_speech: the hearing aid's output for every scene-listener pair."""

from __future__ import annotations

import functools
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np

from hearlab.audio import ENHANCED_FULL_SCALE, read_audio, to_pcm16, write_wav
from hearlab.compute.engine import run as run_units
from hearlab.compute.units import Unit
from hearlab.datasets.layout import CHANNELS, SAMPLE_RATE, enhanced_file, scene_file
from hearlab.listeners import Listener
from hearlab.params import Params
from hearlab.stages.common import scene_listener_pairs, system_params, workspace
from hearlab.systems.base import EnhancementSystem, check_speech_output, load_system

log = logging.getLogger(__name__)


def run(params: Params) -> None:
    files = workspace(params)
    files.enhanced.mkdir(parents=True, exist_ok=True)
    system = params.enhance.system
    constructor = json.dumps(system_params(params.enhance), sort_keys=True)
    _system(system, constructor)  # a wrong system is told once, before any work
    units = [
        Unit(
            f"{scene} {listener.id}",
            enhance_unit,
            {
                "scene": scene,
                "listener": listener,
                "scenes": files.rendered(params.evaluate.split),
                "out_dir": files.enhanced,
                "system": system,
                "constructor": constructor,
            },
        )
        for scene, listener in scene_listener_pairs(params)
    ]
    run_units("enhance_speech", units)


@functools.lru_cache(maxsize=1)
def _system(name: str, constructor: str) -> EnhancementSystem:
    """One instance per process, so that a network is loaded once."""
    return load_system(name, json.loads(constructor))


def enhance_unit(scene: str, listener: Listener, scenes: Path, out_dir: Path, system: str, constructor: str) -> None:
    """Hand the microphone signals of a scene to the system and write its output with 16 bits."""
    microphones: dict[str, Any] = {
        name: read_audio(scene_file(scenes, scene, "mix", channel), rate=SAMPLE_RATE, channels=2, silence=False)[0]
        for channel, name in enumerate(CHANNELS)
    }
    output = check_speech_output(_system(system, constructor).speech(microphones, SAMPLE_RATE, listener), system)
    path = enhanced_file(out_dir, scene, listener.id)
    clipped = int(np.sum(np.abs(output) > 1.0))
    if clipped:
        log.warning("%s: %d samples clipped", path.name, clipped)
    write_wav(path, to_pcm16(output, ENHANCED_FULL_SCALE), SAMPLE_RATE)
