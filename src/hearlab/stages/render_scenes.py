"""Stage render_scenes: the scenes of one split to hearing-aid microphone files; one unit per scene."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hearlab.compute.engine import run as run_units
from hearlab.compute.units import Unit
from hearlab.datasets.layout import SOURCE_SPLIT
from hearlab.errors import InputError, ParameterError
from hearlab.params import Params
from hearlab.scenes.renderer import RenderOptions, render_scene
from hearlab.stages.common import read_list, workspace

SPLITS = ("train", "dev", "train_additional")


def run(params: Params, split: str) -> None:
    if split not in SPLITS:
        raise ParameterError("hearlab stage render_scenes", "unknown split", found=split, wanted=", ".join(SPLITS))
    files = workspace(params)
    rooms_file, scenes_file = files.rooms(SOURCE_SPLIT[split]), files.scenes(split)
    rooms = {room["name"]: room for room in read_list(rooms_file, "name")}
    options = RenderOptions(**params.render.model_dump())
    out_dir = files.rendered(split)
    out_dir.mkdir(parents=True, exist_ok=True)
    units = []
    for scene in read_list(scenes_file, "scene"):
        arguments = {
            "scene": scene,
            "room": rooms.get(scene.get("room", "")),
            "rooms_file": rooms_file,
            "data_root": files.clarity.root,
            "out_dir": out_dir,
            "options": options,
        }
        units.append(Unit(scene["scene"], render_unit, arguments))
    run_units(f"render_scenes {split}", units)


def render_unit(
    scene: dict[str, Any],
    room: dict[str, Any] | None,
    rooms_file: Path,
    data_root: Path,
    out_dir: Path,
    options: RenderOptions,
) -> None:
    """Render one scene of a list."""
    if room is None:
        raise InputError(rooms_file, f"lacks a room that scene {scene['scene']} names", found=scene.get("room"))
    render_scene(scene, room, data_root, out_dir, options)
