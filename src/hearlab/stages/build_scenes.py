"""Stage build_scenes: room files and lists of scenes for every split, from one random stream."""

from __future__ import annotations

import random
from typing import Any

from hearlab.files import write_text
from hearlab.params import Params
from hearlab.scenes.builder import build_scenes
from hearlab.scenes.rooms import build_rooms
from hearlab.scenes.scene_json import rooms_to_json, scenes_to_json
from hearlab.stages.common import workspace

SPLITS = ("train", "dev")


def run(params: Params) -> None:
    files = workspace(params)
    # The published pipeline seeds once and goes on from split to split.
    rng = random.Random(params.data_seed)
    for split in SPLITS:
        counts = getattr(params.data.splits, split)
        rooms = build_rooms(
            files.clarity.rpf(split), counts.first_room, counts.rooms, max(params.scenes.interferers.number)
        )
        config = scene_config(
            params,
            split,
            count=counts.scenes,
            first=counts.first_scene,
            room_selection=counts.room_selection,
            target_selection=params.scenes.target_selection,
            shuffle_rooms=params.scenes.shuffle_rooms,
        )
        scenes = build_scenes(config, rooms, files.clarity.metadata, rng=rng) if counts.scenes else []
        write_text(files.rooms(split), rooms_to_json(rooms))
        write_text(files.scenes(split), scenes_to_json(scenes))


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
            "target_speakers": "target_speech_list.json",
            "target_selection": target_selection,
            "pre_samples_range": list(data.pre_samples_range),
            "post_samples_range": list(data.post_samples_range),
        },
        "interferer": {
            "speech_interferers": "masker_speech_list.json",
            "noise_interferers": "masker_nonspeech_list.json",
            "music_interferers": "masker_music_list.json",
            "number": list(scenes.interferers.number),
            "start_time_range": list(scenes.interferers.start_time_range),
            "end_early_time_range": list(scenes.interferers.end_early_time_range),
        },
        "snr_range": list(scenes.snr_range),
        "listener": {
            "heads": list(data.heads),
            "channels": list(scenes.channels),
            **{
                name: list(value) if isinstance(value, tuple) else value
                for name, value in scenes.head_turn.model_dump().items()
            },
        },
        "shuffle_rooms": shuffle_rooms,
    }
