"""The identity of code: what a unit can reach changes it, everything else does not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from forked import Forks, forks
from hearlab.compute.code.definitions import Reached
from hearlab.compute.code_identity import code_identity
from hearlab.scoring.tracks import METRICS
from hearlab.separation.openunmix import load as load_openunmix
from hearlab.stages.enhance_music import enhance_unit as enhance_songs
from hearlab.stages.enhance_speech import enhance_unit
from hearlab.stages.render_scenes import render_unit
from hearlab.stages.score_music import score_unit as score_songs
from hearlab.stages.score_speech import score_unit
from hearlab.stages.separate_music import separate_unit

UNIT = '''
"""A unit."""
import numpy as np
from lab.tools import double as twice, Plan
from lab import constants
from . import local


def unit(root, out, *, x):
    """Docstring."""
    from lab.late import later
    # a comment
    return twice(x) + constants.OFFSET + later(x) + local.add(x) + Plan().run() + np.sum(x)


def unused():
    return "not reached"
'''
TOOLS = """
FACTOR = 2
UNUSED = 3

def double(x):
    return FACTOR * x

def other(x):
    return UNUSED * x

class Plan:
    def run(self):
        return helper()

def helper():
    return 1
"""
FILES = {
    "lab/__init__.py": "",
    "lab/unit.py": UNIT,
    "lab/tools.py": TOOLS,
    "lab/constants.py": "OFFSET = 1\nOTHER = 2\n",
    "lab/late.py": "def later(x):\n    return x\n",
    "lab/local.py": "def add(x):\n    return x\n",
    "lab/elsewhere.py": "VALUE = 1\n",
}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return tmp_path


@pytest.fixture(scope="module")
def fresh() -> Iterator[Forks]:
    with forks("from hearlab.compute.code_identity import code_identity") as processes:
        yield processes


def identity(fresh: Forks, package: Path, more: str = "") -> str:
    """In a fresh process, because modules are parsed once."""
    code = (
        "from lab.unit import unit; from hearlab.compute.code_identity import code_identity; "
        f"print(code_identity(unit, {[more] if more else []}))"
    )
    return fresh.run(package, code)


@pytest.mark.parametrize(
    ("file", "old", "new", "changes"),
    [
        ("lab/unit.py", "return twice", "return 1 + twice", True),
        ("lab/unit.py", "# a comment", "# another comment", False),
        ("lab/unit.py", "Docstring.", "Another docstring.", False),
        ("lab/unit.py", "not reached", "still not reached", False),
        ("lab/tools.py", "FACTOR = 2", "FACTOR = 3", True),
        ("lab/tools.py", "return FACTOR * x", "return FACTOR * x + 0", True),
        ("lab/tools.py", "return FACTOR * x", "return (FACTOR\n        * x)", False),
        ("lab/tools.py", "UNUSED = 3", "UNUSED = 4", False),
        ("lab/tools.py", "return 1", "return 2", True),
        ("lab/constants.py", "OFFSET = 1", "OFFSET = 2", True),
        ("lab/constants.py", "OTHER = 2", "OTHER = 3", False),
        ("lab/late.py", "return x", "return -x", True),
        ("lab/local.py", "return x", "return -x", True),
        ("lab/elsewhere.py", "VALUE = 1", "VALUE = 2", False),
    ],
)
def test_what_changes_the_identity(fresh: Forks, package: Path, file: str, old: str, new: str, changes: bool) -> None:
    before = identity(fresh, package)
    path = package / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    assert (identity(fresh, package) != before) is changes


def test_classes_loaded_by_name_belong_to_it(fresh: Forks, package: Path) -> None:
    assert identity(fresh, package, "lab.elsewhere:VALUE") != identity(fresh, package)


def test_stages_depend_on_their_own_code_only() -> None:
    """Seen through HearLab itself: HASPI takes no part in rendering, nor the renderer in scoring."""

    def modules(function: Any) -> set[str]:
        reached = Reached()
        reached.add([(function.__module__, function.__qualname__)])
        return {module for module, _ in reached.definitions}

    haspi, hasqi = (METRICS[name].load() for name in ("haspi", "hasqi"))
    rendering, enhancing = modules(render_unit), modules(enhance_unit)
    scoring = modules(score_unit) | modules(haspi)
    assert "hearlab.scenes.binaural" in rendering
    assert {"hearlab.ear.filterbank", "hearlab.metrics.haspi", "hearlab.kernels.simd"} <= scoring
    assert "hearlab.metrics.hasqi" in modules(hasqi)
    assert not scoring & {"hearlab.metrics.hasqi", "hearlab.metrics.haaqi"}
    assert "hearlab.audio" in rendering & scoring & enhancing
    assert not any(name.startswith(("hearlab.ear", "hearlab.metrics", "hearlab.compute")) for name in rendering)
    assert not any(name.startswith(("hearlab.scenes", "hearlab.systems", "hearlab.compute")) for name in scoring)
    # Other stages' units reach neither params.yaml's classes nor the table of models, whose rows hold times and titles.
    separating = modules(separate_unit) | modules(load_openunmix)
    for reached in (rendering, scoring, enhancing, separating, modules(enhance_songs), modules(score_songs)):
        assert not reached & {"hearlab.params", "hearlab.separators"}
    assert {"hearlab.separation.openunmix", "hearlab.separation.weights"} <= separating
    assert "hearlab.separation.hdemucs" not in separating
    assert len({code_identity(unit) for unit in (render_unit, score_unit, enhance_unit)}) == 3


def test_packaged_constants_belong_to_it() -> None:
    reached = Reached()
    reached.add([("hearlab.metrics.haspi", "_load_ensemble")])
    assert any(line.startswith("hearlab.metrics.haspi:_load_ensemble:") for line in reached.lines())
    assert any(path.endswith("/hearlab/data/haspi_v2_ensemble.json") for path in reached.files)
