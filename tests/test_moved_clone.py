"""A clone that was moved or copied with its environment: `make` mends it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from make_support import Project, small_project


@pytest.mark.slow
def test_make_mends_the_environment_of_a_moved_and_of_a_copied_clone(tmp_path: Path) -> None:
    first = small_project(tmp_path / "first")
    output = first.make("scores")
    assert "Installing" in output
    first.assert_whole(output)
    quiet = first.make("scores")
    assert "Installing" not in quiet
    assert "Mending" not in quiet

    # Nothing is fetched.
    variables = {**first.variables, "PIP_NO_INDEX": "1"}
    moved = Project(tmp_path / "moved to a folder with spaces", variables)
    first.folder.rename(moved.folder)
    copied = Project(tmp_path / "first copied", variables)  # begins with the name of the first
    shutil.copytree(moved.folder, copied.folder, symlinks=True)
    for project in (moved, copied):
        output = project.make("scores")
        assert "Mending the environment" in output
        assert "Installing" not in output
        project.assert_whole(output)
        script = (project.folder / ".venv/bin/hearlab", "scores")
        done = subprocess.run(script, cwd="/", env={"PATH": os.defpath}, capture_output=True, text=True, check=True)
        project.assert_whole(done.stdout)
        assert "Mending" not in project.make("scores")
    old = f"{first.folder}/".encode()
    texts = [path for path in (moved.folder / ".venv").rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert [path for path in texts if old in path.read_bytes() and path.name != "RECORD"] == []
