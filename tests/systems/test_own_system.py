"""What docs/own-system.md promises to entrants: its example is installed as a package of its own and used."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "own-system.md"
PROJECT = """\
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "my-lab"
version = "0.1"

[tool.setuptools]
packages = ["my_lab"]
"""


def _examples() -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which pip installed the example's package."""
    pytest.importorskip("setuptools", reason="pip needs setuptools to build a package offline")
    project = tmp_path_factory.mktemp("my-lab")
    (project / "my_lab").mkdir()
    (project / "my_lab" / "__init__.py").touch()
    (project / "my_lab" / "net.py").write_text(_examples()[0], encoding="utf-8")
    (project / "pyproject.toml").write_text(PROJECT, encoding="utf-8")
    target = tmp_path_factory.mktemp("installed")
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, "--target", target, project], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert (target / "my_lab" / "net.py").is_file()
    return target


def _run(code: str, folder: Path, cwd: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(folder)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_trial_in_the_document(installed: Path, tmp_path: Path) -> None:
    assert _run(_examples()[1], installed, tmp_path) == "(44320, 2)\n"


def test_example_does_what_it_says(installed: Path, tmp_path: Path) -> None:
    code = """
import numpy as np
from hearlab.listeners import Audiogram, Listener
from hearlab.systems import check_music_output, check_speech_output, load_system
name = "my_lab.net:MyEnhancer"
ear = Audiogram([0] * 6, [250, 500, 1000, 2000, 4000, 6000])
listener = Listener("me", ear, ear)
pairs = {f"CH{k}": np.full((300, 2), 0.01 * k) for k in range(4)}
plain, louder = (load_system(name, params) for params in ({}, {"gain_db": 20}))
outputs = [check_speech_output(system.speech(pairs, 44100, listener), name) for system in (plain, louder)]
np.testing.assert_allclose(outputs[0][110:410], 0.015)
np.testing.assert_allclose(outputs[1], 10 * outputs[0])
stems = {stem: np.ones((300, 2)) for stem in ("vocals", "drums", "bass", "other")}
music = check_music_output(louder.music(stems, 44100, listener), stems, name)
np.testing.assert_allclose(music["bass"], 10.0)
"""
    _run(code, installed, tmp_path)


def test_example_is_short() -> None:
    lines = [line for line in _examples()[0].splitlines() if line.strip()]
    assert len(lines) <= 15
