"""What the stage `system` writes: the system's code as it is, whichever way it has changed."""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from few_packages import packages_of
from hearlab.compute import code_identity
from hearlab.compute.code.file_cache import TICK
from hearlab.errors import InputError
from hearlab.stages import system
from hearlab.systems.base import system_arguments
from pipeline_support import make_project, ran, run, started

REPOSITORY = Path(__file__).resolve().parents[2]
PARAMS = (REPOSITORY / "params.yaml").read_text(encoding="utf-8")
HEAVY = {"numpy", "numba", "scipy", "torch", "pandas", "pydantic", "dvc", "ray"}
AID = """
from {package}.taps import TAPS


class Aid:
    def __init__(self, *, weights=None):
        self.weights = weights

    def speech(self, microphones, rate, listener):
        return TAPS * microphones["CH1"]

    def music(self, stems, rate, listener):
        return stems
"""


def make_package(folder: Path, package: str) -> Path:
    lab = folder / package
    lab.mkdir(parents=True)
    (lab / "__init__.py").write_text("")
    (lab / "aid.py").write_text(AID.format(package=package))
    (lab / "taps.py").write_text("TAPS = 0.5\n")
    return lab


def choose(name: str, params: str = "{}") -> None:
    text = re.sub(r"system: .*", f"system: {name}", PARAMS)
    Path("params.yaml").write_text(text.replace("\n  params: {}", f"\n  params: {params}"))


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package in a folder of the path, and the workspace that uses it."""
    monkeypatch.chdir(tmp_path)
    package = f"lab_{tmp_path.name.replace('-', '_')}"
    package = re.sub(r"\W", "_", package)
    home = tmp_path / "elsewhere"
    made = make_package(home, package)
    packages_of(home, monkeypatch)
    (tmp_path / system.FOLDER).mkdir()
    (tmp_path / "data").mkdir()
    choose(f"{package}.aid:Aid")
    return made


def written() -> dict[str, Any]:
    """What the stage writes in a new process, once the time of a change can be told from that of a later one."""
    time.sleep(2 * TICK / 1e9)
    importlib.invalidate_caches()
    code_identity._known.clear()
    system.run()
    content: dict[str, Any] = json.loads(system.OUTPUT.read_text())
    return content


def test_a_system_of_hearlab_is_its_name(lab: Path) -> None:
    """Its code is named in dvc.yaml; so the output is the same on every machine."""
    choose("hearlab.systems.baseline:Baseline")
    assert written() == {"system": "hearlab.systems.baseline:Baseline"}


def rename(lab: Path) -> None:
    (lab / "taps.py").rename(lab / "other.py")


def shadow(lab: Path) -> None:
    """Another package of that name in a folder that is looked in before."""
    first = lab.parent.parent / "first"
    shutil.copytree(lab, first / lab.name)
    (first / lab.name / "taps.py").write_text("TAPS = 0.75\n")
    sys.path.insert(0, str(first))


CHANGES: dict[str, Callable[[Path], object]] = {
    "a module": lambda lab: (lab / "taps.py").write_text("TAPS = 0.25\n"),
    "a new file": lambda lab: (lab / "table.txt").write_text("1 2 3\n"),
    "a file less": rename,
    "a package that shadows it": shadow,
}


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES)
def test_each_change_is_noticed_and_going_back_too(
    lab: Path, change: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    first = written()
    assert first == written()
    assert set(first) == {"system", "code"}
    shutil.copytree(lab, tmp_path / "kept")
    CHANGES[change](lab)
    second = written()
    assert second["code"] != first["code"]
    assert second == written()
    shutil.rmtree(tmp_path / "first", ignore_errors=True)
    shutil.rmtree(lab)
    shutil.copytree(tmp_path / "kept", lab)
    assert written() == first


@pytest.mark.slow
def test_a_library_of_ones_own_is_part_of_it(lab: Path) -> None:
    """Also one that is not there at first: what was kept is not believed when it comes."""
    (lab / "taps.py").write_text("try:\n    from own_tools import TAPS\nexcept ImportError:\n    TAPS = 0.5\n")
    without = written()
    (lab.parent / "own_tools.py").write_text("TAPS = 0.25\n")
    with_it = written()
    assert with_it["code"] != without["code"]
    (lab.parent / "own_tools.py").write_text("TAPS = 0.125\n")
    assert written()["code"] not in (with_it["code"], without["code"])


def test_no_path_of_this_machine_is_in_it(lab: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    first = written()
    shutil.move(lab.parent, tmp_path / "moved")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "moved"), *sys.path])
    assert written() == first
    assert str(tmp_path) not in system.OUTPUT.read_text()


def test_files_that_parameters_name(lab: Path, tmp_path: Path) -> None:
    """Other bytes under the same name are another system: for DVC, and for the keys of the units."""
    from hearlab.params import load_params

    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "own.pt").write_bytes(b"first")
    choose(f"{lab.name}.aid:Aid", "{weights: nets/own.pt}")
    first, arguments = written(), system_arguments(load_params().enhance)
    assert list(first["files"]) == ["weights"]
    (tmp_path / "nets" / "own.pt").write_bytes(b"other")
    second = written()
    assert second["files"] != first["files"]
    assert second["code"] == first["code"]
    assert system_arguments(load_params().enhance) != arguments
    choose(f"{lab.name}.aid:Aid", "{weights: nets/none.pt}")
    assert "files" not in written()
    assert "files" not in system_arguments(load_params().enhance)


def test_the_version_of_an_installed_package(lab: Path) -> None:
    metadata = lab.parent / "my_lab-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: My-Lab\nVersion: 1.0\n")
    (metadata / "top_level.txt").write_text(f"{lab.name}\n")
    (metadata / "RECORD").write_text(f"{lab.name}/__init__.py,,\n")
    assert written()["distribution"] == "My-Lab 1.0"


@pytest.mark.slow
def test_what_is_kept_is_only_believed_if_it_is_right(lab: Path) -> None:
    first = written()
    for text in ("", "[", "[]", "{}", '{"asked": 1}', system.KEPT.read_text().replace('"marks"', '"other"')):
        system.KEPT.write_text(text)
        assert written() == first


def test_a_package_that_is_not_there(lab: Path) -> None:
    choose("no_such_lab.aid:Aid")
    with pytest.raises(InputError, match=r"enhance.system: no such module \(found no_such_lab\); install its package"):
        system.run()


def test_nothing_heavy_is_imported_when_nothing_has_changed(lab: Path, tmp_path: Path) -> None:
    """It runs at each `dvc repro`."""
    time.sleep(2 * TICK / 1e9)
    code = """
import sys, time
from hearlab.cli import main
assert main(["stage", "system"]) == 0
print(*sys.modules)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(REPOSITORY / "src"), str(lab.parent)])}
    loaded = [
        set(
            subprocess.run(
                (sys.executable, "-c", code), env=environment, check=True, capture_output=True, text=True
            ).stdout.split()
        )
        for _ in range(2)
    ]
    assert "hearlab.compute.code_identity" in loaded[0]  # it was looked at
    assert "hearlab.compute.code_identity" not in loaded[1]
    assert loaded[1] & HEAVY == set()


@pytest.mark.slow
def test_dvc_runs_what_an_edit_of_ones_own_package_changes(tmp_path: Path) -> None:
    """As the guide says: edit, `dvc repro`; nothing is to be named in dvc.yaml, and no version to be counted up."""
    project = make_project(tmp_path / "project")
    lab = make_package(project / "src", "my_lab")
    repro = ("dvc", "repro", "enhance_speech")
    text = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(re.sub(r"system: .*", "system: my_lab.aid:Aid", text))
    output = run(project, *repro)
    assert ran(output)["enhance_speech"] == 9
    assert started(run(project, *repro)) == ["system"]
    (lab / "taps.py").write_text("TAPS = 0.25\n")
    planned = run(project, "hearlab", "plan", "enhance_speech")
    assert re.search(r"(?m)^system +yes", planned)
    assert re.search(r"(?m)^enhance_speech +yes +9 +0", planned)
    output = run(project, *repro)
    assert started(output) == ["system", "enhance_speech"]
    assert ran(output) == {"enhance_speech": 9}
    assert "nothing to do" in run(project, "hearlab", "plan", "enhance_speech")
    (lab / "taps.py").write_text("TAPS = 0.5\n")
    output = run(project, *repro)
    assert started(output) == ["system", "enhance_speech"]
    assert "9 done before" in output
