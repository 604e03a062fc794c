"""Stage enhance_speech: the hearing aid's output for every scene-listener pair."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hearlab.audio import ENHANCED_FULL_SCALE, read_audio, to_pcm16, write_wav
from hearlab.compute.units import Unit
from hearlab.datasets.layout import CHANNELS, SAMPLE_RATE, enhanced_file, scene_file
from hearlab.listeners import listener_from_entry
from hearlab.params import Params
from hearlab.stages.common import files_of_scenes, scene_listener_pairs, workspace
from hearlab.systems.base import check_speech_output, is_native_system, seeded, shared_system, system_arguments

log = logging.getLogger(__name__)


def folder(params: Params) -> Path:
    return workspace(params).enhanced


def check(params: Params) -> None:
    """The system can be constructed."""
    shared_system(**system_arguments(params.enhance))


def units(params: Params) -> list[Unit]:
    """One for each scene-listener pair."""
    scenes, system = workspace(params).rendered(params.evaluate.split), system_arguments(params.enhance)
    pairs, files = scene_listener_pairs(params), files_of_scenes(params)
    listed = []
    for scene, listener in pairs:
        names = files[scene]
        channels = [k for k in range(len(CHANNELS)) if not names or scene_file(Path(), scene, "mix", k).name in names]
        listed.append(
            Unit(
                f"{scene} {listener.id}",
                enhance_unit,
                {
                    "scene": scene,
                    "listener": listener.as_entry(),
                    "scenes": scenes.as_posix(),
                    **system,
                    **({"channels": channels} if names else {}),
                },
                inputs=tuple(scene_file(scenes, scene, "mix", k).as_posix() for k in channels),
                outputs=(enhanced_file(Path(), scene, listener.id).name,),
                code=(system["system"],),
                native=is_native_system(system["system"]),
            )
        )
    return listed


def enhance_unit(
    root: Path,
    out: Path,
    *,
    scene: str,
    listener: dict[str, Any],
    scenes: str,
    system: str,
    constructor: str,
    channels: Sequence[int] = range(len(CHANNELS)),
) -> None:
    """Hand the microphone signals of a scene to the system and write its output with 16 bits.

    `channels` are those that there are: own recordings may have fewer, and the system gets no others.
    """
    person = listener_from_entry(listener["name"], listener)
    microphones: dict[str, Any] = {
        name: read_audio(scene_file(root / scenes, scene, "mix", k), rate=SAMPLE_RATE, channels=2, silence=False)[0]
        for k, name in enumerate(CHANNELS)
        if k in channels
    }
    enhancer = shared_system(system, constructor)
    output = seeded(f"{scene} {person.id}", lambda: enhancer.speech(microphones, SAMPLE_RATE, person))
    output = check_speech_output(output, system)
    path = enhanced_file(out, scene, person.id)
    clipped = int(np.sum(np.abs(output) > 1.0))
    if clipped:
        log.warning("%s: %d samples clipped", path.name, clipped)
    write_wav(path, to_pcm16(output, ENHANCED_FULL_SCALE), SAMPLE_RATE)
