"""Stage learning_scenes: the demo world's scenes to train the hearing aid with; none unless one is trained.

Each unit makes a room with talkers and sounds of its own, draws its scenes and renders them, so that the demo's inputs
hold nothing of it. The real data have enough scenes: their hearing aid is trained with those of the split train.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hearlab.compute.units import Unit
from hearlab.datasets.layout import ClarityData
from hearlab.files import write_json
from hearlab.params import Params
from hearlab.scenes.builder import build_scenes
from hearlab.scenes.renderer import render_scene, scene_outputs
from hearlab.scenes.rooms import build_rooms
from hearlab.stages.build_scenes import scene_config
from hearlab.stages.common import workspace
from hearlab.stages.render_scenes import MEMORY, render_options

SPLIT = "learning"
FIRST_SCENE = 20001
SEQUENTIAL = "SEQUENTIAL"


def folder(params: Params) -> Path:
    return workspace(params).rendered(SPLIT)


def units(params: Params) -> list[Unit]:
    """One for each room; none if nothing is trained, or if there are real scenes."""
    if not params.trains_enhancer or params.source != "demo" or params.learn.split != SPLIT:
        return []
    from hearlab.datasets.demo import FIRST_LEARNING_ROOM, SENTENCES  # 0.4 s, mostly of scipy.signal

    data = workspace(params).clarity
    render = params.render.model_dump(mode="json", exclude={"source"})
    options = render_options(render)
    heads = [data.hrir(f"{head}-{channel}") for head in params.data.heads for channel in params.scenes.channels]
    rooms = []
    for index in range(params.learn.rooms):
        config = scene_config(
            params,
            "train",
            count=SENTENCES,
            first=FIRST_SCENE + SENTENCES * index,
            room_selection=SEQUENTIAL,
            target_selection=SEQUENTIAL,
            shuffle_rooms=False,
        )
        room = FIRST_LEARNING_ROOM + index
        rooms.append(
            Unit(
                f"R{room:05d}",
                room_unit,
                {
                    "room": room,
                    "seed": params.data_seed,
                    "config": config,
                    "data_root": data.root.as_posix(),
                    "render": render,
                },
                inputs=tuple(path.as_posix() for path in (data.hrir_metadata, *heads)),
                outputs=tuple(name for scene in scene_names(room) for name in scene_outputs(scene, options)),
                memory=MEMORY,
            )
        )
    return rooms


def finish(params: Params, results: Sequence[list[dict[str, Any]]]) -> None:
    """Write the list of the scenes."""
    write_json(workspace(params).scenes(SPLIT), [scene for scenes in results for scene in scenes])


def scene_names(room: int) -> list[str]:
    """The scenes of a room for learning."""
    from hearlab.datasets.demo import FIRST_LEARNING_ROOM, SENTENCES

    first = FIRST_SCENE + SENTENCES * (room - FIRST_LEARNING_ROOM)
    return [f"S{number:05d}" for number in range(first, first + SENTENCES)]


def room_unit(
    root: Path, out: Path, *, room: int, seed: int, config: dict[str, Any], data_root: str, render: dict[str, Any]
) -> list[dict[str, Any]]:
    """Make a room, draw its scenes and render them; returns the scenes as in scenes.*.json."""
    from hearlab.datasets.demo import make_learning_room

    options = render_options(render)
    with tempfile.TemporaryDirectory(prefix="learning-") as made:
        own, given = ClarityData(Path(made)), ClarityData((root / data_root).resolve())
        make_learning_room(own.root, room, seed)
        (own.root / "hrir").symlink_to(given.root / "hrir")
        own.hrir_metadata.symlink_to(given.hrir_metadata)
        (description,) = build_rooms(own.rpf("train"), room, 1, max(config["interferer"]["number"]))
        scenes = build_scenes(config, [description], own.metadata, rng=random.Random(f"{seed} {room}"))
        for scene in scenes:
            render_scene(scene, description, own.root, out, options)
    return scenes
