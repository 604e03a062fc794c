"""`hearlab sweep` in a real repository: experiments by DVC, Ctrl-C, and the search by Optuna."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from hearlab.files import parse_yaml
from hearlab.report.experiments.listing import experiments
from pipeline_support import REPOSITORY, run

# A pipeline that computes nothing: a score that is best at a gain of 4, and marks of what ran. What the marks say to
# hold waits until it is interrupted.
PROGRAM = """
import json, os, re, time
from pathlib import Path

marks = Path(os.environ["MARKS"])
gain = re.search(r"^  gain: ([-+0-9.]+)", Path("params.yaml").read_text(), re.MULTILINE)[1]
with (marks / gain).open("a") as file:
    file.write("begun ")
while (marks / f"hold-{gain}").exists():
    time.sleep(0.02)
if (marks / f"fail-{gain}").exists():
    raise SystemExit(f"no luck with {gain}")
Path("metrics").mkdir(exist_ok=True)
score = 0.8 - 0.01 * (float(gain) - 4) ** 2
with open("metrics/speech.csv", "w") as file:
    print("scene,listener,haspi", file=file)
    for k in range(8):
        print(f"S{k},L1,{score + 0.001 * (k - 3.5):.8f}", file=file)
Path("metrics/speech.json").write_text(json.dumps({"haspi": {"pairs": 8, "enhanced": round(score, 8)}}))
"""
PIPELINE = """
stages:
  score_speech:
    cmd: python make.py
    deps: [make.py]
    params: [enhance]
    outs: [metrics/speech.csv]
    metrics:
      - metrics/speech.json: {cache: false}
"""
DEADLINE = 300.0  # s; only a failing test takes so long
MINE = "# mine, not committed\n"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("dvc", path=str(Path(sys.executable).parent)) is None:
        pytest.skip("dvc is not installed beside this Python")
    folder = tmp_path_factory.mktemp("sweep") / "made"
    folder.mkdir()
    for name in ("params.yaml", ".gitignore", ".dvcignore"):
        shutil.copy(REPOSITORY / name, folder)
    (folder / "dvc.yaml").write_text(PIPELINE)
    (folder / "make.py").write_text(PROGRAM)
    (folder / "README.md").write_text("\n")
    run(folder, "git", "init", "--quiet", "--initial-branch=main")
    run(folder, "dvc", "init", "--quiet")
    run(folder, "git", "add", "--all")
    run(folder, "git", "commit", "--quiet", "--message", "A project")
    return folder


class Project:
    def __init__(self, folder: Path) -> None:
        self.folder, self.marks = folder / "project", folder / "marks"
        self.marks.mkdir()

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(REPOSITORY / "src"),
            "MARKS": str(self.marks),
            **{f"GIT_{who}_{what}": "t@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
        }
        return subprocess.Popen(
            [sys.executable, "-m", "hearlab.cli", "sweep", *arguments],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def sweep(self, *arguments: str, code: int = 0) -> str:
        process = self.start(*arguments)
        printed, _ = process.communicate(timeout=DEADLINE)
        assert process.returncode == code, printed
        return printed

    def begun(self) -> dict[str, int]:
        """How often each gain was begun."""
        return {path.name: path.read_text().count("begun") for path in self.marks.glob("[0-9]*")}

    def experiments(self) -> dict[float, float]:
        """The score of each gain that has an experiment."""
        found, _ = experiments(self.folder)
        return {
            one.parameters.get("enhance.gain", 0): one.scores["HASPI enhanced"]
            for one in found
            if one.kind == "experiment"
        }

    def status(self) -> str:
        return run(self.folder, "git", "status", "--porcelain") + (self.folder / "README.md").read_text()


@pytest.fixture
def project(made: Path, tmp_path: Path) -> Iterator[Project]:
    shutil.copytree(made, tmp_path / "project", symlinks=True)
    project = Project(tmp_path)
    run(project.folder, "git", "status")  # sees that the copies are what it knows
    (project.folder / "README.md").write_text(MINE)
    before = project.status()
    yield project
    assert project.status() == before  # the workspace is the user's own
    left = list((project.folder / ".dvc/tmp/exps/standalone").glob("tmp*"))
    assert left == []


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Wait for what a process does; it must not have ended."""
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def logs(project: Project) -> list[Path]:
    return list((project.folder / ".hearlab/sweep").glob("gain*.log"))


@contextlib.contextmanager
def another_dvc(project: Project) -> Iterator[Callable[[], None]]:
    """DVC's lock on the workspace is held by another process, until it is released."""
    held, free = project.marks / "held", project.marks / "free"
    program = (
        "import sys, time\nfrom pathlib import Path\nfrom dvc.repo import Repo, lock_repo\n"
        "with lock_repo(Repo()):\n    Path(sys.argv[1]).touch()\n"
        "    while not Path(sys.argv[2]).exists():\n        time.sleep(0.02)\n"
    )
    command = [sys.executable, "-c", program, str(held), str(free)]
    process = subprocess.Popen(command, cwd=project.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        wait_for(held.exists, process)
        yield free.touch
    finally:
        free.touch()
        process.communicate(timeout=DEADLINE)


@pytest.mark.slow
def test_ctrl_c_keeps_what_has_ended_and_the_same_command_goes_on(project: Project) -> None:
    (project.marks / "hold-3").touch()
    process = project.start("-S", "enhance.gain=range(0,7,3)")
    wait_for(lambda: project.begun().get("3") == 1, process)
    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate(timeout=DEADLINE)
    assert process.returncode == 130, printed
    assert "[1/3] gain0-" in printed
    assert "interrupted; what was finished is kept" in printed
    assert list(project.experiments()) == [0]
    assert project.begun() == {"0": 1, "3": 1}
    (project.marks / "hold-3").unlink()
    (project.marks / "fail-6").touch()
    printed = project.sweep("-S", "enhance.gain=range(0,7,3)", code=1)
    assert printed.startswith("3 experiments, 1 of them known already\n")
    assert "no luck with 6" in printed
    assert project.begun() == {"0": 1, "3": 2, "6": 1}
    (project.marks / "fail-6").unlink()
    printed = project.sweep("-S", "enhance.gain=0,3,6,9,12", "--jobs", "2")
    assert printed.startswith("5 experiments, 2 of them known already\n")
    assert project.begun() == {"0": 1, "3": 2, "6": 2, "9": 1, "12": 1}
    assert project.experiments() == pytest.approx({0: 0.64, 3: 0.79, 6: 0.76, 9: 0.55, 12: 0.16})
    best = printed.splitlines()[-1]
    assert best.startswith("best HASPI enhanced, 0.7900: dvc exp apply gain3-")
    again = project.sweep("-S", "enhance.gain=choice(12,9)")
    assert again.startswith("2 experiments, 2 of them known already\n")
    assert sum(project.begun().values()) == 7
    # Other code is another result.
    (project.folder / "make.py").write_text(PROGRAM.replace("0.8", "0.9"))
    assert project.sweep("-S", "enhance.gain=12").startswith("1 experiment\n")
    assert project.begun()["12"] == 2
    (project.folder / "make.py").write_text(PROGRAM)


@pytest.mark.slow
def test_points_are_of_the_workspace_as_it_was_when_the_sweep_began(project: Project) -> None:
    params, program = project.folder / "params.yaml", project.folder / "make.py"
    (project.marks / "hold-3").touch()
    process = project.start("-S", "enhance.gain=3,6,9")
    wait_for(lambda: project.begun().get("3") == 1, process)
    was = params.read_text()
    edited = was.replace("seed: 0 ", "seed: 5 ", 1)
    assert edited != was
    params.write_text(edited)
    (project.marks / "hold-6").touch()
    (project.marks / "hold-3").unlink()
    wait_for(lambda: project.begun().get("6") == 1, process)
    assert params.read_text() == edited  # the user's own
    program.write_text(PROGRAM.replace("0.8", "0.9"))
    (project.marks / "hold-6").unlink()
    printed, _ = process.communicate(timeout=DEADLINE)
    params.write_text(was)
    program.write_text(PROGRAM)
    assert process.returncode == 1, printed
    assert re.search(r"^\[2/3\] gain6-\w+: enhance.gain=6: HASPI enhanced 0.7600", printed, re.MULTILINE), printed
    assert re.search(r"^\[3/3\] gain9-.*failed: the commit or the code has changed since", printed, re.MULTILINE), (
        printed
    )
    assert project.begun() == {"3": 1, "6": 1}
    found, _ = experiments(project.folder)
    kept = [one.files.read("params.yaml") for one in found if one.kind == "experiment" and one.files]
    assert [parse_yaml(content)["seed"] for content in kept] == [0, 0]
    # The same command goes on with the one that is missing.
    assert project.sweep("-S", "enhance.gain=3,6,9").startswith("3 experiments, 2 of them known already\n")
    assert project.begun() == {"3": 1, "6": 1, "9": 1}


@pytest.mark.slow
def test_a_killed_worker_is_the_failure_of_its_experiment_alone(project: Project) -> None:
    (project.marks / "hold-3").touch()
    process = project.start("-S", "enhance.gain=3,6")
    wait_for(lambda: project.begun().get("3") == 1, process)
    (worker,) = (
        each for each in psutil.Process(process.pid).children() if "hearlab.sweep.worker" in " ".join(each.cmdline())
    )
    stages = worker.children(recursive=True)
    worker.kill()
    (project.marks / "hold-3").unlink()
    printed, _ = process.communicate(timeout=DEADLINE)
    assert process.returncode == 1, printed
    assert re.search(r"^\[1/2\] gain3-.*failed: the process that ran it has ended$", printed, re.MULTILINE), printed
    assert project.begun() == {"3": 1, "6": 1}
    assert list(project.experiments().values()) == [pytest.approx(0.76)]
    psutil.wait_procs(stages, timeout=DEADLINE)
    home = project.folder / ".dvc/tmp/exps/standalone"

    def kept() -> list[str]:
        return sorted(path.name for path in home.iterdir() if path.name != "run")  # DVC's own notes

    assert kept() == [f"hearlab-{worker.pid}"]
    # The next sweep removes it; a folder in which something runs, and those of others, stay.
    (home / "tmp-of-dvc").mkdir()
    (home / "hearlab-0x" / "tmp").mkdir(parents=True)
    with subprocess.Popen(
        [sys.executable, "-c", "input()"], cwd=home / "hearlab-0x" / "tmp", stdin=subprocess.PIPE
    ) as it:
        assert project.sweep("-S", "enhance.gain=6").startswith("1 experiment, 1 of them known already")
        assert kept() == ["hearlab-0x", "tmp-of-dvc"]
        it.communicate()
    (home / "tmp-of-dvc").rmdir()
    project.sweep("-S", "enhance.gain=6")
    assert kept() == []


@pytest.mark.slow
def test_a_search_goes_on_where_it_was(project: Project) -> None:
    search = ("-S", "enhance.gain=0..12", "--optimise", "haspi", "--seed", "3", "--trials")
    with another_dvc(project) as release:
        process = project.start(*search, "2")
        wait_for(lambda: any("waiting for another DVC" in log.read_text() for log in logs(project)), process)
        assert project.begun() == {}
        release()
        first, _ = process.communicate(timeout=DEADLINE)
    assert process.returncode == 0, first
    assert "trial 2 of 2: enhance.gain=" in first
    assert len(project.experiments()) == 2
    more = project.sweep(*search, "4")
    assert more.startswith("Searching for the best HASPI enhanced: 4 trials, 2 known already\n")
    assert "trial 1 of" not in more
    scores = project.experiments()
    assert 2 < len(scores) <= 4
    assert set(map(float, project.begun())) == set(map(float, scores))
    assert f"best HASPI enhanced, {max(scores.values()):.4f}: dvc exp apply gain" in more
    with sqlite3.connect(project.folder / "optuna.db") as database:
        assert database.execute("select count(*) from trials where state = 'COMPLETE'").fetchone() == (4,)
