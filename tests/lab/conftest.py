"""The tiny workspace, run once, and one of each test's own without results."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tiny_workspace import OWN, STAGES, make_workspace, put

from hearlab.compute import unchanged
from hearlab.stages import run_stage
from hearlab.systems.base import shared_system


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace that the pipeline's stages have run; tests leave its results as they are."""
    root = make_workspace(tmp_path_factory.mktemp("finished") / "lab")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        for stage in STAGES:
            run_stage(stage)
    return root


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a package `tiny_lab` with the system `tiny_lab.net:Mine`, which is found by processes, too."""
    package = tmp_path / "packages" / "tiny_lab"
    put(package / "__init__.py", "")
    put(package / "net.py", OWN)
    monkeypatch.setenv("PYTHONPATH", str(package.parent), prepend=":")
    monkeypatch.syspath_prepend(str(package.parent))
    for name in [name for name in sys.modules if name.partition(".")[0] == "tiny_lab"]:
        monkeypatch.delitem(sys.modules, name)  # of another test
    monkeypatch.setattr(unchanged, "_loaded", {})
    shared_system.cache_clear()
    return package
