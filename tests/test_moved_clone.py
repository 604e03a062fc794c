"""A clone that was moved or copied with its environment: `make` mends it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "MAKE", "MFLAGS"))},
    # What HearLab needs is that of this environment; HearLab itself is there by a .pth file, which is not read.
    "PYTHONPATH": sysconfig.get_path("purelib"),
}
OFFLINE = f"{sys.executable} -m pip --python .venv/bin/python install --quiet --no-index --no-deps --no-build-isolation"


def make(folder: Path, target: str) -> str:
    command = ("make", target, f"PIP_INSTALL={OFFLINE}", f"PYTHON={sys.executable}")
    done = subprocess.run(
        command, cwd=folder, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert "no scores" in done.stdout, done.stdout  # `hearlab scores` ran
    return done.stdout


def imported(folder: Path) -> Path:
    """The folder from which the environment takes HearLab, with the environment's own script for Python."""
    code = "import hearlab; print(hearlab.__file__)"
    done = subprocess.run(
        (folder / ".venv/bin/python", "-c", code), cwd="/", env=ENVIRONMENT, capture_output=True, text=True, check=True
    )
    return Path(done.stdout.strip()).parents[2]


@pytest.mark.slow
def test_make_mends_the_environment_of_a_moved_and_of_a_copied_clone(tmp_path: Path) -> None:
    pytest.importorskip("setuptools", reason="setuptools is not installed: make test installs it")
    first = tmp_path / "first"
    first.mkdir()
    for name in ("Makefile", "pyproject.toml", "constraints.txt", "README.md", "LICENSE", "params.yaml", "dvc.yaml"):
        shutil.copy2(REPOSITORY / name, first / name)
    for name in ("src", "tools"):
        shutil.copytree(REPOSITORY / name, first / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    assert "Installing" in make(first, "scores")
    assert imported(first) == first
    quiet = make(first, "scores")
    assert "Installing" not in quiet
    assert "Mending" not in quiet

    moved = tmp_path / "moved to a folder with spaces"
    first.rename(moved)
    copied = tmp_path / "first copied"  # begins with the name of the first
    shutil.copytree(moved, copied, symlinks=True)
    for folder in (moved, copied):
        output = make(folder, "scores")
        assert "Mending the environment" in output
        assert "Installing" not in output
        assert imported(folder) == folder
        script = (folder / ".venv/bin/hearlab", "--version")
        assert subprocess.run(script, env=ENVIRONMENT, capture_output=True, check=True).stdout.startswith(b"hearlab ")
        assert "Mending" not in make(folder, "scores")
    old = str(first).encode() + b"/"
    texts = [path for path in (moved / ".venv").rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert [path for path in texts if old in path.read_bytes() and path.name != "RECORD"] == []
