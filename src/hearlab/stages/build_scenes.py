"""Stage build_scenes: the rooms and the scenes of a split, drawn from one random stream that all splits share."""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hearlab.datasets.layout import SOURCE_SPLIT, Workspace
from hearlab.datasets.required_packages import require
from hearlab.errors import ParameterError
from hearlab.files import write_json, write_text
from hearlab.params import EVAL, Params, SplitCounts
from hearlab.scenes.builder import build_scenes
from hearlab.scenes.rooms import build_rooms
from hearlab.scenes.scene_json import rooms_to_json, scenes_to_json
from hearlab.scenes.source_lists import read_targets
from hearlab.stages.common import read_list, workspace

# The published pipeline seeds once and goes on from split to split, in this order.
SPLITS = ("train", "dev", "demo", EVAL)
TARGETS = "target_speech_list.json"

log = logging.getLogger(__name__)


def run(params: Params, split: str | None = None) -> None:
    """Build one split, or all of them.

    Raises:
        ParameterError: there is no such split.
        InputError: the split's rooms or the lists of recordings are missing or wrong.
    """
    if split is not None and split not in SPLITS:
        raise ParameterError("hearlab stage build_scenes", "unknown split", found=split, wanted=", ".join(SPLITS))
    files = workspace(params)
    rng = random.Random(params.data_seed)
    for name in SPLITS if split is None else SPLITS[: SPLITS.index(split) + 1]:
        counts = getattr(params.data.splits, name)
        if params.source == "own" or not isinstance(counts, SplitCounts):
            if split in (None, name):
                _take_lists(files, name)
            continue
        if split not in (None, name):
            # Only to bring the stream to where the wanted split begins.
            _draw(params, name, counts, stand_in_rooms(params, counts), rng)
            continue
        rooms = []
        if counts.rooms:
            require(params, f"build_scenes@{name}")
            most = max(params.scenes.interferers.number)
            rooms = build_rooms(files.clarity.rpf(name), counts.first_room, counts.rooms, most)
        texts = rooms_to_json(rooms), scenes_to_json(_draw(params, name, counts, rooms, rng))
        places = files.rooms(name), files.scenes(name)
        for text, place, key in zip(texts, places, ("name", "scene"), strict=True):
            write_text(place, text)
            _compare_with_package(name, files.clarity.metadata / place.name, json.loads(text), key)


def _take_lists(files: Workspace, split: str) -> None:
    """The lists of scenes that were not built here: those in the metadata; empty ones where there are none."""
    for place, key in ((files.rooms(split), "name"), (files.scenes(split), "scene")):
        given = files.clarity.metadata / place.name
        entries = read_list(given, key) if given.exists() else []
        write_json(place, entries)


def stand_in_rooms(params: Params, counts: SplitCounts) -> list[dict[str, Any]]:
    """Rooms that lead to the same draws as a split's real ones: how many they are, and how many positions they have.

    Positions in a room decide angles, but no draw. So the scenes of one split can be drawn without the
    packages of those before it.
    """
    nowhere = {"position": [0.0, 0.0, 0.0]}
    positions = [nowhere] * max(params.scenes.interferers.number)
    return [
        {"name": f"R{number:05d}", "listener": nowhere, "target": nowhere, "interferers": positions}
        for number in range(counts.first_room, counts.first_room + counts.rooms)
    ]


def _draw(
    params: Params, split: str, counts: SplitCounts, rooms: list[dict[str, Any]], rng: random.Random
) -> list[dict[str, Any]]:
    if not counts.scenes:
        return []
    metadata = workspace(params).clarity.metadata
    config = scene_config(
        params,
        _recordings(params, split),
        count=counts.scenes,
        first=counts.first_scene,
        room_selection=counts.room_selection,
        target_selection=params.scenes.target_selection,
        shuffle_rooms=params.scenes.shuffle_rooms,
    )
    return [{**scene, "dataset": split} for scene in build_scenes(config, rooms, metadata, rng=rng)]


def _recordings(params: Params, split: str) -> str:
    """The split whose recordings are used: the demo's own if there are any, else those of dev."""
    if split == SOURCE_SPLIT[split]:
        return split
    targets = read_targets(workspace(params).clarity.metadata / TARGETS)
    return split if any(target.dataset == split for target in targets) else SOURCE_SPLIT[split]


def scene_config(
    params: Params,
    split: str,
    *,
    count: int,
    first: int,
    room_selection: str,
    target_selection: str,
    shuffle_rooms: bool,
) -> dict[str, Any]:
    """The configuration of `build_scenes`, with the published keys."""
    scenes, data = params.scenes, params.data
    return {
        "random_seed": params.data_seed,
        "dataset": split,
        "scene_datasets": {"n_scenes": count, "room_selection": room_selection, "scene_start_index": first},
        "target": {
            "target_speakers": TARGETS,
            "target_selection": target_selection,
            "pre_samples_range": list(data.pre_samples_range),
            "post_samples_range": list(data.post_samples_range),
        },
        "interferer": {
            "speech_interferers": "masker_speech_list.json",
            "noise_interferers": "masker_nonspeech_list.json",
            "music_interferers": "masker_music_list.json",
            **scenes.interferers.model_dump(mode="json"),
        },
        "snr_range": list(scenes.snr_range),
        "listener": {
            "heads": list(data.heads),
            "channels": list(scenes.channels),
            **scenes.head_turn.model_dump(mode="json"),
        },
        "shuffle_rooms": shuffle_rooms,
    }


def _compare_with_package(split: str, packaged: Path, built: Sequence[dict[str, Any]], key: str) -> None:
    """Warn in one line if a list differs from the package's.

    The package may have no such list, or more entries, where fewer scenes are built.

    Args:
        split: of the scenes.
        packaged: rooms.*.json or scenes.*.json in the package's metadata.
        built: what was built, as it was written.
        key: 'name' of rooms, 'scene' of scenes.
    """
    if not packaged.exists():
        return
    listed = {entry[key]: entry for entry in read_list(packaged, key)}
    found = [f"{entry[key]}{how}" for entry in built if (how := difference(listed.get(entry[key]), entry)) is not None]
    if found:
        log.warning(
            "build_scenes %s: %d of %d differ from the package's %s; %s",
            split,
            len(found),
            len(built),
            packaged.name,
            found[0],
        )


def difference(packaged: Any, built: Any, where: str = "") -> str | None:
    """The first place at which two values differ, and how: `.SNR: built 1.0, packaged 2.0`."""
    if packaged == built:
        return None
    if packaged is None:
        return f"{where}: not in the package"
    parts: list[tuple[str, Any, Any]] = []
    if isinstance(packaged, dict) and isinstance(built, dict):
        # What only the package has is no difference.
        parts = [(f"{where}.{name}", packaged.get(name), value) for name, value in built.items()]
    elif isinstance(packaged, list) and isinstance(built, list) and len(packaged) == len(built):
        parts = [(f"{where}[{k}]", *both) for k, both in enumerate(zip(packaged, built, strict=True))]
    else:
        return f"{where}: built {built}, packaged {packaged}"
    return next((found for place, theirs, ours in parts if (found := difference(theirs, ours, place))), None)
