"""DVC runs a stage again when code changes that its units reach: dvc.yaml names all of it."""

import importlib
from pathlib import Path

import pytest
import yaml

from hearlab.compute.code_identity import modules_reached

ROOT = Path(__file__).resolve().parents[2]

# These name files, tell errors and show progress; no number comes from them.
HARMLESS = {"hearlab.datasets.layout", "hearlab.errors", "hearlab.files", "hearlab.progress", "hearlab.text"}

UNITS = [
    ("render_scenes", "render_unit", ()),
    ("enhance_speech", "enhance_unit", ("hearlab.systems.baseline:Baseline",)),
    ("score_speech", "score_unit", ()),
    ("train_separator", "train_unit", ()),
    ("separate_music", "separate_unit", ()),
    ("enhance_music", "enhance_unit", ("hearlab.systems.baseline:Baseline",)),
    ("score_music", "score_unit", ()),
]


@pytest.mark.parametrize(("stage", "unit", "more"), UNITS)
def test_dependencies_cover_what_the_units_reach(stage: str, unit: str, more: tuple[str, ...]) -> None:
    entry = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"][stage]
    named = [Path(path) for path in entry.get("do", entry)["deps"] if path.startswith("src/")]
    assert all((ROOT / path).exists() for path in named)
    function = getattr(importlib.import_module(f"hearlab.stages.{stage}"), unit)
    reached = modules_reached(function, more) - HARMLESS
    assert f"hearlab.stages.{stage}" in reached
    files = [Path("src", *module.split(".")) for module in sorted(reached)]
    missing = [
        str(file) for file in files if not any(path in (file, file.with_suffix(".py"), *file.parents) for path in named)
    ]
    assert not missing
