"""Stage score_speech: better-ear HASPI of every scene-listener pair, enhanced and unprocessed."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearlab.audio import read_audio, rms
from hearlab.compute.units import Unit
from hearlab.datasets.layout import SAMPLE_RATE, enhanced_file, scene_file
from hearlab.errors import InputError
from hearlab.files import write_json
from hearlab.listeners import Listener, listener_from_entry
from hearlab.metrics import unit_seed
from hearlab.metrics.haspi import BinauralReference
from hearlab.params import Params
from hearlab.stages.common import DECIMALS, METRICS, read_list, scene_listener_pairs, workspace, write_table

CONDITIONS = ("enhanced", "unprocessed")


def units(params: Params) -> list[Unit]:
    """One for each scene-listener pair."""
    return [_pair_unit(params, scene, listener) for scene, listener in scene_listener_pairs(params)]


def finish(params: Params, results: Sequence[dict[str, Any]]) -> None:
    """Write the score tables."""
    scenes = read_list(workspace(params).scenes(params.evaluate.split), "scene")
    write_results(Path(METRICS), results, {scene["scene"]: scene.get("SNR") for scene in scenes})


def _pair_unit(params: Params, scene: str, listener: Listener) -> Unit:
    files, channel = workspace(params), params.render.reference_channel
    conditions = CONDITIONS if params.evaluate.unprocessed else CONDITIONS[:1]
    scenes, enhanced = files.rendered(params.evaluate.split), files.enhanced
    arguments = {
        "scene": scene,
        "listener": listener.as_entry(),
        "scenes": scenes.as_posix(),
        "enhanced": enhanced.as_posix(),
        "reference_channel": channel,
        "level": params.evaluate.level,
        "conditions": list(conditions),
    }
    inputs = [
        *_reference_files(scenes, scene, channel),
        *(_processed_file(condition, scenes, enhanced, scene, listener.id, channel) for condition in conditions),
    ]
    return Unit(
        f"{scene} {listener.id}",
        score_unit,
        arguments,
        inputs=tuple(path.as_posix() for path in inputs),
        group=scene,  # its reference is heard once for all listeners
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
    conditions: Sequence[str],
) -> dict[str, Any]:
    """Scores of one pair: `{scene, listener, enhanced[, unprocessed]}`, each condition with the scene's own seed."""
    person = listener_from_entry(listener["name"], listener)
    files = _reference_files((root / scenes).resolve(), scene, reference_channel)
    reference = _heard_reference(*files, *(file.stat().st_mtime_ns if file.exists() else 0 for file in files), level)
    scores: dict[str, Any] = {"scene": scene, "listener": person.id}
    for condition in conditions:
        path = _processed_file(condition, root / scenes, root / enhanced, scene, person.id, reference_channel)
        signal, _ = read_audio(path, rate=SAMPLE_RATE, channels=2, silence=False)
        rng = np.random.RandomState(unit_seed(scene))
        try:
            result = reference.score(signal, SAMPLE_RATE, person, rng=rng)
        except InputError as error:
            # The metric knows no files: say which one it was given.
            raise InputError(path, f"cannot be scored for {person.id}: {error}") from error
        scores[condition] = round(float(result.score), DECIMALS)
    return scores


def _processed_file(condition: str, scenes: Path, enhanced: Path, scene: str, listener: str, channel: int) -> Path:
    if condition == "enhanced":
        return enhanced_file(enhanced, scene, listener)
    return scene_file(scenes, scene, "mix", channel)


def _reference_files(scenes: Path, scene: str, channel: int) -> tuple[Path, Path]:
    return scene_file(scenes, scene, "target_anechoic", channel), scene_file(scenes, scene, "target", channel)


@functools.lru_cache(maxsize=1)
def _heard_reference(
    anechoic_file: Path, target_file: Path, anechoic_time: int, target_time: int, level: float
) -> BinauralReference:
    """A scene's reference in both ears, kept for its other listeners; the times of change are part of the key."""
    return BinauralReference(scene_reference(anechoic_file, target_file), SAMPLE_RATE, level=level)


def scene_reference(anechoic_file: Path, target_file: Path) -> NDArray[np.float64]:
    """The anechoic target, shape (n, 2), each ear scaled to the RMS of the target in the room."""
    anechoic, _ = read_audio(anechoic_file, rate=SAMPLE_RATE, channels=2, silence=False)
    target, _ = read_audio(target_file, rate=SAMPLE_RATE, channels=2, silence=False)
    for ear, name in enumerate(("left", "right")):
        for file, signal in ((anechoic_file, anechoic), (target_file, target)):
            if not np.any(signal[:, ear]):
                raise InputError(file, "is silent", field=f"{name} channel")
    wanted, found = ([rms(signal[:, ear]) for ear in (0, 1)] for signal in (target, anechoic))
    scaled: NDArray[np.float64] = anechoic * np.array(wanted) / np.array(found)
    return scaled


def write_results(folder: Path, scores: Sequence[dict[str, Any]], snrs: dict[str, float | None]) -> None:
    """Write the score tables (published columns), their averages, and the points of HASPI against SNR."""
    averages: dict[str, float | int] = {"pairs": len(scores)}
    points = []
    for condition, name in zip(CONDITIONS, ("speech", "speech_unprocessed"), strict=True):
        rows = [(s["scene"], s["listener"], s[condition]) for s in scores if condition in s]
        write_table(folder / f"{name}.csv", ("scene", "listener", "haspi"), rows)
        points += [(scene, listener, snrs.get(scene), condition, score) for scene, listener, score in rows]
        if rows:
            averages[condition] = round(math.fsum(score for *_, score in rows) / len(rows), DECIMALS)
    if "enhanced" in averages and "unprocessed" in averages:
        averages["improvement"] = round(averages["enhanced"] - averages["unprocessed"], DECIMALS)
    write_table(folder / "plots" / "haspi_snr.csv", ("scene", "listener", "snr", "condition", "haspi"), points)
    write_json(folder / "speech.json", {"haspi": averages})
