"""A program: `FOLDER` runs all stages there, `FOLDER STAGE [ARGUMENT]` one stage in several ways, in copies in FOLDER.

Each way begins in a process that has run nothing before.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from fresh_processes import run

from hearlab.compute import engine
from hearlab.compute.attempts import outcomes
from hearlab.compute.workers.groups import Groups
from hearlab.learners import LEARNED
from hearlab.params import load_params
from hearlab.stages import index_file, module_name, run_stage, stage_units

STAGES = (
    ("render_scenes", "dev"),
    ("learning_scenes",),
    ("train_enhancer",),
    ("enhance_speech",),
    ("score_speech",),
    ("train_separator",),
    ("separate_music",),
    ("fit_music",),
    ("enhance_music",),
    ("score_music",),
)
# Those that have nothing to do for the system of the others.
SYSTEMS = {"learning_scenes": LEARNED, "train_enhancer": LEARNED}
PAIRS = Path("data/demo/inputs/clarity_data/metadata/scenes_listeners.dev.json")


def out(name: str, *arguments: str) -> Path | None:
    """Where the units of a stage write."""
    folder = getattr(importlib.import_module(module_name(name)), "folder", None)
    return folder(load_params(), *arguments) if folder else None


def run_with_system(folder: Path, name: str, do: Callable[[], None]) -> None:
    """Run in a folder, with the system for which the stage has something to do."""
    file = folder / "params.yaml"
    kept = file.read_text()
    params = yaml.safe_load(kept)
    if name in SYSTEMS:
        params["enhance"] |= {"system": SYSTEMS[name], "params": {}}
        file.write_text(yaml.safe_dump(params, sort_keys=False))
    run(folder, do)
    file.write_text(kept)


def all_stages(folder: Path) -> None:
    run(folder, partial(run_stage, "prepare"))
    run(folder, partial(run_stage, "build_scenes", ["dev"]))
    # Few pairs, of which two share a scene.
    pairs = json.loads((folder / PAIRS).read_text())
    few = {scene: names[: 2 - k] for k, (scene, names) in enumerate(pairs.items())}
    (folder / PAIRS).unlink()
    (folder / PAIRS).write_text(json.dumps(few))
    for name, *arguments in STAGES:
        run_with_system(folder, name, partial(run_stage, name, arguments))


def in_all_ways(folder: Path, name: str, *arguments: str) -> None:
    def some(pick: slice, index: Path | None = None) -> None:
        params = load_params()
        units, own = stage_units(name, params, *arguments), index_file(name, params, *arguments)
        assert units[pick]
        engine.run(" ".join((name, *arguments)), units[pick], out(name, *arguments), index or own)

    def all_are_known() -> None:
        def none_left(units: list[Any], *unused: object, **also_unused: object) -> Iterator[Any]:
            assert not units
            yield from ()

        engine.outcomes = none_left  # type: ignore[assignment]
        run_stage(name, arguments)

    def elsewhere(where: str) -> None:
        def rest(self: object, groups: Groups) -> str | None:
            return None if groups.first.light else where

        def not_here(*unused: object) -> None:
            raise AssertionError("not elsewhere")

        os.environ["HEARLAB_WORKERS"] = "2"
        outcomes.QUICK_SECONDS, outcomes._Choice.of = -1.0, rest  # type: ignore[method-assign]
        if where == outcomes.RAY:
            outcomes._run_here = not_here  # type: ignore[assignment]
        run_stage(name, arguments)

    def count() -> None:
        Path("count").write_text(str(len(stage_units(name, load_params(), *arguments))))

    def way(name_of_way: str, do: Callable[[], None]) -> None:
        run_with_system(folder / name_of_way, name, do)

    way("alone", count)
    for k in range(int((folder / "alone" / "count").read_text())):
        way("alone", partial(some, slice(k, k + 1), Path("one.json")))
    way("alone", all_are_known)
    way("reversed", partial(some, slice(None, None, -1)))
    way("workers", partial(elsewhere, outcomes.WORKERS))
    way("ray", partial(elsewhere, outcomes.RAY))


if __name__ == "__main__":
    (in_all_ways if sys.argv[2:] else all_stages)(Path(sys.argv[1]), *sys.argv[2:])
