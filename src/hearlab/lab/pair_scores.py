"""One pair of the workspace's result scored with both ears' details, by the pipeline's rule."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hearlab.audio import read_audio
from hearlab.compute.process import OneThread
from hearlab.datasets.layout import SAMPLE_RATE, SIDES, STEMS, enhanced_file
from hearlab.errors import InputError, ParameterError
from hearlab.lab.laboratory import Lab, open_lab
from hearlab.listeners import find_listener, load_listeners
from hearlab.metrics import unit_seed
from hearlab.scoring.tracks import METRICS
from hearlab.stages.common import DECIMALS, file_state, files_of_scenes, workspace
from hearlab.stages.score_speech import heard_reference, is_scaled, reference_files


def score_pair(
    metric: str, name: str, listener: str, *, processed: Path | None = None, listeners: Path | None = None
) -> dict[str, Any]:
    """Score a scene or song of the workspace in the current folder, as its table of scores has it.

    Args:
        metric: its name.
        name: of the scene or song.
        listener: the listener's id.
        processed: what the listener hears: a WAV file (of a song the folder of enhanced music); None takes that of the
            workspace's result.
        listeners: a listeners.json, if another one than that of the data set.

    Returns:
        as `hearlab.metrics.files.score_files`, with 8 decimals of the score and the name; of a song the stems of each
        ear instead of features.

    Raises:
        InputError: a name is not known, the metric is one of the other track, or a file is missing or wrong.
    """
    lab = open_lab()
    material = lab.materials.find(name)
    track = METRICS[metric].track
    if material.track is not track:
        known = ", ".join(one.name for one in material.track.metrics)
        raise ParameterError(material.name, f"is a {material.track.cluster}", found=metric, wanted=known)
    about = {track.cluster: material.name}
    if material.song:
        return about | _song(lab, material.name, listener, processed or workspace(lab.params).enhanced_music, listeners)
    person = _listener(lab, material.name, listener, listeners)
    path = processed or enhanced_file(workspace(lab.params).enhanced, material.name, person.id)
    if not path.is_file():
        advice = None if processed else "dvc repro or dvc pull makes it, or name another one with --processed"
        raise InputError(path, "no such file", wanted="what the listener hears", advice=advice)
    level = lab.params.evaluate.level
    rendered = workspace(lab.params).rendered(lab.params.evaluate.split).resolve()
    names, channel = files_of_scenes(lab.params).get(material.name, []), lab.params.render.reference_channel
    files = reference_files(rendered, material.name, channel, scaled=is_scaled(material.name, channel, names))
    with OneThread() as threads:
        threads.limit()
        reference = heard_reference(files, tuple(map(file_state, files)), level)
        signal, _ = read_audio(path, rate=SAMPLE_RATE, channels=2, silence=False)
        try:
            pair = reference.beside(signal, SAMPLE_RATE, person)
            result = pair.better_ear(METRICS[metric].load(), np.random.RandomState(unit_seed(material.name)))
        except InputError as error:
            raise InputError(path, f"cannot be scored for {person.id}: {error}") from error
    ears = {ear: _details(getattr(result, ear)) for ear in SIDES}
    score = round(float(result.score), DECIMALS)
    return about | {"score": score, **ears, "listener": person.id, "level": level, "processed": os.fspath(path)}


def _listener(lab: Lab, name: str, listener: str, listeners: Path | None) -> Any:
    if listeners is not None:
        return find_listener(load_listeners(listeners), listener, listeners)
    return lab.find(name, listener)[1]


def _details(result: Any) -> dict[str, Any]:
    parts = [part for part in ("score", "nonlinear", "linear") if hasattr(result, part)]
    return {part: float(getattr(result, part)) for part in parts} | {"features": result.features.tolist()}


def _song(lab: Lab, song: str, listener: str, folder: Path, listeners: Path | None) -> dict[str, Any]:
    if listeners is not None:
        raise ParameterError("--listeners", "is for scenes: songs are scored with the listeners of the data set")
    found: Mapping[str, float] = lab.score(song, listener, folder)
    stems = {side: {stem: found[f"{side}_{stem}"] for stem in STEMS} for side in SIDES}
    ears = {side: {"score": sum(values.values()) / len(values), "stems": values} for side, values in stems.items()}
    level = {"level": None, "music_level": lab.params.evaluate.music_level}
    return {"score": found["haaqi"], **ears, "listener": listener, **level, "processed": os.fspath(folder)}
