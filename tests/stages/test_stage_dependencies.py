"""DVC runs a stage again when code changes that its result depends on: dvc.yaml names all of it, and no more."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from hearlab.params import DataSets
from hearlab.stages import STAGES, module_name

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src"

# What cannot change a result, with all in it and all that only it imports.
HARMLESS = (
    "hearlab.arrays",  # types
    "hearlab.errors",  # how an error is worded
    "hearlab.text",
    "hearlab.progress",
    "hearlab.files",  # reads and writes what it is given; the layout of JSON in metrics/ is fixed by their tests
    "hearlab.named",
    "hearlab.names",  # what it does not refuse, it gives back as it is
    "hearlab.ranges",  # they only refuse
    "hearlab.learners",  # a name: another one is another value of enhance.system
    "hearlab.datasets.scene_lists",  # the same
    "hearlab.compute",  # where and when units run
    "hearlab.versions",  # git and DVC
    "hearlab.datasets.download",  # the bytes have the checksum that was asked for, or there are none
    "hearlab.datasets.packages",  # what is linked has the bytes that its receipt says
    "hearlab.datasets.required_packages",  # refuses to start without data
)
# To link the real data anew takes minutes. So `prepare` and `prepare_music` depend on what makes or links their own
# data set, and on nothing that changes for other reasons: that the demo's files stay as they are is tested with it.
HARMLESS_TO_PREPARE = (
    "hearlab.audio",
    "hearlab.datasets.layout",
    "hearlab.listeners",
    "hearlab.params",
    "hearlab.stages.common",
)
# Which models there are and whether one can be trained: this decides about weights, and nothing else.
DECIDES_WEIGHTS = ("check_params", "train_separator", "separate_music")
HARMLESS_TO = {
    "check_params": ("hearlab.metrics",),  # the table of tracks names them; here they are looked up, and not run
    "prepare": (*HARMLESS_TO_PREPARE, "hearlab.datasets.song_lists"),
    "prepare_music": HARMLESS_TO_PREPARE,  # but for the song lists, which it checks
    # A result is logged once; other code for logging does not change the identity of the result.
    "track": ("hearlab.tracking", "hearlab.stages.common", "hearlab.params"),
}


def source(module: str) -> Path | None:
    """The file of a module of HearLab."""
    path = SOURCE.joinpath(*module.split("."))
    return next((file for file in (path / "__init__.py", path.with_suffix(".py")) if file.is_file()), None)


@functools.cache  # most stages reach the same modules
def mentions(module: str) -> frozenset[str]:
    """The modules that a module imports, anywhere in it, or names in a text: 'package.module:Class' or 'package.{}'."""
    return frozenset(_mentions(source(module)))


def _mentions(path: Path | None) -> Iterator[str]:
    assert path is not None
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))
        elif isinstance(node, ast.JoinedStr) and isinstance(first := node.values[0], ast.Constant):
            start = str(first.value)
            if start.startswith("hearlab."):
                yield from (f"{start}{file.stem}" for file in SOURCE.joinpath(*start.split(".")).glob("*.py"))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("hearlab."):
            yield node.value.partition(":")[0]


def with_packages(module: str) -> Iterator[str]:
    """A module and the packages that are imported with it."""
    parts = module.split(".")
    yield from (".".join(parts[:count]) for count in range(2, len(parts) + 1))


@functools.cache
def reached(stage: str) -> frozenset[str]:
    """All modules whose code can change the stage's result."""
    harmless = HARMLESS + HARMLESS_TO.get(stage, ())
    harmless += () if stage in DECIDES_WEIGHTS else ("hearlab.separators",)
    # The package of the stages is what runs them.
    pending, found = [module_name(stage)], set[str]()
    while pending:
        module = pending.pop()
        if module in found or module == "hearlab.stages" or source(module) is None:
            continue
        if any(f"{module}.".startswith(f"{name}.") for name in harmless):
            continue
        found.add(module)
        for name in mentions(module):
            if name.startswith("hearlab."):
                pending += with_packages(name)
    return frozenset(found)


@functools.cache
def holds_code(path: Path) -> bool:
    """Whether a file is more than the docstring of a package."""
    return any(not isinstance(node, ast.Expr) for node in ast.parse(path.read_text()).body)


def dependencies(stage: str, entry: dict[str, Any]) -> list[Path]:
    """The paths of code that dvc.yaml names for a stage, for each data set."""
    named = [path for path in entry["deps"] if path.startswith("src/hearlab/")]  # a user's package may be there, too
    return [ROOT / path.replace("${dataset}", name) for path in named for name in DataSets.model_fields]


PIPELINE: dict[str, dict[str, Any]] = {
    name: entry.get("do", entry) for name, entry in yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"].items()
}


def test_the_stages_are_those_of_the_pipeline() -> None:
    assert set(PIPELINE) == set(STAGES)
    for name, entry in PIPELINE.items():
        assert entry["cmd"].removesuffix(" ${key}") == f"hearlab stage {name}"


@pytest.mark.parametrize("stage", PIPELINE)
def test_dependencies_are_what_the_stage_s_module_imports(stage: str) -> None:
    named = dependencies(stage, PIPELINE[stage])
    assert [path for path in named if not path.exists()] == []
    files = {path for module in reached(stage) if (path := source(module)) is not None and holds_code(path)}
    missing = {file for file in files if not any(path in (file, *file.parents) for path in named)}
    assert sorted(str(file.relative_to(ROOT)) for file in missing) == []
    # Data files are read by their names.
    unused = [path for path in named if not any(path in (file, *file.parents) for file in files)]
    assert [path for path in unused if path != SOURCE / "hearlab" / "data"] == []


def test_dvc_brings_no_output_back_unread() -> None:
    """From its run cache it would, where no output of a stage is `persist`: one that was altered in place, too."""
    for name, entry in PIPELINE.items():
        kept = [flags for out in entry["outs"] if isinstance(out, dict) for flags in out.values()]
        assert any(flags.get("persist") for flags in kept), name
