"""Stage render_scenes: the scenes of one split to hearing-aid microphone files; one unit per scene.

With `render.source: packaged` they are linked from the package instead.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hearlab.compute.engine import run as run_units
from hearlab.compute.linking import link_scenes
from hearlab.compute.units import Unit
from hearlab.errors import InputError, ParameterError
from hearlab.params import Params
from hearlab.scenes.renderer import RenderOptions, render_scene, scene_inputs, scene_outputs
from hearlab.stages.common import read_list, workspace
from hearlab.stages.required_packages import require

SPLITS = ("train", "dev", "demo", "train_additional")
MEMORY = 700 << 20  # measured: 350 MB for the real scene of 6.5 s, imports included


def run(params: Params, split: str) -> None:
    if split not in SPLITS:
        raise ParameterError("hearlab stage render_scenes", "unknown split", found=split, wanted=", ".join(SPLITS))
    files = workspace(params)
    stage, index = f"render_scenes {split}", files.index(f"render_scenes.{split}")
    render = params.render.model_dump(mode="json", exclude={"source"})
    options = render_options(render)
    scenes = read_list(files.scenes(split), "scene")
    if scenes:
        require(params, f"render_scenes@{split}")
    if scenes and params.scene_source(split) == "packaged":
        names = {scene["scene"]: scene_outputs(scene["scene"], options) for scene in scenes}
        link_scenes(stage, names, files.clarity.scenes(split), files.rendered(split), index)
        return
    rooms_file = files.rooms("train" if split == "train_additional" else split)
    rooms = {room["name"]: room for room in read_list(rooms_file, "name")}
    units = []
    for scene in scenes:
        name = scene["scene"]
        arguments = {
            "scene": scene,
            "room": rooms.get(scene.get("room", "")),
            "rooms_file": rooms_file.as_posix(),
            "data_root": files.clarity.root.as_posix(),
            "render": render,
        }
        units.append(
            Unit(
                name,
                render_unit,
                arguments,
                inputs=_inputs(scene, rooms, files.clarity.root, options),
                outputs=tuple(scene_outputs(name, options)),
                memory=MEMORY,
            )
        )
    run_units(stage, units, files.rendered(split), index)


def _inputs(scene: dict[str, Any], rooms: dict[str, Any], data_root: Path, options: RenderOptions) -> tuple[str, ...]:
    if scene.get("room") not in rooms:
        return ()  # the unit itself says what is wrong, and the other scenes go on
    try:
        return tuple(path.as_posix() for path in scene_inputs(scene, data_root, options))
    except InputError:
        return ()


def render_options(render: dict[str, Any]) -> RenderOptions:
    """Options from the `render` section of params.yaml."""
    return RenderOptions(**{**render, "channel_norms": tuple(render["channel_norms"])})


def render_unit(
    root: Path,
    out: Path,
    *,
    scene: dict[str, Any],
    room: dict[str, Any] | None,
    rooms_file: str,
    data_root: str,
    render: dict[str, Any],
) -> None:
    """Render one scene of a list."""
    if room is None:
        raise InputError(rooms_file, f"lacks a room that scene {scene['scene']} names", found=scene.get("room"))
    render_scene(scene, room, root / data_root, out, render_options(render))
