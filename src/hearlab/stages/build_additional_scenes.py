"""Stage build_additional_scenes: more training scenes, drawn from the training rooms; none unless asked for."""

from __future__ import annotations

from hearlab.files import write_text
from hearlab.params import Params
from hearlab.scenes.builder import build_scenes
from hearlab.scenes.scene_json import scenes_to_json
from hearlab.stages.build_scenes import scene_config
from hearlab.stages.common import read_list, workspace


def run(params: Params) -> None:
    files = workspace(params)
    wanted, counts = params.scenes.additional, params.data.additional
    scenes = []
    if wanted.enabled and counts.scenes:
        config = scene_config(
            params,
            "train",
            count=counts.scenes,
            first=counts.first_scene,
            room_selection=wanted.room_selection,
            target_selection=wanted.target_selection,
            shuffle_rooms=wanted.shuffle_rooms,
        )
        scenes = build_scenes(config, read_list(files.rooms("train"), "name"), files.clarity.metadata)
    write_text(files.scenes("train_additional"), scenes_to_json(scenes))
