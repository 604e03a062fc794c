"""A sweep whose system does not take the parameters of a point begins with no point."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from hearlab.cli import main
from hearlab.errors import ParameterError
from hearlab.sweep.constructors import check_constructors
from hearlab.sweep.points import Base, Point, grid, points
from hearlab.sweep.run import run_search
from hearlab.sweep.search import axes, corners
from pipeline_support import REPOSITORY, run

SYSTEM = """
import os
print("imported")


class Beamformer:
    def __init__(self, loading=0.001, order=1):
        print("made", loading)
        with open(os.environ["MADE"], "a") as file:
            file.write(f"{loading} ")
        if loading == "abort":
            print("about to die", flush=True)
            os.abort()
        if loading == "leave":
            os._exit(0)
        if not float(loading) > 0:
            raise ValueError(f"loading must be above 0: {loading}")

    def speech(self, microphones, rate, listener):
        return microphones["CH1"]

    def music(self, stems, rate, listener):
        return stems
"""
OWN = "enhance.system=constructed_lab:Beamformer"
Points = Callable[..., list[Point]]


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the constructor notes what it was called with; the current folder is a project."""
    project, package = tmp_path / "project", tmp_path / "elsewhere"
    project.mkdir()
    package.mkdir()
    (package / "constructed_lab.py").write_text(SYSTEM)
    shutil.copy(REPOSITORY / "params.yaml", project)
    (project / "dvc.yaml").write_text("stages: {}\n")
    run(project, "git", "init", "--quiet", "--initial-branch=main")
    run(project, "git", "add", "--all")
    run(project, "git", "commit", "--quiet", "--message", "A project")
    monkeypatch.syspath_prepend(package)
    monkeypatch.setenv("PYTHONPATH", str(package))
    monkeypatch.setenv("MADE", str(tmp_path / "made"))
    monkeypatch.chdir(project)
    return tmp_path / "made"


def check(*overrides: str) -> None:
    root = Path.cwd()
    check_constructors(root, points(Base.of(root), grid([OWN, *overrides])))


def test_systems_that_take_their_parameters_are_made_once_each(made: Path, capfd: pytest.CaptureFixture[str]) -> None:
    check("+enhance.params.loading=0.1,2", "seed=1,2", "enhance.gain=0,3")
    assert sorted(made.read_text().split()) == ["0.1", "2"]
    assert capfd.readouterr() == ("", "")  # what the user's code prints is the experiments' own


@pytest.mark.parametrize(
    ("override", "line"),
    [
        (
            "+enhance.params.loadin=0.1,0.2",
            f"-S {OWN} -S +enhance.params.loadin=0.1: constructed_lab:Beamformer: loadin: constructor has no such "
            "parameter (wanted one of loading, order); did you mean loading?",
        ),
        (
            "+enhance.params.loading=0.0003,x",
            "loading=x: constructed_lab:Beamformer: could not be constructed (found V",
        ),
        (
            "+enhance.params.loading=1,abort",
            "=abort: constructed_lab:Beamformer: could not be constructed: its process died (SIGABRT: Aborted)",
        ),
        (
            "+enhance.params.loading=leave,1",
            "=leave: constructed_lab:Beamformer: could not be constructed: its process died (exit code 0)",
        ),
    ],
)
def test_a_point_that_the_system_refuses_is_named(made: Path, override: str, line: str) -> None:
    with pytest.raises(ParameterError) as error:
        check(override)
    assert line in str(error.value)


def test_parameters_of_hearlabs_own_systems_are_checked_too(made: Path) -> None:
    root = Path.cwd()
    with pytest.raises(ParameterError, match="Baseline: depth: constructor has no such parameter"):
        check_constructors(root, points(Base.of(root), grid(["+enhance.params.depth=1,2"])))


def test_nothing_runs(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The first point ran for minutes before the second one failed."""
    assert main(["sweep", "-S", OWN, "-S", "+enhance.params.loading=0.0003,x"]) == 2
    out, err = capsys.readouterr()
    assert "+enhance.params.loading=x: constructed_lab:Beamformer: could not be constructed" in err
    assert out == ""
    assert not list(Path(".hearlab/sweep").glob("*.log"))


def test_a_search_is_checked_at_its_ends(made: Path) -> None:
    def changes(*overrides: str) -> list[tuple[str, ...]]:
        return corners(*axes(overrides))

    assert changes("a=1", "b=0..3", "c=x,y") == [
        ("a=1", "b=0", "c=x"),
        ("a=1", "b=3", "c=x"),
        ("a=1", "b=0", "c=x"),
        ("a=1", "b=0", "c=y"),
    ]
    said: list[str] = []
    overrides = [OWN, "+enhance.params.loading=0.0..1", "+enhance.params.order=1..3"]
    with pytest.raises(ParameterError, match="loading must be above 0"):
        run_search(Path.cwd(), overrides, "haspi", 3, 0, said.append)
    assert said == []
    assert not Path("optuna.db").exists()
