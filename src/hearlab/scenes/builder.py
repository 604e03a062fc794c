"""Drawing scenes: rooms, targets, interferers, SNRs and the listener's head turn (Clarity CEC2).

Every draw comes from one `random.Random` in the published order (rooms, then the targets of all scenes, the
interferers of all scenes, all SNRs, all listeners), so that a seed gives the published scenes.

The listener looks to one side of the target and turns towards it when it speaks: the model of the second Clarity
enhancement challenge, after the behavioural studies of Hadley et al. (2019), "Speech, movement, and gaze behaviours
during dyadic conversation in noise", Scientific Reports 9.
"""

from __future__ import annotations

import itertools
import math
import os
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from hearlab.errors import InputError
from hearlab.names import safe_name
from hearlab.scenes.rooms import FARTHEST
from hearlab.scenes.scene_config import WHERE, InterfererConfig, ListenerConfig, SceneConfig, parse_config
from hearlab.scenes.scene_json import rounded
from hearlab.scenes.source_lists import Recording, read_recordings, read_targets

T = TypeVar("T")
Record = dict[str, Any]

INTERFERER_TYPES = ("speech", "noise", "music")
MAX_MUSIC = 1  # music interferers in a scene
LAST_SCENE = 99999  # a scene's name has five digits


def build_scenes(
    config: Mapping[str, Any],
    rooms: Sequence[Mapping[str, Any]],
    metadata_dir: str | os.PathLike[str],
    *,
    rng: random.Random | None = None,
) -> list[dict[str, Any]]:
    """Draw the scenes of one data set.

    Args:
        config: the published keys: `random_seed`, `dataset`, `scene_datasets`, `target`, `interferer`, `snr_range`
            (dB), `listener`, `shuffle_rooms`; times in samples at 44.1 kHz, angles in degrees.
        rooms: rooms as in rooms.*.json.
        metadata_dir: folder of the lists of recordings that the configuration names.
        rng: a random stream to continue; `random.Random(config["random_seed"])` otherwise. The published pipeline
            seeds once and draws train, dev and demo from one stream.

    Returns:
        the scenes as in the published scenes.*.json, floats rounded to four decimals as they are written there.

    Raises:
        InputError: a key of the configuration or a field of a room or recording is missing or wrong, there is no
            room or target, or no interferer is long enough; the line says which.

    Examples:
        >>> build_scenes({"random_seed": 0}, [], "metadata")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        hearlab.errors.InputError: ...
    """
    settings = parse_config(config)
    rng = rng or random.Random(settings.random_seed)
    metadata = Path(metadata_dir)
    _check_rooms(rooms)

    placed = _choose_rooms(rng, settings, rooms)
    scenes = [{"dataset": settings.dataset, "room": room["name"], "scene": name} for name, room in placed]
    _add_targets(rng, settings, scenes, metadata)
    recordings = _InterfererLists(settings.interferer, metadata)
    for scene, (_, room) in zip(scenes, placed, strict=True):
        scene["interferers"] = _draw_interferers(rng, settings.interferer, scene, room, recordings)
    for scene in scenes:
        scene["SNR"] = rounded(rng.uniform(*settings.snr_range))
    for scene, (_, room) in zip(scenes, placed, strict=True):
        positions = room["listener"]["position"], room["target"]["position"]
        rotation = draw_head_turn(rng, settings.listener, scene["target"]["time_start"], *positions)
        head = rng.choice(settings.listener.heads)
        microphones = [f"{head}-{channel}" for channel in settings.listener.channels]
        scene["listener"] = {"rotation": rotation, "hrir_filename": microphones}
    return scenes


def _choose_rooms(
    rng: random.Random, settings: SceneConfig, rooms: Sequence[Mapping[str, Any]]
) -> list[tuple[str, Mapping[str, Any]]]:
    """The name and the room of each scene."""
    wanted = settings.scene_datasets
    if wanted.n_scenes and not rooms:
        raise InputError("rooms", "there is no room for the scenes", found=0, wanted="one or more")
    if wanted.scene_start_index + wanted.n_scenes - 1 > LAST_SCENE:
        raise InputError(
            WHERE,
            "scene numbers must have five digits",
            field="scene_datasets",
            found=f"{wanted.n_scenes} scenes from {wanted.scene_start_index} on",
            wanted=f"at most {LAST_SCENE}",
        )
    available = list(rooms)
    if settings.shuffle_rooms:
        rng.shuffle(available)
    names = [f"S{wanted.scene_start_index + index:05d}" for index in range(wanted.n_scenes)]
    return list(zip(names, _selected(rng, wanted.room_selection, available), strict=False))


def _selected(rng: random.Random, selection: str, items: Sequence[T]) -> Iterator[T]:
    """`items` in turn, again and again, or drawn at random with replacement when the next one is asked for."""
    if selection == "SEQUENTIAL":
        return itertools.cycle(items)
    return (rng.choice(items) for _ in itertools.count())


def _add_targets(rng: random.Random, settings: SceneConfig, scenes: list[Record], metadata: Path) -> None:
    config = settings.target
    path = metadata / config.target_speakers
    targets = [target for target in read_targets(path) if target.dataset == settings.dataset]
    if scenes and not targets:
        raise InputError(
            path, "lists no target of this data set", field="dataset", found="none", wanted=settings.dataset
        )
    rng.shuffle(targets)
    choices = _selected(rng, config.target_selection, targets)
    for scene in scenes:
        target = next(choices)
        before = rng.randint(*config.pre_samples_range)
        after = rng.randint(*config.post_samples_range)
        end = before + target.samples
        scene["target"] = {"name": target.name, "time_start": before, "time_end": end}
        scene["duration"] = end + after


class _InterfererLists:
    """The recordings of each type, in groups, and the files that list them."""

    def __init__(self, config: InterfererConfig, metadata: Path) -> None:
        self.paths = {kind: metadata / getattr(config, f"{kind}_interferers") for kind in INTERFERER_TYPES}
        self.groups = {kind: read_recordings(path, kind) for kind, path in self.paths.items()}

    def draw(self, rng: random.Random, kind: str, scene: Record, length: int) -> Recording:
        """Draw a group, then a recording of the scene's data set in it that has at least `length` samples."""
        groups = self.groups[kind]
        group = rng.choice(groups) if groups else []
        same_set = [recording for recording in group if recording.dataset == scene["dataset"]]
        suitable = [recording for recording in same_set if recording.samples >= length]
        if not suitable:
            longest = max((recording.samples for recording in same_set), default=None)
            among = f" among those like {group[0].name}" if len(groups) > 1 else ""
            raise InputError(
                self.paths[kind],
                f"has no {kind} interferer of data set {scene['dataset']} that is long enough{among} "
                f"for scene {scene['scene']}",
                field="nsamples",
                found="none of this data set" if longest is None else f"{longest} samples at most",
                wanted=f"{length} samples",
            )
        return rng.choice(suitable)


def _draw_interferers(
    rng: random.Random, config: InterfererConfig, scene: Record, room: Mapping[str, Any], recordings: _InterfererLists
) -> list[Record]:
    kinds = _draw_types(rng, config.number)
    available = len(room["interferers"])
    if len(kinds) > available:
        raise InputError(
            f"room {room['name']}",
            "has too few positions",
            field="interferers",
            found=available,
            wanted=f"{len(kinds)} for scene {scene['scene']}",
        )
    positions = sorted(rng.sample(range(1, available + 1), len(kinds)))
    duration = scene["duration"]
    interferers = []
    for position, kind in zip(positions, kinds, strict=True):
        start = min(duration, rng.randint(*config.start_time_range))
        end = max(start, duration - rng.randint(*config.end_early_time_range))
        recording = recordings.draw(rng, kind, scene, end - start)
        offset = rng.randint(0, recording.samples - (end - start))
        times = {"time_start": start, "time_end": end}
        interferers.append({"position": position, **times, "type": kind, "name": recording.name, "offset": offset})
    return interferers


def _draw_types(rng: random.Random, numbers: Sequence[int]) -> list[str]:
    """The types of the interferers; draws with too much music are repeated."""
    number = rng.choice(numbers)
    while True:
        kinds = rng.choices(INTERFERER_TYPES, k=number)
        if kinds.count("music") <= MAX_MUSIC:
            return kinds


def _check_rooms(rooms: Sequence[Mapping[str, Any]]) -> None:
    names = set()
    for index, room in enumerate(rooms):
        name = room.get("name") if isinstance(room, Mapping) else None
        name = safe_name(name, "rooms", f"[{index}].name")
        if name in names:
            raise InputError("rooms", "two rooms have the same name", field=f"[{index}].name", found=name)
        names.add(name)
        for place in ("listener", "target"):
            _check_position(name, place, room.get(place))
        if not isinstance(room.get("interferers"), Sequence):
            raise InputError("rooms", "is not a list of interferers", field=f"{name}.interferers")


def _check_position(name: str, place: str, holder: Any) -> None:
    position = holder.get("position") if isinstance(holder, Mapping) else None
    values: Sequence[Any] = position if isinstance(position, Sequence) and len(position) == 3 else [None]
    if not all(type(value) in (int, float) and -FARTHEST <= value <= FARTHEST for value in values):
        raise InputError(
            "rooms",
            "is not a position",
            field=f"{name}.{place}.position",
            found=repr(position)[:80],
            wanted=f"three numbers from {-FARTHEST:g} to {FARTHEST:g}",
        )


def draw_head_turn(
    rng: random.Random,
    config: ListenerConfig,
    target_onset: int,
    listener_position: Sequence[float],
    target_position: Sequence[float],
) -> list[dict[str, float]]:
    """Draw the start and the end of a head turn.

    Args:
        rng: random stream.
        config: distributions of times (samples) and angles (degrees).
        target_onset: sample at which the target begins.
        listener_position, target_position: in the room, metres.

    Returns:
        two control points, each with `sample` and `angle` (degrees, anticlockwise from the room's x axis).
    """
    # The order of the draws is the published one; the scenes depend on it.
    start = max(target_onset + rng.uniform(*config.relative_start_time_range), 0)
    duration = int(rng.gauss(config.duration_mean, config.duration_sd))
    side = 1 if rng.random() < 0.5 else -1
    deviation = _truncated_gauss(rng, config.angle_initial_sd)
    before = side * math.radians(config.angle_initial_mean + deviation)
    after = side * math.radians(rng.uniform(*config.angle_final_range))
    towards_target = math.atan2(target_position[1] - listener_position[1], target_position[0] - listener_position[0])
    return [
        {"sample": rounded(start), "angle": rounded(math.degrees(towards_target + before))},
        {"sample": rounded(start + duration), "angle": rounded(math.degrees(towards_target + after))},
    ]


def _truncated_gauss(rng: random.Random, deviation: float) -> float:
    """A normal draw with mean 0 that lies within two standard deviations."""
    while abs(value := rng.gauss(0, deviation)) >= 2 * deviation:
        pass
    return value
