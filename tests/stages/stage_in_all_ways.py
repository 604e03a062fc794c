"""A program: `FOLDER` runs all stages there, `FOLDER STAGE [ARGUMENT]` one stage in several ways, in copies in FOLDER.

Each way begins in a process that has run nothing before.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from fresh_processes import run

from hearlab.compute import engine
from hearlab.compute.attempts import outcomes
from hearlab.compute.workers.groups import Groups
from hearlab.params import load_params
from hearlab.stages import index_file, module_name, run_stage, stage_units

STAGES = (
    ("render_scenes", "dev"),
    ("enhance_speech",),
    ("score_speech",),
    ("train_separator",),
    ("separate_music",),
    ("fit_music",),
    ("enhance_music",),
    ("score_music",),
)
PAIRS = Path("data/demo/inputs/clarity_data/metadata/scenes_listeners.dev.json")


def out(name: str, *arguments: str) -> Path | None:
    """Where the units of a stage write."""
    folder = getattr(importlib.import_module(module_name(name)), "folder", None)
    return folder(load_params(), *arguments) if folder else None


def all_stages(folder: Path) -> None:
    run(folder, partial(run_stage, "prepare"))
    run(folder, partial(run_stage, "build_scenes", ["dev"]))
    # Few pairs, of which two share a scene.
    pairs = json.loads((folder / PAIRS).read_text())
    few = {scene: names[: 2 - k] for k, (scene, names) in enumerate(pairs.items())}
    (folder / PAIRS).unlink()
    (folder / PAIRS).write_text(json.dumps(few))
    for name, *arguments in STAGES:
        run(folder, partial(run_stage, name, arguments))


def in_all_ways(folder: Path, name: str, *arguments: str) -> None:
    os.chdir(folder / "alone")
    params = load_params()
    units, index = stage_units(name, params, *arguments), index_file(name, params, *arguments)

    def some(chosen: list[Any], index: Path) -> None:
        engine.run(" ".join((name, *arguments)), chosen, out(name, *arguments), index)

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

    for unit in units:
        run(folder / "alone", partial(some, [unit], Path("one.json")))
    run(folder / "alone", all_are_known)
    run(folder / "reversed", partial(some, units[::-1], index))
    run(folder / "workers", partial(elsewhere, outcomes.WORKERS))
    run(folder / "ray", partial(elsewhere, outcomes.RAY))


if __name__ == "__main__":
    (in_all_ways if sys.argv[2:] else all_stages)(Path(sys.argv[1]), *sys.argv[2:])
