"""A small demo project, run once, for the tests of the pipeline."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from waits import until

REPOSITORY = Path(__file__).resolve().parent.parent
SMALL = (("dev", 3), ("train", 1))
PAIRS = 9
SONG_PAIRS = 1  # of song and listener: the small test
TRAINING = {"hidden_size": 4, "batch_size": 1, "steps": 2, "validate_every": 2, "excerpt": 1}


def run(folder: Path, *command: str, code: int = 0) -> str:
    """Run a command with this test's own Python first on the PATH; returns what it printed."""
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "GIT_AUTHOR_NAME": "Tester",
        "GIT_AUTHOR_EMAIL": "tester@example.org",
        "GIT_COMMITTER_NAME": "Tester",
        "GIT_COMMITTER_EMAIL": "tester@example.org",
        "COLUMNS": "200",
    }
    if (folder / "src").is_dir():
        environment["PYTHONPATH"] = str(folder / "src")  # the project's own code, not the installed one
    done = subprocess.run(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert done.returncode == code, f"{' '.join(command)} exited with {done.returncode}:\n{done.stdout}"
    return done.stdout


def ran(output: str) -> dict[str, int]:
    """Units that each stage really ran, from what `dvc repro` printed; stages that DVC skipped are missing."""
    counts = {}
    for stage in re.findall(r"> hearlab stage (.+)", output):
        last = [line for line in output.splitlines() if re.match(rf"{re.escape(stage)}: \d+/\d", line)]
        if last:
            total = int(re.findall(r"/(\d+)", last[-1])[0])
            before = re.findall(r"(\d+) done before", last[-1])
            counts[stage] = total - int(before[0]) if before else total
    return counts


def started(output: str) -> list[str]:
    """The stages that `dvc repro` has started. `system`, which looks at the system's code, it starts every time."""
    return re.findall(r"Running stage '([^']+)'", output)


def nothing_to_do(folder: Path) -> bool:
    """Whether `dvc status` finds all stages up to date, but for the one that is looked at every time."""
    told: dict[str, list[str]] = json.loads(run(folder, "dvc", "status", "--json").splitlines()[-1])
    return told == {"system": ["always changed"]}


def wait_for_queue(folder: Path, name: str) -> None:
    """Wait until DVC has run the experiment of its queue with that name."""

    def done() -> bool:
        state = run(folder, "dvc", "queue", "status")
        assert "Failed" not in state, run(folder, "dvc", "queue", "logs", name)
        return "Success" in state

    until(done, what=f"the experiment {name}")


def made_project(folder: Path) -> Path:
    """The repository with a smaller demo, run once and committed, that all tests of a session share; `folder` is one of
    the test's own. It is for one module of tests, which may change it: the others get copies of it as it was at first.
    """
    session = next((each for each in folder.parents if re.fullmatch(r"pytest-\d+", each.name)), folder.parent)
    shared = session / "project" / "hearlab"
    shared.parent.mkdir(exist_ok=True)
    with (session / "project.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared.parent / "made").exists():
            run_project(shared)
            run(shared.parent, "cp", "-a", str(shared), "pristine")  # links within it stay links
            (shared.parent / "made").touch()
    return shared


def make_repository(folder: Path) -> None:
    """Make a folder an empty repository of git and DVC."""
    pytest.importorskip("dvc", reason="dvc is not installed: make test installs it")
    run(folder, "git", "init", "--quiet")
    run(folder, "dvc", "init", "--quiet")


def make_project(folder: Path) -> Path:
    """A copy of the shared repository with a smaller demo, for a test to change."""
    run(folder.parent, "cp", "-a", str(made_project(folder).parent / "pristine"), str(folder))
    run(folder, "git", "status")  # sees that the copies are what it knows
    return folder


def run_project(folder: Path) -> Path:
    """A repository with a smaller demo, run in this place and committed."""
    if shutil.which("dvc", path=str(Path(sys.executable).parent)) is None:
        pytest.skip("dvc is not installed beside this Python: make test installs it")
    folder.mkdir()
    listed = run(REPOSITORY, "git", "ls-files", "-co", "--exclude-standard").splitlines()
    for name in listed:
        if (REPOSITORY / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, folder / name)
    (folder / "dvc.lock").unlink(missing_ok=True)
    yaml = YAML()
    params = yaml.load((folder / "params.yaml").read_text())
    for split, scenes in SMALL:
        params["datasets"]["demo"]["splits"][split].update(scenes=scenes, rooms=scenes)
    params["datasets"]["demo"]["songs"].update(train=1, valid=1, test=0)
    params["evaluate"]["small_test"] = True
    params["separate"]["train"].update(TRAINING)
    with (folder / "params.yaml").open("w") as file:
        yaml.dump(params, file)
    run(folder, "git", "init", "--quiet", "--initial-branch=main")
    output = run(folder, "dvc", "repro")
    assert f"score_speech: {PAIRS}/{PAIRS}" in output
    assert f"score_music: {SONG_PAIRS}/{SONG_PAIRS}" in output
    run(folder, "git", "add", "--all")
    run(folder, "git", "commit", "--quiet", "--message", "First run")
    return folder


def pulled_clone(project: Path, folder: Path) -> Path:
    """A second clone below `folder` that got its data by push and pull through a remote in a local folder."""
    run(project, "dvc", "remote", "add", "--force", "--default", "lab", str(folder / "remote"))
    run(project, "git", "commit", "--quiet", "--all", "--message", "Share")
    run(project, "dvc", "push")
    clone = folder / "clone"
    run(folder, "git", "clone", "--quiet", str(project), str(clone))
    run(clone, "dvc", "pull")
    return clone
