"""What `pip install` brings: every module, every data file, the published constants."""

from __future__ import annotations

import functools
import json
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


SCORE = """
import json, sys
import numpy as np
from hearlab.listeners import Audiogram
from hearlab.metrics import haaqi, haspi
noise = np.random.RandomState(0).standard_normal((2, 12000))
clean = 0.05 * noise[0]
ear = Audiogram([20, 20, 30, 40, 50, 60], [250, 500, 1000, 2000, 4000, 6000])
scores = [metric(clean, 24000, clean + 0.02 * noise[1], 24000, ear, rng=1).score for metric in (haspi, haaqi)]
print(json.dumps([sys.version_info[:2], scores]))
"""


@functools.cache
def python(minor: int) -> str | None:
    """A Python 3.`minor` of this machine: on the PATH, or one of pyenv's."""
    candidates = [shutil.which(f"python3.{minor}")]
    if pyenv := shutil.which("pyenv"):
        listed = subprocess.run([pyenv, "versions", "--bare"], capture_output=True, text=True).stdout.split()
        for version in (name for name in listed if name.startswith(f"3.{minor}.")):
            prefix = subprocess.run([pyenv, "prefix", version], capture_output=True, text=True).stdout.strip()
            candidates.append(os.path.join(prefix, "bin", "python"))
    for path in filter(None, candidates):
        asked = subprocess.run([path, "-c", "import sys; print(sys.version_info[1])"], capture_output=True, text=True)
        if asked.stdout.strip() == str(minor):
            return path
    return None


@pytest.mark.slow
@pytest.mark.parametrize("minor", range(11, 15))
def test_the_wheel_with_core_dependencies_alone_scores(wheel: Path, tmp_path: Path, minor: int) -> None:
    """Each takes a minute and some hundred MB, so they are made only where that is asked for, as the workflow does."""
    if not os.environ.get("HEARLAB_EVERY_PYTHON"):
        pytest.skip("set HEARLAB_EVERY_PYTHON=1 to install the wheel for each Python")
    if (interpreter := python(minor)) is None:
        pytest.skip(f"no Python 3.{minor} here")
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    bin_folder = tmp_path / "venv" / "bin"

    def run(*command: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == code, done.stdout + done.stderr
        return done

    run(interpreter, "-m", "venv", str(tmp_path / "venv"))
    constraints = str(REPOSITORY / "constraints.txt")
    run(str(bin_folder / "pip"), "install", "--quiet", "--constraint", constraints, str(wheel))
    own, scores = json.loads(run(str(bin_folder / "python"), "-c", SCORE).stdout)
    _, expected = json.loads(run(sys.executable, "-c", SCORE).stdout)
    assert own == [3, minor]
    assert scores == pytest.approx(expected, abs=1e-9)
    # What is not installed is named, with the extra that has it.
    (tmp_path / "dvc.yaml").touch()
    shutil.copy(REPOSITORY / "params.yaml", tmp_path)
    line = run(str(bin_folder / "hearlab"), "plan", code=1).stderr
    assert line.count("\n") == 1
    assert "pip install 'hearlab[pipeline]'" in line
