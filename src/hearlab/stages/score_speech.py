"""Stage score_speech: better-ear scores of every scene-listener pair, enhanced and unprocessed, by each metric."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearlab.audio import read_audio, rms
from hearlab.compute.units import Unit
from hearlab.datasets.layout import METRICS_FOLDER, SAMPLE_RATE, enhanced_file, scene_file
from hearlab.errors import InputError
from hearlab.files import write_json
from hearlab.listeners import Listener, listener_from_entry
from hearlab.metrics import unit_seed
from hearlab.metrics.speech import BinauralReference
from hearlab.named import load_named
from hearlab.params import Params
from hearlab.params.subsets import SUBSET
from hearlab.scoring.tracks import CONDITIONS, ENHANCED, TRACKS, UNPROCESSED, Metric
from hearlab.stages.common import (
    DECIMALS,
    evaluated_subset,
    file_state,
    files_of_scenes,
    read_list,
    scene_listener_pairs,
    workspace,
    write_table,
)

TRACK = TRACKS["speech"]
SECONDS = 0.08  # of a scene of 6.5 s in both conditions by HASPI: measured


def units(params: Params) -> list[Unit]:
    """One for each scene-listener pair."""
    pairs, files = scene_listener_pairs(params), files_of_scenes(params)
    return [pair_unit(params, scene, listener, files[scene]) for scene, listener in pairs]


def finish(params: Params, results: Sequence[dict[str, Any]]) -> None:
    """Write the score tables."""
    scenes = read_list(workspace(params).scenes(params.evaluate.split), "scene")
    snrs = {scene["scene"]: scene.get("SNR") for scene in scenes}
    write_results(Path(METRICS_FOLDER), results, snrs, _metrics(params), subset=evaluated_subset(params, TRACK.cluster))


def _metrics(params: Params) -> tuple[Metric, ...]:
    return TRACK.chosen(params.evaluate.speech_metrics, "evaluate.speech_metrics")


def pair_unit(params: Params, scene: str, listener: Listener, names: Sequence[str] = ()) -> Unit:
    """The unit of a pair, whether or not the lists name the pair.

    `names` are the files of a scene of own recordings, whose reference may have no target.
    """
    files, channel = workspace(params), params.render.reference_channel
    metrics = _metrics(params)
    conditions = {
        condition: {TRACK.result_key(metric, condition): metric.scorer for metric in metrics}
        for condition in (CONDITIONS if params.evaluate.unprocessed else CONDITIONS[:1])
    }
    scenes, enhanced = files.rendered(params.evaluate.split), files.enhanced
    arguments = {
        "scene": scene,
        "listener": listener.as_entry(),
        "scenes": scenes.as_posix(),
        "enhanced": enhanced.as_posix(),
        "reference_channel": channel,
        "level": params.evaluate.level,
        "conditions": conditions,
    }
    scaled = is_scaled(scene, channel, names)
    if not scaled:
        arguments["scaled"] = False
    inputs = [
        *reference_files(scenes, scene, channel, scaled=scaled),
        *(_processed_file(condition, scenes, enhanced, scene, listener.id, channel) for condition in conditions),
    ]
    return Unit(
        f"{scene} {listener.id}",
        score_unit,
        arguments,
        inputs=tuple(path.as_posix() for path in inputs),
        code=tuple(metric.scorer for metric in metrics),
        group=scene,  # its reference is heard once for all listeners
        seconds=SECONDS,
    )


def score_unit(
    root: Path,
    out: Path,
    *,
    scene: str,
    listener: dict[str, Any],
    scenes: str,
    enhanced: str,
    reference_channel: int,
    level: float,
    conditions: Mapping[str, Mapping[str, str]],
    scaled: bool = True,
) -> dict[str, Any]:
    """Scores of one pair, `{scene, listener, enhanced[, unprocessed]}` and those of further metrics.

    Without `scaled` the reference of own recordings is taken as it is: there is no target whose level it should have.
    `conditions` names the scorer of each key of the result ('module:function'), not the table of tracks: a row that is
    added there makes no score anew. Every condition and metric starts with the scene's own seed.
    """
    person = listener_from_entry(listener["name"], listener)
    files = reference_files((root / scenes).resolve(), scene, reference_channel, scaled=scaled)
    reference = heard_reference(files, tuple(map(file_state, files)), level)
    scores: dict[str, Any] = {"scene": scene, "listener": person.id}
    for condition, scorers in conditions.items():
        path = _processed_file(condition, root / scenes, root / enhanced, scene, person.id, reference_channel)
        signal, _ = read_audio(path, rate=SAMPLE_RATE, channels=2, silence=False)
        try:
            pair = reference.beside(signal, SAMPLE_RATE, person, shared=len(scorers) > 1)
            for key, scorer in scorers.items():
                result = pair.better_ear(load_named(scorer), np.random.RandomState(unit_seed(scene)))
                scores[key] = round(float(result.score), DECIMALS)
        except InputError as error:
            # The metric knows no files: say which one it was given.
            raise InputError(path, f"cannot be scored for {person.id}: {error}") from error
    return scores


def _processed_file(condition: str, scenes: Path, enhanced: Path, scene: str, listener: str, channel: int) -> Path:
    if condition == ENHANCED:
        return enhanced_file(enhanced, scene, listener)
    return scene_file(scenes, scene, "mix", channel)


def is_scaled(scene: str, channel: int, names: Sequence[str]) -> bool:
    """Whether the reference gets the level of a target: of own recordings if there is one, else always."""
    return not names or scene_file(Path(), scene, "target", channel).name in names


def reference_files(scenes: Path, scene: str, channel: int, *, scaled: bool = True) -> tuple[Path, ...]:
    """The target without the room and, if the reference is scaled to it, with the room."""
    signals = ("target_anechoic", "target") if scaled else ("target_anechoic",)
    return tuple(scene_file(scenes, scene, signal, channel) for signal in signals)


@functools.lru_cache(maxsize=1)
def heard_reference(files: tuple[Path, ...], states: tuple[tuple[int, ...], ...], level: float) -> BinauralReference:
    """A scene's reference in both ears, kept for its other listeners; the states of its files are part of the key."""
    return BinauralReference(scene_reference(*files), SAMPLE_RATE, level=level)


def scene_reference(anechoic_file: Path, target_file: Path | None = None) -> NDArray[np.float64]:
    """The anechoic target, shape (n, 2), each ear scaled to the RMS of the target in the room, if there is one."""
    anechoic, _ = read_audio(anechoic_file, rate=SAMPLE_RATE, channels=2, silence=False)
    if target_file is None:
        return anechoic
    target, _ = read_audio(target_file, rate=SAMPLE_RATE, channels=2, silence=False)
    for ear, name in enumerate(("left", "right")):
        for file, signal in ((anechoic_file, anechoic), (target_file, target)):
            if not np.any(signal[:, ear]):
                raise InputError(file, "is silent", field=f"{name} channel")
    wanted, found = ([rms(signal[:, ear]) for ear in (0, 1)] for signal in (target, anechoic))
    scaled: NDArray[np.float64] = anechoic * np.array(wanted) / np.array(found)
    return scaled


def write_results(
    folder: Path,
    scores: Sequence[dict[str, Any]],
    snrs: dict[str, float | None],
    metrics: Sequence[Metric] = (TRACK.headline,),
    *,
    subset: str | None = None,
) -> None:
    """Write the score tables (published columns), their averages, and the points of the scores against SNR.

    The averages of a `subset` say what it is.
    """
    columns = [metric.column for metric in metrics]
    averages: dict[str, dict[str, float | int]] = {metric.name: {"pairs": len(scores)} for metric in metrics}
    points = []
    for condition, name in TRACK.tables.items():
        keys = [TRACK.result_key(metric, condition) for metric in metrics]
        rows = [(s["scene"], s["listener"], *(s[key] for key in keys)) for s in scores if keys[0] in s]
        write_table(folder / name, ("scene", "listener", *columns), rows)
        points += [(scene, listener, snrs.get(scene), condition, *values) for scene, listener, *values in rows]
        if rows:
            for position, average in enumerate(averages.values(), 2):
                average[condition] = round(math.fsum(row[position] for row in rows) / len(rows), DECIMALS)
    for average in averages.values():
        if ENHANCED in average and UNPROCESSED in average:
            average["improvement"] = round(average[ENHANCED] - average[UNPROCESSED], DECIMALS)
    write_table(folder / TRACK.points, ("scene", "listener", "snr", "condition", *columns), points)
    write_json(folder / TRACK.averages, {**({SUBSET: subset} if subset else {}), **averages})
