"""Stage enhance_speech: the hearing aid's output for every scene-listener pair."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hearlab.arrays import Array
from hearlab.audio import ENHANCED_FULL_SCALE, read_audio, to_pcm16, write_wav
from hearlab.compute.units import Unit
from hearlab.datasets.layout import CHANNELS, SAMPLE_RATE, enhanced_file, scene_file
from hearlab.enhancement.weights import WEIGHTS, description_file
from hearlab.errors import InputError
from hearlab.kernels.retained_memory import keep_freed_memory
from hearlab.listeners import Listener, listener_from_entry
from hearlab.params import Params
from hearlab.stages.common import files_of_scenes, scene_listener_pairs, workspace
from hearlab.systems.base import (
    EnhancementSystem,
    check_speech_output,
    is_native_system,
    is_own_of_hearlab,
    seeded,
    shared_system,
    system_arguments,
)

log = logging.getLogger(__name__)


def folder(params: Params) -> Path:
    return workspace(params).enhanced


def check(params: Params) -> None:
    """The system can be constructed."""
    weights = trained_weights(params)
    if weights and not weights.is_file():
        raise InputError(weights, "the hearing aid has no weights", advice="train it: dvc repro train_enhancer")
    shared_system(**loaded_arguments(params))
    warn_of_training_scenes(params)


def warn_of_training_scenes(params: Params) -> None:
    """Warn if the hearing aid is scored on what it was trained with."""
    seen, scored = params.learn.split, params.evaluate.split
    # Scenes of train_additional have the rooms and talkers of train.
    if params.trains_enhancer and seen.startswith("train") and scored.startswith("train"):
        log.warning("enhance_speech: warning: the hearing aid was trained with %s, and %s is scored", seen, scored)


def trained_weights(params: Params) -> Path | None:
    """Where train_enhancer leaves the weights of the system, if it trains any."""
    return workspace(params).enhancer / WEIGHTS if params.trains_enhancer else None


def loaded_arguments(params: Params, root: Path = Path()) -> dict[str, str]:
    """What `shared_system` makes the system from, with the weights that were trained for it."""
    arguments, weights = system_arguments(params.enhance, params.system_params), trained_weights(params)
    return {**arguments, "constructor": with_weights(arguments["constructor"], root, weights)} if weights else arguments


def with_weights(constructor: str, root: Path, weights: Path | str) -> str:
    """A constructor's arguments with a file of weights below `root`."""
    return json.dumps({**json.loads(constructor), "weights": str(root / weights)}, sort_keys=True)


def units(params: Params) -> list[Unit]:
    """One for each scene-listener pair."""
    pairs, files = scene_listener_pairs(params), files_of_scenes(params)
    return [pair_unit(params, scene, listener, files[scene]) for scene, listener in pairs]


def pair_unit(params: Params, scene: str, listener: Listener, names: Sequence[str] = ()) -> Unit:
    """The unit of a pair, whether or not the lists name it; `names` are the files of a scene of own recordings."""
    scenes, system = (
        workspace(params).rendered(params.evaluate.split),
        system_arguments(params.enhance, params.system_params),
    )
    channels, weights = channels_of(scene, names), trained_weights(params)
    trained = [] if weights is None else [weights.as_posix(), description_file(weights).as_posix()]
    return Unit(
        f"{scene} {listener.id}",
        enhance_unit,
        {
            "scene": scene,
            "listener": listener.as_entry(),
            "scenes": scenes.as_posix(),
            **system,
            **({"channels": channels} if names else {}),
            **({"weights": trained[0]} if trained else {}),
        },
        inputs=(*(scene_file(scenes, scene, "mix", k).as_posix() for k in channels), *trained),
        outputs=(enhanced_file(Path(), scene, listener.id).name,),
        code=(system["system"],),
        native=is_native_system(system["system"]),
    )


def channels_of(scene: str, names: Sequence[str]) -> list[int]:
    """The microphone pairs that there are of a scene; `names` are its files, or none of a rendered scene, with all."""
    return [k for k in range(len(CHANNELS)) if not names or scene_file(Path(), scene, "mix", k).name in names]


def enhance_unit(
    root: Path,
    out: Path,
    *,
    scene: str,
    listener: dict[str, Any],
    scenes: str,
    system: str,
    constructor: str,
    files: str = "",
    channels: Sequence[int] = range(len(CHANNELS)),
    weights: str = "",
) -> None:
    """Hand the microphone signals of a scene to the system and write its output with 16 bits.

    `channels` are those that there are: own recordings may have fewer, and the system gets no others. `weights` is the
    file that was trained for the system, if one was.
    """
    if weights:
        constructor = with_weights(constructor, root, weights)
    person = listener_from_entry(listener["name"], listener)
    keep_freed_memory()  # new pages for the arrays of every pair take a third of its time
    enhancer = shared_system(system, constructor, files)
    microphones = read_microphones(root / scenes, scene, used_channels(enhancer, system, channels))
    output = enhanced(enhancer, system, microphones, scene, person, scenes)
    write_enhanced(out, scene, person.id, output)


def read_microphones(scenes: Path, scene: str, channels: Sequence[int] = range(len(CHANNELS))) -> dict[str, Array]:
    """What a system is given of a scene in the folder `scenes`: 'CH0' to 'CH3', each (n, 2), at SAMPLE_RATE."""
    return {
        name: read_audio(scene_file(scenes, scene, "mix", k), rate=SAMPLE_RATE, channels=2, silence=False)[0]
        for k, name in enumerate(CHANNELS)
        if k in channels
    }


def used_channels(enhancer: EnhancementSystem, system: str, channels: Sequence[int]) -> Sequence[int]:
    """The microphone pairs that are read: of HearLab's systems only those that they use, if these are all there."""
    names = getattr(enhancer, "SPEECH_MICROPHONES", CHANNELS) if is_own_of_hearlab(system) else CHANNELS
    used = [k for k, name in enumerate(CHANNELS) if name in names]
    return used if set(used) <= set(channels) else channels


def enhanced(
    enhancer: EnhancementSystem, system: str, microphones: dict[str, Array], scene: str, person: Listener, scenes: str
) -> Array:
    """The output of a system, shape (n, 2), checked; `system` and the folder `scenes` are for errors. It is seeded.

    Raises:
        InputError: the output is none, or the system asks for microphones that own recordings do not have.
    """
    try:
        output = seeded(f"{scene} {person.id}", lambda: enhancer.speech(microphones, SAMPLE_RATE, person))
    except KeyError as error:
        wanted = error.args[0] if error.args else None
        if wanted not in CHANNELS or wanted in microphones:
            raise
        raise InputError(
            scenes,
            f"{scene} has no microphones {wanted}, which {system} asks for",
            found=", ".join(microphones),
            wanted=wanted,
            advice="import the data set with recordings of them (docs/own-data.md), or take a system that needs none",
        ) from error
    return check_speech_output(output, system)


def write_enhanced(out: Path, scene: str, listener: str, output: Array) -> Path:
    """Write a system's output into the folder `out` with 16 bits; returns the file."""
    path = enhanced_file(out, scene, listener)
    clipped = int(np.sum(np.abs(output) > 1.0)) if output.max() > 1.0 or output.min() < -1.0 else 0
    if clipped:
        log.warning("%s: %d samples clipped", path.name, clipped)
    write_wav(path, to_pcm16(output, ENHANCED_FULL_SCALE), SAMPLE_RATE)
    return path
