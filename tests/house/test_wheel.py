"""What `pip install` brings: every module, every data file, the published constants."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]

# The table of constants is read as the package reads it; nothing of the repository is on the path.
PROGRAM = """
import hearlab, hearlab.metrics
from hearlab.metrics import haaqi, haspi, haspi_better_ear, unit_seed
from hearlab.files import read_json
import importlib.resources
for name in {data!r}:
    assert read_json(importlib.resources.files("hearlab") / "data" / name)
print(hearlab.__file__)
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the wheel is built from, as building writes into the source tree."""
    source = tmp_path_factory.mktemp("source")
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(REPOSITORY / "src", source / "src", ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, source)
    return source


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        str(folder / "dist"),
        str(source),
    ]
    built = subprocess.run(command, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    (path,) = (folder / "dist").glob("hearlab-*.whl")
    return path


@pytest.mark.slow
def test_every_file_of_the_package_is_in_the_wheel(source: Path, wheel: Path) -> None:
    package = source / "src/hearlab"
    files = {str(path.relative_to(package.parent)) for path in package.rglob("*") if path.is_file()}
    assert {"hearlab/py.typed", "hearlab/datasets/packages.toml", "hearlab/report/plan/unit_costs.toml"} <= files
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("hearlab/")}
    assert inside == files, f"missing: {sorted(files - inside)}; surplus: {sorted(inside - files)}"


@pytest.mark.slow
def test_the_metrics_can_be_imported_from_it(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    data = sorted(path.name for path in (REPOSITORY / "src/hearlab/data").glob("*.json"))
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site"), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-P", "-c", PROGRAM.format(data=data)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).is_relative_to(tmp_path)
