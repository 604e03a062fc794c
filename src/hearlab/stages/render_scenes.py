"""Stage render_scenes: the scenes of one split to hearing-aid microphone files; one unit per scene.

With `render.source: packaged` they are linked from the package instead: nothing is computed or copied. Where DVC has
the package's files in its cache already (`prepare` put them there), no byte is read either.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hearlab.compute.object_store import link
from hearlab.compute.units import Unit
from hearlab.datasets.required_packages import require
from hearlab.errors import InputError, ParameterError
from hearlab.params import EVAL, Params
from hearlab.scenes.renderer import RenderOptions, render_scene, scene_inputs, scene_outputs
from hearlab.stages.common import read_list, scene_files, workspace

SPLITS = ("train", "dev", "demo", "train_additional", EVAL)
MEMORY = 700 << 20  # measured: 350 MB for the real scene of 6.5 s, imports included
SECONDS = 0.12  # of a demo scene: measured
NAMED = 3  # missing files that the error names
PACKAGED = {"source": "packaged"}  # in the versioned index, where a rendered scene has none


def folder(params: Params, split: str) -> Path:
    return workspace(params).rendered(split)


def check(params: Params, split: str) -> None:
    """There is such a split, and its packages are here. Says where the scenes come from, if they are not rendered."""
    if split not in SPLITS:
        raise ParameterError("hearlab stage render_scenes", "unknown split", found=split, wanted=", ".join(SPLITS))
    files = workspace(params)
    scenes = read_list(files.scenes(split), "scene")
    if scenes:
        require(params, f"render_scenes@{split}")
        if params.scene_source(split) == "packaged":
            options = render_options(params.render.model_dump(mode="json", exclude={"source"}))
            _check_complete([_packaged(scene, options) for scene in scenes], files.clarity.scenes(split))
            sys.stderr.write(f"render_scenes {split}: linked from {files.clarity.scenes(split)}\n")


def units(params: Params, split: str) -> list[Unit]:
    """One for each scene."""
    files = workspace(params)
    render = params.render.model_dump(mode="json", exclude={"source"})
    options = render_options(render)
    scenes = read_list(files.scenes(split), "scene")
    if params.scene_source(split) == "packaged":
        return [_package_unit(scene, files.clarity.scenes(split), options) for scene in scenes]
    rooms_file = files.rooms("train" if split == "train_additional" else split)
    rooms = {room["name"]: room for room in read_list(rooms_file, "name")}
    return [
        Unit(
            scene["scene"],
            render_unit,
            {
                "scene": scene,
                "room": rooms.get(scene.get("room", "")),
                "rooms_file": rooms_file.as_posix(),
                "data_root": files.clarity.root.as_posix(),
                "render": render,
            },
            inputs=_inputs(scene, rooms, files.clarity.root, options),
            outputs=tuple(scene_outputs(scene["scene"], options)),
            memory=MEMORY,
            seconds=SECONDS,
        )
        for scene in scenes
    ]


def _packaged(scene: dict[str, Any], options: RenderOptions) -> list[str]:
    """The files of a scene: of own recordings those that its entry names, else all that rendering makes."""
    return scene_files(scene) or scene_outputs(scene["scene"], options)


def _package_unit(scene: dict[str, Any], package: Path, options: RenderOptions) -> Unit:
    names = _packaged(scene, options)
    return Unit(
        scene["scene"],
        link_unit,
        {"package": package.as_posix(), "names": names},
        inputs=tuple((package / name).as_posix() for name in names),
        outputs=tuple(names),
        light=True,
    )


def _check_complete(scenes: Sequence[Sequence[str]], package: Path) -> None:
    """All files of the scenes are in the package."""
    there = set(os.listdir(package)) if package.is_dir() else set()
    missing = [[name for name in names if name not in there] for names in scenes]
    names = [name for absent in missing for name in absent]
    if names:
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        raise InputError(
            package,
            f"the package lacks files of {sum(map(bool, missing))} of {len(scenes)} scenes",
            found=f"no {', no '.join(names[:NAMED])}{more}",
            advice="hearlab data check names those that are missing; render.source: rendered renders the scenes",
        )


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


def link_unit(root: Path, out: Path, *, package: str, names: list[str]) -> dict[str, str]:
    """Link a scene's files; to another disk by symbolic links, which the memo resolves."""
    for name in names:
        link(os.path.realpath(root / package / name), os.path.join(out, name))
    return PACKAGED
